"""The register images as they leave the factory: SunSpec chains, not-implemented values, scale factors, ratings, settings.

Built once, with the GIL. A point the device lacks keeps its not-implemented value (Device Information Model Specification, table of
point types). Scale factors never change: powers of ten that hold 1.3 times the rating in an int16.
"""

from libc.math cimport fmax, sqrt
from libc.stdint cimport uint16_t

from bessctl_core.sim.sunspec_image cimport put_bits32, put_u16, put_u32
from bessctl_core.sim.types cimport Battery, Image, Pcs, SimPlant

# Registers of each model, ID and L included
SIZES = {1: 68, 701: 155, 702: 52, 703: 19, 704: 67, 705: 75, 706: 65, 712: 62, 713: 9, 714: 45, 715: 9, 802: 64, 803: 60, 203: 107}

# Where the not-implemented value is not 0xFFFF: (first, last) of int16/sunssf/pad (0x8000), of int32 (0x8000 0x0000), of zero
# (strings, accumulators)
INT16 = {
    1: [(67, 67)],
    701: [(10, 14), (35, 45), (64, 68), (87, 91), (113, 122)],
    702: [(45, 51)],
    703: [(17, 18)],
    704: [(28, 29), (42, 43), (53, 58)],
    705: [(12, 14)],
    706: [(12, 14)],
    712: [(12, 13)],
    713: [(7, 8)],
    714: [(5, 6), (15, 19), (30, 30), (32, 32), (41, 41)],
    802: [(44, 44), (47, 47), (49, 49), (52, 63)],
    803: [(4, 4), (7, 7), (10, 10), (16, 16), (18, 18), (20, 20), (22, 27), (34, 34), (40, 40), (42, 42), (44, 44), (58, 59)],
    203: [(2, 37), (54, 54), (71, 71), (104, 104)],
}
INT32 = {704: [24, 26, 38, 40]}
ZERO = {1: [(2, 65)], 701: [(123, 154)], 714: [(22, 29)], 203: [(38, 53), (55, 70), (72, 103)]}

# The curve models have two sets of ten points; the first is the one in force, the second may be written
CURVE_SETS = 2
CURVE_POINTS = 10


def curve_points(first: int, head: int, speed: int) -> list:
    """Writable points of the set that begins at `first`: ActPt, DeptRef, RspTms where there is one, and the points."""
    return [(first, 1), (first + 1, 1), *([(first + speed, 2)] if speed else []), *((first + head + i, 1) for i in range(2 * CURVE_POINTS))]


# Writable points this device implements: (offset, registers)
WRITABLE = {
    702: [(26, 1), (31, 1), (32, 1), (33, 1), (34, 1), (35, 1)],
    703: [(2, 1), (3, 1), (4, 1), (5, 2), (7, 2), (9, 2), (11, 2), (13, 2)],
    704: [
        (2, 1), (3, 1), (4, 2), (8, 1), (9, 1), (10, 2), (14, 1), (15, 1), (16, 1), (17, 1), (18, 2),
        (22, 1), (23, 1), (24, 2), (26, 2), (28, 1), (29, 1), (30, 1), (31, 2),
        (35, 1), (36, 1), (37, 1), (38, 2), (40, 2), (42, 1), (43, 1), (44, 1), (45, 2), (49, 1),
        (59, 1), (60, 1), (61, 1), (62, 1), (63, 1), (64, 1), (65, 1), (66, 1),
    ],
    705: [(2, 1), (3, 1), *curve_points(45, 10, 7)],
    706: [(2, 1), (3, 1), *curve_points(40, 5, 2)],
    712: [(2, 1), (3, 1), *curve_points(38, 4, 0)],
    715: [(5, 2), (7, 1), (8, 1)],
    802: [(9, 1), (10, 1), (19, 1), (20, 1), (50, 1), (51, 1)],
}


cdef int scale_for(double rating, int least):
    """Smallest sf >= least with 1.3 x rating / 10**sf inside an int16."""
    sf = least
    while 1.3 * rating / 10.0**sf > 32700.0:
        sf += 1
    return sf


