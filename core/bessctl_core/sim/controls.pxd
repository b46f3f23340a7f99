from libc.stdint cimport int64_t, uint16_t

from bessctl_core.sim.types cimport Image, SimPlant

cdef void log_push(SimPlant* p, int64_t now_ns, int kind, double value) noexcept nogil
cdef void decode_controls(SimPlant* p) noexcept nogil
cdef void reversions_step(SimPlant* p) noexcept nogil
cdef int write_check(const Image* im, int at, int count, const uint16_t* values) noexcept nogil
cdef void write_apply(SimPlant* p, Image* im, int at, int count, const uint16_t* values, int64_t now_ns) noexcept nogil
