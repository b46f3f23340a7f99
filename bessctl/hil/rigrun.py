"""`bessctl hil run --rig RIG.yaml`: the same scenarios against real devices."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from bessctl.errors import ConfigError, ConfigErrors
from bessctl.hil import report
from bessctl.hil.main import machine, scenario_files, tell
from bessctl.hil.place import Place
from bessctl.hil.playable import hindrances
from bessctl.hil.results import Result
from bessctl.hil.rig import Rig, load_rig
from bessctl.hil.rigplace import Ask, RigPlace
from bessctl.hil.runner import Say, run_one, together
from bessctl.hil.scenario import Scenario, head, load
from bessctl.hil.stagefiles import serial


def ask_terminal(text: str) -> str:
    """The operator at this terminal."""
    print(f"\a>>> {text} (no: leave this scenario; abort: stop everything)", file=sys.stderr, flush=True)
    return sys.stdin.readline() or "no"


def read_for(rig: Rig, files: list[Path]) -> list[Scenario]:
    """The scenarios as this rig's site understands them, and as it can play them. Raises ConfigError(s): nothing was commanded."""
    scenarios: list[Scenario] = []
    errors: list[ConfigError] = []
    for file in files:
        try:
            scenario = load(head(file), rig.site, truth=False)
        except ConfigErrors as e:
            errors += e.errors
        except ConfigError as e:
            errors.append(e)
        else:
            scenarios.append(scenario)
            errors += hindrances(scenario, "rig", serial(rig.site), rig.file.faults)
    if errors:
        raise together(errors)
    return scenarios


def _answers(place: RigPlace) -> None:
    """Raises NotReachable when loop or devices do not answer: nothing was commanded."""
    try:
        place.ready()
    finally:
        place.close()


def run_on_rig(files: list[Path], rig_file: Path, folder: Path | None, say: Say, ask: Ask = ask_terminal) -> list[Result]:
    """Every scenario in order; after an abort none is begun. Raises NotReachable, Refused, ConfigError before anything is commanded."""
    rig = load_rig(rig_file)
    scenarios = read_for(rig, scenario_files(files))
    _answers(RigPlace(rig, ask))
    began = datetime.now(UTC)
    results: list[Result] = []

    def opener(_: Scenario, __: str) -> Place:
        return RigPlace(rig, ask)

    for scenario in scenarios:
        if results and results[-1].why.startswith("aborted"):
            say("the run is over after an abort; the plant is stopped: `bessctl start` when it is safe")
            break
        say(f"{scenario.name} [rig {rig.file.rig}]")
        result = run_one(scenario, opener, "rig", say)
        tell(result, say)
        results.append(result)
    if folder is not None:
        report.write(folder, results, {**machine(), "begun": began.strftime("%Y-%m-%d %H:%M:%S UTC")})
    return results
