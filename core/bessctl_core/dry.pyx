"""The loop in invented time: its step, its drivers and its buses as they are, against the simulated plants' own Modbus slave. See dry.pyi.

Nothing is modelled twice. Questions and answers are real frames through a socket pair per bus; sampling, data age, time-outs, the pace of a
serial line and the PCS's dead time come out as they do in real time, only that the instants are handed in. A link is looked after every
LINK_NS: that is how long an answer over TCP takes here.

What a loop process adds to this and is not here: shared memory, the journal's thread (a record is on disk `journal_ns` after the tick
that asked for it) and the scheduling of a real machine.
"""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from .bus cimport BUS_AWAIT, BUS_DOWN, BUS_IDLE, BUS_QUIET, FAULT_CLOSED, FAULT_CONNECT, Bus, bus_step
from .bus_state cimport go_down, go_up
from .events cimport LEVEL_INFO, emit
from .fleet cimport Fleet, fleet_account, fleet_close, fleet_init, fleet_release, fleet_send, fleet_stopped, fleet_take
from .layout cimport (
    BUS_RTU, EV_STARTED, MAX_BUSES, MAX_ROWS, MAX_SLOTS, MAX_UNITS, NS_PER_S, PLANT, Q_OVERRUN_PER_S, QUANTITIES, Inputs,
    JournalRecord, Outputs, Plan, PlantState, SiteConfig,
)
from .plans cimport plan_fault
from .ports cimport fill
from .posix_io cimport POLLIN, POLLOUT, close
from .recorder cimport Recorder
from .sealed cimport SealedSite
from .sim.epoll_loop cimport END_RTU, END_TCP, End, end_add, end_close, receive, step_plants, work
from .sim.plant cimport Plant
from .sim.server cimport PlantServer
from .state cimport StartFacts, StepState
from .step cimport step_ask_stop, step_init, step_journal, step_offer_plan, step_run, step_stopped

cdef extern from "<sys/socket.h>" nogil:
    int AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC
    int socketpair(int domain, int kind, int protocol, int* pair)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC
    int epoll_create1(int)

cdef extern from "<errno.h>" nogil:
    int ECONNREFUSED, ECONNRESET

cdef int64_t LINK_NS = 500000

cdef struct Wire:               # one bus of the loop and what is at its other end
    int server_bus
    int end                     # of the server; -1: none
    uint64_t sent               # bytes the bus had sent when its end last looked
    bint cut                    # nobody takes the connection
    int64_t char_ns


