"""python -m board.deb build ARCH RELEASE | lock"""

import sys

from board import command
from board.deb import build

USAGE = "python -m board.deb build amd64|arm64 bookworm|trixie | lock"


def made(arch: str, release: str) -> None:
    print(build.build(arch, release))


if __name__ == "__main__":
    sys.exit(command.run("deb", USAGE, {"build": made, "lock": build.lock}, sys.argv[1:]))
