"""The loop: at a fixed rate, read, update, write; publish, account, and sleep while the buses are pumped.

    read      replies of the devices, plans of the sources, one request of the operator
    update    the step, a pure function (step.pxd)
    write     commands to the devices, what to ask them next, state and events to everyone, the journal's record to its thread

Nothing here waits but fleet_wait, and that never longer than to the next deadline. SIGTERM begins an orderly stop: ramp to 0, standby, read
back, exit, within stop_timeout (R15).
"""

import os
import time

from libc.math cimport NAN
from libc.string cimport memcpy, memset

from .atomics cimport load_acquire_u64, store_release_u64
from .curves cimport curve_fault
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit, tell_flags
from .fleet cimport fleet_account, fleet_close, fleet_curves, fleet_init, fleet_release, fleet_send, fleet_stopped, fleet_take, fleet_wait
from .gpio cimport lines_close, lines_open, lines_take
from .journal cimport Journal, journal_on_disk, journal_post
from .layout cimport (
    BUS_TCP, EV_JOURNAL, EV_PERIODS_MISSED, EV_PLAN_REFUSED, EV_RT_REFUSED, EV_STARTED, EV_STOPPED,
    FLAG_AFFINITY_REFUSED, FLAG_JOURNAL_LATE, FLAG_MLOCK_REFUSED, NS_PER_S, PLANT, PLAN_OK, PLAN_TORN, Q_OVERRUN_PER_S, QUANTITIES, SKIPS, TEXT, Command, CurvePlan,
    Event,
)
from .ring cimport command_push, command_take, event_read
from .rt cimport histogram_add, monotonic_ns, notify, prefault_stack, signal_taken, wake
from .sealed cimport SealedSite
from .segment cimport LoopSegments, loop_publish, loop_take_command, loop_take_curves, loop_take_plan
from .state cimport StartFacts
from .step cimport step_ask_stop, step_init, step_journal, step_offer_plan, step_refuse_plan, step_run, step_stopped

# The operator's own requests are numbered apart from those of the supervisor.
cdef uint64_t LOCAL_IDS = <uint64_t> 1 << 40

cdef enum:
    WATCHDOG_NS = 250000000         # WatchdogSec is 1 s
    JOURNAL_LATE_NS = 1000000000


# --- read ---------------------------------------------------------------------------------------------------------------------------------

cdef void take_plans(Machine* m, int64_t now_ns) noexcept nogil:
    # A copy that was torn keeps the last good plan, is told once, and is tried again with the next tick.
    cdef int slot, got
    for slot in range(m.config.n_slots):
        got = loop_take_plan(m.shared, slot, &m.plan)
        if got == 1:
            step_offer_plan(m.config, &m.step, slot, &m.plan, now_ns)
        elif got < 0:
            step_refuse_plan(&m.step, slot, PLAN_TORN, now_ns)


cdef void take_curves(Machine* m, int64_t now_ns) noexcept nogil:
    """A plan that breaks a rule is refused whole, and the last good one stays."""
    cdef int fault
    if loop_take_curves(m.shared, &m.curves_offered) != 1:
        return
    fault = curve_fault(&m.curves_offered, m.step.boot_id_hi, m.step.boot_id_lo)
    if fault == PLAN_OK:
        memcpy(&m.curves, &m.curves_offered, sizeof(CurvePlan))
    else:
        emit(&m.step.sink, now_ns, EV_PLAN_REFUSED, LEVEL_WARNING, -1, -1, -1, fault, 0, 0)


cdef void take_command(Machine* m) noexcept nogil:
    """At most one request a tick; the operator at the machine goes first."""
    cdef Command* command = &m.inp.command0
    cdef uint64_t tail = m.local_taken
    m.inp.n_commands = 0
    if command_take(&m.local, &tail, command):
        store_release_u64(&m.local_taken, tail)
        command.local = 1
        command.id |= LOCAL_IDS
        m.inp.n_commands = 1
    elif loop_take_command(m.shared, command):
        m.inp.n_commands = 1


cdef void take_signal(Machine* m, int64_t now_ns) noexcept nogil:
    if m.stop_ns == 0 and signal_taken(m.signal_fd) != 0:
        m.stop_ns = now_ns
        step_ask_stop(&m.step)


cdef void read_all(Machine* m, int64_t now_ns) noexcept nogil:
    cdef int overrun = PLANT * QUANTITIES + Q_OVERRUN_PER_S
    fleet_take(m.config, &m.fleet, &m.inp, &m.step.sink, now_ns)
    lines_take(m.config, &m.lines, &m.inp, now_ns)
    take_plans(m, now_ns)
    take_curves(m, now_ns)
    take_command(m)
    take_signal(m, now_ns)
    m.inp.journalled_seq = journal_on_disk(m.journal)
    m.inp.value[overrun], m.inp.sampled_ns[overrun] = <double> m.pace.overrun, now_ns


