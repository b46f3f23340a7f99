"""What happens when registers are written: checks, orders, reversion timers, the command log.

Reversion (SunSpec DER models, same rule for WMaxLimPct, WSet, VarSet and both power factors): a write that enables the function, or that writes its time
while it is enabled, starts the timer at RvrtTms seconds; RvrtTms 0 or Ena 0 stops it. RvrtRem counts down in whole seconds, rounded
up, so that it reads RvrtTms right after arming and 0 only when nothing is pending. At expiry Ena takes EnaRvrt, each set point its Rvrt
value (where one is implemented), and the timer stops. Registers are the truth: orders are decoded from them after each change.

A write is checked whole and applied whole: outside the image, read-only, or cutting a 32-bit point in half: exception 2; a value its
point cannot have: exception 3. (SunSpec Device Information Model: multi-register points are written in one request.)
"""

from libc.math cimport ceil
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memcpy

from bessctl_core.sim.battery cimport bms_order, bms_reset
from bessctl_core.sim.pcs cimport pcs_feed, pcs_order, pcs_reset
from bessctl_core.sim.sunspec_image cimport get_i32, get_scale, get_u32, put_u32
from bessctl_core.sim.types cimport (
    LOG_CURVE, LOG_ES, LOG_HEARTBEAT_BACK, LOG_MAX, LOG_OPCTL, LOG_REVERSION, LOG_SETOP, LOG_VAR, LOG_WMAXLIM, LOG_WSET, LOG_WSET_ENA,
    LOG_WSET_PCT, Image, PcsControls, SimPlant,
)

cdef struct Function:        # one revertible function of model 704, offsets from its ID register
    int ena
    int ena_rvrt
    int tms
    int rem
    int first                # of the whole block
    int last
    int values               # set points with a reversion value
    int value[2]
    int value_rvrt[2]
    int value_regs[2]

cdef Function[5] FUNCTIONS

FUNCTIONS[0] = Function(14, 17, 18, 20, 14, 19, 1, [15, 0], [16, 0], [1, 0])
FUNCTIONS[1] = Function(22, 30, 31, 33, 22, 32, 2, [24, 28], [26, 29], [2, 1])
FUNCTIONS[2] = Function(35, 44, 45, 47, 35, 46, 2, [38, 42], [40, 43], [2, 1])
FUNCTIONS[3] = Function(2, 3, 4, 6, 2, 5, 1, [59, 0], [61, 0], [2, 0])
FUNCTIONS[4] = Function(8, 9, 10, 12, 8, 11, 1, [63, 0], [65, 0], [2, 0])

cdef enum:
    F_WSET = 1
    N_FUNCTIONS = 5


cdef void log_push(SimPlant* p, int64_t now_ns, int kind, double value) noexcept nogil:
    cdef int i = <int>(p.log_n % LOG_MAX)
    p.log[i].ns = now_ns + p.epoch_ns
    p.log[i].kind = kind
    p.log[i].value = value
    p.log_n += 1


# ---- decoding --------------------------------------------------------------------------------------------------------------------


cdef inline double signed16(uint16_t v) noexcept nogil:
    return <double>v - 65536.0 if v > 32767 else <double>v


cdef double factor(const Image* im, int at) noexcept nogil:
    """A PF group: magnitude, then excitation (0 over, 1 under)."""
    cdef double pf = im.regs[at] * get_scale(im, im.m704 + 53)
    return -pf if im.regs[at + 1] == 1 else pf


