"""Commands that look: status, limits ("who limits me, and why?") and events. They attach read-only, beside any supervisor."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessctl.cli.order import RUN_DIR, RunDirOption
from bessctl.cli.output import Output, OutputOption, pairs, show, table
from bessctl.errors import NotReachable

if TYPE_CHECKING:
    from bessctl.corelink import CoreLink

POLL_S = 0.1
FIRST_STATE_S = 2.0


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    for command in (status, limits, events, points):
        app.command()(command)


def published(link: CoreLink, run_dir: Path) -> dict[str, Any]:
    """The newest state. Raises NotReachable when the loop publishes none."""
    until_s = time.monotonic() + FIRST_STATE_S
    while time.monotonic() < until_s:
        state = link.state()
        if state is not None:
            return state
        time.sleep(POLL_S)
    raise NotReachable(f"{run_dir}: the loop is there and publishes no state; see its log")


def status(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """The plant at a glance. Exit code 1 when something is not as it should be."""
    from bessctl.corelink import attach
    from bessctl.corelink.report import status_report

    with attach(str(run_dir), writes=False) as link:
        report = status_report(link.site, published(link, run_dir))
    if output is Output.JSON:
        show(report, output)
    else:
        print(pairs(report["plant"]))
        buses = [{key: value for key, value in bus.items() if key not in ("faults", "hints")} for bus in report["buses"]]
        for rows in (report["units"], report["sources"], buses, report["alarms"]):
            if rows:
                print(f"\n{table(rows)}")
        for bus in report["buses"]:
            print("".join(f"\n{bus['bus']}: {hint}" for hint in bus["hints"]), end="\n" if bus["hints"] else "")
        print(f"\n{pairs(report['loop'])}")
    raise typer.Exit(0 if report["healthy"] else 1)


def limits(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """Who limits me, and why: from what was requested over each clamp to what was applied."""
    from bessctl.corelink import attach
    from bessctl.corelink.report import limit_stack

    with attach(str(run_dir), writes=False) as link:
        stack = limit_stack(link.site, published(link, run_dir))
    if output is Output.JSON:
        show({"limits": stack}, output)
    else:
        print(table(stack))


def points(
    names: Annotated[bool, typer.Option("--names", help="The table alone, without a plant.")] = False,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Every data point with its IEC 61850-7-420 name, and its value now."""
    from bessctl.model import points as known

    if names:
        rows = [{"name": p.reference("<unit>"), "unit": p.unit, "field": f"{p.scope}: {p.field}", "about": p.about} for p in known.TABLE]
    else:
        from bessctl.corelink import attach, view

        with attach(str(run_dir), writes=False) as link:
            snapshot = view.snapshot(link.site, published(link, run_dir))
        rows = [{"name": name, "value": _plain(value), "unit": p.unit, "about": p.about} for p, name, value in known.values(snapshot)]
    if output is Output.JSON:
        show({"points": rows}, output)
    else:
        print(table(rows))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(" ".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value) or None
    return value if isinstance(value, int | float | str | None) else str(value)


def wall(at_ns: int) -> str:
    """An instant of the loop's clock as UTC, by the wall clock of now."""
    from bessctl.app.logs import utc

    return utc(time.time() - (time.monotonic_ns() - at_ns) / 1e9)


def events(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    since: Annotated[int, typer.Option("--since", min=0, help="First sequence number; 0 = the oldest still there.")] = 0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """What the loop has to tell, oldest first."""
    from bessctl.corelink import attach

    with attach(str(run_dir), writes=False, from_seq=since) as link:
        while True:
            for event in link.events():
                if output is Output.JSON:
                    show({"time": wall(event.at_ns), **asdict(event)}, output)
                else:
                    print(f"{event.seq:6}  {wall(event.at_ns)}  {event.level:7}  {event.text}", flush=True)
            if not follow:
                return
            time.sleep(POLL_S)
