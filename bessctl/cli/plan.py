"""`bessctl plan show`: the coming 24 hours as table and picture; of the running supervisor, or worked out from a site file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bessctl.cli.order import RUN_DIR, RunDirOption, ask, judge
from bessctl.cli.output import Output, OutputOption, say, show, table
from bessctl.errors import OperationFailed, UsageError

group = typer.Typer(help="What the policies plan.", no_args_is_help=True)
UNREACHABLE = 1


def register(app: typer.Typer) -> None:
    """Put the command on the program."""
    app.add_typer(group, name="plan")
    group.command("show")(show_plan)


def show_plan(
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw it into this file too: .svg, or .png with matplotlib.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="Plan from this site file instead of asking the supervisor.")] = None,
    soc: Annotated[float | None, typer.Option("--soc", min=0, max=100, help="With --site: the SoC now, % of the window.")] = None,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """The coming 24 hours: SoC, power, limits, who binds. Exit code 1 when a target cannot be reached."""
    if (site is None) != (soc is None):
        raise UsageError("--site and --soc belong together: without the plant the SoC must be given")
    trouble = ""
    if site is not None and soc is not None:
        plan = _planned(site, soc)
    else:
        answer = ask(run_dir / "supervisor.sock", {"command": "plan"}, "the supervisor")
        judge("plan", answer)
        plan, trouble = answer["plan"], answer["trouble"]
    if picture is not None:
        _draw(plan, picture)
    if output is Output.JSON:
        show(plan, output)
    else:
        _print(plan)
    if trouble:
        say(f"the plan is old: {trouble}")
    raise typer.Exit(UNREACHABLE if plan["unreachable"] else 0)


def _print(plan: dict[str, Any]) -> None:
    print(f"planned at {plan['planned_at']}, SoC {plan['soc_pct']:g} %, reserve {plan['reserve_pct']:g} %\n")
    print(table(_merged(plan["steps"])))
    for kind, title in (("targets", "targets"), ("unreachable", "cannot be reached")):
        if plan[kind]:
            print(f"\n{title}\n{table(plan[kind])}")


def _merged(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours that differ in time and SoC alone, as one row."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        same = rows and all(rows[-1][key] == step[key] for key in ("power_w", "lo_w", "hi_w", "who"))
        if same:
            rows[-1] = {**rows[-1], "end": step["end"], "soc_pct": step["soc_pct"]}
        else:
            rows.append(step)
    return rows


def _draw(plan: dict[str, Any], path: Path) -> None:
    from bessctl.policy import picture

    if not plan["steps"]:
        raise OperationFailed("the plan has no steps to draw")
    try:
        match path.suffix.lower():
            case ".svg":
                path.write_text(picture.svg(plan), encoding="utf-8")
            case ".png":
                picture.png(plan, path)
            case other:
                raise UsageError(f"{other!r} is no kind of picture; name a file that ends with .svg or .png")
    except OSError as e:
        raise UsageError(f"{path}: cannot be written: {e.strerror or e}") from e


def _planned(file: Path, soc: float) -> dict[str, Any]:
    """Without plant and other sources' plans: their sealed defaults hold."""
    from bessctl.app.policies import Files, policies
    from bessctl.config.load import load_site
    from bessctl.policy.planner import plan
    from bessctl.policy.report import report
    from bessctl.policy.situation import Now, problem, resting

    loaded = load_site(file)
    site = loaded.site
    if site.policy is None or site.storage is None:
        raise UsageError(f"{file}: has no sections policy and storage; docs/howto/policies.md shows them")
    config = policies(site, site.policy, site.storage, file.parent)
    now = Now(time.monotonic_ns(), time.time_ns())
    return report(plan(problem(config, resting(now.mono_ns), soc, {}, Files(config).tables(), now)), config)
