"""The supervisor's and the command line's side of the shared segments: attach, read, drain, write, and attach again.

Rules.
- Everything is asked through one CoreLink, which knows whether its loop process still lives (its socket, its epoch) each time it is asked.
- When the loop is gone it tries to attach to the next one, at most every RETRY_S. Until then there is no snapshot, and writing says
  NotReachable.
- A new loop process knows no plan. What each writer wrote last is written again at once if its lease still runs, unless the old loop's
  last state shows that the operator had removed it (R7: only the operator removes a source).
"""

from __future__ import annotations

import time
from contextlib import suppress

from bessctl.corelink import view, words
from bessctl.corelink.curves import PlantCurves
from bessctl.corelink.words import Site
from bessctl.corelink.writer import Slot, SourceWriter
from bessctl.errors import NotReachable, OperationFailed, PlanRefused, Refused, UsageError
from bessctl.model.event import Event
from bessctl.model.plan import Plan
from bessctl.model.snapshot import PlantSnapshot
from bessctl_core import attach as sockets
from bessctl_core import layout, ports, sealed, segment

RETRY_S = 0.2


class _Attached:
    """What belongs to one loop process."""

    def __init__(self, run_dir: str, writes: bool, from_seq: int) -> None:
        self.state_link = sockets.attach_state(run_dir)
        self.plans_link: sockets.Attachment | None = None
        try:
            config = sealed.unpack(self.state_link.sealed, "the loop's configuration")
            self.site = Site(config)
            self.state = ports.StatePort(self.state_link.fd, config.digest)
            self.events = ports.EventReader(self.state_link.fd, from_seq, config.digest)
            if writes:
                self.plans_link = sockets.attach_plans(run_dir)
                self.plans = ports.PlanPort(self.plans_link.fd, config.digest)
                self.commands = ports.CommandPort(self.plans_link.fd, self.state, config.digest)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return self.state.current and self.state_link.alive

    def close(self) -> None:
        self.state_link.close()
        if self.plans_link is not None:
            self.plans_link.close()

    def released(self, slot: int) -> bool:
        """The loop's last state says that nothing is in the slot."""
        state = self.state.read()
        return state is not None and slot < len(self.site.sources) and state["slot_state"][slot] == layout.SlotState.SLOT_EMPTY


def _attach(run_dir: str, writes: bool, from_seq: int) -> _Attached:
    """Attach, with our own errors for those of the core."""
    try:
        return _Attached(run_dir, writes, from_seq)
    except sockets.NobodyListens as error:
        raise NotReachable(str(error)) from error
    except sockets.NotForYou as error:
        raise Refused(str(error)) from error
    except (sockets.AttachError, segment.SegmentError, sealed.SealError) as error:
        raise OperationFailed(str(error)) from error


