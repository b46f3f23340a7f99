"""`bessctl mqtt`: how the brokers are. Asked of the running supervisor."""

from __future__ import annotations

import typer

from bessctl.cli.order import RUN_DIR, RunDirOption, ask, judge
from bessctl.cli.output import Output, OutputOption, show, table


def register(app: typer.Typer) -> None:
    """Put the command on the program."""
    app.command("mqtt")(mqtt)


def mqtt(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """Brokers: connected, messages spooled and dropped, what is refused. Exit code 1 when one of them is in trouble."""
    answer = ask(run_dir / "supervisor.sock", {"command": "mqtt"}, "the supervisor")
    judge("mqtt", answer)
    brokers = answer["brokers"]
    if output is Output.JSON:
        show({"brokers": brokers}, output)
    else:
        print(table(brokers))
    healthy = all(b["connected"] and b["refused_reason"] is None and b["disk"] == "ok" for b in brokers)
    raise typer.Exit(0 if healthy else 1)
