# What the loop needs of the kernel: a clock, a sleep, priority, locked memory, signals as a file, the service manager's socket.
#
# Histograms: HISTOGRAM_BINS counters of nanoseconds. Below 4096 ns eight bins of 512 ns, then eight bins to the octave (each at most
# 12.5 % wide) up to 8.4 ms; what is longer falls into the last bin and shows in the maximum beside it. Counters only ever rise: whoever
# wants a window takes the difference of two readings.

from libc.stdint cimport int64_t, uint32_t

# CLOCK_MONOTONIC in ns. Loop, nogil.
cdef int64_t monotonic_ns() noexcept nogil

# Sleep until an absolute instant, also through signals. Loop, nogil.
cdef void sleep_until(int64_t instant_ns) noexcept nogil

cdef void histogram_add(uint32_t* bins, int64_t ns) noexcept nogil

# Touch the stack that the tick will use, so that no page of it is missing later.
cdef void prefault_stack() noexcept nogil

# The signal that waits in a signalfd, 0 when none does. Loop, nogil, one system call.
cdef int signal_taken(int fd) noexcept nogil

# One datagram to the service manager, dropped when it cannot be taken now; nothing when fd < 0. Loop, nogil, one system call.
cdef void notify(int fd, const char* text) noexcept nogil

# Add one to an eventfd: wakes the thread that reads it. Loop, nogil, one system call.
cdef void wake(int fd) noexcept nogil
