"""Commands that change something: stop, start, out-of-service, reset (the loop's own socket) and set, release (through the supervisor)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bessctl.cli.output import Output, OutputOption, show
from bessctl.errors import NotReachable, OutcomeUnknown, Refused, UsageError

RunDirOption = Annotated[
    Path, typer.Option("--run-dir", envvar="BESSCTL_RUN_DIR", help="The folder of the loop's sockets (paths.run_dir of the site).")
]
RUN_DIR = Path("/run/bessctl")

POLL_S = 0.02
VERDICT_S = 1.0
FACTORS = {"w": 1.0, "kw": 1e3, "mw": 1e6}


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    for name in ("stop", "start", "out-of-service", "reset"):
        app.command(name, help=HELP[name])(_command(name))
    # A negative power begins like an option.
    app.command("set", context_settings={"ignore_unknown_options": True})(set_power)
    app.command()(release)


HELP = {
    "stop": "0 W at once, then standby, until a local start; survives a restart.",
    "start": "End a stop or out-of-service.",
    "out-of-service": "As stop, and a later stop does not end it: out of service until a local start.",
    "reset": "Reset latched protection rows whose cause is gone.",
}


def _command(name: str) -> Any:
    def act(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
        answer = ask(run_dir / "control.sock", {"command": name}, "the loop", root_only=True)
        judge(name, answer)
        show(answer if output is Output.JSON else {"outcome": answer["outcome"]}, output)

    return act


def set_power(
    power: Annotated[str, typer.Argument(help="Target at the PCS, positive = discharge: 50kW, -20000, 1.5MW.")],
    ttl: Annotated[float, typer.Option("--ttl", min=0.1, help="Seconds after which the plan ends by itself.")],
    source: Annotated[str, typer.Option(help="The source whose slot takes the plan.")] = "manual",
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a manual plan: this power for TTL seconds, within all limits. `bessctl limits` says what limits it."""
    watts = parse_power(power)
    answer = ask(run_dir / "supervisor.sock", {"command": "set", "source": source, "power_w": watts, "ttl_s": ttl}, "the supervisor")
    judge("set", answer)
    given = verdict(run_dir, source, answer.get("serial", 0))
    told = answer if output is Output.JSON else {"source": source, "target_w": watts, "ttl_s": ttl, "outcome": answer["outcome"]}
    show({**told, **given}, output)


def verdict(run_dir: Path, source: str, serial: int) -> dict[str, Any]:
    """What the loop makes of the plan: who limits or overrules it. Empty when it is followed, or when the loop cannot be asked."""
    from bessctl.corelink import attach, report

    try:
        with attach(str(run_dir), writes=False) as link:
            until_s = time.monotonic() + VERDICT_S
            while time.monotonic() < until_s:
                state = link.state()
                if state is not None and state["slot_serial"][link.site.sources.index(source)] >= serial:
                    return report.verdict(link.site, state, source)
                time.sleep(POLL_S)
    except NotReachable:
        return {}
    return {}


def release(
    source: Annotated[str, typer.Option(help="The source whose plan ends.")] = "manual",
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a source's plan: the next source in priority rules again. Another's than the manual one only as root."""
    request = {"command": "release", "source": source}
    try:
        answer = ask(run_dir / "supervisor.sock", request, "the supervisor")
    except NotReachable:
        answer = {"outcome": "unreachable"}
    if answer["outcome"] in {"unreachable", "usage"}:
        # R7: only the operator removes what another wrote; the loop does that itself, with the supervisor dead too.
        answer = ask(run_dir / "control.sock", request, "the loop", root_only=True)
    judge("release", answer)
    show(answer if output is Output.JSON else {"source": source, "outcome": answer["outcome"]}, output)


def parse_power(text: str) -> float:
    """Watts. Raises UsageError with the forms allowed."""
    number = text.strip().lower().replace(" ", "")
    unit = next((unit for unit in ("kw", "mw", "w") if number.endswith(unit)), "")
    try:
        watts = float(number.removesuffix(unit)) * FACTORS.get(unit, 1.0)
    except ValueError:
        raise UsageError(f"{text!r} is no power; write 50kW, -20000 or 1.5MW (positive = discharge)") from None
    if not abs(watts) <= 1e9:
        raise UsageError(f"{text!r} is no power a plant can have")
    return watts


def ask(path: Path, request: dict[str, Any], who: str, *, root_only: bool = False) -> dict[str, Any]:
    """One request, one answer. Raises NotReachable when nobody listens, Refused without the right to ask."""
    from bessctl.app.lines import request_line

    try:
        return request_line(path, request)
    except PermissionError as e:
        need = "run this as root" if root_only else "run this as root or as the supervisor's user"
        raise Refused(f"{path}: user {os.getuid()} may not ask {who}; {need}") from e
    except TimeoutError as e:
        raise OutcomeUnknown(f"{path}: {who} did not answer in time; `bessctl status` shows what became of it") from e
    except (FileNotFoundError, ConnectionRefusedError) as e:
        raise NotReachable(f"{path}: {who} is not running there; start it, or name its folder with --run-dir") from e
    except OSError as e:
        raise OutcomeUnknown(f"{path}: the connection ended before an answer came ({e.strerror or e}); see `bessctl status`") from e


def judge(command: str, answer: dict[str, Any]) -> None:
    """Nothing when it is done; else the error that says why."""
    reason = answer.get("reason") or "no reason given"
    match answer.get("outcome"):
        case "done":
            return
        case "refused":
            raise Refused(f"{command} refused: {reason}")
        case "unreachable":
            raise NotReachable(f"{command}: {reason}")
        case "usage":
            raise UsageError(f"{command}: {reason}")
        case _:
            raise OutcomeUnknown(f"{command}: outcome unknown: {reason}; `bessctl status` shows what became of it")
