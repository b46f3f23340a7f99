from bessctl_core.sim.types cimport Battery, Grid, Pcs

cdef void pcs_prepare(Pcs* p, double dt_s) noexcept nogil
cdef void pcs_step(Pcs* p, const Grid* grid, const Battery* bat, double dt_s) noexcept nogil
cdef void pcs_order(Pcs* p, int op_ctl) noexcept nogil
cdef void pcs_reset(Pcs* p) noexcept nogil
cdef int pcs_feed(Pcs* p, unsigned int heartbeat) noexcept nogil
cdef int pcs_shown_state(const Pcs* p) noexcept nogil