class CoreLink:
    """The plant's state, its events and, with `writes`, the way to the slots. Also a bessctl.model.snapshot.PlantView. One thread."""

    def __init__(self, run_dir: str, writes: bool = True, from_seq: int = 0) -> None:
        self.run_dir, self._writes = run_dir, writes
        self._writers: dict[str, SourceWriter] = {}
        self.curves = PlantCurves(self._plan_port)
        """The way to the curves of the PCS."""
        self._lost = 0
        self._tried_s = time.monotonic()
        self._now: _Attached | None = _attach(run_dir, writes, from_seq)
        self._last = self._now
        self._pending: list[Event] = []
        self.trouble = ""
        """Why the last try to attach again failed; empty while attached."""
        self.generation = 1
        """How many loop processes this link has seen."""

    def __enter__(self) -> CoreLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the plans; the loop then runs each plan to the end of its lease."""
        if self._now is not None:
            self._now.close()
            self._now = None
        self._tried_s = float("inf")

    # --- the loop of the moment ---------------------------------------------------------------------------------------------------------

    def _attached(self) -> _Attached | None:
        if self._now is not None and not self._now.alive:
            self._now.close()
            self._now = None
            self._tried_s = 0.0
        if self._now is None and time.monotonic() - self._tried_s >= RETRY_S:
            self._tried_s = time.monotonic()
            try:
                self._renew(_attach(self.run_dir, self._writes, 0))
            except (NotReachable, Refused, OperationFailed) as error:
                self.trouble = str(error)
        return self._now

    def _renew(self, new: _Attached) -> None:
        self._pending += self._drain()
        old, self._now, self._last, self._lost = self._last, new, new, 0
        self.generation += 1
        self.trouble = ""
        for writer in self._writers.values():
            self._write_again(writer, old)
        if self.curves.last is not None:
            with suppress(PlanRefused, NotReachable):
                self.curves.write(*self.curves.last)

    def _write_again(self, writer: SourceWriter, old: _Attached) -> None:
        if writer.last is None or writer.last.lease_until_ns <= writer.now_ns():
            return
        if writer.source in old.site.sources and old.released(old.site.sources.index(writer.source)):
            return
        with suppress(PlanRefused, NotReachable):  # whatever it is, the binding hears it at its next write
            writer.write(writer.last)

    def _need(self) -> _Attached:
        attached = self._attached()
        if attached is None:
            raise NotReachable(self.trouble or f"{self.run_dir}: the loop is gone; start it with `bessctl loop` or `bessctl run`")
        return attached

    @property
    def attached(self) -> bool:
        """A loop process is there (and this link holds its segments)."""
        return self._attached() is not None

    @property
    def site(self) -> Site:
        """Names and facts of the configuration that the loop runs, or ran last."""
        return self._last.site

    # --- up -----------------------------------------------------------------------------------------------------------------------------

    def state(self) -> view.State | None:
        """The newest state as it stands in the segment, every field of PlantState; None while there is none."""
        attached = self._attached()
        return attached.state.read() if attached is not None else None

    def snapshot(self) -> PlantSnapshot | None:
        """The newest state with names; None while no loop is attached or nothing is published."""
        state = self.state()
        return None if state is None else view.snapshot(self.site, state)

    def events(self) -> list[Event]:
        """Events since the last call, oldest first. Events that were overwritten meanwhile are told as one event, "events_lost"."""
        drained = self._pending + self._drain()
        self._pending = []
        self._attached()
        return drained

    def _drain(self) -> list[Event]:
        last = self._last
        drained = [words.event(last.site, raw) for raw in last.events.drain()]
        missing = last.events.lost - self._lost
        self._lost = last.events.lost
        if missing:
            at = (drained[0].seq, drained[0].at_ns) if drained else (last.events.next_seq, time.monotonic_ns())
            drained.insert(0, words.lost(missing, *at))
        return drained

    # --- down ---------------------------------------------------------------------------------------------------------------------------

    def writer(self, source: str) -> SourceWriter:
        """The way to a source's slot, one per source. Raises UsageError when the sealed configuration has no such source."""
        if source not in self.site.sources:
            raise UsageError(f"no source {source!r} in the sealed configuration; it has: {', '.join(self.site.sources) or 'none'}")
        if source not in self._writers:
            self._writers[source] = SourceWriter(source, lambda: self._slot(source))
        return self._writers[source]

    def written(self) -> dict[str, Plan]:
        """What each source wrote last through this link, by name: what others may expect of it."""
        return {name: writer.last for name, writer in self._writers.items() if writer.last is not None}

    def _plan_port(self) -> ports.PlanPort:
        return self._writing().plans

    def _writing(self) -> _Attached:
        attached = self._need()
        if not self._writes:
            raise UsageError("this link reads only; attach with writes=True")
        return attached

    def _slot(self, source: str) -> Slot:
        attached = self._writing()
        if source not in attached.site.sources:
            raise PlanRefused(f"{source}: the loop runs a configuration without this source; seal and start again")
        return Slot(source, attached.site.sources.index(source), attached.site, attached.plans)

    def send(self, command: str, arg: int = 0) -> int:
        """Send stop, start, out_of_service, reset or release; returns the id that its event will name. Raises UsageError, Refused.

        The loop takes `reset` this way; the others it accepts on the operator's own socket only (R15), and answers with an event.
        """
        if command not in words.COMMANDS or command == "none":
            raise UsageError(f"no command {command!r}; there are: {', '.join(c for c in words.COMMANDS if c != 'none')}")
        attached = self._writing()
        try:
            return attached.commands.push(words.COMMANDS[command], arg)
        except ports.CommandsWaiting as error:
            raise Refused(str(error)) from error


def attach(run_dir: str, *, writes: bool = True, from_seq: int = 0) -> CoreLink:
    """Attach to the loop of this run directory. `writes=False` for those who only look: any number may.

    Events start with `from_seq`; 0 = the oldest that still stand. Raises NotReachable (no loop answers), Refused (another process writes
    the plans, or this user may not), OperationFailed (loop and program do not fit).
    """
    return CoreLink(run_dir, writes, from_seq)
