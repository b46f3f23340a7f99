"""The command line. `main` is the program; subcommands import what they need inside, so that `bessctl version` costs a bare interpreter."""

from __future__ import annotations

import sys

from bessctl import __version__


def main() -> None:
    """Entry point of the console script."""
    match sys.argv[1:]:
        case ["version"] | ["--version"] | ["version", "-o" | "--output", "table"]:
            return print(__version__)
        case ["version", "-o" | "--output", "json"]:
            return print(f'{{"version": "{__version__}"}}')
    from bessctl.cli.program import run

    sys.exit(run(sys.argv[1:]))
