"""python -m board.image build BOARD | lock"""

import sys
from pathlib import Path

from board import command
from board.image import build, debs


def lock() -> None:
    debs.write_lock(debs.resolve(Path("build/image/apt").resolve()))


if __name__ == "__main__":
    sys.exit(command.run("image", "python -m board.image build BOARD | lock", {"build": build.build, "lock": lock}, sys.argv[1:]))
