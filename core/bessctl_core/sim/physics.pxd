from libc.stdint cimport int64_t

from bessctl_core.sim.types cimport Image, SimPlant

cdef void grid_step(SimPlant* p) noexcept nogil
cdef void meter_step(SimPlant* p) noexcept nogil
cdef void plant_step(SimPlant* p) noexcept nogil
cdef void plant_advance(SimPlant* p, int64_t until_ns) noexcept nogil
cdef void plant_refresh(SimPlant* p, bint force) noexcept nogil
cdef Image* plant_device(SimPlant* p, int unit) noexcept nogil
