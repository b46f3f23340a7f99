"""python -m board.image lock | build BOARD | bundle BOARD"""

import sys
from pathlib import Path

from board.image import debs

if __name__ == "__main__":
    if sys.argv[1:] == ["lock"]:
        debs.write_lock(debs.resolve(Path("build/image/apt").resolve()))
