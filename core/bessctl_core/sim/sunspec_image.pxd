from libc.stdint cimport int32_t, uint16_t, uint32_t

from bessctl_core.sim.types cimport Image, SimPlant

cdef void refresh_pcs(SimPlant* p) noexcept nogil
cdef void refresh_battery(SimPlant* p) noexcept nogil
cdef void refresh_meter(SimPlant* p) noexcept nogil
cdef void put_u16(Image* im, int at, double value) noexcept nogil
cdef void put_bits32(Image* im, int at, uint32_t v) noexcept nogil
cdef void put_u32(Image* im, int at, double value) noexcept nogil
cdef int32_t get_i32(const Image* im, int at) noexcept nogil
cdef uint32_t get_u32(const Image* im, int at) noexcept nogil
cdef double get_scale(const Image* im, int at) noexcept nogil
