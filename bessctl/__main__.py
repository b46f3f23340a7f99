"""`python -m bessctl` is `bessctl`."""

from bessctl.cli import main

main()