cdef void put_sf(Image* im, int at, int sf):
    im.regs[at] = <uint16_t>(sf & 0xFFFF)


cdef void put_text(Image* im, int at, int registers, str text):
    raw = text.encode("ascii", "replace")[: 2 * registers].ljust(2 * registers, b"\0")
    for i in range(registers):
        im.regs[at + i] = <uint16_t>((raw[2 * i] << 8) | raw[2 * i + 1])


cdef void add_model(Image* im, int model):
    cdef int at = im.n
    cdef int i
    for i in range(SIZES[model]):
        im.regs[at + i] = 0xFFFF
    for first, last in INT16.get(model, ()):
        for i in range(first, last + 1):
            im.regs[at + i] = 0x8000
    for first, last in ZERO.get(model, ()):
        for i in range(first, last + 1):
            im.regs[at + i] = 0
    for first in INT32.get(model, ()):
        im.regs[at + first] = 0x8000
        im.regs[at + first + 1] = 0
    im.regs[at] = model
    im.regs[at + 1] = SIZES[model] - 2
    for first, count in WRITABLE.get(model, ()):
        for i in range(count):
            im.access[at + first + i] = 1 if i == 0 else 2
    im.n += SIZES[model]


cdef void image_build(Image* im, dict cfg, list models):
    """Lay out the chain SunS, models, end. Offsets in `im` count from the chain's base address."""
    im.unit = cfg["unit"]
    im.base = cfg["base"]
    im.answer_ms = cfg["answer_ms"]
    im.refresh_ms = cfg["refresh_ms"]
    im.refreshed_ns = -(1 << 62)
    im.regs[0] = 0x5375
    im.regs[1] = 0x6E53
    im.n = 2
    at = {}
    for model in models:
        at[model] = im.n
        add_model(im, model)
    im.regs[im.n] = 0xFFFF
    im.regs[im.n + 1] = 0
    im.n += 2
    im.m1, im.m701, im.m702, im.m703 = at.get(1, 0), at.get(701, 0), at.get(702, 0), at.get(703, 0)
    im.m704, im.m713, im.m714, im.m715 = at.get(704, 0), at.get(713, 0), at.get(714, 0), at.get(715, 0)
    im.m705, im.m706, im.m712 = at.get(705, 0), at.get(706, 0), at.get(712, 0)
    im.m802, im.m803, im.m203 = at.get(802, 0), at.get(803, 0), at.get(203, 0)
    for offset, registers, key in ((2, 16, "manufacturer"), (18, 16, "model"), (34, 8, "options"), (42, 8, "version"), (50, 16, "serial")):
        put_text(im, im.m1 + offset, registers, cfg[key])
    im.regs[im.m1 + 66] = im.unit


cdef void settings_pcs(SimPlant* p):
    """Scale factors, ratings and the settings as they leave the factory."""
    cdef Image* im = &p.pcs_image
    cdef Pcs* c = &p.pcs
    cdef double amps = c.par.va_max / (sqrt(3.0) * c.par.v_nom)
    w_sf = scale_for(fmax(c.par.w_max, c.par.va_max), 0)
    for at, sf in ((113, scale_for(amps, -1)), (114, -1), (115, -3), (116, w_sf), (117, -3), (118, w_sf), (119, w_sf), (120, 0), (121, 0), (122, -1)):
        put_sf(im, im.m701 + at, sf)
    im.regs[im.m701 + 2] = 2                                # THREE_PHASE
    for at, sf in ((45, w_sf), (46, -3), (47, w_sf), (48, w_sf), (49, -1), (50, scale_for(amps, -1))):
        put_sf(im, im.m702 + at, sf)
    one = 1.0 / 10.0**w_sf
    for rating, setting, value in (
        (2, 26, c.par.w_max), (7, 31, c.par.va_max), (8, 32, c.par.var_max), (9, 33, c.par.var_max),
        (10, 34, c.par.charge_w_max), (11, 35, c.par.discharge_w_max),
    ):
        put_u16(im, im.m702 + rating, value * one)
        put_u16(im, im.m702 + setting, value * one)
    put_u16(im, im.m702 + 14, c.par.v_nom * 10.0)
    put_u16(im, im.m702 + 38, c.par.v_nom * 10.0)
    put_u16(im, im.m702 + 17, amps / 10.0 ** scale_for(amps, -1))
    put_bits32(im, im.m702 + 23, 0b1111)                    # MAX_W, FIXED_W, FIXED_VAR, FIXED_PF
    put_sf(im, im.m703 + 17, -1)
    put_sf(im, im.m703 + 18, -3)
    im.regs[im.m703 + 2] = c.ctl.es
    put_u16(im, im.m703 + 3, c.ctl.es_v_hi_pct * 10.0)
    put_u16(im, im.m703 + 4, c.ctl.es_v_lo_pct * 10.0)
    put_u32(im, im.m703 + 5, c.ctl.es_hz_hi * 1000.0)
    put_u32(im, im.m703 + 7, c.ctl.es_hz_lo * 1000.0)
    put_u32(im, im.m703 + 9, c.ctl.es_delay_s)
    put_u32(im, im.m703 + 11, 0.0)                          # ESRndTms and ESRmpTms: held and told, not played
    put_u32(im, im.m703 + 13, 0.0)
    settings_704(im, c)
    settings_curves(im)
    settings_storage(p)


