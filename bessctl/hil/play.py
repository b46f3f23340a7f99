"""Plays a scenario at a place: does each step at its time, keeps the sources speaking, moves what moves slowly. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bessctl.errors import PlanRefused
from bessctl.hil.faults import Injection
from bessctl.hil.place import CannotPlay, Evidence, Place, Waits
from bessctl.hil.record import Done, Recording
from bessctl.hil.scenario import Scenario, Step
from bessctl.hil.signals import Column, Signals
from bessctl.hil.wishes import Wish
from bessctl.model.plan import Plan

S = 1_000_000_000
MOVE_NS = S // 20
FLOOD_NS = S // 100
ENDLESS_NS = 24 * 3600 * S
ALWAYS = (
    "power", "command", "connection power", "lower limit", "upper limit", "state of charge", "hottest cell", "mode", "machine trips",
    "upper limit set by", "lower limit set by", "time-outs", "reconnects", "spoilt frames", "refusals", "late answers",
)  # fmt: skip
"""Recorded in every scenario: what the plots and the report show."""

# What Plant.get calls the value that a key of Plant.set pins.
SHOWN_AS = {"cell_temp_c": "cell_c_max", "cell_temp_min_c": "cell_c_min"}
UNDER = {
    "pack_v": "v", "soc_shown_pct": "soc_pct", "charge_a_max": "a_charge_max", "discharge_a_max": "a_discharge_max", "sink_pin_c": "sink_c",
    "bms_a_offset": None, "load_l1_w": None,
}  # fmt: skip
"""Values laid over what the plant would tell by itself -> the name of that; None: 0 where nothing is laid over it."""


@dataclass
class _Speaking:
    wish: Wish
    since_ns: int
    due_ns: int
    silent: bool = False


@dataclass(frozen=True)
class _Move:
    injection: Injection
    key: str
    start_ns: int
    from_value: float

    @property
    def end_ns(self) -> int:
        return self.start_ns + round(self.injection.over_s * S)

    def at(self, now_ns: int) -> float:
        share = min(1.0, (now_ns - self.start_ns) / max(1, self.end_ns - self.start_ns))
        goal: float = self.injection.values[self.key]
        return self.from_value + (goal - self.from_value) * share


@dataclass
class Player:
    """One scenario under way. `say` tells progress."""

    scenario: Scenario
    place: Place
    say: Callable[[str], None]
    endless: bool = False
    """Leases do not end: the sabotage of `lease`."""
    record: Recording = field(init=False)
    _sources: dict[str, _Speaking] = field(default_factory=dict)
    _moves: list[_Move] = field(default_factory=list)
    _laid_over: dict[tuple[str, int], float | None] = field(default_factory=dict)
    _move_due_ns: int = 0
    _supervisor: str = "well"
    _flood_due_ns: int = 0
    _zero_ns: int = 0

    def __post_init__(self) -> None:
        self.record = Recording(self._columns())

    def _columns(self) -> tuple[Column, ...]:
        signals = Signals(self.place.site, self.place.name != "rig")
        wanted = [signals.find(name) for name in ALWAYS if name in signals.known]
        wanted += [e.signal for e in self.scenario.expectations if e.signal is not None]
        return tuple(dict.fromkeys(column for signal in wanted for column in signal.columns))

    def play(self) -> Evidence:
        """From the beginning to the stop. What was seen until then is in `record`, also after an early end."""
        try:
            self._play()
        except CannotPlay as e:
            self.record.ended = str(e)
        begun = self._zero_ns > 0
        into = self.record if begun else Recording(self.record.columns)  # what never began was never seen
        self.place.take(into, self._zero_ns)
        evidence = self.place.finish()
        self.place.take(into, self._zero_ns)
        return evidence

    def _play(self) -> None:
        for injection in self.scenario.given:
            self._inject(injection)
        self._zero_ns = self.place.begin(self.record.columns, self.scenario.cold)
        for step in self.scenario.steps:
            if not self._until(self._zero_ns + round(step.at_s * S)):
                return
            self._do(step)
        self._until(self._zero_ns + round(self.scenario.lasts_s * S))

    # --- time ---------------------------------------------------------------------------------------------------------------------------

    def _until(self, until_ns: int) -> bool:
        while self.place.now_ns < until_ns:
            next_ns = min([until_ns, *self._due()])
            if next_ns > self.place.now_ns and (why := self.place.advance(next_ns)):
                self.record.ended = why
                return False
            self._jobs()
        self.place.take(self.record, self._zero_ns)
        return True

    def _due(self) -> list[int]:
        speaking = [s.due_ns for s in self._sources.values() if not s.silent] if self._supervisor == "well" else []
        return [*speaking, *([self._move_due_ns] if self._moves else []), *([self._flood_due_ns] if self._supervisor == "flooding" else [])]

    def _jobs(self) -> None:
        now_ns = self.place.now_ns
        for source in self._sources.values():
            if self._supervisor == "well" and not source.silent and now_ns >= source.due_ns:
                self._write(source)
        if self._moves and now_ns >= self._move_due_ns:
            self._move(now_ns)
        if self._supervisor == "flooding" and now_ns >= self._flood_due_ns:
            self._flood(now_ns)

    def _move(self, now_ns: int) -> None:
        self._move_due_ns = now_ns + MOVE_NS
        for move in self._moves:
            self._plant(move.injection.unit, {move.key: move.at(now_ns)})
        self._moves = [move for move in self._moves if now_ns < move.end_ns]

    def _flood(self, now_ns: int) -> None:
        """A supervisor gone wild: everything again and again, and a request beside it."""
        self._flood_due_ns = now_ns + FLOOD_NS
        for source in self._sources.values():
            self._write(source)
        self.place.command("reset", local=False)

    # --- what a step does ---------------------------------------------------------------------------------------------------------------

    def _do(self, step: Step) -> None:
        if step.say:
            self._tell(step.say)
        for wish in step.wishes:
            self._tell(f"set {wish.told}")
            self._wish(wish)
        for injection in step.injections:
            self._tell(injection.told)
            self._inject(injection)
        for word, local in ((step.operator, True), (step.remote, False)):
            if word:
                self._tell(f"{'operator' if local else 'remote'}: {word}")
                self.place.command(word.replace(" ", "_"), local)

    def _tell(self, what: str) -> None:
        t_s = (self.place.now_ns - self._zero_ns) / S
        self.record.done.append(Done(t_s, what))
        self.say(f"{t_s:8.2f} s  {what}")

    def _wish(self, wish: Wish) -> None:
        if wish.released:
            self._sources.pop(wish.source, None)
            self.place.command("release", True, wish.source)
            return
        self._sources[wish.source] = speaking = _Speaking(wish, self.place.now_ns, 0)
        self._write(speaking)

    def _write(self, source: _Speaking) -> None:
        now_ns = self.place.now_ns
        source.due_ns = now_ns + round(min(source.wish.lease_s, self.place.lease_most_s) * S / 3)
        plan: Plan = source.wish.plan(source.since_ns, now_ns)
        if self.endless:
            plan = replace(plan, lease_until_ns=now_ns + ENDLESS_NS)
        try:
            why = self.place.write(source.wish.source, plan, source.wish.old_boot)
        except PlanRefused as e:
            why = str(e)
        if why:
            self._tell(f"{source.wish.source}: refused: {why}")
            source.silent = True

    def _inject(self, injection: Injection) -> None:
        waiting = self.place.plays(injection)
        if waiting is not None:
            self._wait_for(waiting)
            return
        if injection.over_s:
            (key,) = injection.values
            start = self._now(key, injection.unit)
            self._moves = [move for move in self._moves if (move.key, move.injection.unit) != (key, injection.unit)]
            self._moves.append(_Move(injection, key, self.place.now_ns, start))
            self._move_due_ns = self.place.now_ns
            return
        if injection.kind == "plant":
            self._moves = [move for move in self._moves if move.key not in injection.values or move.injection.unit != injection.unit]
            self._plant(injection.unit, injection.values)
        elif injection.kind == "wire":
            self.place.wire(injection.values)
        elif injection.kind == "foreign":
            self.place.foreign(injection.unit, injection.values["w"])
        else:
            self._at_site(injection.values)

    def _plant(self, unit: int, values: dict[str, Any]) -> None:
        self.place.plant(unit, values)
        self._laid_over |= {(key, unit): value for key, value in values.items() if key in UNDER}

    def _now(self, key: str, unit: int) -> float:
        """Where a value stands, from which it moves."""
        over = self._laid_over.get((key, unit))
        if over is not None:
            return float(over)
        name = UNDER[key] if key in UNDER else SHOWN_AS.get(key, key)
        return float(self.place.truth(unit)[name]) if name is not None else 0.0

    def _wait_for(self, waiting: Waits) -> None:
        """The scenario's clock stands while somebody acts; the sources go on speaking."""
        self.place.take(self.record, self._zero_ns)
        began_ns = self.place.now_ns
        while not waiting.done():
            if why := self.place.advance(self.place.now_ns + MOVE_NS):
                raise CannotPlay(why)
            self._jobs()
        self._zero_ns += self.place.now_ns - began_ns
        self.place.take(Recording(self.record.columns), self._zero_ns)

    def _at_site(self, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if key in ("silent", "speaking"):
                self._sources[value].silent = key == "silent"
                self._sources[value].due_ns = 0
            elif key == "supervisor":
                self._supervisor = value
                self._flood_due_ns = 0
            elif key == "loop":
                self._controller(value)
            elif key == "journal":
                self.place.journal(value)
            elif key == "clock_step_s":
                self._clock_steps(value)

    def _controller(self, what: str) -> None:
        began_ns = self.place.now_ns
        self.place.controller(what)
        # A process takes as long to start as the machine lets it: the scenario's clock stands meanwhile.
        self._zero_ns += self.place.now_ns - began_ns
        if what == "rebooted":
            self._sources.clear()
        if what == "started" and self._supervisor == "well":
            for source in self._sources.values():
                self._write(source)

    def _clock_steps(self, seconds: float) -> None:
        """The wall clock is corrected: what is bound to time of day is written again, so many seconds earlier (ahead) or later."""
        for source in self._sources.values():
            source.since_ns -= round(seconds * S)
            self._write(source)
