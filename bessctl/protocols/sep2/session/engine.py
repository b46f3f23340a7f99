"""The event engine: controls as the server lists them -> runs, responses and the whole future schedule. Pure; clock and chance handed in.

What each list says is taken in by `see`, `programs` and `default`; `advance` lives through what is due; `schedule` looks ahead. Rules by
their numbers in docs/conformance/sep2.md; those about who speaks when stand in board.py.

- First sight: over already = 254 (rule 7); cancelled = 6; nothing we carry out = 252 (rule 15); a value out of range = 253; else 1, and the
  draws are made, once (rule 5).
- Afterwards only its status is taken from an event (rule 14). Missing from the list is no cancellation, unless the profile says so (11).
- Cancelled (2): ends at once. Cancelled with randomisation (3): ends after a fresh draw. Superseded (4): while we know who supersedes it,
  the overlap rules decide; when we do not, it ends at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from bessctl.protocols.sep2.messages.codec import same_but
from bessctl.protocols.sep2.messages.control import DefaultDerControl
from bessctl.protocols.sep2.messages.modes import CURVES, Channel, Setting
from bessctl.protocols.sep2.messages.wishes import Asked, Control, asked
from bessctl.protocols.sep2.profiles import Profile
from bessctl.protocols.sep2.session.board import Board, Segment
from bessctl.protocols.sep2.session.events import FLOW, Code, Event, Phase, Run, Status, kind_of

HOUR_S = 3600
CORRECTION_S = 1.0
FORGET_S = 86_400
LOWEST_PRIMACY = 255
NEEDED_BIT = {Code.RECEIVED: 1, Code.OPT_OUT: 2 | 4, Code.PARTIAL_OPT_OUT: 2 | 4}
"""Which bits of responseRequired ask for a code (rule 13); the others need bit 1."""


@dataclass(frozen=True, slots=True)
class Said:
    """A response that is due."""

    mrid: str
    status: int
    created_s: float
    reply_to: str
    kind: str = "der"
    """Of the event: der, demand or flow."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """From now on, per channel: who speaks when, and what holds otherwise."""

    segments: Mapping[Channel, tuple[Segment, ...]]
    defaults: Mapping[Channel, Setting]
    grad_share_per_s: float | None = None
    """setGradW as a share of setMaxW per second; None = no limit."""
    lived_s: float = 0.0
    """What began or ended by then has done so, wherever a correction of the server's clock puts that instant."""


@dataclass(slots=True)
class Default:
    """A program's DefaultDERControl, as far as it is carried out."""

    settings: Mapping[Channel, Setting]
    grad_w: int | None
    mrid: str = ""