cdef void settings_704(Image* im, const Pcs* c):
    cdef int m = im.m704
    for at, sf in ((53, -3), (54, -1), (55, 0), (56, -1), (57, 0), (58, -1)):
        put_sf(im, m + at, sf)
    for at in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48):
        im.regs[m + at] = 0
    for at in (59, 61, 63, 65):
        im.regs[m + at] = 1000                              # PF 1.000
        im.regs[m + at + 1] = 0                             # over-excited
    im.regs[m + 15] = 1000                                  # WMaxLimPct 100.0 %
    im.regs[m + 16] = 1000
    im.regs[m + 23] = 1                                     # WSetMod: WATTS
    im.regs[m + 36] = 4                                     # VarSetMod: VARS
    if c.par.ramp_w_per_s > 0.0:
        put_u16(im, m + 49, fmax(1.0, 100.0 * c.par.ramp_w_per_s / c.par.w_max))
        im.regs[m + 50] = 1                                 # WRmpRef: W_MAX


cdef void settings_curve(Image* im, int m, int sets, int head, list factors, list points):
    """A model of two sets, both flat at first, switched off. `points`: what the factory put in, in counts."""
    if m == 0:
        return
    for at in (2, 3, 4, 7, 8, 9, 10, 11):
        im.regs[m + at] = 0
    im.regs[m + 5], im.regs[m + 6] = CURVE_POINTS, CURVE_SETS
    for at, sf in factors:
        put_sf(im, m + at, sf)
    for number in range(CURVE_SETS):
        at = m + sets + number * (head + 2 * CURVE_POINTS)
        for i in range(head):
            im.regs[at + i] = 0
        im.regs[at] = len(points) // 2
        im.regs[at + 1] = 1 if head != 5 else 0             # DeptRef: VAR_MAX_PCT; W_MAX_PCT in 706
        im.regs[at + head - 1] = 1 if number == 0 else 0    # ReadOnly
        for i, value in enumerate(points):
            im.regs[at + head + i] = <uint16_t>(value & 0xFFFF)


cdef void settings_curves(Image* im):
    settings_curve(im, im.m705, 15, 10, [(12, -1), (13, -1), (14, 0)], [920, 0, 1080, 0])
    settings_curve(im, im.m706, 15, 5, [(12, -1), (13, -1), (14, 0)], [1060, 1000, 1100, 1000])
    settings_curve(im, im.m712, 14, 4, [(12, -1), (13, -1)], [0, 0, 1000, 0])


