from bessctl_core.sim.types cimport Battery, Polyline

cdef double poly(const Polyline* p, double x) noexcept nogil
cdef void battery_step(Battery* b, double dc_w, double dt_s) noexcept nogil
cdef double battery_max_w(const Battery* b) noexcept nogil
cdef double battery_min_w(const Battery* b) noexcept nogil
cdef void cell_values(Battery* b) noexcept nogil
cdef void battery_settle(Battery* b) noexcept nogil
cdef void bms_order(Battery* b, int set_op) noexcept nogil
cdef void bms_reset(Battery* b) noexcept nogil