cdef void decode_704(const Image* im, PcsControls* c) noexcept nogil:
    cdef int m = im.m704
    c.wlim_ena = im.regs[m + 14] == 1
    c.wlim_pct = im.regs[m + 15] * get_scale(im, m + 54)
    c.w_ena = im.regs[m + 22] == 1
    if im.regs[m + 23] == 1:
        c.w_w = get_i32(im, m + 24) * get_scale(im, m + 55)
    else:                                                   # WSetMod 0: percent of WMax
        c.w_w = signed16(im.regs[m + 28]) * get_scale(im, m + 56) / 100.0 * c.w_max
    c.var_ena = im.regs[m + 35] == 1
    c.var_first = im.regs[m + 37] == 1
    c.var_mode = im.regs[m + 36]
    c.var_var = get_i32(im, m + 38) * get_scale(im, m + 57)
    c.var_pct = signed16(im.regs[m + 42]) * get_scale(im, m + 58)
    c.pf_ena[0] = im.regs[m + 2] == 1
    c.pf_ena[1] = im.regs[m + 8] == 1
    c.pf[0] = factor(im, m + 59)
    c.pf[1] = factor(im, m + 63)
    c.ramp_w_per_s = 0.0 if im.regs[m + 49] == 0xFFFF else im.regs[m + 49] / 100.0 * c.w_max


cdef void decode_controls(SimPlant* p) noexcept nogil:
    """Registers of 702, 703 and 704 -> p.pcs.ctl."""
    cdef const Image* im = &p.pcs_image
    cdef PcsControls* c = &p.pcs.ctl
    cdef int m = im.m702
    cdef double k = get_scale(im, m + 45)
    c.w_max = im.regs[m + 26] * k
    c.va_max = im.regs[m + 31] * k
    c.var_inj_max = im.regs[m + 32] * k
    c.var_abs_max = im.regs[m + 33] * k
    c.charge_w_max = im.regs[m + 34] * k
    c.discharge_w_max = im.regs[m + 35] * k
    decode_704(im, c)
    m = im.m703
    c.es = im.regs[m + 2] == 1
    c.es_v_hi_pct = im.regs[m + 3] * 0.1
    c.es_v_lo_pct = im.regs[m + 4] * 0.1
    c.es_hz_hi = get_u32(im, m + 5) * 0.001
    c.es_hz_lo = get_u32(im, m + 7) * 0.001
    c.es_delay_s = get_u32(im, m + 9)


# ---- reversion -------------------------------------------------------------------------------------------------------------------


cdef inline bint touches(int at, int count, int first, int last) noexcept nogil:
    return at <= last and at + count > first


cdef void arm(SimPlant* p, int f, int at, int count, int64_t now_ns) noexcept nogil:
    cdef Image* im = &p.pcs_image
    cdef const Function* fn = &FUNCTIONS[f]
    cdef uint32_t seconds = get_u32(im, im.m704 + fn.tms)
    cdef bint named = touches(at, count, fn.ena, fn.ena) or touches(at, count, fn.tms, fn.tms + 1)
    if not named and not (p.pcs.par.rearm_on_any_write != 0.0 and touches(at, count, fn.first, fn.last)):
        return
    if im.regs[im.m704 + fn.ena] != 1 or seconds == 0:
        p.reversion_ns[f] = 0
    else:
        p.reversion_ns[f] = now_ns + <int64_t>(seconds * p.pcs.par.timer_scale * 1e9)
    show_remaining(p, f, now_ns)


cdef void show_remaining(SimPlant* p, int f, int64_t now_ns) noexcept nogil:
    cdef Image* im = &p.pcs_image
    cdef double left = 0.0
    if p.reversion_ns[f] > 0:
        left = ceil((p.reversion_ns[f] - now_ns) / (p.pcs.par.timer_scale * 1e9))
    put_u32(im, im.m704 + FUNCTIONS[f].rem, left)


cdef bint implemented(const Image* im, int at, int registers) noexcept nogil:
    if registers == 2:
        return not (im.regs[at] == 0x8000 and im.regs[at + 1] == 0)
    return im.regs[at] != 0x8000 and im.regs[at] != 0xFFFF