cdef void settings_storage(SimPlant* p):
    cdef Image* im = &p.pcs_image
    cdef Battery* b = &p.bat
    cdef double amps = fmax(b.par.charge_a_max, b.par.discharge_a_max)
    wh_sf = scale_for(b.par.energy_wh / 2.0, 0)                # unsigned: twice the room
    put_sf(im, im.m713 + 7, wh_sf)
    put_sf(im, im.m713 + 8, -1)
    put_u16(im, im.m713 + 2, b.par.energy_wh / 10.0**wh_sf)
    w_sf = scale_for(fmax(p.pcs.par.w_max, p.pcs.par.va_max), 0)
    for at, sf in ((15, scale_for(amps, -1)), (16, -1), (17, w_sf), (18, 0), (19, -1)):
        put_sf(im, im.m714 + at, sf)
    put_bits32(im, im.m714 + 2, 0)
    im.regs[im.m714 + 4] = 1
    im.regs[im.m714 + 20] = 1                               # PrtTyp: ESS
    im.regs[im.m714 + 21] = 1
    put_text(im, im.m714 + 22, 8, "BATTERY")
    im.regs[im.m715 + 2] = 0                                # LocRemCtl: REMOTE
    for at in (3, 4, 5, 6, 7):
        im.regs[im.m715 + at] = 0
    im.regs[im.m715 + 8] = 0 if not p.pcs.run_wanted else 2 if p.pcs.standby_wanted else 1


cdef void settings_battery(SimPlant* p):
    cdef Image* im = &p.pcs_image if p.combined else &p.bat_image
    cdef Battery* b = &p.bat
    cdef double ah = b.par.energy_wh / (b.par.cells * b.par.cell_nominal_v)
    cdef double watts = fmax(b.par.charge_a_max, b.par.discharge_a_max) * b.par.cells * b.par.cell_nominal_v
    cdef int m = im.m802
    a_sf = scale_for(fmax(b.par.charge_a_max, b.par.discharge_a_max), -1)
    sfs = {52: scale_for(ah, -1), 53: scale_for(b.par.energy_wh / 2.0, 0), 54: scale_for(watts, 0), 56: -2, 57: -2, 58: -1, 59: -1, 60: -3, 61: a_sf, 62: a_sf, 63: scale_for(watts, 0)}
    for at, sf in sfs.items():
        put_sf(im, m + at, sf)
    put_u16(im, m + 2, ah / 10.0 ** sfs[52])
    put_u16(im, m + 3, b.par.energy_wh / 10.0 ** sfs[53])
    put_u16(im, m + 4, b.par.charge_a_max * b.par.cells * b.par.cell_nominal_v / 10.0 ** sfs[54])
    put_u16(im, m + 5, b.par.discharge_a_max * b.par.cells * b.par.cell_nominal_v / 10.0 ** sfs[54])
    put_u16(im, m + 7, b.par.soc_max_pct * 100.0)
    put_u16(im, m + 8, b.par.soc_min_pct * 100.0)
    put_u16(im, m + 9, b.par.soc_max_pct * 100.0)
    put_u16(im, m + 10, b.par.soc_min_pct * 100.0)
    for at in (17, 19, 20, 28, 29, 30, 31, 32, 33, 48):
        im.regs[m + at] = 0
    im.regs[m + 21] = 4                                     # Typ: LITHIUM_ION
    im.regs[m + 50] = 1 if b.contactor else 2
    im.regs[m + 51] = 1
    m = im.m803
    for at, sf in ((22, -3), (23, -1), (24, a_sf), (25, -1), (26, -2), (27, -1)):
        put_sf(im, m + at, sf)
    im.regs[m + 2] = 1
    im.regs[m + 21] = 0
    im.regs[m + 28] = 1
    for at in (5, 6, 8, 9, 12, 14, 17, 19, 36, 38, 41, 43):
        im.regs[m + at] = 1                                 # string 1, module 1: the only ones


cdef void settings_meter(SimPlant* p):
    cdef Image* im = &p.meter_image
    cdef int m = im.m203
    cdef double amps = p.meter.rated_w / (sqrt(3.0) * p.pcs.par.v_nom)
    w_sf = scale_for(p.meter.rated_w, 0)
    for at, sf in ((6, scale_for(amps, -1)), (15, -1), (17, -2), (22, w_sf), (27, w_sf), (32, w_sf), (37, -1), (54, 0)):
        put_sf(im, m + at, sf)
    put_bits32(im, m + 105, 0)


cdef void image_settings(SimPlant* p):
    settings_pcs(p)
    settings_battery(p)
    settings_meter(p)
