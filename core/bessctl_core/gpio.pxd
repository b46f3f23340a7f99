# Digital inputs that hang on this controller itself, by the GPIO character device.
#
# Rules
# - Inputs are normally closed (R13): the level of a closed contact is sealed, anything else is active, and so is a line that cannot be read:
#   its value keeps its age, and a row that trips unseen does the rest.
# - All lines of a chip are taken as one request before the first tick, for this process alone, and read together in each tick.
# - A contact that opened and closed again between two ticks was open: the kernel notes every change (edge events), and what it noted makes the
#   input active for one tick. Events lost for want of room: every input of that chip is. A chip without interrupts notes none; it is polled
#   alone, and the loop says so when it starts.
# - A chip behind a slow bus (an I2C expander answers in milliseconds) has no place in a tick: one whose fastest of a few reads takes longer than
#   SLOW_NS is refused at start. (The slowest tells more of what else this machine was doing.)

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from .layout cimport MAX_CHIPS, MAX_INPUTS, Inputs, SiteConfig

cdef enum:
    SLOW_NS = 200000

cdef struct Lines:
    int fd[MAX_CHIPS]
    int count[MAX_CHIPS]
    uint8_t line[MAX_CHIPS][MAX_INPUTS]     # the lines of a chip in the order of its request
    int32_t offset[MAX_CHIPS][MAX_INPUTS]   # and where they are
    uint8_t edges[MAX_CHIPS]                # 1: the kernel notes every change
    uint32_t seqno[MAX_CHIPS]               # of the last event seen
    int32_t last_errno
    int64_t fastest_ns                      # of the reads at start

# Once. -1, or the chip that cannot be had as sealed (last_errno says why; 0: it is too slow, fastest_ns).
cdef int lines_open(const SiteConfig* c, Lines* l) noexcept nogil

# The levels of now, and what was open in between. Loop, nogil, bounded: one ioctl and one read a chip.
cdef void lines_take(const SiteConfig* c, Lines* l, Inputs* inp, int64_t now_ns) noexcept nogil

cdef void lines_close(const SiteConfig* c, Lines* l) noexcept nogil
