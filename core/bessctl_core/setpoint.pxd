# The set point of one PCS: SunSpec 704 WSetEna .. WSetRvrtTms, eleven registers written as one, and the proof that it holds (R11).
#
# Rules
# - Set point and reversion go in one write: enabled, in watts, expiry value 0 W enabled, our own time. Written apart, a set point would live
#   before its timer runs.
# - It is written when the command changes, when a third of the reversion time is over, when the device (re)connects, and again after a write
#   that failed. A write that still waits for its bus takes the newest command along.
# - After each write, once a second, and before a write that only re-arms the timer, the block is read back with WSetRvrtRem. It is confirmed when all eleven registers are ours and the
#   timer runs and was re-armed by our write. The age of the last confirmation counts; beyond confirm_ns the unit is unconfirmed.
# - A block that was confirmed and then holds something else, while its timer runs or its time is not ours, was changed by somebody else: an
#   event, and written again, at most FOREIGN_TRIES times; then we yield: 0 W and standby until the operator resets or starts at the machine.
#   A minute without another change forgets the tries.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from .bus cimport Bus, Transaction
from .events cimport EventSink

cdef enum:
    BLOCK_REGISTERS = 11
    BLOCK_AND_REM = 13          # with WSetRvrtRem behind it
    FOREIGN_TRIES = 3

cdef enum Holds:
    HOLDS_OURS                  # all of it ours, timer re-armed
    HOLDS_REVERTED              # ours, but the timer is over
    HOLDS_OTHER                 # another value, mode or time

cdef struct Setpoint:
    Transaction write
    Transaction readback
    int32_t wanted_raw
    int32_t written_raw         # in the write submitted last
    int32_t acked_raw
    int64_t acked_sent_ns       # when the write that the PCS acknowledged was sent
    int64_t confirmed_ns        # when the last read-back that matched was sent; or when counting began
    int64_t retry_ns            # after a refused write: not before
    int64_t readback_due_ns
    int64_t foreign_ns
    uint32_t reversion_s
    uint8_t written             # written_raw is what the PCS was told, as far as we know
    uint8_t acked               # acked_raw is what the PCS acknowledged last, and nothing went wrong since
    uint8_t held                # acked_raw was confirmed
    uint8_t live                # power was commanded, and 0 W was not confirmed since
    uint8_t foreign_tries
    uint8_t yielded
    uint8_t unconfirmed

cdef void setpoint_init(Setpoint* s, int address, int unit_id, int64_t timeout_ns, int64_t reversion_ns) noexcept nogil

# The device came (back): everything is to be asserted and proved again.
cdef void setpoint_restart(Setpoint* s, int64_t now_ns) noexcept nogil

# The operator reset or started at the machine.
cdef void setpoint_release(Setpoint* s) noexcept nogil

# Hand the write, then the read-back to the bus where due. False: a write was due and the bus could not take it.
cdef bint setpoint_send(Setpoint* s, Bus* bus, int32_t raw, int64_t now_ns) noexcept nogil

# Take what the bus finished. True: somebody else changed the set point; `found_raw` is what stands there now.
cdef bint setpoint_take(Setpoint* s, int64_t now_ns, int32_t* found_raw) noexcept nogil

# What a read-back of BLOCK_AND_REM registers says about a set point written `age_ns` ago.
cdef int block_holds(const uint16_t* registers, int32_t raw, uint32_t reversion_s, int64_t age_ns) noexcept nogil

cdef void fill_block(uint16_t* registers, int32_t raw, uint32_t reversion_s) noexcept nogil
