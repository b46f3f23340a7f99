"""Who speaks on which channel as time goes on: the overlap rules of 2030.5 clause 10.2.3. Pure; the same code looks ahead and lives.

Rules.
- At an event's start, on each of its channels: nobody speaks, or whoever speaks is outranked, or was scheduled to end by then (a successor
  supersedes nobody, rule 6): the event takes the channel. Else it has lost the channel, for good (rule 9).
- Who loses a channel to a start does not come back to it. With no channel left the event is superseded (rule 2).
- An event starts at its drawn start; where it supersedes, at its scheduled one, unless that lies in the start window of the superseded one
  (rule 3). An event first seen after its start runs the rest (rule 7).
- While an event that outranks another waits out its draw, the other may not start on their common channels.
- An event ends at its drawn end, or when its cancellation takes effect. Nothing resumes.
- At one instant ends come before starts, and the better rank starts first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from bessctl.protocols.sep2.messages.modes import Channel, Setting
from bessctl.protocols.sep2.session.events import Code, Phase, Run

END, START = 0, 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in which one event speaks on a channel. `scheduled_end_s` is the event's own; -1 = it was cut short."""

    channel: Channel
    start_s: float
    end_s: float
    setting: Setting
    mrid: str
    scheduled_start_s: float
    scheduled_end_s: float


