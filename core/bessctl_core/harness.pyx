"""The step alone, in simulated time: what tests, the simulator and the step bench drive. No clock, no socket, no file."""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from .layout cimport (
    EV_COMMISSION, MAX_ROWS, MAX_SLOTS, MAX_UNITS, PLACES, QUANTITIES, Event, Inputs, JournalRecord, Outputs, Plan, PlantState, SiteConfig,
)
from .state cimport StartFacts, StepState
from .step cimport step_ask_stop, step_init, step_journal, step_offer_plan, step_refuse_plan, step_run, step_stopped


cdef class StepHarness:
    """One plant's step with its inputs, all in one process and one thread. Powers W, positive toward the grid; times ns of an invented clock."""

    cdef SiteConfig* _c
    cdef StepState* _s
    cdef Inputs _inp
    cdef Outputs _out
    cdef PlantState _pub
    cdef readonly int64_t now_ns

    def __cinit__(self):
        self._c = <SiteConfig*> malloc(sizeof(SiteConfig))
        self._s = <StepState*> malloc(sizeof(StepState))
        if self._c == NULL or self._s == NULL:
            raise MemoryError
        memset(&self._inp, 0, sizeof(Inputs))
        memset(&self._pub, 0, sizeof(PlantState))

    def __dealloc__(self):
        free(self._c)
        free(self._s)

    def __init__(self, config, *, int64_t now_ns=1_000_000_000_000, int64_t realtime_s=1_700_000_000, bint clock_trusted=True, boot_id=(1, 2),
                 bytes config_hash=b"\0" * 32, bytes journal=None, bint journal_broken=False, bint warm=False, bint rt_refused=False,
                 bint commissioned=True):
        cdef const uint8_t[::1] view = config
        cdef StartFacts facts
        cdef JournalRecord record
        cdef int i
        if <size_t> view.shape[0] != sizeof(SiteConfig):
            raise ValueError(f"the configuration has {view.shape[0]} bytes, not {sizeof(SiteConfig)}")
        memcpy(self._c, &view[0], sizeof(SiteConfig))
        for i in range(PLACES * QUANTITIES):
            self._inp.value[i] = NAN
        for i in range(16):
            self._inp.wset_scale_w[i] = self._inp.varset_scale_var[i] = NAN
        memset(&facts, 0, sizeof(StartFacts))
        facts.now_ns, facts.realtime_s, facts.clock_trusted = now_ns, realtime_s, clock_trusted
        facts.boot_id_hi, facts.boot_id_lo = boot_id
        memcpy(facts.config_hash, <const char*> config_hash, 32)
        facts.journal_broken, facts.warm, facts.rt_refused = journal_broken, warm, rt_refused
        if journal is not None:
            memcpy(&record, <const char*> journal, sizeof(JournalRecord))
        self.now_ns = now_ns
        step_init(self._c, self._s, &facts, &record if journal is not None else NULL)
        if commissioned:
            self._commission()

    def _commission(self):
        """As if every unit had been tried before (R16)."""
        cdef int i
        cdef int kept = 0
        memset(self._s.commission.done, 1, sizeof(self._s.commission.done))
        for i in range(self._s.sink.count):
            if self._s.sink.item[i].code != EV_COMMISSION:
                self._s.sink.item[kept] = self._s.sink.item[i]
                kept += 1
        self._s.sink.count = kept

    def set(self, int place, int quantity, double value, sampled_ns=None) -> None:
        """A measurement; `sampled_ns` is now where not given."""
        cdef int at = place * QUANTITIES + quantity
        if not 0 <= at < PLACES * QUANTITIES:
            raise IndexError(at)
        self._inp.value[at] = value
        self._inp.sampled_ns[at] = self.now_ns if sampled_ns is None else sampled_ns

    def set_devices(self, int unit, int pcs_state, int bms_state, double wset_scale_w) -> None:
        """DeviceState of a unit's PCS and BMS, and the watts that one count of its set point is worth."""
        self._inp.pcs_state[unit], self._inp.bms_state[unit], self._inp.wset_scale_w[unit] = pcs_state, bms_state, wset_scale_w

    def set_reactive(self, int unit, double varset_scale_var) -> None:
        """The var that one count of a unit's reactive set point is worth; NaN: it takes none."""
        self._inp.varset_scale_var[unit] = varset_scale_var

    def set_meter(self, int meter_state) -> None:
        """DeviceState of the meter at the PCC."""
        self._inp.meter_state = meter_state

    def set_shed_unconfirmed(self, bint unconfirmed) -> None:
        """R3: what the driver found out about the load-shed output."""
        self._inp.shed_unconfirmed = unconfirmed

    def set_unconfirmed(self, int unit, bint unconfirmed) -> None:
        """R11: what the driver found out about the unit's set point."""
        self._inp.unconfirmed[unit] = unconfirmed

    def offer_plan(self, int slot, plan) -> None:
        """A Plan structure (layout.dtype("Plan")), as the loop takes it from the slot's buffer before a tick."""
        cdef const uint8_t[::1] view = plan
        cdef Plan copy
        if <size_t> view.shape[0] != sizeof(Plan):
            raise ValueError(f"the plan has {view.shape[0]} bytes, not {sizeof(Plan)}")
        memcpy(&copy, &view[0], sizeof(Plan))
        step_offer_plan(self._c, self._s, slot, &copy, self.now_ns)

    def refuse_plan(self, int slot, int fault) -> None:
        """As the loop does with a plan of which no whole copy could be read (PLAN_TORN)."""
        step_refuse_plan(self._s, slot, fault, self.now_ns)

    def command(self, uint64_t ident, int code, *, bint local=True, int arg=0) -> None:
        """A request for the next tick; one at a time."""
        self._inp.n_commands = 1
        self._inp.command0.id, self._inp.command0.code = ident, code
        self._inp.command0.local, self._inp.command0.arg = local, arg

    def journalled(self, uint64_t seq) -> None:
        """The disk holds records up to this one."""
        self._inp.journalled_seq = seq

    def tick(self, int64_t now_ns) -> None:
        """One step at this instant."""
        self.now_ns = now_ns
        step_run(self._c, &self._inp, self._s, now_ns, &self._out, &self._pub)
        self._inp.n_commands = 0

    def ask_stop(self) -> None:
        """As SIGTERM does."""
        step_ask_stop(self._s)

    @property
    def stopped(self) -> bool:
        """The orderly stop is finished."""
        return step_stopped(self._c, &self._inp, self._s, self.now_ns)

    @property
    def out(self) -> dict:
        """The commands of the last tick (Outputs)."""
        cdef Outputs* o = &self._out
        fields = <dict> o[0]
        fields["cmd_run"], fields["cmd_open"], fields["cmd_close"] = o.cmd_run[:MAX_UNITS], o.cmd_open[:MAX_UNITS], o.cmd_close[:MAX_UNITS]
        return fields

    @property
    def state(self) -> dict:
        """The published state of the last tick (PlantState)."""
        cdef PlantState* s = &self._pub
        fields = <dict> s[0]
        # Left to itself Cython takes an array of bytes for a C string and ends it at the first zero.
        for name, codes in (
            ("unit_lo_bind", s.unit_lo_bind[:MAX_UNITS]), ("unit_hi_bind", s.unit_hi_bind[:MAX_UNITS]),
            ("unit_run", s.unit_run[:MAX_UNITS]), ("pcs_state", s.pcs_state[:MAX_UNITS]), ("bms_state", s.bms_state[:MAX_UNITS]),
            ("unit_contactor", s.unit_contactor[:MAX_UNITS]), ("row_active", s.row_active[:MAX_ROWS]), ("row_latched", s.row_latched[:MAX_ROWS]),
            ("slot_q_kind", s.slot_q_kind[:MAX_SLOTS]), ("slot_state", s.slot_state[:MAX_SLOTS]), ("slot_fault", s.slot_fault[:MAX_SLOTS]),
            ("unit_commissioned", s.unit_commissioned[:MAX_UNITS]), ("unit_disconnect", s.unit_disconnect[:MAX_UNITS]),
        ):
            fields[name] = codes
        return fields

    def published(self) -> bytes:
        """The published state as it lies in memory (layout.dtype("PlantState")): for stories of many ticks."""
        return (<const char*> &self._pub)[:sizeof(PlantState)]

    def value(self, int place, int quantity) -> float:
        """One input as the step sees it, derived quantities included."""
        return self._inp.value[place * QUANTITIES + quantity]

    def events(self) -> list:
        """The events since the last call."""
        events = [self._s.sink.item[i] for i in range(self._s.sink.count)]
        self._s.sink.count = 0
        return events

    def journal(self) -> bytes:
        """The record that is due now, without its crc."""
        cdef JournalRecord record
        step_journal(self._s, &record)
        return (<const char*> &record)[:sizeof(JournalRecord)]

    def time_ticks(self, int64_t[::1] durations_ns, int64_t period_ns, plans=None) -> None:
        """Run len(durations_ns) ticks and store what each took, ns of CLOCK_MONOTONIC.

        Measurements are kept fresh. `plans`: a buffer of MAX_SLOTS Plan structures that is offered anew in every tick.
        """
        cdef timespec before, after
        cdef int64_t i
        cdef int at, slot
        cdef const uint8_t[::1] view
        cdef const Plan* offered = NULL
        if plans is not None:
            view = plans
            if <size_t> view.shape[0] < self._c.n_slots * sizeof(Plan):
                raise ValueError("a plan for each slot is needed")
            offered = <const Plan*> &view[0]
        with nogil:
            for i in range(durations_ns.shape[0]):
                self.now_ns += period_ns
                for at in range(PLACES * QUANTITIES):
                    if self._inp.sampled_ns[at] > 0:
                        self._inp.sampled_ns[at] = self.now_ns
                clock_gettime(CLOCK_MONOTONIC, &before)
                if offered != NULL:
                    for slot in range(self._c.n_slots):
                        step_offer_plan(self._c, self._s, slot, &offered[slot], self.now_ns)
                step_run(self._c, &self._inp, self._s, self.now_ns, &self._out, &self._pub)
                clock_gettime(CLOCK_MONOTONIC, &after)
                self._s.sink.count = 0
                durations_ns[i] = (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec
