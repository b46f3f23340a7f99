"""The receiving half of a bus; called by bus.pyx alone."""

from libc.stdint cimport int64_t

from bessctl_core.bus_state cimport Bus

cdef void receive_step(Bus* b, int64_t now_ns, short revents) noexcept nogil
