"""The mode of the machine and the requests that change it; the rules stand in modes.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from .commission cimport commission_init, commission_settle, commission_try
from .energy cimport energy_fill, energy_init
from .events cimport LEVEL_ALARM, LEVEL_INFO, LEVEL_WARNING, emit
from .layout cimport (
    ACT_BLOCK, CMD_COMMISSIONED, CMD_OUT_OF_SERVICE, CMD_RELEASE, CMD_RESET, CMD_START, CMD_STOP, CMD_TRY, DEV_UP, EV_ACQUIRED, EV_COMMAND_DONE,
    EV_COMMAND_REFUSED, EV_INTERNAL, EV_MODE, EV_RESET_DONE, EV_RESET_REFUSED, MAX_ROWS, MAX_UNITS, MODE_ACQUIRE,
    MODE_OUT_OF_SERVICE, MODE_RUN, MODE_STANDBY, MODE_START_FAILED, MODE_STOPPED, MODE_STOPPING, MODE_TRIPPED, NS_PER_S, PLANT, Command,
    TRIP_JOURNAL, TRIP_OTHER_CONFIG, TRIP_STARTS,
)
from .contactor cimport contactors_retry
from .plans cimport slot_clear
from .protect cimport row_sees, rows_ask_reset, rows_keep, rows_recall, rows_reset
from .state cimport Pending
from .units cimport UnitTable, unit_arrived

cdef enum:
    START_WINDOW_S = 600            # R6: three starts within it are a trip

# R6: at most 10 s are lost at a power cut. A record not on disk within a second is told (JOURNAL_LATE_NS), so that what it takes is known.
cdef int64_t ENERGY_PERIOD_NS = 9 * <int64_t> NS_PER_S


# --- start --------------------------------------------------------------------------------------------------------------------------------

cdef bint any_latched(const JournalRecord* journal) noexcept nogil:
    cdef int row
    for row in range(MAX_ROWS):
        if journal.latched[row]:
            return True
    return False


cdef void recall(const SiteConfig* c, StepState* s, const JournalRecord* journal, int64_t now_ns) noexcept nogil:
    """What the journal knows of the time before."""
    cdef int row
    s.journal_seq = journal.seq
    s.operator_mode = journal.operator_mode if journal.operator_mode in (MODE_STOPPED, MODE_OUT_OF_SERVICE) else MODE_RUN
    s.internal = journal.internal
    if memcmp(journal.config_hash, s.config_hash, 32) == 0:
        for row in range(c.n_rows):
            if journal.latched[row]:
                rows_recall(c, &s.rows, row)
    elif any_latched(journal):
        # Rows may have moved: nobody can say which of today's rows was latched, so the machine as a whole is.
        trip_internal(s, TRIP_OTHER_CONFIG, now_ns)


cdef const uint8_t* commissioned(const StepState* s, const JournalRecord* journal) noexcept nogil:
    """R16: what was tried counts under the configuration it was tried with."""
    if journal == NULL or memcmp(journal.config_hash, s.config_hash, 32) != 0:
        return NULL
    return journal.commissioned


cdef bint starts_too_often(const StepState* s) noexcept nogil:
    """Three starts in the window."""
    return 0 <= s.start_age_s[2] < START_WINDOW_S


cdef int64_t off_ns(const StartFacts* facts, const JournalRecord* journal) noexcept nogil:
    """How long, at least, no loop ran before this start. Within a boot CLOCK_MONOTONIC says it, else a time of day trusted then and now (R8).
    Without one only the time since the boot is sure: a clock that begins at the same instant with each boot makes no starts out of boots."""
    if journal.boot_id_hi == facts.boot_id_hi and journal.boot_id_lo == facts.boot_id_lo:
        return max(facts.now_ns - journal.at_ns, <int64_t> 0)
    if journal.clock_trusted and facts.clock_trusted:
        return max((facts.realtime_s - journal.at_realtime_s) * NS_PER_S, <int64_t> 0)
    return facts.now_ns


cdef int64_t time_off(const StartFacts* facts, const JournalRecord* journal) noexcept nogil:
    """How long no loop ran, -1 where nobody knows."""
    cdef bint known = False
    if journal != NULL:
        known = journal.boot_id_hi == facts.boot_id_hi and journal.boot_id_lo == facts.boot_id_lo
        known = known or journal.clock_trusted and facts.clock_trusted
    return off_ns(facts, journal) if known else -1


cdef void count_start(StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil:
    """This start and the two before it, by how long ago they were."""
    cdef int i
    s.start_age_s[0], s.start_age_s[1], s.start_age_s[2] = 0, -1, -1
    if journal == NULL:
        return
    for i in range(2):
        if journal.start_age_s[i] >= 0:
            s.start_age_s[i + 1] = journal.start_age_s[i] + off_ns(facts, journal) // NS_PER_S


cdef void modes_init(const SiteConfig* c, StepState* s, const StartFacts* facts, const JournalRecord* journal) noexcept nogil:
    cdef int row
    s.mode, s.operator_mode = MODE_ACQUIRE, MODE_RUN
    s.start_ns = s.mode_since_ns = s.last_ns = s.journal_ns = facts.now_ns
    s.boot_id_hi, s.boot_id_lo = facts.boot_id_hi, facts.boot_id_lo
    memcpy(s.config_hash, facts.config_hash, 32)
    s.realtime_s, s.clock_trusted = facts.realtime_s, facts.clock_trusted
    if journal != NULL:
        recall(c, s, journal, facts.now_ns)
    count_start(s, facts, journal)
    energy_init(c, &s.energy, journal, time_off(facts, journal))
    if facts.journal_broken:
        trip_internal(s, TRIP_JOURNAL, facts.now_ns)
    if starts_too_often(s):
        trip_internal(s, TRIP_STARTS, facts.now_ns)
    commission_init(c, &s.commission, commissioned(s, journal), &s.sink, facts.now_ns)
    s.rt_blocked = facts.rt_refused and c.rt_required
    s.operator_next = s.operator_mode
    s.warm = facts.warm and s.internal == 0 and s.operator_mode == MODE_RUN and not s.rt_blocked
    for row in range(c.n_rows):
        if s.rows.latched[row]:
            s.warm = 0
    s.journal_due = 1


# --- requests -----------------------------------------------------------------------------------------------------------------------------

cdef void answer(StepState* s, uint64_t command_id, bint done, int row, int64_t now_ns) noexcept nogil:
    emit(&s.sink, now_ns, EV_COMMAND_DONE if done else EV_COMMAND_REFUSED, LEVEL_INFO if done else LEVEL_WARNING, -1, row, -1,
         <int> command_id, <double> command_id, 0)


cdef void settle(StepState* s, Pending* pending, bint done, int row, int64_t now_ns) noexcept nogil:
    if pending.waiting:
        pending.waiting = 0
        answer(s, pending.command_id, done, row, now_ns)


cdef void wait_for_journal(StepState* s, Pending* pending, const Command* command, int64_t now_ns) noexcept nogil:
    """The record of this tick makes it durable. A newer request replaces one that still waits."""
    settle(s, pending, False, -1, now_ns)
    s.journal_due = 1
    pending.waiting, pending.command_id, pending.local, pending.journal_seq = 1, command.id, command.local, s.journal_seq + 1


cdef void call_off_reset(StepState* s, int row, int64_t now_ns) noexcept nogil:
    """Something tripped again before the reset was durable. The record that told of it is replaced."""
    rows_keep(&s.rows)
    s.internal_clearing = 0
    s.journal_due = 1
    emit(&s.sink, now_ns, EV_RESET_REFUSED, LEVEL_WARNING, -1, row, -1, row, 0, 0)
    settle(s, &s.reset, False, row, now_ns)


cdef void ask_operator(StepState* s, const Command* command, int mode, int64_t now_ns) noexcept nogil:
    s.operator_next = <uint8_t> mode
    if mode != MODE_RUN:
        s.operator_mode = <uint8_t> mode
    wait_for_journal(s, &s.operator, command, now_ns)


cdef void ask_reset(const SiteConfig* c, StepState* s, const Command* command, int64_t now_ns) noexcept nogil:
    # The machine's own trips first: rows that are asked are marked, and what is marked is not latched in the next record.
    cdef bint forbidden = s.internal and not command.local
    cdef int row = -1 if forbidden else rows_ask_reset(c, &s.rows, command.local)
    if forbidden or row >= 0:
        emit(&s.sink, now_ns, EV_RESET_REFUSED, LEVEL_WARNING, -1, row, -1, row, 0, 0)
        answer(s, command.id, False, row, now_ns)
        return
    s.internal_clearing = s.internal
    wait_for_journal(s, &s.reset, command, now_ns)


cdef void take_command(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    cdef const Command* command = &inp.command0
    if inp.n_commands == 0:
        return
    if command.code == CMD_RESET:
        ask_reset(c, s, command, now_ns)
    elif not command.local:
        answer(s, command.id, False, -1, now_ns)
    elif command.code == CMD_STOP:
        # Out of service is the stronger of the two: a stop does not bring the plant back half way.
        ask_operator(s, command, s.operator_mode if s.operator_mode == MODE_OUT_OF_SERVICE else MODE_STOPPED, now_ns)
    elif command.code == CMD_OUT_OF_SERVICE:
        ask_operator(s, command, MODE_OUT_OF_SERVICE, now_ns)
    elif command.code == CMD_START:
        ask_operator(s, command, MODE_RUN, now_ns)
    elif command.code == CMD_RELEASE and 0 <= command.arg < c.n_slots:
        slot_clear(c, &s.slots, command.arg, now_ns)
        answer(s, command.id, True, -1, now_ns)
    elif command.code == CMD_TRY and -1 <= command.arg < c.n_units:
        commission_try(&s.commission, command.arg, &s.sink, now_ns)
        answer(s, command.id, True, -1, now_ns)
    elif command.code == CMD_COMMISSIONED and 0 <= command.arg < c.n_units:
        s.commission.asked[command.arg] = 1
        wait_for_journal(s, &s.commissioning, command, now_ns)
    else:
        answer(s, command.id, False, -1, now_ns)


cdef void begin_again(const SiteConfig* c, StepState* s, bint local) noexcept nogil:
    """A start or reset is durable: what was given up is tried again; set points left to others only by the operator at the machine."""
    contactors_retry(c, &s.contactors)
    s.release = s.release or local


cdef void settle_pending(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    cdef int cleared
    if s.operator.waiting and inp.journalled_seq >= s.operator.journal_seq:
        s.operator_mode = s.operator_next
        if s.operator_mode == MODE_RUN:
            begin_again(c, s, s.operator.local)
        settle(s, &s.operator, True, -1, now_ns)
    if s.commissioning.waiting and inp.journalled_seq >= s.commissioning.journal_seq:
        commission_settle(c, &s.commission, &s.sink, now_ns)
        settle(s, &s.commissioning, True, -1, now_ns)
    if s.reset.waiting and inp.journalled_seq >= s.reset.journal_seq:
        cleared = rows_reset(c, &s.rows)
        begin_again(c, s, s.reset.local)
        s.internal &= ~s.internal_clearing
        s.internal_clearing = 0
        emit(&s.sink, now_ns, EV_RESET_DONE, LEVEL_INFO, -1, -1, -1, cleared, 0, 0)
        settle(s, &s.reset, True, -1, now_ns)


# --- the mode -----------------------------------------------------------------------------------------------------------------------------

cdef void trip_internal(StepState* s, int bit, int64_t now_ns) noexcept nogil:
    if not s.internal & bit:
        s.journal_due = 1
        emit(&s.sink, now_ns, EV_INTERNAL, LEVEL_ALARM, -1, -1, -1, bit, 0, 0)
    s.internal |= <uint8_t> bit
    if s.internal_clearing & bit:
        call_off_reset(s, -1, now_ns)


cdef bint tripped(const SiteConfig* c, const StepState* s) noexcept nogil:
    cdef int unit
    if s.internal or s.rows.tripped[PLANT]:
        return True
    for unit in range(c.n_units):
        if not s.rows.tripped[unit]:
            return False
    return c.n_units > 0


cdef bint inputs_complete(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int64_t now_ns) noexcept nogil:
    """Every device is verified, what decides about each unit came, and every row sees its value."""
    cdef int i
    for i in range(c.n_units):
        if inp.pcs_state[i] != DEV_UP or c.unit_bms_device[i] >= 0 and inp.bms_state[i] != DEV_UP:
            return False
        if not unit_arrived(inp, u, i):
            return False
    if c.has_meter and inp.meter_state != DEV_UP:
        return False
    for i in range(c.n_rows):
        if not row_sees(c, inp, i, now_ns):
            return False
    return True


cdef bint row_stands(const SiteConfig* c, const Inputs* inp, const StepState* s, int64_t now_ns) noexcept nogil:
    """A row sees its value, and its value is not as it should be."""
    cdef int row
    for row in range(c.n_rows):
        if s.rows.active[row] and c.row_action[row] >= ACT_BLOCK and row_sees(c, inp, row, now_ns):
            return True
    return False


cdef int acquire(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    """MODE_RUN once the inputs are complete and settled, else how the waiting is called."""
    if s.warm and (now_ns - s.start_ns > c.warm_gap_ns or row_stands(c, inp, s, now_ns)):
        s.warm = 0
    if not inputs_complete(c, inp, &s.units, now_ns):
        s.valid_since_ns = 0
    elif s.valid_since_ns == 0:
        s.valid_since_ns = now_ns
    if s.valid_since_ns and (s.warm or now_ns - s.valid_since_ns >= c.settle_ns):
        s.acquired = 1
        emit(&s.sink, now_ns, EV_ACQUIRED, LEVEL_INFO, -1, -1, -1, 0, <double> (now_ns - s.mode_since_ns) * 1e-9, 0)
        return MODE_RUN
    if s.mode == MODE_ACQUIRE and now_ns - s.mode_since_ns < c.acquire_timeout_ns:
        return MODE_ACQUIRE
    return MODE_START_FAILED


cdef int next_mode(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    if s.stop_asked:
        return MODE_STOPPING
    if s.rt_blocked:
        return MODE_STANDBY
    if tripped(c, s):
        return MODE_TRIPPED
    if s.operator_mode != MODE_RUN:
        return s.operator_mode
    if s.mode == MODE_RUN:
        return MODE_RUN
    if s.mode != MODE_ACQUIRE and s.mode != MODE_START_FAILED:
        s.acquired, s.valid_since_ns = 0, 0
        return MODE_ACQUIRE
    return acquire(c, inp, s, now_ns)


cdef bint keeps_operator_out(const StepState* s) noexcept nogil:
    return s.mode == MODE_STOPPED or s.mode == MODE_OUT_OF_SERVICE or s.mode == MODE_TRIPPED


cdef void forget_operator(const SiteConfig* c, StepState* s, int64_t now_ns) noexcept nogil:
    cdef int slot
    for slot in range(c.n_slots):
        if c.slot_operator[slot]:
            slot_clear(c, &s.slots, slot, now_ns)


cdef void modes_update(const SiteConfig* c, const Inputs* inp, StepState* s, int64_t now_ns) noexcept nogil:
    cdef int mode, level
    if s.rows.retripped >= 0:
        call_off_reset(s, s.rows.retripped, now_ns)
    mode = next_mode(c, inp, s, now_ns)
    if mode == s.mode:
        return
    level = LEVEL_ALARM if mode in (MODE_TRIPPED, MODE_START_FAILED, MODE_STANDBY) else LEVEL_INFO
    emit(&s.sink, now_ns, EV_MODE, level, -1, -1, -1, mode, <double> s.mode, 0)
    if mode != MODE_RUN:
        s.warm = 0
    s.mode, s.mode_since_ns = <uint8_t> mode, now_ns
    if keeps_operator_out(s):
        forget_operator(c, s, now_ns)


# --- the journal --------------------------------------------------------------------------------------------------------------------------

cdef void journal_update(StepState* s, int64_t now_ns) noexcept nogil:
    if s.rows.latched_new or now_ns - s.journal_ns >= ENERGY_PERIOD_NS:
        s.journal_due = 1
    if s.journal_due:
        s.journal_seq += 1
        s.journal_ns = now_ns


cdef void journal_fill(const StepState* s, JournalRecord* record) noexcept nogil:
    cdef int row, unit, i
    memset(record, 0, sizeof(JournalRecord))
    record.seq = s.journal_seq
    memcpy(record.config_hash, s.config_hash, 32)
    record.boot_id_hi, record.boot_id_lo = s.boot_id_hi, s.boot_id_lo
    record.operator_mode = s.operator_next
    record.internal = s.internal & ~s.internal_clearing
    record.clock_trusted, record.at_ns = s.clock_trusted, s.last_ns
    record.at_realtime_s = s.realtime_s + (s.last_ns - s.start_ns) // NS_PER_S
    for i in range(3):
        # An orderly stop is no failed start: the count begins anew after it.
        record.start_age_s[i] = -1 if s.stop_asked or s.start_age_s[i] < 0 else s.start_age_s[i] + (s.last_ns - s.start_ns) // NS_PER_S
    for row in range(MAX_ROWS):
        record.latched[row] = s.rows.latched[row] and not s.rows.resetting[row]
    energy_fill(&s.energy, record)
    for unit in range(MAX_UNITS):
        record.commissioned[unit] = s.commission.done[unit] or s.commission.asked[unit]
