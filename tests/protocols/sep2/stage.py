"""An event engine alone: controls go in by the second, what was said and who speaks comes out."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from bessctl.protocols.sep2.messages.control import DefaultDerControl, DerControl, DerControlBase, EventStatus, Interval
from bessctl.protocols.sep2.messages.modes import CURVES, REACTIVE, Channel
from bessctl.protocols.sep2.messages.values import scaled
from bessctl.protocols.sep2.profiles import STORAGE_CATEGORY, WATTSMART, Profile
from bessctl.protocols.sep2.session.engine import Engine, Said
from bessctl.protocols.sep2.session.events import from_json, to_json

ENABLED = frozenset(Channel) - REACTIVE - CURVES
"""A plant whose PCS takes neither reactive power nor curves."""
P, M = "P", "M"
"""Modes of the tables: active power, and the maximum limit."""


class Fixed(Random):
    """Draws that a test names: `share` of the window, 1 = its far end."""

    share = 1.0

    def randint(self, a: int, b: int) -> int:
        return round(a * self.share) if b == 0 else round(b * self.share)


class Stage:
    """Programs by name with their primacy; controls stay listed until they are taken out."""

    def __init__(self, profile: Profile = WATTSMART, rng: Random | None = None, **primacies: int) -> None:
        self.engine = Engine(profile, ENABLED & profile.channels, rng or Fixed(), STORAGE_CATEGORY)
        self.programs = primacies or {"a": 1}
        self.controls: dict[str, tuple[str, DerControl]] = {}
        self.engine.programs(self.programs, whole=True)
        self.now_s = 0.0
        self.said: list[Said] = []

    def put(self, name: str, start_s: int, end_s: int, modes: str = P, program: str = "a", **words: Any) -> None:
        """List an event. Each has a power (or limit) of its own, so that who speaks can be told: `value`, by default its creation."""
        created = words.pop("created", len(self.controls) + 1)
        value = words.pop("value", created)
        base = words.pop("base", None) or DerControlBase(
            target_w=scaled(value) if P in modes else None, max_lim_w=value if M in modes else None
        )
        control = DerControl(
            mrid=name, reply_to="/r", response_required=words.pop("required", 7), creation_s=created, status=EventStatus(current=0),
            interval=Interval(duration_s=end_s - start_s, start_s=start_s), base=base, **words,
        )  # fmt: skip
        self.controls[name] = (program, control)

    def change(self, name: str, **words: Any) -> None:
        program, control = self.controls[name]
        self.controls[name] = (program, replace(control, **words))

    def status(self, name: str, status: int) -> None:
        self.change(name, status=EventStatus(current=status))

    def default(self, program: str, **modes: Any) -> None:
        self.engine.default(program, DefaultDerControl(base=DerControlBase(**modes)))

    def poll(self, now_s: float | None = None, *, whole: bool = True) -> None:
        """The server's lists are read."""
        self.now_s = self.now_s if now_s is None else now_s
        for program in self.programs:
            mine = [control for at, control in self.controls.values() if at == program]
            self.engine.see(program, mine, self.now_s, whole=whole)
        self._hear()

    def to(self, now_s: float) -> None:
        """Time passes without a poll."""
        self.now_s = now_s
        self.engine.advance(now_s)
        self._hear()

    def _hear(self) -> None:
        self.said += self.engine.said
        self.engine.said.clear()

    def restart(self) -> None:
        """Power off and on: another engine with what was kept."""
        kept = [to_json(run) for run in self.engine.runs.values()]
        engine = Engine(self.engine.profile, self.engine.enabled, Random(99), STORAGE_CATEGORY)
        engine.programs(self.programs, whole=True)
        engine.restore([from_json(words) for words in kept])
        self.engine = engine

    def codes(self, name: str) -> list[int]:
        """What was said of an event, in order."""
        return [said.status for said in self.said if said.mrid == name]

    def at(self, name: str, code: int) -> float:
        """When it was said."""
        return next(said.created_s for said in self.said if (said.mrid, said.status) == (name, code))

    def speaks(self, at_s: float, mode: str = P) -> str:
        """Who speaks at an instant, by the schedule as it is known now; "" = the default."""
        channel = Channel.POWER if mode == P else Channel.MAX_LIMIT
        segments = self.engine.schedule().segments.get(channel, ())
        found = [s.mrid for s in segments if s.start_s <= at_s < s.end_s]
        assert len(found) <= 1, (at_s, segments)
        return found[0] if found else ""

    def line(self, mode: str = P, until_s: int = 100) -> str:
        """Who speaks in each 10 s from now on, read like a picture: "..AABB..". Names are their last letter."""
        seconds = range(int(self.now_s), until_s, 10)
        return "".join(self.speaks(second + 0.5, mode)[-1:] or "." for second in seconds)
