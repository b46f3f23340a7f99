"""Runs scenarios one after the other at one place and judges each. What cannot be played is not run, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bessctl.errors import BessctlError, ConfigError, ConfigErrors, NotReachable, OperationFailed
from bessctl.hil.busy import MOST_MS
from bessctl.hil.judge import FAILED, NOT_JUDGED, NOT_RUN, PASSED, judge, verdict
from bessctl.hil.place import CannotPlay, Place
from bessctl.hil.play import Player
from bessctl.hil.playable import hindrances
from bessctl.hil.results import Result, reactions
from bessctl.hil.scenario import Scenario, head, load
from bessctl.hil.signals import Signals
from bessctl.hil.stagefiles import StageFiles, serial, site_words

Opener = Callable[[Scenario, str], Place]
"""Scenario and sabotage -> the place to play it at. Raises CannotPlay, NotReachable, OperationFailed: then it is not run."""
Say = Callable[[str], None]
SIMULATED = ("simulated time", "real time")


def read_scenario(file: Path) -> Scenario:
    """A scenario with the site beside it. Raises ConfigError(s), also for what none of its places can play; NotReachable."""
    start = head(file)
    site = site_words(StageFiles.beside(file, start.site, start.plant))
    scenario = load(start, site)
    if errors := [error for place in SIMULATED for error in hindrances(scenario, place, serial(site))]:
        raise together(list({str(error): error for error in errors}.values()))
    return scenario


def together(errors: list[ConfigError]) -> ConfigError:
    """One error as it is, several as one."""
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def run_one(scenario: Scenario, opener: Opener, place_name: str, say: Say, sabotage: str = "") -> Result:
    """Play and judge. Errors of the place become `not run`; anything else is ours and is raised."""
    result = Result(scenario, place_name, NOT_RUN, sabotage=sabotage)
    began = time.monotonic()
    if place_name not in scenario.places:
        result.why = f"it is not for {place_name}"
        return result
    try:
        place = opener(scenario, sabotage)
    except (CannotPlay, NotReachable, OperationFailed) as e:
        result.why = str(e)
        return result
    try:
        _play(scenario, place, result, say)
    except (CannotPlay, BessctlError) as e:
        result.verdict, result.why = NOT_RUN, str(e)
    finally:
        place.close()
        result.took_s = time.monotonic() - began
    return result


def _play(scenario: Scenario, place: Place, result: Result, say: Say) -> None:
    player = Player(scenario, place, say, endless=result.sabotage == "lease")
    result.record = player.record
    try:
        result.evidence = player.play()
    finally:
        result.facts = dict(place.facts)
        result.findings = judge(scenario, player.record)
        result.verdict = verdict(result.findings, player.record)
        result.why = player.record.ended
        if place.stolen_ms > MOST_MS and result.verdict in (PASSED, FAILED):
            result.why = f"machine too busy, {place.stolen_ms:.0f} ms stolen (allowed {MOST_MS:.0f}); it would have {result.verdict}"
            result.verdict = NOT_JUDGED
        result.signals = Signals(place.site, place.name != "rig")
        result.reactions = reactions(scenario, player.record, result.signals)
