"""A table of values recorded tick by tick: what of the loop's state and of the plants' truth a scenario looks at."""

from libc.stdint cimport int64_t

cdef struct Probe:
    const char* at
    int kind

cdef class Recorder:
    cdef Probe* _probe
    cdef int _probes
    cdef double* _rows
    cdef size_t _filled
    cdef size_t _room
    cdef int64_t _from_ns
    cdef list _plants                # keeps alive what the probes point at
    cdef void note(self, int64_t now_ns) noexcept