cdef void revert(SimPlant* p, int f) noexcept nogil:
    cdef Image* im = &p.pcs_image
    cdef const Function* fn = &FUNCTIONS[f]
    cdef int m = im.m704
    cdef int i
    p.reversion_ns[f] = 0
    im.regs[m + fn.ena] = im.regs[m + fn.ena_rvrt]
    for i in range(fn.values):
        if implemented(im, m + fn.value_rvrt[i], fn.value_regs[i]):
            memcpy(&im.regs[m + fn.value[i]], &im.regs[m + fn.value_rvrt[i]], 2 * fn.value_regs[i])
    decode_controls(p)
    if f == F_WSET:
        log_push(p, p.now_ns, LOG_REVERSION, p.pcs.ctl.w_w if p.pcs.ctl.w_ena else 0.0)


cdef void reversions_step(SimPlant* p) noexcept nogil:
    cdef int f
    for f in range(N_FUNCTIONS):
        if p.reversion_ns[f] > 0 and p.now_ns >= p.reversion_ns[f]:
            revert(p, f)
        show_remaining(p, f, p.now_ns)


# ---- checking --------------------------------------------------------------------------------------------------------------------


cdef int value_limit(const Image* im, int at) noexcept nogil:
    """Largest value the one-register point at `at` may have; -1: any."""
    if im.m704 and im.m704 <= at < im.m704 + 67:
        if at - im.m704 in (2, 3, 8, 9, 14, 17, 22, 23, 30, 35, 37, 44, 60, 62, 64, 66):
            return 1
        if at - im.m704 == 36:
            return 4
        return 1000 if at - im.m704 in (15, 16, 59, 61, 63, 65) else -1
    if im.m703 and at == im.m703 + 2:
        return 1
    if im.m705 and at in (im.m705 + 2, im.m706 + 2, im.m712 + 2):
        return 1
    if im.m705 and at in (im.m705 + 45, im.m706 + 40, im.m712 + 38):
        return 10                                           # ActPt: no more points than there are
    if im.m715 and at == im.m715 + 8:
        return 3
    if im.m702 and im.m702 + 26 <= at <= im.m702 + 35:      # settings stay within their ratings
        return im.regs[at - 24]
    if im.m802 and im.m802 <= at < im.m802 + 64:
        return 2 if at - im.m802 == 50 else 3 if at - im.m802 == 51 else -1
    return -1


cdef int write_check(const Image* im, int at, int count, const uint16_t* values) noexcept nogil:
    """0, or the exception code that refuses the write."""
    cdef int i, limit
    if at < 0 or at + count > im.n:
        return 2
    for i in range(count):
        if im.access[at + i] == 0:
            return 2
    if im.access[at] == 2 or (at + count < im.n and im.access[at + count] == 2):
        return 2
    for i in range(count):
        limit = value_limit(im, at + i)
        if limit >= 0 and values[i] > limit:
            return 3
        if im.m704 and at + i in (im.m704 + 59, im.m704 + 61, im.m704 + 63, im.m704 + 65) and values[i] == 0:
            return 3                                        # no power factor of 0
        if im.m802 and at + i == im.m802 + 50 and values[i] == 0:
            return 3
    return 0


# ---- applying --------------------------------------------------------------------------------------------------------------------


cdef void log_changes(SimPlant* p, const PcsControls* old, const uint16_t* old704, int64_t now_ns) noexcept nogil:
    cdef const Image* im = &p.pcs_image
    cdef const PcsControls* c = &p.pcs.ctl
    cdef const uint16_t* now704 = &im.regs[im.m704]
    if old704[24] != now704[24] or old704[25] != now704[25]:
        log_push(p, now_ns, LOG_WSET, get_i32(im, im.m704 + 24) * get_scale(im, im.m704 + 55))
    if old704[28] != now704[28]:
        log_push(p, now_ns, LOG_WSET_PCT, signed16(now704[28]) * get_scale(im, im.m704 + 56))
    if old.w_ena != c.w_ena:
        log_push(p, now_ns, LOG_WSET_ENA, c.w_ena)
    if old.wlim_ena != c.wlim_ena or (c.wlim_ena and old.wlim_pct != c.wlim_pct):
        log_push(p, now_ns, LOG_WMAXLIM, c.wlim_pct if c.wlim_ena else 100.0)
    if old.var_ena != c.var_ena or old.var_var != c.var_var or old.var_pct != c.var_pct or old.var_mode != c.var_mode:
        log_push(p, now_ns, LOG_VAR, c.var_var if c.var_ena else 0.0)
    if old.es != c.es:
        log_push(p, now_ns, LOG_ES, c.es)


