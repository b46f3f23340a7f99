"""Writes curves into a PCS and proves that they stand there; the rules stand in curves.pxd. Loop, nogil, bounded."""

from libc.math cimport NAN, fabs, floor, isfinite
from libc.stdint cimport int16_t, uint16_t
from libc.string cimport memset

from .bus cimport IDLE, bus_submit_poll
from .driver cimport ANSWERED, NOTHING_YET, PHASE_UP, Outcome, device_outcome
from .events cimport LEVEL_ALARM, LEVEL_INFO, emit
from .frames cimport READ_HOLDING_REGISTERS, WRITE_MULTIPLE_REGISTERS
from .layout cimport (
    CURVE_FAILED, CURVE_IDLE, CURVE_IN_FORCE, CURVE_OFF, CURVE_STEPS, CURVE_VOLT_VAR, CURVE_VOLT_WATT, CURVE_WATT_VAR, CURVE_WRITING, EV_CURVE,
    NS_PER_S, PLAN_BOOT, PLAN_COUNT, PLAN_KIND, PLAN_NUMBER, PLAN_OK, PLAN_ORDER, PLAN_RANGE,
)
from .question cimport busy, question_of
from .service cimport is_service, service_fault

# Offsets from the model's ID register.
cdef enum:
    ENA = 2
    ADOPT_REQUEST = 3
    ADOPT_RESULT = 4
    COMPLETED = 1
    IN_PROGRESS = 0

cdef int64_t RETRY_NS = 60 * <int64_t> NS_PER_S
cdef int64_t OFF_RETRY_NS = 2 * <int64_t> NS_PER_S
cdef int64_t THINK_NS = 100000000               # between two looks at AdptCrvRslt
cdef int64_t THINK_MAX_NS = 10 * <int64_t> NS_PER_S

# Per CurveKind: where the curve sets begin, where the points begin in a set, where its RspTms is (0: it has none), the largest DeptRef.
cdef int[3] SETS = [15, 15, 14]
cdef int[3] POINTS_AT = [10, 5, 4]
cdef int[3] SPEED_AT = [7, 2, 0]
cdef int[3] REFERENCE_MAX = [3, 1, 3]
# What is no order: beyond twice the rating no SunSpec curve has anything to say.
cdef double[3] X_MIN = [0.0, 0.0, -100.0]
cdef double[3] X_MAX = [200.0, 200.0, 100.0]
cdef double Y_MAX = 100.0


# --- the plan -----------------------------------------------------------------------------------------------------------------------------

cdef int step_fault(const CurvePlan* plan, int kind, int at) noexcept nogil:
    cdef int i
    cdef int first = at * CURVE_XY
    if plan.points[at] > CURVE_XY:
        return PLAN_COUNT
    if plan.reference[at] > REFERENCE_MAX[kind]:
        return PLAN_KIND
    if plan.end_ns[at] <= plan.start_ns[at]:
        return PLAN_ORDER
    if not isfinite(plan.response_s[at]):
        return PLAN_NUMBER
    if plan.points[at] < 2 or plan.response_s[at] < 0:
        return PLAN_RANGE
    for i in range(plan.points[at]):
        if not (isfinite(plan.x[first + i]) and isfinite(plan.y[first + i])):
            return PLAN_NUMBER
        if plan.x[first + i] < X_MIN[kind] or plan.x[first + i] > X_MAX[kind] or fabs(plan.y[first + i]) > Y_MAX:
            return PLAN_RANGE
        if i > 0 and plan.x[first + i] < plan.x[first + i - 1]:
            return PLAN_ORDER
    return PLAN_OK


cdef int curve_fault(const CurvePlan* plan, uint64_t boot_id_hi, uint64_t boot_id_lo) noexcept nogil:
    cdef int kind, step, at, fault
    cdef int64_t free_ns
    if plan.boot_id_hi != boot_id_hi or plan.boot_id_lo != boot_id_lo:
        return PLAN_BOOT
    for kind in range(CURVES):
        free_ns = 0
        for step in range(CURVE_STEPS):
            at = kind * CURVE_STEPS + step
            if plan.points[at] == 0:
                continue
            if is_service(plan, at):
                fault = service_fault(plan, at)
                if fault != PLAN_OK:
                    return fault
                continue
            fault = step_fault(plan, kind, at)
            if fault != PLAN_OK:
                return fault
            if plan.start_ns[at] < free_ns:
                return PLAN_ORDER
            free_ns = plan.end_ns[at]
    return PLAN_OK


cdef void wanted(const CurvePlan* plan, int kind, int points_max, int64_t now_ns, Curve* curve) noexcept nogil:
    """What the plan wants now; off where it says nothing, or wants more points than the model holds."""
    cdef int step, at, i
    memset(curve, 0, sizeof(Curve))
    for step in range(CURVE_STEPS):
        at = kind * CURVE_STEPS + step
        if plan.points[at] == 0 or plan.points[at] > points_max or is_service(plan, at) or not plan.start_ns[at] <= now_ns < plan.end_ns[at]:
            continue
        curve.points, curve.reference, curve.response_s = plan.points[at], plan.reference[at], plan.response_s[at]
        for i in range(min(<int> plan.points[at], <int> CURVE_XY)):
            curve.x[i], curve.y[i] = plan.x[at * CURVE_XY + i], plan.y[at * CURVE_XY + i]


