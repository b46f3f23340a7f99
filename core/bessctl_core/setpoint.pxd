# A set point of one PCS, active (PR_SETPOINT) or reactive power (PR_VAR), written by the rows of a program (writes.pxd), and the proof that it holds (R11).
#
# Rules
# - All rows are one command: they are sent in their order, each after the one before was acknowledged, and a row that failed begins all of it
#   again. A row whose registers the device has acknowledged already is left out, unless the timer is to be re-armed.
# - SunSpec 704 is one row of eleven registers: set point and reversion go in one write, because written apart a set point would live before
#   its timer runs.
# - Where direction and magnitude go in rows of their own, a change of direction passes 0: never the old magnitude in the new direction.
# - It is written when the command changes, when dev_resend_ns is over, when the device (re)connects, and again after a write that failed. A
#   first row that still waits for its bus takes the newest command along.
# - One that takes power away does not wait for its turn on the bus: 0 W never, a lower one once in HURRY_NS, so that a ramp down leaves room
#   for the measurements. Reactive power waits; so does a device that left two questions in a row unanswered, for its neighbours' sake.
# - Before the first write of a connection the rows are read: a reversion timer that is not ours is told (it is ours after the write), and a
#   set point that wears is not written again when it stands there already.
# - After each write, once a second, and before a write that only re-arms the timer, every row to be verified is read back. The set point is
#   confirmed when a whole round found all of it ours, timer re-armed (row_holds). The age of the last confirmation counts; beyond confirm_ns
#   the unit is unconfirmed. Where nothing can be read back, the acknowledgement of the last row confirms.
# - While it is unconfirmed the rows are read back whether the device took them or not. A round that shows 0 W proves rest, for confirm_s: to
#   feed the device's watchdog then gives away nothing, and a PCS that holds 0 W until it is fed would never confirm anything else. One that
#   was fed at rest and then holds neither 0 W nor ours is doubted: it is fed again only once it confirms, or the operator says so (ADR 65).
# - A row that was confirmed and then holds something else, while its timer runs or its time is not ours, was changed by somebody else: an
#   event, and written again, at most FOREIGN_TRIES times; then we yield: 0 W and standby until the operator resets or starts at the machine.
#   A minute without another change forgets the tries.
# - A set point in memory that wears has a budget (wear.pxd).
# - Reactive power that nobody asks for is RELEASED: written once, asserted like any other, never repeated, no timer. Its set point expires to
#   released as well, and what somebody else keeps changing is left alone: the PCS runs on.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from .bus cimport Bus, Transaction
from .layout cimport Inputs, SiteConfig
from .writes cimport RELEASED, Rows, Values

cdef enum:
    ROWS_MAX = 8                # rows of one program that bounds.pyx lets through
    ROW_REGISTERS = 32          # registers of one row of a set point

cdef enum Seen:
    SEEN_OTHER = 1              # a row that is not ours
    SEEN_NO_POWER = 2           # a row that says 0 W
    SEEN_POWER = 4

cdef struct Setpoint:
    Transaction write
    Transaction readback
    Rows rows
    int device
    int unit
    int row                     # of the sequence under way: what is sent next or has been sent
    int back_row                # of the read-back round
    int32_t wanted_raw
    int32_t asked_raw           # before the budget
    int32_t written_raw         # in the sequence begun last
    int32_t acked_raw
    int32_t found_raw           # what somebody else wrote
    int32_t step_raw            # whole steps of a set point that wears; 0 = it does not
    int32_t coarse_raw
    int32_t grants
    int64_t grant_ns            # when the last one was granted
    int64_t begun_ns            # the sequence
    int64_t acked_sent_ns       # when the last row that the PCS acknowledged was sent
    int64_t round_ns            # when the first question of the read-back round was sent
    int64_t confirmed_ns        # when the last round that matched began; or when counting began
    int64_t retry_ns            # after a refused write: not before
    int64_t readback_due_ns
    int64_t foreign_ns
    int64_t hurried_ns          # when a set point above 0 was last sent before its turn
    int64_t rest_ns             # when the last round that showed 0 W of an unconfirmed set point began; 0 = the last one did not
    int64_t reversion_ns
    uint32_t found_timer_s
    uint32_t writes             # since start
    uint8_t may_hurry           # active power, and its device answers
    uint8_t hurry               # the sequence under way takes power away
    uint8_t looked              # 0 the rows are to be read before the first write, 1 they were
    uint8_t under_way           # a sequence is being sent
    uint8_t whole               # all of its rows go, also those that stand there already
    uint8_t written             # written_raw is what the PCS was told, as far as we know
    uint8_t acked               # acked_raw is what the PCS acknowledged last, and nothing went wrong since
    uint8_t held                # acked_raw was confirmed
    uint8_t live                # power was commanded, and 0 W was not confirmed since
    uint8_t saving
    uint8_t told_saving
    uint8_t foreign_tries
    uint8_t yielded
    uint8_t unconfirmed
    uint8_t seen                # in the read-back round under way; bits of Seen
    uint8_t doubted             # fed at rest, it took something that is not ours
    uint8_t known[8]            # row i was acknowledged on this connection with regs[i]
    uint16_t regs[8 * 32]

cdef void setpoint_init(Setpoint* s, const SiteConfig* c, int device, int program) noexcept nogil

# The device came (back): everything is to be asserted and proved again. `count_w`: what one count is worth.
cdef void setpoint_restart(Setpoint* s, const SiteConfig* c, double count_w, int64_t now_ns) noexcept nogil

# The operator reset or started at the machine.
cdef void setpoint_release(Setpoint* s) noexcept nogil

# Hand what is due to the bus. False: a write was due and the bus could not take it.
cdef bint setpoint_send(Setpoint* s, const SiteConfig* c, const Inputs* inp, Bus* bus, int32_t raw, int64_t now_ns) noexcept nogil

# What a row is filled from at this set point; the rows of a sequence that stand there already.
cdef Values values_of(const Setpoint* s, int32_t raw, int64_t now_ns) noexcept nogil
cdef void skip_rows(Setpoint* s, const SiteConfig* c, const Inputs* inp, int64_t now_ns) noexcept nogil
