"""python -m board.deb build ARCH RELEASE | lock"""

import sys

from board.deb import build
from board.image.debs import ImageError

USAGE = "usage: python -m board.deb build amd64|arm64 bookworm|trixie | lock"


def main(arguments: list[str]) -> int:
    """Exit code of the command."""
    try:
        match arguments:
            case ["lock"]:
                build.lock()
            case ["build", arch, release]:
                print(build.build(arch, release))
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except ImageError as e:
        print(f"deb: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