cdef void orders_715(SimPlant* p, Image* im, int at, int count, int64_t now_ns) noexcept nogil:
    cdef int m = im.m715
    if touches(at, count, m + 5, m + 6) and pcs_feed(&p.pcs, get_u32(im, m + 5)):
        log_push(p, now_ns, LOG_HEARTBEAT_BACK, get_u32(im, m + 5))
    if touches(at, count, m + 7, m + 7):
        if im.regs[m + 7] == 1:
            pcs_reset(&p.pcs)
        im.regs[m + 7] = 0
    if touches(at, count, m + 8, m + 8):
        pcs_order(&p.pcs, im.regs[m + 8])
        log_push(p, now_ns, LOG_OPCTL, im.regs[m + 8])


cdef void orders_curve(SimPlant* p, Image* im, int m, int sets, int head, int at, int count, int64_t now_ns) noexcept nogil:
    """AdptCrvReq copies a set into the first, which is the one in force; any number but that of the second set fails."""
    cdef int first = m + sets
    cdef int size = head + 20
    if touches(at, count, m + 2, m + 2):
        log_push(p, now_ns, LOG_CURVE, im.regs[m] if im.regs[m + 2] else -<double> im.regs[m])
    if not touches(at, count, m + 3, m + 3):
        return
    im.regs[m + 4] = 2
    if im.regs[m + 3] == 2 and not p.pcs.curve_refused:
        memcpy(&im.regs[first], &im.regs[first + size], 2 * size)
        im.regs[first + head - 1] = 1                       # ReadOnly
        im.regs[m + 4] = 1


cdef void orders_802(SimPlant* p, Image* im, int at, int count, int64_t now_ns) noexcept nogil:
    cdef int m = im.m802
    if touches(at, count, m + 19, m + 19):
        p.bat.ctrl_hb_seen = 1
        p.bat.ctrl_hb_age_s = 0.0
    if touches(at, count, m + 20, m + 20):
        if im.regs[m + 20] == 1:
            bms_reset(&p.bat)
        im.regs[m + 20] = 0                                 # 802 AlmRst: back to 0 when the reset is complete
    if touches(at, count, m + 50, m + 50):
        bms_order(&p.bat, im.regs[m + 50])
        log_push(p, now_ns, LOG_SETOP, im.regs[m + 50])


cdef void write_apply(SimPlant* p, Image* im, int at, int count, const uint16_t* values, int64_t now_ns) noexcept nogil:
    """Registers first, then everything that follows from them, at `now_ns`."""
    cdef uint16_t[67] old704
    cdef PcsControls old = p.pcs.ctl
    cdef int f, m
    memcpy(old704, &p.pcs_image.regs[p.pcs_image.m704], sizeof(old704))
    memcpy(&im.regs[at], values, 2 * count)
    if im.m704:
        m = im.m704
        if touches(at, count, m + 22, m + 32):
            p.wset_writes += 1
        for f in range(N_FUNCTIONS):
            if touches(at, count, m + FUNCTIONS[f].first, m + FUNCTIONS[f].last):
                arm(p, f, at - m, count, now_ns)
        decode_controls(p)
        log_changes(p, &old, old704, now_ns)
        orders_715(p, im, at, count, now_ns)
    if im.m705:
        orders_curve(p, im, im.m705, 15, 10, at, count, now_ns)
        orders_curve(p, im, im.m706, 15, 5, at, count, now_ns)
        orders_curve(p, im, im.m712, 14, 4, at, count, now_ns)
    if im.m802:
        orders_802(p, im, at, count, now_ns)
