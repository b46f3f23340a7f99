"""`bessctl commission` (R16): each unit a few percent both ways; where all agree, that is stored with the hash and lifts the 5 % cap."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessctl.cli.look import published
from bessctl.cli.order import RUN_DIR, RunDirOption, ask, judge
from bessctl.cli.output import Output, OutputOption, say, show, table
from bessctl.errors import BessctlError, OperationFailed, Refused, UsageError

if TYPE_CHECKING:
    from bessctl.corelink import CoreLink
    from bessctl.corelink.trial import Powers, Trial
    from bessctl.corelink.words import Site

POLL_S = 0.02
REACHED_S = 15.0
SETTLE_S = 1.0
TTL_S = 60.0
NEAR = 0.2


def register(app: typer.Typer) -> None:
    """Put the command on the program."""
    app.command()(commission)


@dataclass
class Desk:
    """The plant under trial: its state, the two ways to ask, and the time."""

    link: CoreLink
    run_dir: Path
    source: str
    window_s: float

    @property
    def site(self) -> Site:
        return self.link.site

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def state(self) -> dict[str, Any]:
        return published(self.link, self.run_dir)

    def loop(self, command: str, unit: str) -> None:
        judge(command, ask(self.run_dir / "control.sock", {"command": command, "unit": unit}, "the loop", root_only=True))

    def target(self, watts: float) -> int:
        request = {"command": "set", "source": self.source, "power_w": watts, "ttl_s": TTL_S}
        answer = ask(self.run_dir / "supervisor.sock", request, "the supervisor")
        judge("set", answer)
        return int(answer.get("serial", 0))

    def rest(self) -> None:
        """Our target is gone and nobody is tried."""
        ask(self.run_dir / "supervisor.sock", {"command": "release", "source": self.source}, "the supervisor")
        self.loop("try", "")


def commission(
    *,
    percent: Annotated[float, typer.Option(min=0.5, max=5, help="How much of its rating each unit is asked for.")] = 3.0,
    source: Annotated[str, typer.Option(help="The source whose slot asks.")] = "manual",
    unit: Annotated[list[str] | None, typer.Option(help="Only these units; absent = all.")] = None,
    window_s: Annotated[float, typer.Option(min=0.2, max=60, help="How long each power is averaged.")] = 2.0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Try each unit a few percent both ways and lift the 5 % cap where PCS, DC side and connection agree (R16).

    The plant must run and nobody else may want power of it. One unit gives at a time. Exit code 4 when something disagrees.
    """
    from bessctl.corelink import attach

    with attach(str(run_dir), writes=False) as link:
        names = chosen(link.site.units, unit or [])
        desk = Desk(link, run_dir, source, window_s)
        trials, good = tried_all(desk, names, percent)
        kept = stored(link, trials, good)
    rows = [{"unit": trial.unit, "asked_w": trial.asked_w, **trial.changes, "passed": trial.passed} for trial in trials]
    if output is Output.JSON:
        show({"commissioned": good, "trials": [asdict(trial) for trial in trials], "stored": kept}, output)
    else:
        print(table(rows))
    if len(good) < len(names):
        raise refusal(trials, [name for name in names if name not in good])
    say(f"commissioned under this configuration: {', '.join(good)}" + (f"; see {kept}" if kept else ""))


def chosen(known: list[str], wanted: list[str]) -> list[str]:
    """The units to try. Raises UsageError for a name nobody has."""
    for name in wanted:
        if name not in known:
            raise UsageError(f"no unit {name!r}; there are {', '.join(known)}")
    return wanted or known


def tried_all(desk: Desk, names: list[str], percent: float) -> tuple[list[Trial], list[str]]:
    """Every unit one after the other; those that passed both ways are commissioned, and named."""
    trials = [trial for name in names for trial in tried(desk, name, percent)]
    good = [name for name in names if all(trial.passed for trial in trials if trial.unit == name)]
    for name in good:
        desk.loop("commissioned", name)
    return trials, good


def refusal(trials: list[Trial], bad: list[str]) -> Refused:
    """What was asked for and what changed instead."""
    findings = "\n".join(f"{trial.unit} at {trial.asked_w:.0f} W: {finding}" for trial in trials for finding in trial.findings)
    return Refused(f"not commissioned, the 5 % cap stays: {', '.join(bad)}\n{findings}")


def tried(desk: Desk, name: str, percent: float) -> list[Trial]:
    """Both directions of one unit; at the end it rests, whatever happened."""
    from bessctl.corelink import trial

    index = desk.site.units.index(name)
    say(f"{name}: trying {percent:g} % both ways")
    desk.loop("try", name)
    try:
        found = []
        before = hold(desk, index, 0.0)
        for sign in (1, -1):
            asked_w = trial.share_w(desk.site, index, percent, sign)
            during = hold(desk, index, asked_w)
            after = hold(desk, index, 0.0)
            found.append(trial.judge(name, asked_w, before, during, after, has_meter=desk.site.has_meter))
            before = after
        return found
    finally:
        with suppress(BessctlError):
            desk.rest()


def hold(desk: Desk, index: int, watts: float) -> Powers:
    """Ask for this power, wait until the unit was told, average what flows. Raises OperationFailed when the loop gives something else."""
    from bessctl.corelink import report, trial

    serial = desk.target(watts)
    slot = desk.site.sources.index(desk.source)

    def told(state: dict[str, Any]) -> bool:
        off = abs(state["unit_command_w"][index] - watts)
        return bool(state["slot_serial"][slot] >= serial and off <= NEAR * abs(watts) + report.ROUNDING_W)

    state = until(desk, told)
    if state is None:
        because = report.verdict(desk.site, desk.state(), desk.source)
        raise OperationFailed(
            f"{desk.site.units[index]} is not given {watts:.0f} W within {REACHED_S:g} s: "
            f"{', '.join(f'{key} {value}' for key, value in because.items()) or 'see `bessctl limits`'}; the trial ends here"
        )
    pause(desk, SETTLE_S)
    return trial.mean([trial.powers(desk.site, sample, index) for sample in pause(desk, desk.window_s)])


def until(desk: Desk, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The first state that is as wished; None when none came in time."""
    end_s = desk.now_s() + REACHED_S
    while desk.now_s() < end_s:
        state = desk.state()
        if found(state):
            return state
        desk.sleep(POLL_S)
    return None


def pause(desk: Desk, seconds: float) -> list[dict[str, Any]]:
    """The states of so long a time."""
    end_s = desk.now_s() + seconds
    seen = [desk.state()]
    while desk.now_s() < end_s:
        desk.sleep(POLL_S)
        seen.append(desk.state())
    return seen


def stored(link: CoreLink, trials: list[Trial], good: list[str]) -> str:
    """A record beside the journal for people; what counts is the journal. Its path, empty where the folder takes none."""
    folder = Path(link.site.config.names.get("paths", {}).get("state_dir", "."))
    identity = link.site.config.identity.hex()
    path = folder / f"commissioned-{identity[:12]}.json"
    record = {
        "identity": identity, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "by_uid": os.getuid(), "commissioned": good,
        "trials": [asdict(trial) for trial in trials],
    }  # fmt: skip
    try:
        path.write_text(json.dumps(record, indent=1) + "\n")
    except OSError as e:
        say(f"{path}: not written ({e.strerror or e}); the journal holds the result all the same")
        return ""
    return str(path)
