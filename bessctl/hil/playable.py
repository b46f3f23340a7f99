"""What a place cannot play, told with file:line:column before anything is commanded there. Pure.

- Simulated time plays everything.
- Real time has one boot, one disk and one clock of the machine it runs on.
- At a rig everything that happens to devices, lines and controller is played by somebody: an operator or a relay of the rig file. What a
  source does, what the supervisor does and what the operator orders at the controller the runner plays by itself. A value that moves
  slowly needs an operator, or a relay whose command takes `{over}`.
- Every line has the faults of its kind: TCP or serial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from bessctl.errors import ConfigError
from bessctl.hil.faults import LINE_SERIAL, LINE_TCP, Injection
from bessctl.hil.scenario import Scenario

OWN_AT_A_RIG = {"silent", "speaking", "supervisor", "clock_step_s"}
"""What the runner itself is at a rig: a source, a supervisor, and whoever binds plans to time of day."""
OVER = "{over}"


class Player(Protocol):
    """Who plays a fault at a rig: one of both."""

    @property
    def operator(self) -> str | None: ...
    @property
    def relay(self) -> list[str] | None: ...


def by_itself(injection: Injection) -> bool:
    """A rig's runner needs nobody for it."""
    return injection.kind == "site" and set(injection.values) <= OWN_AT_A_RIG


def injected(scenario: Scenario) -> Iterator[Injection]:
    """Everything that happens to the world, in order."""
    yield from scenario.given
    for step in scenario.steps:
        yield from step.injections


def hindrances(scenario: Scenario, place: str, serial: bool, faults: Mapping[str, Player] | None = None) -> list[ConfigError]:
    """Everything in the scenario that `place` cannot play. `serial`: the site's lines are; `faults`: those of the rig file."""
    if place not in scenario.places:
        return []
    look: dict[str, Callable[[Injection], str]] = {
        "simulated time": lambda it: _line(it, serial),
        "real time": lambda it: _line(it, serial) or _real(it),
        "rig": lambda it: _rig(it, faults or {}),
    }
    errors = [ConfigError(it.place, why) for it in injected(scenario) if (why := look[place](it))]
    if place != "simulated time":
        old = (wish for step in scenario.steps for wish in step.wishes if wish.old_boot)
        errors += [ConfigError(wish.place, f"`old boot` is played in simulated time only: {_places(place)}") for wish in old]
    if place == "rig" and scenario.cold:
        errors.append(ConfigError(scenario.begins_at, f"`begin: cold`: no scenario restarts the loop of a rig; {_places(place)}"))
    return errors


def _places(place: str) -> str:
    return f"leave {place!r} out of the scenario's `places`"


def _line(it: Injection, serial: bool) -> str:
    if it.kind != "wire":
        return ""
    word = it.told.removeprefix(f"{it.name}: ")
    if word in (LINE_TCP if serial else LINE_SERIAL):
        return f"{it.told!r} is a fault of a {'TCP' if serial else 'serial'} line, this site's is {'serial' if serial else 'TCP'}"
    return ""


def _real(it: Injection) -> str:
    if it.values.get("loop") == "rebooted":
        return f"another boot cannot be had on this machine, simulated time plays it: {_places('real time')}"
    if "journal" in it.values:
        return f"the journal's disk is real here, simulated time plays it: {_places('real time')}"
    return ""


def _rig(it: Injection, faults: Mapping[str, Player]) -> str:
    if by_itself(it):
        return ""
    by = faults.get(it.name)
    if by is None:
        return f"nobody plays {it.name!r} at this rig; name an operator or a relay in its `faults`, or {_places('rig')}"
    if it.over_s and by.relay is not None and not any(OVER in word for word in by.relay):
        return f"{it.name!r} moves over {it.over_s:g} s, and the relay that plays it only switches: give its command {OVER}, or an operator"
    return ""
