"""What a bad line makes of one answer. See spoil.pyx."""

from libc.stdint cimport int64_t, uint8_t

cdef enum:
    FRAME_ROOM = 560         # two whole frames, and what may stand around them
    SPOIL_LATE_NS = 420000000   # longer than a master waits by default, shorter than a device's worst answer
    SPOIL_GAP_NS = 20000000

cdef enum Spoil:             # in the order of SPOILS in server.pyx
    SPOIL_BIT = 0            # serial: one bit is wrong
    SPOIL_LATE = 1           # the whole answer comes late
    SPOIL_SLOW = 2           # half of it comes at once, the rest late
    SPOIL_UNIT = 3           # another unit answers
    SPOIL_FUNCTION = 4       # another function is answered
    SPOIL_COUNT = 5          # two bytes of registers too few, in a valid frame
    SPOIL_PROTOCOL = 6       # TCP: another protocol id
    SPOIL_LENGTH = 7         # TCP: a length that no frame has
    SPOIL_STALE = 8          # TCP: another transaction's answer in front, in one segment
    SPOIL_FRONT = 9          # bytes in front
    SPOIL_BEHIND = 10        # bytes behind
    SPOIL_ZERO = 11          # serial: a zero in front
    SPOIL_OTHER = 12         # serial: another unit's frame in front
    SPOIL_GAP = 13           # serial: silence inside the frame
    SPOIL_ECHO = 14          # serial: the question comes back in front
    SPOIL_CLOSE = 15         # TCP: the connection ends instead
    SPOIL_BUSY = 16          # exception 6 instead
    SPOIL_KINDS = 17

cdef int spoil(int kind, bint tcp, const uint8_t* question, int question_n, uint8_t* answer, int n, int* first) noexcept nogil
cdef int64_t spoil_wait_ns(int kind) noexcept nogil
