"""`bessctl hil run`: scenarios against simulated or real devices."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bessctl.cli.output import Output, OutputOption, show

hil = typer.Typer(help="Scenarios: in simulated time, in real time against the simulated plant, on a rig.", no_args_is_help=True)


class Where(StrEnum):
    """Where scenarios without a rig are played."""

    SIMULATED = "simulated"
    REAL = "real"
    BOTH = "both"


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    app.add_typer(hil, name="hil")


@hil.callback()
def _group() -> None:
    """One subcommand today; the group stays."""


@hil.command()
def run(  # noqa: PLR0917 (each is an option)
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files (YAML), or folders of them.")],
    rig: Annotated[Path | None, typer.Option("--rig", help="Real devices: the rig file (YAML); docs/howto/hil.md builds one.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Folder for junit.xml, results.json, CSV and report.html.")] = None,
    where: Annotated[
        Where, typer.Option("--time", help="Without a rig: simulated time, real time against the simulated plant, or both.")
    ] = Where.SIMULATED,
    sabotage: Annotated[
        str,
        typer.Option(
            "--sabotage",
            help="Take this protection away: the scenarios must then fail. `each`: the one each names; `also`: as they are and without it.",
        ),
    ] = "",
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=16, help="So many at once in real time.")] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Play scenarios and judge them. Exit code 0 when each ended as it must."""
    from bessctl.hil import main

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if rig is not None:
        from bessctl.errors import UsageError
        from bessctl.hil.rigrun import run_on_rig

        if sabotage:
            raise UsageError("--sabotage takes protection away; at a rig nothing is taken away")
        results = run_on_rig(scenarios, rig, report, say)
    else:
        results = main.run(scenarios, where.value, sabotage, report, say, jobs)
    if output is Output.JSON:
        from bessctl.hil.report import as_json

        show(as_json(results, main.machine()), output)
    else:
        print(main.summary(results))
        if report is not None:
            print(f"report: {report / 'report.html'}")
    raise typer.Exit(main.exit_code(results))
