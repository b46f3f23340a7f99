"""python board/check_rt.py: what of the board's real-time settings is in force here. On a board the same file is `bessctl-check-rt`."""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).resolve().parent / "files/usr/lib/bessctl/board/check_rt.py"), run_name="__main__")
