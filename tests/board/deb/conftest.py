"""These tests install the package that BESS_DEB names into a throwaway Debian: `make deb-test` alone collects them."""

import os

collect_ignore_glob = [] if os.environ.get("BESS_DEB") else ["test_*.py"]