cdef class DryLoop:
    """One plant's loop and its simulated devices, in one thread. `wiring[i]` is the server's bus behind the loop's bus i."""

    cdef SealedSite _site
    cdef PlantServer _server
    cdef SiteConfig* _c
    cdef Fleet* _f
    cdef StepState* _s
    cdef Inputs _inp
    cdef Outputs _out
    cdef PlantState _pub
    cdef JournalRecord _disk
    cdef JournalRecord _wet             # on its way to the disk
    cdef bint _on_disk
    cdef uint64_t _journalled
    cdef int64_t _wet_due_ns            # 0: none is on its way
    cdef Wire[MAX_BUSES] _wire
    cdef Recorder _recorder
    cdef list _events
    cdef uint64_t _event_seq
    cdef uint64_t _serial
    cdef int64_t _tick_ns
    cdef int64_t _period_ns
    cdef int64_t _boot_ns
    cdef uint64_t _boots
    cdef list _asked
    cdef readonly int64_t now_ns
    cdef public int64_t journal_ns
    cdef public double overrun_per_s    # what the loop is told of its own pace
    cdef public bint disk_broken
    cdef readonly bint running

    def __cinit__(self, SealedSite site not None, PlantServer server not None, wiring, *, int64_t now_ns=1_000_000_000_000):
        cdef Plant plant
        cdef int i
        self._site, self._server = site, server
        self._c = &site.config
        self._f = <Fleet*> calloc(1, sizeof(Fleet))
        self._s = <StepState*> calloc(1, sizeof(StepState))
        if self._f == NULL or self._s == NULL:
            raise MemoryError
        if len(wiring) != self._c.n_buses:
            raise ValueError(f"{self._c.n_buses} buses, {len(wiring)} wires")
        self._events, self._asked = [], []
        self.now_ns = self._boot_ns = now_ns
        self.journal_ns = 5_000_000
        self._period_ns = <int64_t> (NS_PER_S / self._c.rate_hz)
        server.s.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        server.s.real_time = 1
        for plant in server.plants:
            plant.served = True
            plant.p.epoch_ns = now_ns - plant.p.now_ns
        for i in range(self._c.n_buses):
            memset(&self._wire[i], 0, sizeof(Wire))
            self._wire[i].server_bus, self._wire[i].end = wiring[i], -1
            if self._c.bus_kind[i] == BUS_RTU:
                self._wire[i].char_ns = 11 * <int64_t> NS_PER_S // self._c.bus_baud[i]

    def __dealloc__(self):
        if self._f != NULL and self.running:
            fleet_close(self._c, self._f, self.now_ns)
        if self._server is not None:
            for i in range(self._c.n_buses):
                self._hang_up(i)
            close(self._server.s.epoll_fd)
        free(self._f)
        free(self._s)

    # --- the life of the loop ---------------------------------------------------------------------------------------------------------

    def start(self, *, bint warm=False, bint journal_lost=False, bint reboot=False, bint commissioned=True) -> None:
        """The loop process starts, with what the journal holds. `warm` as its caller sees it: same boot, a short gap. `commissioned`: units
        count as tried although no journal says so."""
        cdef StartFacts facts
        cdef bytes identity = self._site.identity
        if reboot:
            self._boots += 1
        memset(&facts, 0, sizeof(StartFacts))
        facts.now_ns, facts.realtime_s = self.now_ns, 1_700_000_000 + self.now_ns // NS_PER_S
        facts.boot_id_hi, facts.boot_id_lo = 1, 2 + self._boots
        memcpy(facts.config_hash, <const char*> identity, 32)
        facts.warm, facts.clock_trusted = warm, 1
        facts.journal_broken = journal_lost
        fleet_init(self._c, self._f, &self._inp, self.now_ns)
        step_init(self._c, self._s, &facts, &self._disk if self._on_disk and not journal_lost else NULL)
        if not self._on_disk and commissioned:
            # Simulated units need no trial (R16).
            memset(self._s.commission.done, 1, sizeof(self._s.commission.done))
        emit(&self._s.sink, self.now_ns, EV_STARTED, LEVEL_INFO, -1, -1, -1, warm, self._c.rate_hz, NAN)
        self._wet_due_ns = 0
        self._tick_ns = self.now_ns + self._period_ns
        self.running = True

    def kill(self) -> None:
        """The loop's process is gone between two ticks, its connections with it. What was not on disk is lost."""
        fleet_close(self._c, self._f, self.now_ns)
        for i in range(self._c.n_buses):
            self._hang_up(i)
        self._wet_due_ns = 0
        self.running = False

    def ask_stop(self) -> None:
        """As SIGTERM does."""
        step_ask_stop(self._s)

    @property
    def stopped(self) -> bool:
        """The orderly stop is over: commanded, measured and read back at rest."""
        return step_stopped(self._c, &self._inp, self._s, self.now_ns) and fleet_stopped(self._c, self._f, &self._inp)

    # --- what the supervisor and the operator do ---------------------------------------------------------------------------------------

    def offer(self, int slot, int64_t lease_until_ns, int lapse, live, fallback=(), *, bint old_boot=False) -> int:
        """A plan as PlanPort.write takes it. Returns the PlanFault for which it is refused, 0 when it rules from the next tick on."""
        cdef Plan plan
        cdef int fault
        memset(&plan, 0, sizeof(Plan))
        fill(&plan.live, live)
        fill(&plan.fallback, fallback)
        self._serial += 1
        plan.boot_id_hi, plan.boot_id_lo = 1, 2 + self._boots - (1 if old_boot else 0)
        plan.serial, plan.lease_until_ns, plan.lapse = self._serial, lease_until_ns, lapse
        fault = plan_fault(self._c, slot, &plan, 1, 2 + self._boots, self.now_ns)
        if self.running:
            step_offer_plan(self._c, self._s, slot, &plan, self.now_ns)
        return fault

    def command(self, uint64_t ident, int code, *, bint local=True, int arg=0) -> None:
        """A request; one a tick is taken, in order."""
        self._asked.append((ident, code, local, arg))

    # --- wires -------------------------------------------------------------------------------------------------------------------------

    def cut(self, int bus, bint down=True) -> None:
        """The link of a bus is down: what was connected ends, and nobody answers a connect; until down=False."""
        self._wire[bus].cut = down
        if down and self.running and BUS_IDLE <= self._f.bus[bus].state <= BUS_QUIET:
            go_down(&self._f.bus[bus], FAULT_CLOSED, ECONNRESET, self.now_ns)
        if down:
            self._hang_up(bus)

    cdef void _hang_up(self, int i) noexcept:
        if self._wire[i].end >= 0:
            end_close(&self._server.s.ends[self._wire[i].end])
            self._wire[i].end = -1

    cdef void _connect(self, int i) noexcept:
        cdef Bus* b = &self._f.bus[i]
        cdef Wire* w = &self._wire[i]
        cdef int[2] pair
        if b.link.fd < 0:
            self._hang_up(i)
        if b.state != BUS_DOWN or self.now_ns < b.retry_ns:
            return
        if w.cut or socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0:
            go_down(b, FAULT_CONNECT, ECONNREFUSED, self.now_ns)
            return
        w.end = end_add(self._server.s, END_RTU if w.char_ns else END_TCP, pair[1], w.server_bus)
        self._server.s.ends[w.end].char_ns = w.char_ns
        self._server.s.ends[w.end].quiet_ns = max(<int64_t> 5000000, 7 * w.char_ns // 2)
        w.sent = b.count.bytes_out
        b.link.fd = pair[0]
        go_up(b, self.now_ns)

    cdef void _serve(self, int i) noexcept:
        cdef Wire* w = &self._wire[i]
        cdef Bus* b = &self._f.bus[i]
        cdef End* e
        if w.end < 0:
            return
        e = &self._server.s.ends[w.end]
        if b.count.bytes_out != w.sent:
            w.sent = b.count.bytes_out
            receive(self._server.s, e, self.now_ns)
        elif e.q_n or e.rx_n:
            work(self._server.s, e, self.now_ns)
        if e.kind == 0:
            w.end = -1

    cdef void _links(self) noexcept:
        cdef int i
        cdef Bus* b
        for i in range(self._c.n_buses):
            b = &self._f.bus[i]
            self._connect(i)
            self._serve(i)
            if b.state == BUS_AWAIT or b.state == BUS_QUIET or (b.state == BUS_IDLE and b.commands.count + b.polls.count > 0):
                bus_step(b, self.now_ns, POLLIN | POLLOUT)

    # --- time --------------------------------------------------------------------------------------------------------------------------

    cdef void _pass(self, int64_t until_ns) noexcept:
        while self.now_ns < until_ns:
            self.now_ns = min(until_ns, self.now_ns + LINK_NS)
            step_plants(self._server.s, self.now_ns)
            if self.running:
                self._links()

    cdef void _journal(self) noexcept:
        if self._wet_due_ns and self.now_ns >= self._wet_due_ns and not self.disk_broken:
            memcpy(&self._disk, &self._wet, sizeof(JournalRecord))
            self._on_disk, self._wet_due_ns = True, 0
            self._journalled = self._disk.seq
        if self._out.journal_due:
            step_journal(self._s, &self._wet)
            self._wet_due_ns = self.now_ns + self.journal_ns
            self._out.journal_due = 0

    cdef void _take_request(self):
        self._inp.n_commands = 0
        if self._asked:
            self._inp.command0.id, self._inp.command0.code, self._inp.command0.local, self._inp.command0.arg = self._asked.pop(0)
            self._inp.n_commands = 1

    cdef void _tick(self):
        cdef int overrun = PLANT * QUANTITIES + Q_OVERRUN_PER_S
        fleet_take(self._c, self._f, &self._inp, &self._s.sink, self.now_ns)
        self._take_request()
        self._inp.journalled_seq = self._journalled
        self._inp.value[overrun], self._inp.sampled_ns[overrun] = self.overrun_per_s, self.now_ns
        step_run(self._c, &self._inp, self._s, self.now_ns, &self._out, &self._pub)
        if self._out.release:
            fleet_release(self._c, self._f)
        fleet_send(self._c, self._f, &self._inp, &self._out, &self._s.sink, self.now_ns)
        self._journal()
        fleet_account(self._c, self._f, &self._pub)
        self._drain()

    cdef void _drain(self):
        cdef int i
        for i in range(self._s.sink.count):
            self._event_seq += 1
            self._s.sink.item[i].seq = self._event_seq
            self._events.append(self._s.sink.item[i])
        self._s.sink.count = 0

    def run(self, int64_t until_ns) -> None:
        """Time goes on to `until_ns`. Each tick, and each period in which no loop runs, is recorded."""
        while self._tick_ns <= until_ns:
            self._pass(self._tick_ns)
            if self.running:
                self._tick()
            if self._recorder is not None:
                self._recorder.note(self.now_ns)
            self._tick_ns += self._period_ns
        self._pass(until_ns)

    # --- what is seen ------------------------------------------------------------------------------------------------------------------

    def watch(self, list names) -> None:
        """What each tick records from now on: (side, field, index), see recorder.pyx."""
        self._recorder = Recorder(names, <size_t> &self._pub, self._server.plants, self._boot_ns)

    def recorded(self) -> bytes:
        """What was recorded since the last call: see Recorder.taken."""
        return self._recorder.taken() if self._recorder is not None else b""

    def events(self) -> list:
        """The events since the last call, each a dict of Event's fields."""
        events, self._events = self._events, []
        return events

    @property
    def state(self) -> dict:
        """The published state of the last tick (PlantState)."""
        cdef PlantState* s = &self._pub
        fields = <dict> s[0]
        # Left to itself Cython takes an array of bytes for a C string and ends it at the first zero.
        for name, codes in (
            ("unit_lo_bind", s.unit_lo_bind[:MAX_UNITS]), ("unit_hi_bind", s.unit_hi_bind[:MAX_UNITS]),
            ("unit_run", s.unit_run[:MAX_UNITS]), ("pcs_state", s.pcs_state[:MAX_UNITS]), ("bms_state", s.bms_state[:MAX_UNITS]),
            ("row_active", s.row_active[:MAX_ROWS]), ("row_latched", s.row_latched[:MAX_ROWS]),
            ("slot_state", s.slot_state[:MAX_SLOTS]), ("slot_fault", s.slot_fault[:MAX_SLOTS]),
            ("bus_exception_code", s.bus_exception_code[:MAX_BUSES]), ("unit_commissioned", s.unit_commissioned[:MAX_UNITS]),
            ("unit_disconnect", s.unit_disconnect[:MAX_UNITS]), ("unit_contactor", s.unit_contactor[:MAX_UNITS]),
        ):
            fields[name] = codes
        return fields