cdef bint same(const Curve* a, const Curve* b) noexcept nogil:
    cdef int i
    if a.points != b.points or (a.points and (a.reference != b.reference or a.response_s != b.response_s)):
        return False
    for i in range(min(<int> a.points, <int> CURVE_XY)):
        if a.x[i] != b.x[i] or a.y[i] != b.y[i]:
            return False
    return True


# --- the registers ------------------------------------------------------------------------------------------------------------------------

cdef uint16_t encoded(double value, double scale) noexcept nogil:
    cdef double counts = floor(value / scale + 0.5)
    return <uint16_t> (<int16_t> max(-32767.0, min(32767.0, counts)))


cdef void question(CurveWriter* w, int function, int address, int count) noexcept nogil:
    w.ask.function, w.ask.address, w.ask.count = <uint8_t> function, <uint16_t> address, <uint16_t> count


cdef int set_of(const SiteConfig* c, const CurveWriter* w, int at, int number) noexcept nogil:
    """First register of a curve set; they are numbered from 1."""
    return c.curve_addr[at] + SETS[w.kind] + (number - 1) * (POINTS_AT[w.kind] + 2 * c.curve_points_max[at])


cdef void put_points(CurveWriter* w, uint16_t* regs, double x_scale, double y_scale) noexcept nogil:
    cdef int i
    for i in range(min(<int> w.goal.points, <int> CURVE_XY)):
        regs[2 * i], regs[2 * i + 1] = encoded(w.goal.x[i], x_scale), encoded(w.goal.y[i], y_scale)


cdef bint reads_back(const SiteConfig* c, CurveWriter* w, int at) noexcept nogil:
    """Set 1, read from its first register, is what was written."""
    cdef uint16_t[2 * CURVE_XY] ours
    cdef int i
    if w.ask.regs[0] != w.goal.points or w.ask.regs[1] != w.goal.reference:
        return False
    put_points(w, ours, c.curve_x_scale[at], c.curve_y_scale[at])
    for i in range(2 * min(<int> w.goal.points, <int> CURVE_XY)):
        if w.ask.regs[POINTS_AT[w.kind] + i] != ours[i]:
            return False
    return True


cdef void compose(const SiteConfig* c, CurveWriter* w, int device) noexcept nogil:
    """The question of this phase."""
    cdef int at = device * CURVES + w.kind
    cdef int base = c.curve_addr[at]
    cdef int ours = set_of(c, w, at, 2)
    cdef uint32_t speed
    if w.phase == CP_SET:
        question(w, WRITE_MULTIPLE_REGISTERS, ours, 2)
        w.ask.regs[0], w.ask.regs[1] = w.goal.points, w.goal.reference
    elif w.phase == CP_POINTS:
        question(w, WRITE_MULTIPLE_REGISTERS, ours + POINTS_AT[w.kind], 2 * w.goal.points)
        put_points(w, w.ask.regs, c.curve_x_scale[at], c.curve_y_scale[at])
    elif w.phase == CP_SPEED:
        speed = <uint32_t> (w.goal.response_s / c.curve_s_scale[at] + 0.5)
        question(w, WRITE_MULTIPLE_REGISTERS, ours + SPEED_AT[w.kind], 2)
        w.ask.regs[0], w.ask.regs[1] = <uint16_t> (speed >> 16), <uint16_t> speed
    elif w.phase == CP_ADOPT:
        question(w, WRITE_MULTIPLE_REGISTERS, base + ADOPT_REQUEST, 1)
        w.ask.regs[0] = 2
    elif w.phase == CP_AWAIT:
        question(w, READ_HOLDING_REGISTERS, base + ADOPT_RESULT, 1)
    elif w.phase == CP_LOOK:
        question(w, READ_HOLDING_REGISTERS, set_of(c, w, at, 1), POINTS_AT[w.kind] + 2 * w.goal.points)
    elif w.phase == CP_SWITCH:
        question(w, WRITE_MULTIPLE_REGISTERS, base + ENA, 1)
        w.ask.regs[0] = w.goal.points > 0
    else:
        question(w, READ_HOLDING_REGISTERS, base + ENA, 1)


# --- the way through the phases -----------------------------------------------------------------------------------------------------------

cdef inline int told_as(int kind, int state) noexcept nogil:
    """An event's detail: which function, and what became of it."""
    return kind * 8 + state


cdef void curves_init(const SiteConfig* c, int device, CurveWriter* w) noexcept nogil:
    memset(w, 0, sizeof(CurveWriter))
    question_of(c, device, &w.ask)


