"""The command line. `main` is the program; subcommands import what they need inside, so that `bessctl version` costs a bare interpreter."""

from __future__ import annotations

import sys

from bessctl import __version__


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:] in (["version"], ["--version"]):
        print(__version__)
        return
    from bessctl.cli.program import run

    sys.exit(run(sys.argv[1:]))
