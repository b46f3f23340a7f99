from libc.stdint cimport int64_t, uint8_t, uint16_t

from bessctl_core.sim.types cimport Image, SimPlant

cdef int slave_answer(SimPlant* p, Image* im, const uint8_t* pdu, int n, uint8_t* out, int64_t now_ns) noexcept nogil
cdef uint16_t crc16(const uint8_t* data, int n) noexcept nogil
cdef int rtu_length(const uint8_t* data, int n) noexcept nogil