# --- update -------------------------------------------------------------------------------------------------------------------------------

cdef void update(Machine* m, int64_t now_ns) noexcept nogil:
    cdef int64_t began_ns = monotonic_ns()
    cdef int64_t took_ns
    step_run(m.config, &m.inp, &m.step, now_ns, &m.out, &m.state)
    if m.out.release:
        fleet_release(m.config, &m.fleet)
    took_ns = monotonic_ns() - began_ns
    histogram_add(m.pace.step_bins, took_ns)
    m.pace.step_max_ns = max(m.pace.step_max_ns, took_ns)


# --- write --------------------------------------------------------------------------------------------------------------------------------

cdef void feed_watchdog(Machine* m, bint handed, int64_t now_ns) noexcept nogil:
    """Only a tick whose step ran and whose commands were handed to every healthy link feeds the service manager."""
    if handed and now_ns - m.watchdog_ns >= WATCHDOG_NS:
        m.watchdog_ns = now_ns
        notify(m.notify_fd, b"WATCHDOG=1")


cdef void write_commands(Machine* m, int64_t now_ns) noexcept nogil:
    cdef bint handed = fleet_send(m.config, &m.fleet, &m.inp, &m.out, &m.step.sink, now_ns)
    cdef int64_t done_ns = monotonic_ns() - m.pace.deadline_ns
    fleet_curves(m.config, &m.fleet, &m.curves, &m.step.sink, now_ns)
    histogram_add(m.pace.done_bins, done_ns)
    m.pace.done_max_ns = max(m.pace.done_max_ns, done_ns)
    feed_watchdog(m, handed, now_ns)


cdef void write_journal(Machine* m, int64_t now_ns) noexcept nogil:
    cdef bint behind = m.step.journal_seq > m.inp.journalled_seq
    if m.out.journal_due:
        step_journal(&m.step, &m.record)
        journal_post(m.journal, &m.record)
    m.journal_behind_ns = (m.journal_behind_ns or now_ns) if behind else 0
    behind = behind and now_ns - m.journal_behind_ns > JOURNAL_LATE_NS
    if behind != m.journal_late:
        m.journal_late = behind
        emit(&m.step.sink, now_ns, EV_JOURNAL, LEVEL_ALARM if behind else LEVEL_INFO, -1, -1, -1, 2 if behind else 0, NAN, NAN)


cdef void publish(Machine* m, int64_t now_ns) noexcept nogil:
    cdef PlantState* state = &m.state
    cdef uint32_t refused = (FLAG_MLOCK_REFUSED if m.mlock_refused else 0) | (FLAG_AFFINITY_REFUSED if m.affinity_refused else 0)
    cdef bint news
    state.flags |= refused
    tell_flags(&m.step.sink, m.flags_told, refused, refused, now_ns)
    m.flags_told = refused
    news = m.step.sink.count > 0
    state.flags |= FLAG_JOURNAL_LATE if m.journal_late else 0
    state.periods, state.missed, state.missed_own = m.pace.periods, m.pace.missed, m.pace.missed_own
    state.wake_max_ns, state.step_max_ns, state.done_max_ns = m.pace.wake_max_ns, m.pace.step_max_ns, m.pace.done_max_ns
    memcpy(state.wake_bins, m.pace.wake_bins, sizeof(state.wake_bins))
    state.skips = m.pace.skips
    memcpy(state.skip_ns, m.pace.skip_ns, sizeof(state.skip_ns))
    memcpy(state.skip_periods, m.pace.skip_periods, sizeof(state.skip_periods))
    memcpy(state.step_bins, m.pace.step_bins, sizeof(state.step_bins))
    memcpy(state.done_bins, m.pace.done_bins, sizeof(state.done_bins))
    fleet_account(m.config, &m.fleet, state)
    loop_publish(m.shared, state, &m.step.sink)
    if news:
        wake(m.event_fd)


# --- the tick -----------------------------------------------------------------------------------------------------------------------------

cdef void tick(Machine* m, int64_t now_ns) noexcept nogil:
    read_all(m, now_ns)
    update(m, now_ns)
    write_commands(m, now_ns)
    write_journal(m, now_ns)
    publish(m, now_ns)


# --- the pace -----------------------------------------------------------------------------------------------------------------------------

cdef void note_skip(Pace* p, int64_t skipped, int64_t now_ns) noexcept nogil:
    p.skip_ns[p.skips % SKIPS], p.skip_periods[p.skips % SKIPS] = now_ns, <uint32_t> skipped
    p.skips += 1


