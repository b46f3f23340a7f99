"""The loop and the kernel: clock, sleep, real-time priority, locked memory, signalfd, sd_notify; interface and bins in rt.pxd."""

import os

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint64_t
from libc.string cimport strlen
from posix.mman cimport MCL_CURRENT, MCL_FUTURE, mlockall
from posix.signal cimport sigset_t, sigaddset, sigemptyset
from posix.time cimport CLOCK_MONOTONIC, TIMER_ABSTIME, clock_gettime, clock_nanosleep, timespec
from posix.unistd cimport read, write

from .layout cimport HISTOGRAM_BINS, NS_PER_S

cdef extern from "<sched.h>" nogil:
    ctypedef struct cpu_set_t:
        pass
    struct sched_param:
        int sched_priority
    int SCHED_FIFO
    int sched_setscheduler(int pid, int policy, const sched_param* parameter)
    int sched_setaffinity(int pid, size_t size, const cpu_set_t* mask)
    void CPU_ZERO(cpu_set_t* mask)
    void CPU_SET(int cpu, cpu_set_t* mask)

cdef extern from "<signal.h>" nogil:
    int SIG_BLOCK
    int pthread_sigmask(int how, const sigset_t* mask, sigset_t* old)

cdef extern from "<sys/signalfd.h>" nogil:
    int SFD_NONBLOCK
    int SFD_CLOEXEC
    struct signalfd_siginfo:
        unsigned int ssi_signo
    int signalfd(int fd, const sigset_t* mask, int flags)

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    ssize_t send(int fd, const void* data, size_t size, int flags)

cdef extern from "<sys/timex.h>" nogil:
    struct timex:
        unsigned int modes
        int status
    int STA_UNSYNC
    int TIME_ERROR
    int adjtimex(timex* t)

cdef extern from "<malloc.h>" nogil:
    int M_ARENA_MAX
    int mallopt(int parameter, int value)
    int malloc_trim(size_t pad)

cdef extern from "<sys/prctl.h>" nogil:
    int PR_SET_TIMERSLACK
    int prctl(int option, unsigned long value)

cdef enum:
    STACK_BYTES = 96 * 1024
    OCTAVE_BINS = 8
    FIRST_OCTAVE_LOG2 = 12      # 4096 ns
    LINEAR_LOG2 = 9             # 512 ns


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t> t.tv_sec * NS_PER_S + t.tv_nsec


cdef void sleep_until(int64_t instant_ns) noexcept nogil:
    cdef timespec t
    t.tv_sec = instant_ns // NS_PER_S
    t.tv_nsec = instant_ns % NS_PER_S
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR:
        pass


cdef int bin_of(int64_t ns) noexcept nogil:
    cdef int log2 = FIRST_OCTAVE_LOG2
    if ns < 0:
        return 0
    if ns < (1 << FIRST_OCTAVE_LOG2):
        return <int> (ns >> LINEAR_LOG2)
    while log2 < 40 and ns >> (log2 + 1):
        log2 += 1
    log2 = OCTAVE_BINS * (log2 - FIRST_OCTAVE_LOG2 + 1) + <int> ((ns >> (log2 - 3)) & 7)
    return log2 if log2 < HISTOGRAM_BINS else HISTOGRAM_BINS - 1


cdef void histogram_add(uint32_t* bins, int64_t ns) noexcept nogil:
    bins[bin_of(ns)] += 1


cdef void prefault_stack() noexcept nogil:
    cdef char[STACK_BYTES] stack
    cdef volatile char* byte = stack
    cdef int i
    for i in range(0, STACK_BYTES, 1024):
        byte[i] = 1


cdef int signal_taken(int fd) noexcept nogil:
    cdef signalfd_siginfo info
    if read(fd, &info, sizeof(signalfd_siginfo)) != <ssize_t> sizeof(signalfd_siginfo):
        return 0
    return <int> info.ssi_signo


cdef void notify(int fd, const char* text) noexcept nogil:
    if fd >= 0:
        send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL)


cdef void wake(int fd) noexcept nogil:
    cdef uint64_t one = 1
    if fd >= 0:
        write(fd, &one, sizeof(one))


# --- at start, from Python; each returns 0 or the errno that says why it was refused ------------------------------------------------------

def become_realtime(int priority) -> int:
    """Put the calling thread under SCHED_FIFO and take its timer slack. 0, or the errno of the refusal (EPERM: no privilege)."""
    cdef sched_param parameter
    parameter.sched_priority = priority
    prctl(PR_SET_TIMERSLACK, 1)
    return 0 if sched_setscheduler(0, SCHED_FIFO, &parameter) == 0 else errno


def pin(int cpu) -> int:
    """Bind the calling thread to one processor. 0, or the errno of the refusal (EINVAL: no such processor)."""
    cdef cpu_set_t mask
    CPU_ZERO(&mask)
    if cpu < 0 or cpu >= 1024:
        return 22
    CPU_SET(cpu, &mask)
    return 0 if sched_setaffinity(0, sizeof(mask), &mask) == 0 else errno


def lock_memory() -> int:
    """Give back what malloc holds unused, then lock everything mapped now and later. 0, or the errno (EPERM, ENOMEM: the memlock limit)."""
    malloc_trim(0)
    return 0 if mlockall(MCL_CURRENT | MCL_FUTURE) == 0 else errno


def one_arena() -> None:
    """One heap for all threads: each further arena would be locked into memory. To be called before the first thread is made."""
    mallopt(M_ARENA_MAX, 1)


def signal_file(signals) -> int:
    """Block these signals in the calling thread (threads made later inherit it) and return a signalfd that reports them."""
    cdef sigset_t mask
    cdef int fd
    sigemptyset(&mask)
    for number in signals:
        sigaddset(&mask, number)
    pthread_sigmask(SIG_BLOCK, &mask, NULL)
    fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC)
    if fd < 0:
        raise OSError(errno, os.strerror(errno))
    return fd


def notify_text(int fd, bytes text) -> None:
    """Tell the service manager, for example b"READY=1" (sd_notify(3)); nothing when fd < 0. Never waits."""
    notify(fd, text)


def clock_trusted() -> bool:
    """R8: the kernel's clock is held by a time source (adjtimex(2)); a clock that merely runs is no time of day."""
    cdef timex t
    cdef int state
    t.modes = 0
    state = adjtimex(&t)
    return state >= 0 and state != TIME_ERROR and not t.status & STA_UNSYNC


def monotonic() -> int:
    """CLOCK_MONOTONIC in ns, as the loop counts."""
    return monotonic_ns()


# --- reading histograms -------------------------------------------------------------------------------------------------------------------

def bin_index(int64_t ns) -> int:
    """The bin that counts this many ns."""
    return bin_of(ns)


def bin_floor_ns(int index) -> int:
    """The smallest value of a bin; of HISTOGRAM_BINS, the first value beyond the last octave."""
    octave, part = divmod(index, OCTAVE_BINS)
    return part << LINEAR_LOG2 if octave == 0 else (OCTAVE_BINS + part) << (octave - 1 + LINEAR_LOG2)


def percentile_ns(bins, double share) -> float:
    """The value that `share` (0..1) of the counted events do not exceed, interpolated inside its bin; NaN when nothing was counted."""
    total = sum(bins)
    if total == 0:
        return float("nan")
    wanted, below = share * total, 0
    for index, count in enumerate(bins):
        if count and below + count >= wanted:
            low, high = bin_floor_ns(index), bin_floor_ns(index + 1)
            return low + (high - low) * max(0.0, wanted - below) / count
        below += count
    return float(bin_floor_ns(len(bins)))
