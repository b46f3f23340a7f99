# Plans and requests, supervisor -> loop; part of the layout (layout.pxd).

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t

from .layout_sizes cimport CURVE_STEPS, CURVE_XY, CURVES, MAX_BLOCKS

# Blocks side by side, [start_ns, end_ns), ordered, not overlapping.
cdef struct Series:
    int64_t start_ns[MAX_BLOCKS]
    int64_t end_ns[MAX_BLOCKS]
    double ess_lo_w[MAX_BLOCKS]
    double ess_hi_w[MAX_BLOCKS]
    double pcc_lo_w[MAX_BLOCKS]
    double pcc_hi_w[MAX_BLOCKS]
    double target_w[MAX_BLOCKS]
    double q_value[MAX_BLOCKS]              # QControl says what it is
    double q_absorb[MAX_BLOCKS]
    double rate_w_per_s[MAX_BLOCKS]
    uint8_t stated[MAX_BLOCKS]
    uint8_t target_scope[MAX_BLOCKS]
    uint8_t q_kind[MAX_BLOCKS]
    uint8_t energize[MAX_BLOCKS]
    uint8_t connect[MAX_BLOCKS]             # 0: the battery is disconnected galvanically
    int32_t count
    int32_t reserved

cdef struct Plan:
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint64_t serial         # 0 = nothing written
    int64_t lease_until_ns
    int32_t lapse
    int32_t reserved
    Series live
    Series fallback

# Which curve each function of every PCS follows, and when: [start_ns, end_ns), step after step, not overlapping. Where no step is, the
# function is off. Index of a step: kind * CURVE_STEPS + step; of a point: that * CURVE_XY + point.
cdef struct CurvePlan:
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint64_t serial         # 0 = nothing written
    int64_t start_ns[CURVES * CURVE_STEPS]
    int64_t end_ns[CURVES * CURVE_STEPS]
    double x[CURVES * CURVE_STEPS * CURVE_XY]       # % of VNom (705, 706) or of WMax (712)
    double y[CURVES * CURVE_STEPS * CURVE_XY]       # % of `reference`; var positive = injected
    double response_s[CURVES * CURVE_STEPS]         # open-loop response; 0 = the PCS keeps its own
    uint8_t points[CURVES * CURVE_STEPS]            # 0: no step
    uint8_t reference[CURVES * CURVE_STEPS]         # SunSpec DeptRef
    uint8_t ours[CURVES]                            # 0: leave that function alone

# One request of the supervisor or the operator.
cdef struct Command:
    uint64_t id
    uint8_t code            # CommandCode
    uint8_t local           # 1: came by the operator's own socket (set by the receiving side, never by the sender)
    int16_t arg
    int32_t reserved
