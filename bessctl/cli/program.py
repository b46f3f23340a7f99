"""All subcommands under one roof, and the one place where an error becomes a message and an exit code.

Exit codes: 0 done, 1 failed while running, 2 usage or configuration, 3 not reachable, 4 refused by protection, 5 outcome unknown, 130
interrupted. What is no error of ours is told in one line with the path of a file that holds the traceback; `--debug` shows it instead.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from types import TracebackType
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from bessctl import __version__
from bessctl.cli import commission, hil, look, order, oscp, plan, processes, profile, sep2, setup, site, telemetry
from bessctl.cli.output import Output, OutputOption, show
from bessctl.errors import BessctlError

INTERRUPTED = 130

app = typer.Typer(
    help="Edge controller for battery energy storage systems. Power is positive toward the grid: discharge and export.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def common(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an internal error.")] = False) -> None:
    """Options that stand before the subcommand."""
    if debug:
        sys.excepthook = sys.__excepthook__


@app.command()
def version(output: OutputOption = Output.TABLE) -> None:
    """Print the version."""
    if output is Output.JSON:
        show({"version": __version__}, output)
    else:
        print(__version__)


for part in (setup, profile, processes, look, order, commission, oscp, plan, sep2, site, telemetry, hil):
    part.register(app)


def run(arguments: list[str]) -> int:
    """Run one command line; returns its exit code."""
    sys.excepthook = unexpected
    try:
        result = get_command(app).main(arguments, prog_name="bessctl", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except TyperException as e:
        print(f"bessctl: {e.format_message()}\nTry: bessctl --help, or bessctl COMMAND --help", file=sys.stderr)
        return e.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("bessctl: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left; nothing is wrong, and nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BessctlError as e:
        print(f"bessctl: {e}", file=sys.stderr)
        return e.exit_code


def unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The excepthook: an internal error in one line; the traceback goes to a file of its own."""
    text = "".join(traceback.format_exception(kind, error, trace))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="bessctl-error-", suffix=".log", delete=False) as file:
            file.write(text)
        where = f"the traceback is in {file.name}; --debug shows it"
    except OSError as e:
        where = f"its traceback could not be written ({e.strerror}): {text}"
    print(f"bessctl: internal error: {kind.__name__}: {error}; {where}", file=sys.stderr)
