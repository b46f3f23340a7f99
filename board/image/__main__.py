"""python -m board.image build BOARD | lock"""

import sys
from pathlib import Path

from board.image import build, debs
from board.image.debs import ImageError

USAGE = "usage: python -m board.image build BOARD | lock"


def main(arguments: list[str]) -> int:
    """Exit code of the command."""
    try:
        match arguments:
            case ["lock"]:
                debs.write_lock(debs.resolve(Path("build/image/apt").resolve()))
            case ["build", name]:
                build.build(name)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except ImageError as e:
        print(f"image: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
