"""`python -I -S .../bessctl_core/__main__.py SEALED_FILE`: the loop process by itself.

Nothing is on its path but the standard library and this package.
"""

import os
import sys

if __name__ == "__main__":
    # Isolated Python knows neither site-packages nor the folder of the script.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from bessctl_core.process import main

    sys.exit(main())