@dataclass(slots=True)
class Board:
    """The runs, and who speaks."""

    runs: dict[str, Run] = field(default_factory=dict)
    since_s: dict[Channel, float] = field(default_factory=dict)
    deferred: set[str] = field(default_factory=set)
    other_program: int = Code.SUPERSEDED
    """What is answered when an event of another program supersedes."""
    segments: list[Segment] = field(default_factory=list)
    said: list[tuple[Run, int, float]] = field(default_factory=list)
    """Responses that became due: run, code, when."""
    stale: bool = True
    """Runs were added or changed from outside since the last `advance`."""
    _due_s: float | None = None
    _holder: dict[Channel, Run] = field(default_factory=dict)
    _queue: list[tuple[float, int, tuple[int, int, str], str]] = field(default_factory=list)

    def ahead(self) -> Board:
        """A copy to look ahead with."""
        board = Board({m: r.copy() for m, r in self.runs.items() if r.phase is not Phase.OVER}, dict(self.since_s), set(self.deferred))
        board.other_program = self.other_program
        return board

    def advance(self, until_s: float) -> bool:
        """Live through everything that is due by then, in order; False = nothing was, and nothing was changed from outside."""
        if not self.stale and (self._due_s is None or until_s < self._due_s):
            return False
        self._holder = {channel: run for run in self.runs.values() for channel in run.holds}
        self.deferred = {mrid for mrid in self.deferred if mrid in self.runs and self.runs[mrid].phase is Phase.WAITING}
        running, waiting, runs = Phase.RUNNING, Phase.WAITING, self.runs
        known = sorted(self._next(run) for run in runs.values() if run.phase is running or (run.phase is waiting and not run.asleep))
        known.reverse()  # the next one is the last; what comes up on the way waits in a small heap
        queue = self._queue = []
        while known or queue:
            first = known if not queue or (known and known[-1] < queue[0]) else queue
            at_s, kind, _, mrid = known[-1] if first is known else queue[0]
            if at_s > until_s:
                self.stale, self._due_s = False, at_s
                return True
            if first is known:
                known.pop()
            else:
                heapq.heappop(queue)
            run = runs[mrid]
            if kind == END and run.phase is running:
                self._end(run, at_s)
            elif kind == START and run.phase is waiting:
                self._try_start(run, at_s)
        self.stale, self._due_s = False, None
        return True

    def wake_s(self) -> float | None:
        """When something happens next, after `advance`."""
        return self._due_s

    def _next(self, run: Run) -> tuple[float, int, tuple[int, int, str], str]:
        if run.phase is Phase.RUNNING:
            return (run.end_s, END, run.rank, run.event.mrid)
        event = run.event
        at_s = event.drawn_start_s if event.start_draw_s < 0 or event.mrid in self.deferred else event.start_s
        return (max(float(at_s), event.seen_s), START, run.rank, event.mrid)

    # --- starts ---------------------------------------------------------------------------------------------------------------------------

    def _try_start(self, run: Run, at_s: float) -> None:
        event, start_s, drawn_s = run.event, run.event.start_s, run.event.drawn_start_s
        if at_s < drawn_s or at_s < start_s:
            wanted_s = max(float(start_s if self._beats_at_once(run) else drawn_s), event.seen_s)
            if at_s < wanted_s:
                self.deferred.add(event.mrid)
                heapq.heappush(self._queue, (wanted_s, START, run.rank, event.mrid))
                return
        self._start(run, at_s)

    def _beats_at_once(self, run: Run) -> bool:
        """It supersedes somebody who speaks, and its start is not in that one's start window (rule 3)."""
        start_s = run.event.start_s
        speakers = [self._holder[channel] for channel in run.left if channel in self._holder] if self._holder else ()
        return any(run.rank < h.rank and not _follows(run, h) and not h.event.in_start_window(start_s) for h in speakers)

    def _start(self, run: Run, at_s: float) -> None:
        self.deferred.discard(run.event.mrid)
        run.end_s = self._end_of(run, at_s)
        if run.end_s <= at_s:
            run.phase = Phase.OVER
            self.said.append((run, Code.COMPLETED, at_s))
            return
        winner = None
        for channel in sorted(run.left) if len(run.left) > 1 else tuple(run.left):
            against = self._against(run, channel)
            if against is not None:
                winner = against
                run.left.discard(channel)
                continue
            self._take(run, channel, at_s)
        if not run.left:
            self._superseded(run, winner, at_s)
            return
        run.phase = Phase.RUNNING
        self.said.append((run, Code.STARTED, at_s))
        heapq.heappush(self._queue, (run.end_s, END, run.rank, run.event.mrid))

    @staticmethod
    def _end_of(run: Run, at_s: float) -> float:
        """An event that started earlier than drawn, because it superseded, keeps its drawn duration."""
        event = run.event
        drawn = float(event.drawn_end_s)
        return drawn if at_s >= event.drawn_start_s else at_s + max(0, event.duration_s + event.duration_draw_s)

    def _against(self, run: Run, channel: Channel) -> Run | None:
        """Who keeps the run from the channel."""
        holder = self._holder.get(channel)
        if holder is not None and holder.rank < run.rank and not _follows(run, holder):
            return holder
        for mrid in self.deferred:
            waits = self.runs[mrid]
            if waits.rank < run.rank and channel in waits.left and not _follows(run, waits) and not _follows(waits, run):
                return waits
        return None

    def _take(self, run: Run, channel: Channel, at_s: float) -> None:
        loser = self._holder.get(channel)
        if loser is not None:
            follows = _follows(run, loser)
            self._release(loser, channel, at_s, cut=not follows)
            if follows:
                if not loser.holds:
                    self._finish(loser, at_s)
            else:
                loser.left.discard(channel)
                if not loser.left:
                    self._superseded(loser, run, at_s)
        self._holder[channel] = run
        run.holds.add(channel)
        self.since_s[channel] = at_s

    # --- ends -----------------------------------------------------------------------------------------------------------------------------

    def _release(self, run: Run, channel: Channel, at_s: float, *, cut: bool) -> None:
        run.holds.discard(channel)
        self._holder.pop(channel, None)
        event = run.event
        since_s = self.since_s.pop(channel, at_s)
        if at_s > since_s:
            end_s = -1.0 if cut or run.cancelled else float(event.end_s)
            self.segments.append(Segment(channel, since_s, at_s, event.settings[channel], event.mrid, float(event.start_s), end_s))

    def _end(self, run: Run, at_s: float) -> None:
        if run.end_s > at_s:
            heapq.heappush(self._queue, self._next(run))
            return
        for channel in sorted(run.holds):
            self._release(run, channel, at_s, cut=False)
        self._finish(run, at_s)

    def _finish(self, run: Run, at_s: float) -> None:
        run.phase = Phase.OVER
        code = Code.CANCELLED if run.cancelled else Code.PARTIAL_OPT_OUT if run.overridden else Code.COMPLETED
        self.said.append((run, code, at_s))

    def _superseded(self, run: Run, winner: Run | None, at_s: float) -> None:
        run.phase = Phase.OVER
        other = winner is not None and winner.event.program != run.event.program
        self.said.append((run, self.other_program if other else Code.SUPERSEDED, at_s))


def _follows(later: Run, earlier: Run) -> bool:
    """The later was scheduled to begin when the earlier had ended: whatever the draws say, they do not conflict (rule 6)."""
    return earlier.event.end_s <= later.event.start_s
