"""Digital inputs of this controller; the rules stand in gpio.pxd. Loop, nogil, bounded."""

from libc.string cimport memset

from libc.stdint cimport INT64_MAX, uint64_t

from .layout cimport PLANT, QUANTITIES, Q_INPUT_0, TEXT
from .posix_io cimport close, io_now_ns

cdef extern from "gpio_io.h" nogil:
    int gpio_request(const char* path, const int32_t* offsets, const uint8_t* bias, int n, int edges)
    int gpio_changes(int fd, const int32_t* offsets, int n, uint32_t* seqno, uint64_t* rose, uint64_t* fell)
    int gpio_levels(int fd, int n, uint64_t* levels)

cdef enum:
    TRIAL_READS = 5


cdef int request(const SiteConfig* c, Lines* l, int chip) noexcept nogil:
    """0, or the errno of a refusal."""
    cdef int32_t* offsets = l.offset[chip]
    cdef uint8_t[MAX_INPUTS] bias
    cdef int line, got
    cdef int n = 0
    for line in range(c.n_lines):
        if c.line_chip[line] == chip:
            offsets[n], bias[n], l.line[chip][n] = c.line_offset[line], c.line_bias[line], <uint8_t> line
            n += 1
    l.count[chip] = n
    if n == 0:
        return 0
    got = gpio_request(&c.chip_path[chip * TEXT], offsets, bias, n, True)
    l.edges[chip] = got >= 0
    if got < 0:
        # A chip without interrupts cannot note changes; whatever else it was, it is refused again.
        got = gpio_request(&c.chip_path[chip * TEXT], offsets, bias, n, False)
    if got < 0:
        return -got
    l.fd[chip] = got
    return 0


cdef int trial(Lines* l, int chip) noexcept nogil:
    """Read it a few times: 0, the errno of a refusal, and how long the fastest took."""
    cdef int i, failed
    cdef uint64_t levels, rose, fell
    cdef int64_t began_ns
    l.fastest_ns = INT64_MAX
    for i in range(TRIAL_READS):
        began_ns = io_now_ns()
        if l.edges[chip] and gpio_changes(l.fd[chip], l.offset[chip], l.count[chip], &l.seqno[chip], &rose, &fell) < 0:
            l.edges[chip] = False
        failed = gpio_levels(l.fd[chip], l.count[chip], &levels)
        if failed:
            return -failed
        l.fastest_ns = min(l.fastest_ns, io_now_ns() - began_ns)
    return 0


cdef int lines_open(const SiteConfig* c, Lines* l) noexcept nogil:
    cdef int chip
    memset(l, 0, sizeof(Lines))
    for chip in range(MAX_CHIPS):
        l.fd[chip] = -1
    for chip in range(c.n_chips):
        l.last_errno, l.fastest_ns = request(c, l, chip), 0
        if l.last_errno == 0 and l.fd[chip] >= 0:
            l.last_errno = trial(l, chip)
        if l.last_errno or l.fastest_ns > SLOW_NS:
            lines_close(c, l)
            return chip
    return -1


cdef void lines_take(const SiteConfig* c, Lines* l, Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int chip, i, line, at, lost
    cdef uint64_t rose, fell, opened
    cdef uint64_t levels = 0
    for chip in range(c.n_chips):
        if l.fd[chip] < 0:
            continue
        # Changes before levels: a contact that opens in between is open now, and its event is found by the next tick.
        lost = rose = fell = 0
        if l.edges[chip]:
            lost = gpio_changes(l.fd[chip], l.offset[chip], l.count[chip], &l.seqno[chip], &rose, &fell)
        if lost < 0 or gpio_levels(l.fd[chip], l.count[chip], &levels) != 0:
            continue
        for i in range(l.count[chip]):
            line = l.line[chip][i]
            opened = fell if c.line_healthy[line] else rose
            at = PLANT * QUANTITIES + Q_INPUT_0 + c.line_input[line]
            inp.value[at] = ((levels >> i) & 1) != c.line_healthy[line] or (opened >> i) & 1 or lost
            inp.sampled_ns[at] = now_ns


cdef void lines_close(const SiteConfig* c, Lines* l) noexcept nogil:
    cdef int chip
    for chip in range(c.n_chips):
        if l.fd[chip] >= 0:
            close(l.fd[chip])
            l.fd[chip] = -1
