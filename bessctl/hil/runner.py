"""Runs scenarios one after the other at one place and judges each. What cannot be played is not run, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bessctl.errors import BessctlError, NotReachable, OperationFailed
from bessctl.hil.judge import NOT_RUN, judge, verdict
from bessctl.hil.place import CannotPlay, Place
from bessctl.hil.play import Player
from bessctl.hil.results import Result, reactions
from bessctl.hil.scenario import Scenario, head, load
from bessctl.hil.signals import Signals
from bessctl.hil.stagefiles import StageFiles, site_words

Opener = Callable[[Scenario, str], Place]
"""Scenario and sabotage -> the place to play it at. Raises CannotPlay, NotReachable, OperationFailed: then it is not run."""
Say = Callable[[str], None]


def read_scenario(file: Path) -> Scenario:
    """A scenario with the site beside it. Raises ConfigError(s), NotReachable."""
    start = head(file)
    return load(start, site_words(StageFiles.beside(file, start.site)))


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
    player = Player(scenario, place, say)
    result.record = player.record
    try:
        result.evidence = player.play()
    finally:
        result.facts = dict(place.facts)
        result.findings = judge(scenario, player.record)
        result.verdict = verdict(result.findings, player.record)
        result.why = player.record.ended
        result.signals = Signals(place.site, place.name != "rig")
        result.reactions = reactions(scenario, player.record, result.signals)
