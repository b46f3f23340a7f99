# How fast the plant's power may change (R2).
#
# Rules. Toward 0: at once, unless it is only the source's own wish and the source gave a rate. Away from 0: at the plant's rate, or the
# source's if that is slower. A reversal stops at 0 and stays there for the dead time. A step of time covers at most two nominal periods, so
# that a late tick cannot jump. Protection and limits are faster than everything: beyond the envelope on the far side of 0 nothing stays.

from libc.stdint cimport int64_t

cdef struct RampState:
    double w                # where the ramp is
    int64_t last_ns
    int64_t turned_ns       # when 0 was reached coming from a direction
    int last_sign           # that direction: -1, 0, 1

cdef void ramp_init(RampState* r, double start_w, int64_t now_ns) noexcept nogil

# The next value toward `wanted_w`, which lies within [lo_w, hi_w] already. rate_w_per_s: the plant's; source_rate: the source's or 0.
cdef double ramp_next(RampState* r, double wanted_w, double lo_w, double hi_w, double rate_w_per_s, double source_rate, int64_t dead_ns,
                      int64_t period_ns, int64_t now_ns) noexcept nogil
