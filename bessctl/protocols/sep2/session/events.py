"""One event as it was first seen, and how far it has come. Times are server seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from bessctl.protocols.sep2.messages.demand import EndDeviceControl
from bessctl.protocols.sep2.messages.flow import FlowReservationResponse
from bessctl.protocols.sep2.messages.modes import Channel, Setting, Unit
from bessctl.protocols.sep2.messages.wishes import Control

DER, DEMAND, FLOW = "der", "demand", "flow"


def kind_of(control: Control) -> str:
    """Which function set an event is of; its answers are named after it."""
    return DEMAND if isinstance(control, EndDeviceControl) else FLOW if isinstance(control, FlowReservationResponse) else DER


class Status(IntEnum):
    """EventStatus.currentStatus."""

    SCHEDULED = 0
    ACTIVE = 1
    CANCELLED = 2
    CANCELLED_RANDOM = 3
    SUPERSEDED = 4


class Code(IntEnum):
    """Response statuses (2030.5 table 27)."""

    RECEIVED = 1
    STARTED = 2
    COMPLETED = 3
    OPT_OUT = 4
    CANCELLED = 6
    SUPERSEDED = 7
    PARTIAL_OPT_OUT = 8
    OTHER_PROGRAM = 14
    NOT_APPLICABLE = 252
    INVALID = 253
    EXPIRED = 254


class Phase(StrEnum):
    """How far an event has come; it only moves down this list."""

    WAITING = "waiting"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Event:
    """The first copy (rule 14), with its draws (rule 5). Windows are the signed randomizeStart and randomizeDuration."""

    mrid: str
    program: str
    creation_s: int
    start_s: int
    duration_s: int
    seen_s: float
    settings: Mapping[Channel, Setting]
    start_window_s: int = 0
    duration_window_s: int = 0
    start_draw_s: int = 0
    duration_draw_s: int = 0
    reply_to: str = ""
    response_required: int = 0
    kind: str = DER
    end_s: int = field(init=False)
    """The end as it was scheduled, undrawn."""
    drawn_start_s: int = field(init=False)
    drawn_end_s: int = field(init=False)
    """Never before its start."""

    def __post_init__(self) -> None:
        # Worked out once: a look ahead asks for them thousands of times.
        drawn_s = self.start_s + self.start_draw_s
        object.__setattr__(self, "end_s", self.start_s + self.duration_s)
        object.__setattr__(self, "drawn_start_s", drawn_s)
        object.__setattr__(self, "drawn_end_s", drawn_s + max(0, self.duration_s + self.duration_draw_s))

    def in_start_window(self, at_s: float) -> bool:
        """Within the start randomisation of this event."""
        edge = self.start_s + self.start_window_s
        return min(self.start_s, edge) <= at_s < max(self.start_s, edge)


@dataclass(slots=True)
class Run:
    """How far one event has come. `left`: the channels it has not lost; `holds`: those it speaks on now."""

    event: Event
    primacy: int
    phase: Phase = Phase.WAITING
    status: int = Status.SCHEDULED
    left: set[Channel] = field(default_factory=set)
    holds: set[Channel] = field(default_factory=set)
    end_s: float = 0.0
    cancelled: bool = False
    overridden: bool = False
    asleep: bool = False
    """Waiting, and its program is not assigned to us at present; not kept."""
    copy_seen: Control | None = None
    """As the server listed it last; not kept."""
    rank: tuple[int, int, str] = (0, 0, "")
    """Lower outranks: primacy number, then later creation (rule 1); the mRID makes it total."""

    def __post_init__(self) -> None:
        self.assign(self.primacy)

    def assign(self, primacy: int) -> None:
        """Its program has this primacy."""
        self.primacy = primacy
        self.rank = (primacy, -self.event.creation_s, self.event.mrid)

    def copy(self) -> Run:
        """For a look ahead; made by hand, for there are a thousand of them."""
        run = Run.__new__(Run)
        run.event, run.primacy, run.rank, run.phase, run.status = self.event, self.primacy, self.rank, self.phase, self.status
        run.left, run.holds, run.end_s = set(self.left), set(self.holds), self.end_s
        run.cancelled, run.overridden, run.asleep, run.copy_seen = self.cancelled, self.overridden, self.asleep, None
        return run


# --- as it is kept --------------------------------------------------------------------------------------------------------------


def to_json(run: Run) -> dict[str, Any]:
    """Everything that must survive a restart."""
    event = run.event
    return {
        "mrid": event.mrid, "program": event.program, "creation_s": event.creation_s, "start_s": event.start_s,
        "duration_s": event.duration_s, "seen_s": event.seen_s,
        "settings": {channel.value: [s.value, s.unit.value, s.ramp_s, s.ref, s.energy_wh] for channel, s in event.settings.items()},
        "start_window_s": event.start_window_s, "duration_window_s": event.duration_window_s,
        "start_draw_s": event.start_draw_s, "duration_draw_s": event.duration_draw_s,
        "reply_to": event.reply_to, "response_required": event.response_required, "kind": event.kind,
        "run": {
            "primacy": run.primacy, "phase": run.phase.value, "status": int(run.status), "left": sorted(run.left),
            "holds": sorted(run.holds), "end_s": run.end_s, "cancelled": run.cancelled, "overridden": run.overridden,
        },
    }  # fmt: skip


def from_json(kept: Mapping[str, Any]) -> Run:
    """What to_json made."""
    words = dict(kept)
    state = words.pop("run")
    settings = {Channel(c): Setting(value, Unit(unit), *rest) for c, (value, unit, *rest) in words.pop("settings").items()}
    return Run(
        Event(settings=settings, **words),
        state["primacy"],
        Phase(state["phase"]),
        state["status"],
        {Channel(c) for c in state["left"]},
        {Channel(c) for c in state["holds"]},
        state["end_s"],
        state["cancelled"],
        state["overridden"],
    )