cdef void account(Machine* m, int64_t now_ns) noexcept nogil:
    """The wait for this deadline is over: how late is it, and how many periods went by unused?"""
    cdef Pace* p = &m.pace
    cdef int64_t late_ns = now_ns - p.deadline_ns
    cdef int64_t skipped = late_ns // p.period_ns
    # A wait that began after its deadline follows a tick that took too long: its own doing, unless it had begun late itself.
    cdef bint own = p.slept_ns > p.deadline_ns and p.late_ns <= p.period_ns // 4
    if p.slept_ns <= p.deadline_ns:
        histogram_add(p.wake_bins, late_ns)
        p.wake_max_ns = max(p.wake_max_ns, late_ns)
    if skipped:
        note_skip(p, skipped, now_ns)
    p.missed += skipped
    p.missed_own += skipped if own else 0
    p.deadline_ns += skipped * p.period_ns
    p.late_ns = now_ns - p.deadline_ns if skipped == 0 else p.period_ns
    p.periods += 1
    if now_ns - p.second_ns >= NS_PER_S:
        p.overrun, p.missed_second, p.second_ns = p.missed - p.missed_second, p.missed, now_ns
    if p.missed > p.missed_told and now_ns - p.told_ns >= NS_PER_S:
        emit(&m.step.sink, now_ns, EV_PERIODS_MISSED, LEVEL_WARNING, -1, -1, -1, <int> (p.missed - p.missed_told), late_ns * 1e-9, NAN)
        p.missed_told, p.told_ns = p.missed, now_ns


cdef bint stop_over(Machine* m, bint proved, int64_t now_ns) noexcept nogil:
    return m.stop_ns != 0 and (proved or now_ns - m.stop_ns >= m.config.stop_timeout_ns)


cdef bint run_ticks(Machine* m) noexcept nogil:
    cdef Pace* p = &m.pace
    cdef bint proved = False
    cdef int64_t now_ns = monotonic_ns()
    prefault_stack()
    p.deadline_ns = now_ns + p.period_ns
    p.slept_ns = p.second_ns = now_ns
    while not stop_over(m, proved, now_ns):
        fleet_wait(m.config, &m.fleet, p.deadline_ns)
        now_ns = monotonic_ns()
        account(m, now_ns)
        tick(m, now_ns)
        proved = m.stop_ns != 0 and step_stopped(m.config, &m.inp, &m.step, now_ns) and fleet_stopped(m.config, &m.fleet, &m.inp)
        p.deadline_ns += p.period_ns
        p.slept_ns = monotonic_ns()
    emit(&m.step.sink, now_ns, EV_STOPPED, LEVEL_INFO if proved else LEVEL_ALARM, -1, -1, -1, proved, (now_ns - m.stop_ns) * 1e-9, NAN)
    publish(m, now_ns)
    fleet_close(m.config, &m.fleet, now_ns)
    lines_close(m.config, &m.lines)
    return proved


# --- the process's hand on it -------------------------------------------------------------------------------------------------------------

class LoopError(RuntimeError):
    """The loop cannot start with this configuration here; the message says why and what to do."""


