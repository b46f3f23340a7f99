# Enter service of a PCS, SunSpec 703: within which voltage and frequency, after how long and how fast it comes back. The utility gives it
# (2030.5 setES*), the loop writes it, because it alone speaks with the device (docs/adr/0040).
#
# Rules
# - It travels with the curves: as the last step of a CurvePlan, marked by SERVICE_REFERENCE, its values as the points' x in the order of
#   ServiceValue. What is not stated is NaN and stays as it is in the PCS. Whether the PCS may enter service at all (ES) is not written here.
# - Where 703 stands and what it counts is what is verified at each connect: model id, length and both scale factors among the sealed checks.
# - All of it is read, what differs is written, one value a request, and all of it is read again. Volts and hertz are rounded into the
#   narrower window, times up. A point that the PCS has not is left out and told.
# - Once it stands it is left alone until another one is stated or the device comes back. A refusal is told once and tried after RETRY_NS.
#
# Phase      leaves to            when
# REST       READ                 another one is stated than the one that stands there
# READ       WRITE                something of it differs
#            REST                 nothing does: in force
# WRITE      WRITE, PROVE         one value is written; none is left to write
# PROVE      REST                 all of it reads as it was written: in force; else failed
# any        REST                 no, or nothing, came back: failed
#
# All functions: loop, nogil, bounded.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from .bus cimport Bus, Transaction
from .driver cimport Device
from .events cimport EventSink
from .layout cimport CurvePlan, SiteConfig

# ServiceValue: what is stated, in this order.
cdef enum:
    SERVICE_V_HIGH_PCT = 0      # of VNom
    SERVICE_V_LOW_PCT = 1
    SERVICE_HZ_HIGH = 2
    SERVICE_HZ_LOW = 3
    SERVICE_DELAY_S = 4
    SERVICE_RANDOM_S = 5
    SERVICE_RAMP_S = 6

cdef enum:
    SERVICE_VALUES = 7
    SERVICE_REGISTERS = 12      # ESVHi to ESRmpTms
    SERVICE_REFERENCE = 255     # of the step: no DeptRef has this number
    SERVICE_KIND = 3            # in the detail of EV_CURVE, after the kinds of curves

cdef enum ServicePhase:
    SP_REST
    SP_READ
    SP_WRITE
    SP_PROVE

# What one PCS has been told, and where the telling is.
cdef struct ServiceWriter:
    Transaction ask
    double held[SERVICE_VALUES]     # proved
    double goal[SERVICE_VALUES]     # being written; NaN = not stated
    double v_scale                  # % and Hz per count
    double hz_scale
    int64_t retry_ns
    int32_t address                 # ID register of 703; 0: this PCS has none that we know
    uint32_t epoch                  # connection on which `held` was proved
    uint16_t found[SERVICE_REGISTERS]   # as they stood
    uint16_t regs[SERVICE_REGISTERS]    # as they are to stand
    uint8_t known                   # `held` is proved
    uint8_t told                    # the failure was told
    uint8_t lacks                   # the PCS has not all of what is stated
    uint8_t value                   # the next ServiceValue to write
    uint8_t phase

# ID register of a device's 703 and what its counts mean; 0 = it has none.
cdef int service_address(const SiteConfig* c, int device, double* v_scale, double* hz_scale) noexcept nogil

# Is this step of the plan an enter-service document?
cdef bint is_service(const CurvePlan* plan, int at) noexcept nogil

# Why it is refused; a PlanFault.
cdef int service_fault(const CurvePlan* plan, int at) noexcept nogil

cdef void service_init(const SiteConfig* c, int device, ServiceWriter* w) noexcept nogil
cdef void service_take(const SiteConfig* c, ServiceWriter* w, Device* dev, const Bus* bus, EventSink* sink, int64_t now_ns) noexcept nogil
cdef void service_send(const SiteConfig* c, ServiceWriter* w, const Device* dev, Bus* bus, const CurvePlan* plan, EventSink* sink,
                       int64_t now_ns) noexcept nogil