@dataclass(slots=True)
class Engine:
    """All events of all programs."""

    profile: Profile
    enabled: frozenset[Channel]
    rng: Random
    category: int
    board: Board = field(default_factory=Board)
    primacy: dict[str, int] = field(default_factory=dict)
    defaults: dict[str, Default] = field(default_factory=dict)
    last: dict[Channel, Segment] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changed_copies: int = 0
    curve_fault: Callable[[str, Channel], str] = lambda ref, channel: ""
    """Why a curve that was read cannot be followed; empty = it can, or was not read yet."""
    said: list[Said] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    """mRIDs whose record changed since it was last kept."""
    _listed: dict[str, set[str]] = field(default_factory=dict)
    _forgot_s: float = 0.0
    _now_s: float = 0.0
    _ahead: Schedule | None = None
    """The last look ahead; it holds until something happens."""

    def __post_init__(self) -> None:
        self.board.other_program = self.profile.superseded_by_other_program

    @property
    def runs(self) -> dict[str, Run]:
        return self.board.runs

    def restore(self, runs: Iterable[Run]) -> None:
        """What was kept before a restart: first copies, draws, how far each had come."""
        self.board.stale = True
        for run in runs:
            self.runs[run.event.mrid] = run
            for channel in run.holds:
                self.board.since_s[channel] = float(run.event.drawn_start_s)

    # --- what the server says -----------------------------------------------------------------------------------------------------------

    def programs(self, found: Mapping[str, int], *, whole: bool) -> None:
        """Programs by href with their primacy. `whole`: no others are assigned to us.

        The default of a program that is not assigned any more is gone, its events that wait sleep until it is assigned again, and one that
        runs goes on to its end (rule 12).
        """
        if whole:
            self.primacy = dict(found)
            self.defaults = {href: default for href, default in self.defaults.items() if href in found}
            granted = {run.event.program for run in self.runs.values() if run.event.kind == FLOW}
            self._listed = {program: mrids for program, mrids in self._listed.items() if program in found or program in granted}
        else:
            self.primacy.update(found)
        for run in self.runs.values():
            run.assign(self.primacy.get(run.event.program, run.primacy))
            if whole or run.event.program in found:
                run.asleep = run.phase is Phase.WAITING and run.event.kind != FLOW and run.event.program not in found
        self.board.stale = True

    def default(self, program: str, control: DefaultDerControl | None) -> None:
        """A program's default (rule 10); None = it has none."""
        self._ahead = None
        if control is None:
            self.defaults.pop(program, None)
            return
        said = asked(control, self.enabled)
        if said.invalid:
            self.notes.append(f"default of {program}: invalid {said.invalid}; not used")
            self.defaults.pop(program, None)
            return
        self.defaults[program] = Default(said.settings, control.grad_w, control.mrid or "")

    def see(self, program: str, controls: Iterable[Control], now_s: float, *, whole: bool) -> None:
        """A program's list of controls. `whole`: it was read to its end."""
        self.advance(now_s)
        listed = set()
        fresh: list[tuple[Control, Run]] = []
        for control in controls:
            if control.device_category is not None and not control.device_category & self.category:
                continue  # rule 17
            listed.add(control.mrid)
            run = self.runs.get(control.mrid)
            if run is None:
                run = self._first_sight(program, control, now_s)
            else:
                self._check_copy(run, control)
            fresh.append((control, run))
        for control, run in fresh:  # after all are known: who supersedes may stand behind the superseded one
            self._take_status(run, control.status.current, now_s)
        if whole:
            self._listed[program] = listed
            if self.profile.missing_is_cancelled:
                self._cancel_missing(program, listed, now_s)
            self._forget(now_s)
        self.advance(now_s)

    # --- first sight --------------------------------------------------------------------------------------------------------------------

    def _first_sight(self, program: str, control: Control, now_s: float) -> Run:
        said = asked(control, self.enabled)
        event = self._event(program, control, said, now_s)
        run = Run(event, self.primacy.get(program, LOWEST_PRIMACY), left=set(event.settings), copy_seen=control)
        self.runs[event.mrid] = run
        self.dirty.add(event.mrid)
        self.board.stale = True
        if event.end_s <= now_s:
            self._refuse(run, Code.EXPIRED, now_s)
        elif fault := said.invalid or self._unfit(event) or ("" if event.duration_s > 0 else "duration"):
            self.notes.append(f"event {event.mrid}: invalid {fault}")
            self._refuse(run, Code.INVALID, now_s)
        elif control.status.current in {Status.CANCELLED, Status.CANCELLED_RANDOM}:
            self._refuse(run, Code.CANCELLED, now_s)
        elif not event.settings:
            self.notes.append(f"event {event.mrid}: not carried out: {', '.join(said.unsupported) or 'it asks for nothing'}")
            self._refuse(run, Code.NOT_APPLICABLE, now_s)
        else:
            self._say(run, Code.RECEIVED, now_s)
            if said.unsupported:
                self.notes.append(f"event {event.mrid}: without {', '.join(said.unsupported)}, which is not carried out")
                self._say(run, Code.NOT_APPLICABLE, now_s)
        return run

    def _unfit(self, event: Event) -> str:
        curves = [(setting.ref, channel) for channel, setting in event.settings.items() if channel in CURVES]
        return ", ".join(filter(None, (self.curve_fault(ref, channel) for ref, channel in curves)))

    def _event(self, program: str, control: Control, said: Asked, now_s: float) -> Event:
        start_window_s, duration_window_s = _hour(control.randomize_start_s), _hour(control.randomize_duration_s)
        return Event(
            mrid=control.mrid,
            program=program,
            creation_s=control.creation_s,
            start_s=control.interval.start_s,
            duration_s=control.interval.duration_s,
            seen_s=now_s,
            settings=dict(said.settings),
            start_window_s=start_window_s,
            duration_window_s=duration_window_s,
            start_draw_s=self._draw(start_window_s),
            duration_draw_s=self._draw(duration_window_s),
            reply_to=control.reply_to or "",
            response_required=control.response_required or 0,
            kind=kind_of(control),
        )

    def _draw(self, window_s: int) -> int:
        """Uniform between 0 and the signed window, both ends included."""
        return self.rng.randint(min(0, window_s), max(0, window_s)) if window_s else 0

    def _refuse(self, run: Run, code: int, now_s: float) -> None:
        self.board.stale = True
        run.phase = Phase.OVER
        run.left.clear()
        run.end_s = now_s
        self._say(run, code, now_s)

    # --- afterwards ---------------------------------------------------------------------------------------------------------------------

    def _check_copy(self, run: Run, control: Control) -> None:
        if run.copy_seen is not None and _same_copy(run.copy_seen, control):
            return
        run.copy_seen, kept = control, run.event
        now = (control.interval.start_s, control.interval.duration_s, _hour(control.randomize_start_s), _hour(control.randomize_duration_s))
        same = now == (kept.start_s, kept.duration_s, kept.start_window_s, kept.duration_window_s)
        if not same or dict(asked(control, self.enabled).settings) != dict(kept.settings):
            self.changed_copies += 1
            if self.changed_copies < 10 or self.changed_copies % 100 == 0:
                self.notes.append(f"event {kept.mrid} changed under its mRID; the first copy stays ({self.changed_copies} so far)")

    def _take_status(self, run: Run, status: int, now_s: float) -> None:
        before, run.status = run.status, status
        if before != status:
            self.dirty.add(run.event.mrid)
        if run.phase is Phase.OVER or (before == status and run.cancelled):
            return
        if status == Status.CANCELLED:
            self._cancel(run, now_s, now_s)
        elif status == Status.CANCELLED_RANDOM and before != status:
            widest = max(abs(run.event.start_window_s), abs(run.event.duration_window_s))
            self._cancel(run, now_s + self._draw(widest), now_s)
        elif status == Status.SUPERSEDED and not self._superseder_known(run):
            self._end_superseded(run, now_s)

    def _cancel(self, run: Run, end_s: float, now_s: float) -> None:
        run.cancelled = self.board.stale = True
        self.dirty.add(run.event.mrid)
        if run.phase is Phase.WAITING:
            self._refuse(run, Code.CANCELLED, now_s)
        else:
            run.end_s = min(run.end_s, end_s)

    def _superseder_known(self, run: Run) -> bool:
        """Somebody on the list outranks it, wants a channel of it, and overlaps it; cancelled ones count (rules 3 and 9)."""
        event = run.event
        return any(
            other.rank < run.rank
            and other.event.settings.keys() & event.settings.keys()
            and other.event.start_s < event.end_s
            and event.start_s < other.event.end_s
            for other in self.runs.values()
            if other is not run and not other.asleep
        )

    def _end_superseded(self, run: Run, now_s: float) -> None:
        for channel in sorted(run.holds):
            self.board.since_s.pop(channel, None)
        run.holds.clear()
        self._refuse(run, Code.SUPERSEDED, now_s)

    def _cancel_missing(self, program: str, listed: set[str], now_s: float) -> None:
        for run in self.runs.values():
            if run.event.program == program and run.phase is not Phase.OVER and run.event.mrid not in listed and not run.cancelled:
                self._cancel(run, now_s, now_s)

    def _forget(self, now_s: float) -> None:
        """Events that are over for a day and in nobody's list; looked at once an hour."""
        if now_s - self._forgot_s < HOUR_S:
            return
        self._forgot_s = now_s
        listed = set().union(*self._listed.values())
        gone = [
            mrid
            for mrid, run in self.runs.items()
            if (run.phase is Phase.OVER or run.asleep) and mrid not in listed and run.event.end_s + HOUR_S + FORGET_S < now_s
        ]
        self.board.stale |= bool(gone)
        for mrid in gone:
            del self.runs[mrid]
            self.dirty.add(mrid)

    # --- time ---------------------------------------------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> float | None:
        """Live through what is due; returns when something happens next."""
        board, self._now_s = self.board, now_s
        if board.advance(now_s):
            self._ahead = None
        for run, code, at_s in board.said:
            self.dirty.add(run.event.mrid)
            self._say(run, code, at_s)
        for segment in board.segments:
            self.last[segment.channel] = segment
        board.said.clear()
        board.segments.clear()
        return board.wake_s()

    def override(self, on: bool, now_s: float) -> None:
        """Somebody at the site took the power away from a running event: opt-out now, partial opt-out at its end (rule 13)."""
        for run in self.runs.values() if on else ():
            if run.phase is Phase.RUNNING and Channel.POWER in run.holds and not run.overridden:
                run.overridden = True
                self.dirty.add(run.event.mrid)
                self._say(run, Code.OPT_OUT, now_s)

    def schedule(self) -> Schedule:
        """Everything that is known to come, after `advance`. The same object for as long as nothing happens."""
        if self._ahead is None or self.board.stale:
            self._ahead = self._look_ahead()
        return self._ahead

    def _look_ahead(self) -> Schedule:
        ahead = self.board.ahead()
        ahead.advance(float("inf"))
        by_channel: dict[Channel, list[Segment]] = {channel: [last] for channel, last in self.last.items()}
        for segment in ahead.segments:
            by_channel.setdefault(segment.channel, []).append(segment)
        grads = [d.grad_w for _, d in self._by_primacy() if d.grad_w is not None]
        return Schedule(
            {channel: bridged(segments, self.profile.bridge_s) for channel, segments in by_channel.items()},
            self._default_settings(),
            grads[0] / 10_000 if grads and grads[0] else None,
            self._lived_s(),
        )

    def _lived_s(self) -> float:
        """Now; and what happened in an instant that a correction has just put ahead of now."""
        happened = (*self.board.since_s.values(), *(last.end_s for last in self.last.values()))
        return max((self._now_s, *(at_s for at_s in happened if at_s <= self._now_s + CORRECTION_S)))

    def _by_primacy(self) -> list[tuple[str, Default]]:
        return sorted(self.defaults.items(), key=lambda item: (self.primacy.get(item[0], LOWEST_PRIMACY), item[1].mrid, item[0]))

    def _default_settings(self) -> dict[Channel, Setting]:
        found: dict[Channel, Setting] = {}
        for _, default in self._by_primacy():
            for channel, setting in default.settings.items():
                found.setdefault(channel, setting)
        return found

    def _say(self, run: Run, code: int, at_s: float) -> None:
        event = run.event
        wanted = event.response_required & NEEDED_BIT.get(Code(code), 2)
        if wanted and event.reply_to and code in self.profile.responses:
            self.said.append(Said(event.mrid, int(code), at_s, event.reply_to, event.kind))


def bridged(segments: list[Segment], bridge_s: float) -> tuple[Segment, ...]:
    """In order, with gaps between successors closed: whatever was drawn, and seconds a server left between them (rules 6 and 16)."""
    ordered = sorted(segments, key=lambda s: s.start_s)
    out: list[Segment] = []
    for segment in ordered:
        if out:
            before = out[-1]
            if before.scheduled_end_s >= 0 and 0 <= segment.scheduled_start_s - before.scheduled_end_s <= bridge_s:
                out[-1] = replace(before, end_s=segment.start_s)
        out.append(segment)
    return tuple(out)


def _same_copy(a: Control, b: Control) -> bool:
    """Apart from its status, word for word."""
    return same_but(a, b, "status")


def _hour(window_s: int | None) -> int:
    """OneHourRange: what is beyond it is cut."""
    return max(-HOUR_S, min(HOUR_S, window_s or 0))