cdef void failed(CurveWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    """Told once. A curve that could not be brought into force leaves its function switched off, whatever stood there before."""
    if not w.told[w.kind]:
        emit(sink, now_ns, EV_CURVE, LEVEL_ALARM, dev.unit, dev.index, -1, told_as(w.kind, CURVE_FAILED), w.phase, NAN)
    w.told[w.kind] = 1
    w.known[w.kind] = 0
    w.state[w.kind] = CURVE_FAILED
    w.retry_ns[w.kind] = now_ns + (RETRY_NS if w.goal.points else OFF_RETRY_NS)
    w.phase = CP_SWITCH if w.goal.points else CP_REST
    memset(&w.goal, 0, sizeof(Curve))


cdef void proved(CurveWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    w.held[w.kind] = w.goal
    w.known[w.kind] = 1
    w.told[w.kind] = w.told[w.kind] and w.goal.points == 0
    w.state[w.kind] = CURVE_IN_FORCE if w.goal.points else CURVE_FAILED if w.told[w.kind] else CURVE_OFF
    w.phase = CP_REST
    if not w.told[w.kind]:
        emit(sink, now_ns, EV_CURVE, LEVEL_INFO, dev.unit, dev.index, -1, told_as(w.kind, w.state[w.kind]), w.goal.points, NAN)


cdef void after_adoption(CurveWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    if w.ask.regs[0] == COMPLETED:
        w.phase = CP_LOOK
    elif w.ask.regs[0] != IN_PROGRESS or now_ns >= w.until_ns:
        failed(w, dev, sink, now_ns)
    else:
        w.next_ns = now_ns + THINK_NS


cdef void answered(const SiteConfig* c, CurveWriter* w, const Device* dev, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int at = dev.index * CURVES + w.kind
    if w.phase == CP_SET:
        w.phase = CP_POINTS
    elif w.phase == CP_POINTS:
        w.phase = CP_SPEED if SPEED_AT[w.kind] and w.goal.response_s > 0 and c.curve_s_scale[at] > 0 else CP_ADOPT
    elif w.phase == CP_SPEED:
        w.phase = CP_ADOPT
    elif w.phase == CP_ADOPT:
        w.phase = CP_AWAIT
        w.until_ns = now_ns + THINK_MAX_NS
    elif w.phase == CP_AWAIT:
        after_adoption(w, dev, sink, now_ns)
    elif w.phase == CP_LOOK:
        if reads_back(c, w, at):
            w.phase = CP_SWITCH
        else:
            failed(w, dev, sink, now_ns)
    elif w.phase == CP_SWITCH:
        w.phase = CP_PROVE
    elif w.ask.regs[0] != (w.goal.points > 0):
        failed(w, dev, sink, now_ns)
    else:
        proved(w, dev, sink, now_ns)


cdef void curves_take(const SiteConfig* c, CurveWriter* w, Device* dev, const Bus* bus, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Outcome outcome = device_outcome(dev, bus, &w.ask, sink, now_ns)
    if outcome == NOTHING_YET or w.phase == CP_REST:
        return
    if outcome == ANSWERED:
        answered(c, w, dev, sink, now_ns)
    else:
        failed(w, dev, sink, now_ns)


cdef bint begin(const SiteConfig* c, CurveWriter* w, const Device* dev, const CurvePlan* plan, int kind, int64_t now_ns) noexcept nogil:
    """Is there something to do for this function? Then do it."""
    cdef int at = dev.index * CURVES + kind
    cdef Curve goal
    if c.curve_addr[at] <= 0 or not plan.ours[kind]:
        w.state[kind] = CURVE_IDLE
        return False
    wanted(plan, kind, c.curve_points_max[at], now_ns, &goal)
    if w.known[kind] and same(&goal, &w.held[kind]):
        if goal.points == 0:
            w.state[kind], w.told[kind] = CURVE_OFF, 0
        return False
    if now_ns < w.retry_ns[kind]:
        return False
    w.kind, w.goal = <uint8_t> kind, goal
    w.state[kind] = CURVE_WRITING
    w.phase = CP_SET if goal.points else CP_SWITCH
    return True


cdef void curves_send(const SiteConfig* c, CurveWriter* w, const Device* dev, Bus* bus, const CurvePlan* plan, EventSink* sink,
                      int64_t now_ns) noexcept nogil:
    cdef int kind
    if busy(&w.ask):
        return
    if dev.phase != PHASE_UP or w.epoch != dev.epoch:
        # Somebody who was away may have forgotten, or be somebody else: tell everything again.
        memset(w.known, 0, sizeof(w.known))
        memset(w.retry_ns, 0, sizeof(w.retry_ns))
        w.phase, w.epoch = CP_REST, dev.epoch
        if dev.phase != PHASE_UP:
            return
    for kind in range(CURVES):
        if w.phase == CP_REST and begin(c, w, dev, plan, kind, now_ns):
            break
    if w.phase == CP_REST or now_ns < w.next_ns:
        return
    w.next_ns = 0
    compose(c, w, dev.index)
    if not bus_submit_poll(bus, &w.ask):
        w.ask.status = IDLE
