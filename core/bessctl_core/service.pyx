"""Writes a PCS's enter-service settings and proves that they stand there; the rules stand in service.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN, ceil, floor, isfinite, isnan
from libc.stdint cimport int16_t, uint16_t
from libc.string cimport memset

from .bus cimport IDLE, bus_submit_poll
from .driver cimport ANSWERED, NOTHING_YET, PHASE_UP, Outcome, device_outcome
from .events cimport LEVEL_ALARM, LEVEL_INFO, emit
from .frames cimport READ_HOLDING_REGISTERS, WRITE_MULTIPLE_REGISTERS
from .layout cimport (
    CURVE_FAILED, CURVE_IN_FORCE, CURVE_STEPS, CURVE_XY, CURVES, EV_CURVE, NS_PER_S, PLAN_COUNT, PLAN_NUMBER, PLAN_OK, PLAN_ORDER, PLAN_RANGE,
)
from .question cimport busy, question_of

# Offsets from the model's ID register.
cdef enum:
    MODEL = 703
    LENGTH = 17
    FIRST = 3                   # ESVHi
    V_SF = 17
    HZ_SF = 18
    SERVICE_AT = CURVES * CURVE_STEPS - 1

cdef int64_t RETRY_NS = 60 * <int64_t> NS_PER_S
# Per ServiceValue: its first register after FIRST, how many it has, what is no order, and which way it is rounded.
cdef int[7] OFFSET = [0, 1, 2, 4, 6, 8, 10]
cdef int[7] WIDTH = [1, 1, 2, 2, 2, 2, 2]
cdef double[7] LEAST = [0.0, 0.0, 30.0, 30.0, 0.0, 0.0, 0.0]
cdef double[7] MOST = [200.0, 200.0, 80.0, 80.0, 86400.0, 86400.0, 86400.0]
cdef int[7] UPWARDS = [0, 1, 0, 1, 1, 1, 1]
# What a whole number of counts may lose to binary fractions.
cdef double CLOSE = 1e-6


# --- what is sealed -----------------------------------------------------------------------------------------------------------------------

cdef int check_at(const SiteConfig* c, int device, int address) noexcept nogil:
    """The value that a register of the device is verified to hold; -1 = it is not verified."""
    cdef int i
    for i in range(c.n_checks):
        if c.check_device[i] == device and c.check_addr[i] == address:
            return c.check_value[i] & 0xFFFF
    return -1


cdef double power_of_ten(int exponent) noexcept nogil:
    cdef double value = 1.0
    while exponent > 0:
        value *= 10.0
        exponent -= 1
    while exponent < 0:
        value /= 10.0
        exponent += 1
    return value


cdef bint scale_at(const SiteConfig* c, int device, int address, double* scale) noexcept nogil:
    cdef int raw = check_at(c, device, address)
    cdef int exponent = <int16_t> raw
    if raw < 0 or not -10 <= exponent <= 10:
        return False
    scale[0] = power_of_ten(exponent)
    return True


cdef int service_address(const SiteConfig* c, int device, double* v_scale, double* hz_scale) noexcept nogil:
    cdef int i, base
    for i in range(c.n_checks):
        base = c.check_addr[i]
        if c.check_device[i] == device and c.check_value[i] == MODEL and check_at(c, device, base + 1) == LENGTH \
                and scale_at(c, device, base + V_SF, v_scale) and scale_at(c, device, base + HZ_SF, hz_scale):
            return base
    return 0


# --- the document -------------------------------------------------------------------------------------------------------------------------

cdef bint is_service(const CurvePlan* plan, int at) noexcept nogil:
    return at == SERVICE_AT and plan.points[at] > 0 and plan.reference[at] == SERVICE_REFERENCE


cdef bint crossed(double high, double low) noexcept nogil:
    """Both are stated, and no room is between them."""
    return isfinite(high) and isfinite(low) and high <= low


cdef int service_fault(const CurvePlan* plan, int at) noexcept nogil:
    cdef int i
    cdef const double* x = &plan.x[at * CURVE_XY]
    if plan.points[at] != SERVICE_VALUES:
        return PLAN_COUNT
    if plan.end_ns[at] <= plan.start_ns[at]:
        return PLAN_ORDER
    for i in range(SERVICE_VALUES):
        if isnan(x[i]):
            continue
        if not isfinite(x[i]):
            return PLAN_NUMBER
        if x[i] < LEAST[i] or x[i] > MOST[i]:
            return PLAN_RANGE
    if crossed(x[SERVICE_V_HIGH_PCT], x[SERVICE_V_LOW_PCT]) or crossed(x[SERVICE_HZ_HIGH], x[SERVICE_HZ_LOW]):
        return PLAN_ORDER
    return PLAN_OK


cdef bint stated(const CurvePlan* plan, int64_t now_ns, double* goal) noexcept nogil:
    """What the plan states now; False = nothing."""
    cdef int i
    if not is_service(plan, SERVICE_AT) or not plan.start_ns[SERVICE_AT] <= now_ns < plan.end_ns[SERVICE_AT]:
        return False
    for i in range(SERVICE_VALUES):
        goal[i] = plan.x[SERVICE_AT * CURVE_XY + i]
    return True


cdef bint alike(const double* a, const double* b) noexcept nogil:
    cdef int i
    for i in range(SERVICE_VALUES):
        if a[i] != b[i] and not (isnan(a[i]) and isnan(b[i])):
            return False
    return True


# --- the registers ------------------------------------------------------------------------------------------------------------------------

cdef uint32_t counts(const ServiceWriter* w, int value) noexcept nogil:
    cdef double scale = w.v_scale if value <= SERVICE_V_LOW_PCT else w.hz_scale if value <= SERVICE_HZ_LOW else 1.0
    cdef double exact = w.goal[value] / scale
    cdef double whole = ceil(exact - CLOSE) if UPWARDS[value] else floor(exact + CLOSE)
    cdef double most = 65534.0 if WIDTH[value] == 1 else 4294967294.0
    return <uint32_t> max(0.0, min(most, whole))


cdef bint has(const uint16_t* regs, int value) noexcept nogil:
    """The PCS implements it."""
    cdef int i
    for i in range(WIDTH[value]):
        if regs[OFFSET[value] + i] != 0xFFFF:
            return True
    return False


cdef void plan_registers(ServiceWriter* w) noexcept nogil:
    """As they were found, with what is stated put in."""
    cdef int i, value
    cdef uint32_t raw
    for i in range(SERVICE_REGISTERS):
        w.found[i] = w.regs[i] = w.ask.regs[i]
    w.lacks = 0
    for value in range(SERVICE_VALUES):
        if isnan(w.goal[value]):
            continue
        if not has(w.found, value):
            w.lacks = 1
            continue
        raw = counts(w, value)
        if WIDTH[value] == 2:
            w.regs[OFFSET[value]] = <uint16_t> (raw >> 16)
        w.regs[OFFSET[value] + WIDTH[value] - 1] = <uint16_t> raw


cdef bint value_differs(const ServiceWriter* w, const uint16_t* found, int value) noexcept nogil:
    cdef int i
    for i in range(OFFSET[value], OFFSET[value] + WIDTH[value]):
        if found[i] != w.regs[i]:
            return True
    return False


cdef int first_differing(const ServiceWriter* w, const uint16_t* found, int first) noexcept nogil:
    """The first value from `first` on that does not stand as it should; SERVICE_VALUES = all do."""
    cdef int value
    for value in range(first, SERVICE_VALUES):
        if not isnan(w.goal[value]) and value_differs(w, found, value):
            return value
    return SERVICE_VALUES


cdef void compose(ServiceWriter* w) noexcept nogil:
    """The question of this phase."""
    cdef int i
    cdef int first = w.address + FIRST
    if w.phase == SP_WRITE:
        w.ask.function, w.ask.address, w.ask.count = WRITE_MULTIPLE_REGISTERS, <uint16_t> (first + OFFSET[w.value]), <uint16_t> WIDTH[w.value]
        for i in range(WIDTH[w.value]):
            w.ask.regs[i] = w.regs[OFFSET[w.value] + i]
    else:
        w.ask.function, w.ask.address, w.ask.count = READ_HOLDING_REGISTERS, <uint16_t> first, SERVICE_REGISTERS


# --- the way through the phases -----------------------------------------------------------------------------------------------------------

cdef void service_init(const SiteConfig* c, int device, ServiceWriter* w) noexcept nogil:
    memset(w, 0, sizeof(ServiceWriter))
    question_of(c, device, &w.ask)
    w.address = service_address(c, device, &w.v_scale, &w.hz_scale)


cdef void failed(ServiceWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    """Told once, and tried again."""
    if not w.told:
        emit(sink, now_ns, EV_CURVE, LEVEL_ALARM, dev.unit, dev.index, -1, SERVICE_KIND * 8 + CURVE_FAILED, w.phase, NAN)
    w.told, w.known, w.phase = 1, 0, SP_REST
    w.retry_ns = now_ns + RETRY_NS


cdef void proved(ServiceWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int value
    cdef int told = 0
    if w.lacks:
        failed(w, dev, sink, now_ns)
        return
    for value in range(SERVICE_VALUES):
        w.held[value] = w.goal[value]
        told += not isnan(w.goal[value])
    w.known, w.told, w.phase = 1, 0, SP_REST
    emit(sink, now_ns, EV_CURVE, LEVEL_INFO, dev.unit, dev.index, -1, SERVICE_KIND * 8 + CURVE_IN_FORCE, told, NAN)


cdef void answered(ServiceWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    if w.phase == SP_READ:
        plan_registers(w)
        w.value = <uint8_t> first_differing(w, w.found, 0)
        if w.value == SERVICE_VALUES:
            proved(w, dev, sink, now_ns)
        else:
            w.phase = SP_WRITE
    elif w.phase == SP_WRITE:
        w.value = <uint8_t> first_differing(w, w.found, w.value + 1)
        w.phase = SP_WRITE if w.value < SERVICE_VALUES else SP_PROVE
    elif first_differing(w, w.ask.regs, 0) < SERVICE_VALUES:
        failed(w, dev, sink, now_ns)
    else:
        proved(w, dev, sink, now_ns)


cdef void service_take(const SiteConfig* c, ServiceWriter* w, Device* dev, const Bus* bus, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Outcome outcome = device_outcome(dev, bus, &w.ask, sink, now_ns)
    if outcome == NOTHING_YET or w.phase == SP_REST:
        return
    if outcome == ANSWERED:
        answered(w, dev, sink, now_ns)
    else:
        failed(w, dev, sink, now_ns)


cdef bint begin(ServiceWriter* w, const CurvePlan* plan, int64_t now_ns) noexcept nogil:
    """Is there something to do? Then do it."""
    cdef double[7] goal
    cdef int i
    if w.address <= 0 or now_ns < w.retry_ns or not stated(plan, now_ns, goal) or (w.known and alike(goal, w.held)):
        return False
    for i in range(SERVICE_VALUES):
        w.goal[i] = goal[i]
    w.phase = SP_READ
    return True


cdef void service_send(const SiteConfig* c, ServiceWriter* w, const Device* dev, Bus* bus, const CurvePlan* plan, EventSink* sink,
                       int64_t now_ns) noexcept nogil:
    if busy(&w.ask):
        return
    if dev.phase != PHASE_UP or w.epoch != dev.epoch:
        # Somebody who was away may have forgotten, or be somebody else: tell everything again.
        w.known, w.phase, w.epoch, w.retry_ns = 0, SP_REST, dev.epoch, 0
        if dev.phase != PHASE_UP:
            return
    if w.phase == SP_REST and not begin(w, plan, now_ns):
        return
    compose(w)
    if not bus_submit_poll(bus, &w.ask):
        w.ask.status = IDLE
