# Curves of a PCS: SunSpec 705 Volt-Var, 706 Volt-Watt, 712 Watt-Var. Who gives which curve from when to when stands in a CurvePlan; the
# loop writes it, because it alone speaks with the device.
#
# Rules
# - A function is touched only where the plan says that it is ours. Then the step that covers this instant is in the PCS, and in the gaps the
#   function is off. Ends and gaps come by the loop's own clock: nobody need be there any more.
# - A curve goes into the writable set that was sealed for it, is adopted (AdptCrvReq), read back as set 1, and only then enabled. What does
#   not read back as it was written is switched off: a curve nobody knows is worse than none.
# - One question at a time per device, behind set points and measurements: each step waits for its answer.
# - A device that comes back is asked for nothing it knows, and told everything again. A refusal, a time-out or another value than ours is
#   told once and tried again after RETRY_NS.
# - Only points of the sealed model are written, and only as many as it holds. A plan that breaks a rule is refused whole.
# - The last step may be an enter-service document instead of a curve (service.pxd).
#
# Phase      leaves to            when
# REST       SET                  another curve is wanted than the one that stands there
#            SWITCH               no curve is wanted, or the wanted one stands there and is off
# SET        POINTS               number of points and reference are written
# POINTS     SPEED                the points are written
# SPEED      ADOPT                the open-loop response time is written, or there is none to write
# ADOPT      AWAIT                the request to adopt is written
# AWAIT      LOOK                 the PCS says "completed"
# LOOK       SWITCH               set 1 reads as it was written
# SWITCH     PROVE                Ena is written
# PROVE      REST                 Ena reads as it was written: in force, or off
# any        REST                 no, nothing, or something else came back: failed
#
# All functions: loop, nogil, bounded.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .bus cimport Bus, Transaction
from .driver cimport Device
from .events cimport EventSink
from .layout cimport CURVE_XY, CURVES, CurvePlan, SiteConfig

cdef enum CurvePhase:
    CP_REST
    CP_SET
    CP_POINTS
    CP_SPEED
    CP_ADOPT
    CP_AWAIT
    CP_LOOK
    CP_SWITCH
    CP_PROVE

# One curve as the plan states it; points 0 = the function is off.
cdef struct Curve:
    double x[CURVE_XY]
    double y[CURVE_XY]
    double response_s
    uint8_t points
    uint8_t reference

# What one PCS has been told, and where the telling is.
cdef struct CurveWriter:
    Transaction ask
    Curve held[CURVES]          # what stands there
    Curve goal                  # what is being written
    int64_t retry_ns[CURVES]
    int64_t next_ns             # not before: the PCS is thinking
    int64_t until_ns            # when its thinking has lasted too long
    uint32_t epoch              # connection on which `held` was proved
    uint8_t known[CURVES]       # `held` is proved
    uint8_t state[CURVES]       # CurveState
    uint8_t told[CURVES]        # the failure was told
    uint8_t kind
    uint8_t phase

# Why a plan is refused; a PlanFault.
cdef int curve_fault(const CurvePlan* plan, uint64_t boot_id_hi, uint64_t boot_id_lo) noexcept nogil

cdef void curves_init(const SiteConfig* c, int device, CurveWriter* w) noexcept nogil
cdef void curves_take(const SiteConfig* c, CurveWriter* w, Device* dev, const Bus* bus, EventSink* sink, int64_t now_ns) noexcept nogil
cdef void curves_send(const SiteConfig* c, CurveWriter* w, const Device* dev, Bus* bus, const CurvePlan* plan, EventSink* sink,
                      int64_t now_ns) noexcept nogil