cdef class LoopCore:
    """The machine as the loop process builds, starts and watches it.

    The thread that calls run() becomes the loop; others may meanwhile call request(), next_event() and the properties, one thread each.
    """

    cdef Machine m
    cdef SealedSite site
    cdef LoopSegments segments
    cdef Journal journal
    cdef uint64_t _next_event

    def __cinit__(self, SealedSite site not None, LoopSegments segments not None, Journal journal not None, *, int signal_fd, int event_fd,
                  int notify_fd=-1):
        cdef int bus
        memset(&self.m, 0, sizeof(Machine))
        self.site, self.segments, self.journal = site, segments, journal
        self.m.config, self.m.shared, self.m.journal = &site.config, &segments.side, &journal.box
        self.m.signal_fd, self.m.event_fd, self.m.notify_fd = signal_fd, event_fd, notify_fd
        self.m.pace.period_ns = <int64_t> (NS_PER_S / site.config.rate_hz)
        self._next_event = 1
        bus = fleet_init(self.m.config, &self.m.fleet, &self.m.inp, monotonic_ns())
        self._open_lines()
        if bus >= 0:
            raise LoopError(
                f"bus {bus} ({(&site.config.bus_path[bus * TEXT]).decode(errors='replace')}): not a numeric address or not a line this machine "
                "can set up; correct the site's file and seal it again"
            )

    cdef _open_lines(self):
        cdef int chip = lines_open(self.m.config, &self.m.lines)
        if chip < 0:
            return
        name = (&self.m.config.chip_path[chip * TEXT]).decode(errors="replace")
        if self.m.lines.last_errno:
            raise LoopError(f"{name}: {os.strerror(self.m.lines.last_errno)}; the digital inputs there cannot be read: name the chip and lines that "
                            "are free for this process (gpioinfo shows them), or connect them to a Modbus module")
        raise LoopError(f"{name}: one read takes {self.m.lines.fastest_ns / 1e6:.1f} ms, too long for a tick; connect these inputs to the processor "
                        "itself or to a Modbus module")

    @property
    def polled_chips(self) -> list:
        """GPIO chips whose kernel driver notes no changes: a contact that opens for less than a tick may be missed there."""
        return [(&self.m.config.chip_path[chip * TEXT]).decode(errors="replace") for chip in range(self.m.config.n_chips) if not self.m.lines.edges[chip]]

    def begin(self, *, bytes boot_id, bint warm, bint clock_trusted, int rt_errno, int mlock_errno, int affinity_errno) -> None:
        """What the step must know before the first tick. Refusals are given as errno, 0 = granted."""
        cdef StartFacts facts
        cdef int64_t now_ns = monotonic_ns()
        cdef bytes identity = self.site.identity
        memset(&facts, 0, sizeof(StartFacts))
        facts.now_ns, facts.realtime_s, facts.clock_trusted = now_ns, <int64_t> time.time(), clock_trusted
        memcpy(&facts.boot_id_hi, <const char*> boot_id, 8)
        memcpy(&facts.boot_id_lo, <const char*> boot_id + 8, 8)
        memcpy(facts.config_hash, <const char*> identity, 32)
        facts.journal_broken, facts.warm, facts.rt_refused = self.journal.broken, warm, rt_errno != 0
        self.m.mlock_refused, self.m.affinity_refused = mlock_errno != 0, affinity_errno != 0
        step_init(self.m.config, &self.m.step, &facts, &self.journal.newest if self.journal.found else NULL)
        emit(&self.m.step.sink, now_ns, EV_STARTED, LEVEL_INFO, -1, -1, -1, warm, self.m.config.rate_hz, NAN)
        if rt_errno:
            emit(&self.m.step.sink, now_ns, EV_RT_REFUSED, LEVEL_ALARM, -1, -1, -1, rt_errno, NAN, NAN)
        if self.journal.broken:
            emit(&self.m.step.sink, now_ns, EV_JOURNAL, LEVEL_ALARM, -1, -1, -1, 1, NAN, NAN)

    def run(self) -> bool:
        """Be the loop until an orderly stop is over. True when every PCS that is up was read back at 0 W and at rest."""
        cdef bint proved
        with nogil:
            proved = run_ticks(&self.m)
        return proved

    def request(self, int code, int arg=0) -> int | None:
        """Hand in a request of the operator at the machine. Its id, or None when too many wait already."""
        cdef Command command
        cdef uint64_t given
        memset(&command, 0, sizeof(Command))
        command.code, command.arg = code, arg
        given = command_push(&self.m.local, &command, load_acquire_u64(&self.m.local_taken))
        return given | LOCAL_IDS if given else None

    def next_event(self) -> dict | None:
        """The next event of this process, None when all are told. A reader that was overrun gets {"lost": how many} in between."""
        cdef Event event
        cdef uint64_t lost
        cdef int got = event_read(self.m.shared.events, self._next_event, &event)
        if got == 0:
            return None
        if got < 0:
            lost = load_acquire_u64(&self.m.shared.events.newest) - self._next_event
            self._next_event += lost
            return {"lost": lost}
        self._next_event += 1
        return event

    def where(self, int device) -> str:
        """The address of a device's bus, as the site's file states it."""
        if not 0 <= device < self.m.config.n_devices:
            return "no bus"
        bus = self.m.config.dev_bus[device]
        path = (&self.m.config.bus_path[bus * TEXT]).decode(errors="replace")
        return f"{path}:{self.m.config.bus_port[bus]}" if self.m.config.bus_kind[bus] == BUS_TCP else path

    @property
    def realtime(self) -> tuple:
        """What the site asks of the kernel: priority, processor (-1: any), whether real time is required."""
        return self.m.config.rt_priority, self.m.config.cpu, bool(self.m.config.rt_required)

    @property
    def warm_gap_ns(self) -> int:
        """The longest pause after which a start is a warm one."""
        return self.m.config.warm_gap_ns

    @property
    def last_tick_ns(self) -> int:
        """When the newest tick began, 0 before the first."""
        return self.m.step.last_ns if self.m.step.tick else 0

    def status(self) -> dict:
        """A glance for the operator when nothing else answers; read while the loop runs, each value by itself."""
        state = &self.m.state
        return {
            "tick": state.tick, "mode": state.mode, "internal": state.internal, "flags": state.flags, "ess_w": state.ess_w,
            "command_w": state.command_w, "lo_w": state.lo_w, "hi_w": state.hi_w, "periods": state.periods, "missed": state.missed,
            "missed_own": state.missed_own,
        }
