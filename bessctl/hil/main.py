"""`bessctl hil run`: scenarios in, verdicts and a report out."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bessctl import __version__
from bessctl.corelink.names import build_id
from bessctl.errors import ConfigError, ConfigErrors, NotReachable, UsageError
from bessctl.hil import report
from bessctl.hil.aside import run_aside
from bessctl.hil.dryplace import DryPlace
from bessctl.hil.judge import NOT_JUDGED, PASSED
from bessctl.hil.place import Place
from bessctl.hil.results import Result, counted
from bessctl.hil.runner import Opener, Say, read_scenario, run_one, together
from bessctl.hil.scenario import Scenario
from bessctl.hil.stagefiles import StageFiles

OWN = "each"
"""`--sabotage each`: every scenario without the protection it names."""
AGAIN = 2
"""A run that is not judged, because the machine took too much time away from it, is played so many times more."""
ALSO = "also"
"""`--sabotage also`: every scenario as it is, and in simulated time once more without the protection it names."""


def scenario_files(given: list[Path]) -> list[Path]:
    """Files as they are; of a folder every scenario in it, in order. Raises NotReachable."""
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            files += sorted(path.glob("*.yaml"))
        elif path.exists():
            files.append(path)
        else:
            raise NotReachable(f"{path}: no such file; name a scenario or a folder of scenarios")
    if not files:
        raise UsageError("no scenario in what was named; shipped ones are in tests/scenarios")
    return files


def read_all(files: list[Path]) -> list[Scenario]:
    """Every scenario, or everything that is wrong with any of them: nothing is played before all of them can be."""
    scenarios: list[Scenario] = []
    errors: list[ConfigError] = []
    for file in files:
        try:
            scenarios.append(read_scenario(file))
        except ConfigErrors as e:
            errors += e.errors
        except ConfigError as e:
            errors.append(e)
    if errors:
        raise together(errors)
    return scenarios


def dry(scenario: Scenario, sabotage: str) -> Place:
    """Simulated time."""
    return DryPlace(StageFiles.beside(scenario.file, scenario.site, scenario.plant), sabotage)


def live(scenario: Scenario, sabotage: str) -> Place:
    """Real time against the simulated plant."""
    from bessctl.hil.liveplace import LivePlace  # noqa: PLC0415 (processes, not needed for simulated time)

    return LivePlace(StageFiles.beside(scenario.file, scenario.site, scenario.plant), sabotage)


OPENERS: dict[str, Opener] = {"simulated time": dry, "real time": live}
WHERE = {"simulated": ("simulated time",), "real": ("real time",), "both": ("simulated time", "real time")}


@dataclass(frozen=True)
class _Run:
    scenario: Scenario
    place: str
    sabotage: str


def run(files: list[Path], where: str, sabotage: str, folder: Path | None, say: Say, jobs: int = 1) -> list[Result]:  # noqa: PLR0917
    """Everything asked for, in order; in real time `jobs` at once. Raises ConfigError(s) before anything is played."""
    runs = planned(read_all(scenario_files(files)), WHERE[where], sabotage)
    began = datetime.now(UTC)
    results = [_one(it, say) for it in runs if it.place != "real time"]
    real = [it for it in runs if it.place == "real time"]
    results += _at_once(real, jobs, say)
    if folder is not None:
        report.write(folder, results, {**machine(), "begun": began.strftime("%Y-%m-%d %H:%M:%S UTC")})
    return results


def _at_once(runs: list[_Run], jobs: int, say: Say) -> list[Result]:
    """In their order; what was not begun is given up when this is interrupted."""
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        under_way = [pool.submit(_one, it, say, aloud=jobs == 1) for it in runs]
        try:
            return [it.result() for it in under_way]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def planned(scenarios: list[Scenario], places: tuple[str, ...], sabotage: str) -> list[_Run]:
    """What is played where, and without which protection."""
    runs = []
    for place in places:
        for scenario in scenarios:
            if place not in scenario.places:
                continue
            if sabotage != OWN:
                runs.append(_Run(scenario, place, "" if sabotage == ALSO else sabotage))
            if sabotage == OWN or (sabotage == ALSO and place == "simulated time"):
                runs += [_Run(scenario, place, row) for row in scenario.rows]
    return runs


def _one(it: _Run, say: Say, aloud: bool = True) -> Result:
    """Several at once tell only how they ended."""
    title = f"{it.scenario.name} [{it.place}]" + (f" without {it.sabotage}" if it.sabotage else "")
    if aloud:
        say(title)
    earlier: list[str] = []
    while True:
        result = run_one(it.scenario, OPENERS[it.place], it.place, say, it.sabotage) if aloud else run_aside(it.scenario, it.sabotage)
        if result.verdict != NOT_JUDGED or len(earlier) == AGAIN:
            break
        earlier.append(result.why)
        say(f"           {it.scenario.name}: not judged: {result.why}; once more")
    result.earlier = tuple(earlier)
    if not aloud:
        say(title)
    tell(result, say)
    return result


def tell(result: Result, say: Say) -> None:
    """The verdict, and what led to it when it is not the good one."""
    for finding in result.findings:
        if finding.verdict != PASSED:
            say(f"           {finding.verdict}: {finding.expectation.place}: {finding.expectation.text}: {finding.why}")
    away = f" (without {result.sabotage}: {'as it must' if result.as_it_must else 'it should have failed'})" if result.sabotage else ""
    say(f"           {result.verdict}{away}{': ' + result.why if result.why else ''}  ({result.took_s:.1f} s)")


def machine() -> dict[str, Any]:
    """What ran the scenarios."""
    return {
        "build": f"bessctl {__version__}, {build_id()}",
        "kernel": platform.release(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def exit_code(results: list[Result]) -> int:
    """0 when every run ended as it must, else 1."""
    return 0 if results and all(result.as_it_must for result in results) else 1


def summary(results: list[Result]) -> str:
    """One line for people."""
    told = ", ".join(f"{count} {word}" for word, count in counted(results).items() if count)
    as_they_must = sum(result.as_it_must for result in results)
    return f"{len(results)} runs in {sum(r.took_s for r in results):.1f} s: {told or 'nothing'}; ended as they must: {as_they_must}"
