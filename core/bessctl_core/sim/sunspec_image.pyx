"""The measured points of the register images of the PCS, the battery and the PCC meter, refreshed after each step, nogil.

Offsets and sizes are those of the SunSpec model definitions; a test reads every point back with SunSpec's own client.

Signs. PCS (701, 704, 714): positive = generation, discharge. Battery (802, 803): A and W positive = discharge. Meter (203): the
quadrants of its energy registers (Q1 and Q4 import) make W positive for power *imported* from the grid, the opposite of our PCC
sign; this is turned here, once.
"""

from libc.math cimport fabs, floor, fmax, fmin, isnan, pow, sqrt
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t

from bessctl_core.sim.pcs cimport pcs_shown_state
from bessctl_core.sim.types cimport (
    BANK_CONNECTED, ST_FAULT, ST_OFF, ST_RUNNING, ST_SHUTTING_DOWN, ST_STANDBY, Battery, Image, Meter, Pcs, SimPlant,
)


cdef inline double nearest(double x) noexcept nogil:
    return floor(x + 0.5)


cdef void put_u16(Image* im, int at, double value) noexcept nogil:
    im.regs[at] = 0xFFFF if isnan(value) else <uint16_t>fmin(65534.0, fmax(0.0, nearest(value)))


cdef void put_i16(Image* im, int at, double value) noexcept nogil:
    im.regs[at] = 0x8000 if isnan(value) else <uint16_t>(<int>fmin(32767.0, fmax(-32767.0, nearest(value))) & 0xFFFF)


cdef void put_u32(Image* im, int at, double value) noexcept nogil:
    cdef uint32_t v = <uint32_t>fmin(4294967294.0, fmax(0.0, nearest(value)))
    im.regs[at] = <uint16_t>(v >> 16)
    im.regs[at + 1] = <uint16_t>(v & 0xFFFF)


cdef void put_bits32(Image* im, int at, uint32_t v) noexcept nogil:
    im.regs[at] = <uint16_t>(v >> 16)
    im.regs[at + 1] = <uint16_t>(v & 0xFFFF)


cdef void put_acc32(Image* im, int at, double value) noexcept nogil:
    put_bits32(im, at, <uint32_t>(<uint64_t>fmax(0.0, value)))


cdef void put_u64(Image* im, int at, double value) noexcept nogil:
    cdef uint64_t v = <uint64_t>fmax(0.0, value)
    cdef int i
    for i in range(4):
        im.regs[at + i] = <uint16_t>((v >> (48 - 16 * i)) & 0xFFFF)


cdef int32_t get_i32(const Image* im, int at) noexcept nogil:
    return <int32_t>get_u32(im, at)


cdef uint32_t get_u32(const Image* im, int at) noexcept nogil:
    return (<uint32_t>im.regs[at] << 16) | im.regs[at + 1]


cdef double get_scale(const Image* im, int at) noexcept nogil:
    """10 ** sf, where the register at `at` holds sf."""
    cdef int sf = im.regs[at]
    return pow(10.0, sf - 65536 if sf > 32767 else sf)


cdef inline double shown(double pinned, double truth) noexcept nogil:
    return truth if isnan(pinned) else pinned


cdef inline double per(const Image* im, int at) noexcept nogil:
    return 1.0 / get_scale(im, at)


cdef void refresh_701(SimPlant* p, Image* im) noexcept nogil:
    cdef int m = im.m701
    cdef const Pcs* c = &p.pcs
    cdef double s = sqrt(c.w * c.w + c.var * c.var)
    cdef double amps = s / (sqrt(3.0) * p.grid.v) if p.grid.v > 1.0 else 0.0
    cdef double kw = per(im, m + 116)
    cdef double ka = per(im, m + 113)
    cdef double kv = per(im, m + 114)
    cdef int phase, at
    im.regs[m + 3] = 0 if c.state == ST_OFF or c.state == ST_FAULT else 1
    im.regs[m + 4] = <uint16_t>pcs_shown_state(c)
    im.regs[m + 5] = 1 if c.state in (ST_RUNNING, ST_SHUTTING_DOWN, ST_STANDBY) else 0
    put_bits32(im, m + 6, c.alarms)
    put_bits32(im, m + 8, 1)                                # GRID_FOLLOWING
    put_i16(im, m + 10, c.w * kw)
    put_i16(im, m + 11, s * kw)
    put_i16(im, m + 12, c.var * kw)
    put_i16(im, m + 13, 1000.0 * (c.w / s if s > 1.0 else 1.0))
    put_i16(im, m + 14, amps * ka)
    put_u16(im, m + 15, p.grid.v * kv)
    put_u16(im, m + 16, p.grid.v / sqrt(3.0) * kv)
    put_u32(im, m + 17, p.grid.hz * 1000.0)
    put_u64(im, m + 19, c.inj_wh)
    put_u64(im, m + 23, c.abs_wh)
    put_u64(im, m + 27, c.inj_varh)
    put_u64(im, m + 31, c.abs_varh)
    put_i16(im, m + 35, p.bat.par.ambient_c * 10.0)
    put_i16(im, m + 36, (c.sink_c * 0.5 + 12.5) * 10.0)
    put_i16(im, m + 37, c.sink_c * 10.0)
    for phase in range(3):
        at = m + 41 + 23 * phase
        put_i16(im, at, c.w / 3.0 * kw)
        put_i16(im, at + 1, s / 3.0 * kw)
        put_i16(im, at + 2, c.var / 3.0 * kw)
        put_i16(im, at + 3, 1000.0 * (c.w / s if s > 1.0 else 1.0))
        put_i16(im, at + 4, amps * ka)
        put_u16(im, at + 5, p.grid.v * kv)
        put_u16(im, at + 6, p.grid.v / sqrt(3.0) * kv)
    put_u16(im, m + 110, 100.0 * (1.0 - fmin(1.0, fabs(c.order_w) / c.ctl.w_max)) if c.throttled and c.ctl.w_max > 0.0 else 0.0)
    put_bits32(im, m + 111, (1 if c.ctl.wlim_ena else 2) if c.throttled else 0)


cdef void refresh_storage(SimPlant* p, Image* im) noexcept nogil:
    cdef const Battery* b = &p.bat
    cdef double ka = per(im, im.m714 + 15)
    cdef double kw = per(im, im.m714 + 17)
    put_u16(im, im.m713 + 3, b.par.energy_wh * b.par.soh_pct / 100.0 * b.soc_pct / 100.0 * per(im, im.m713 + 7))
    put_u16(im, im.m713 + 4, b.soc_pct * 10.0)
    put_u16(im, im.m713 + 5, b.par.soh_pct * 10.0)
    im.regs[im.m713 + 6] = 2 if b.latched else 1 if b.alarms else 0
    put_i16(im, im.m714 + 5, b.i_a * ka)
    put_i16(im, im.m714 + 6, b.i_a * b.v * kw)
    put_u64(im, im.m714 + 7, b.dc_out_wh)
    put_u64(im, im.m714 + 11, b.dc_in_wh)
    put_i16(im, im.m714 + 30, b.i_a * ka)
    put_u16(im, im.m714 + 31, (b.v if b.contactor else 0.0) * 10.0)
    put_i16(im, im.m714 + 32, b.i_a * b.v * kw)
    put_u64(im, im.m714 + 33, b.dc_out_wh)
    put_u64(im, im.m714 + 37, b.dc_in_wh)
    put_i16(im, im.m714 + 41, p.pcs.sink_c * 10.0)
    im.regs[im.m714 + 42] = 1 if b.contactor else 0
    put_bits32(im, im.m714 + 43, 0)


cdef void refresh_pcs(SimPlant* p) noexcept nogil:
    cdef Image* im = &p.pcs_image
    refresh_701(p, im)
    put_u32(im, im.m703 + 15, p.pcs.es_left_s if p.pcs.run_wanted and p.pcs.state == ST_OFF else 0.0)
    refresh_storage(p, im)
    put_bits32(im, im.m715 + 3, <uint32_t>(p.now_ns // 1000000000))     # DERHb, 1 Hz


cdef void refresh_802(SimPlant* p, Image* im, const Battery* b) noexcept nogil:
    cdef int m = im.m802
    cdef double ka = per(im, m + 61)
    cdef double kw = per(im, m + 63)
    put_u16(im, m + 11, shown(b.shown_soc_pct, b.soc_pct) * 100.0)
    put_u16(im, m + 12, (100.0 - shown(b.shown_soc_pct, b.soc_pct)) * 100.0)
    put_u16(im, m + 13, b.par.soh_pct * 10.0)
    put_u32(im, m + 14, b.cycled_ah * b.par.cells * b.par.cell_nominal_v / (2.0 * b.par.energy_wh))
    im.regs[m + 16] = 1 if b.state != BANK_CONNECTED else 3 if b.i_a > 0.5 else 4 if b.i_a < -0.5 else 6
    im.regs[m + 18] = <uint16_t>((p.now_ns // 1000000000) % 65535)      # Hb, 1 Hz
    im.regs[m + 22] = <uint16_t>b.state
    put_bits32(im, m + 26, b.alarms | b.latched)
    put_u16(im, m + 34, (shown(b.shown_v, b.v) if b.contactor else 0.0) * 10.0)   # external voltage: behind the contactors
    put_u16(im, m + 35, b.par.cell_v_high * b.par.cells * 10.0)
    put_u16(im, m + 36, b.par.cell_v_low * b.par.cells * 10.0)
    put_u16(im, m + 37, b.cell_v_max * 1000.0)
    im.regs[m + 38] = 1
    im.regs[m + 39] = 1
    put_u16(im, m + 40, b.cell_v_min * 1000.0)
    im.regs[m + 41] = 1
    im.regs[m + 42] = 1
    put_u16(im, m + 43, b.v / b.par.cells * 1000.0)
    put_i16(im, m + 44, (b.i_a + b.shown_a_offset) * ka)
    put_u16(im, m + 45, floor(b.a_charge_max * ka))                     # a limit is rounded down
    put_u16(im, m + 46, floor(b.a_discharge_max * ka))
    put_i16(im, m + 47, b.i_a * b.v * kw)


cdef void refresh_803(Image* im, const Battery* b) noexcept nogil:
    cdef int m = im.m803
    cdef double ka = per(im, m + 24)
    im.regs[m + 3] = <uint16_t>b.contactor
    put_i16(im, m + 4, b.cell_c_max * 10.0)
    put_i16(im, m + 7, b.cell_c_min * 10.0)
    put_i16(im, m + 10, b.temp_c * 10.0)
    put_u16(im, m + 11, b.v * 10.0)                                     # strings are measured inside the contactors
    put_u16(im, m + 13, b.v * 10.0)
    put_u16(im, m + 15, b.v * 10.0)
    put_i16(im, m + 16, b.i_a * ka)
    put_i16(im, m + 18, b.i_a * ka)
    put_i16(im, m + 20, b.i_a * ka)
    put_i16(im, m + 34, b.i_a * ka)
    put_i16(im, m + 40, b.cell_c_max * 10.0)
    put_i16(im, m + 42, b.cell_c_min * 10.0)
    put_i16(im, m + 44, b.temp_c * 10.0)
    put_bits32(im, m + 29, 3 if b.contactor else 1)
    im.regs[m + 31] = 0
    put_u16(im, m + 32, b.soc_pct * 100.0)
    put_u16(im, m + 33, b.par.soh_pct * 10.0)
    put_u16(im, m + 35, b.cell_v_max * 1000.0)
    put_u16(im, m + 37, b.cell_v_min * 1000.0)
    put_u16(im, m + 39, b.v / b.par.cells * 1000.0)
    put_bits32(im, m + 48, b.alarms | b.latched)


cdef void refresh_battery(SimPlant* p) noexcept nogil:
    cdef Image* im = &p.pcs_image if p.combined else &p.bat_image
    refresh_802(p, im, &p.bat)
    refresh_803(im, &p.bat)


cdef void refresh_meter(SimPlant* p) noexcept nogil:
    cdef Image* im = &p.meter_image
    cdef const Meter* t = &p.meter
    cdef int m = im.m203
    cdef double turn = 1.0 if t.wrong_sign else -1.0                    # register: import positive
    cdef double w = turn * t.pcc_w
    cdef double q = turn * t.pcc_var
    cdef double s = sqrt(w * w + q * q)
    cdef double amps = s / (sqrt(3.0) * p.grid.v) if p.grid.v > 1.0 else 0.0
    cdef double kw = per(im, m + 22)
    cdef double share, l1_w, l1_a
    cdef int at
    for at in range(4):
        share = 1.0 if at == 0 else 1.0 / 3.0
        l1_w = -turn * t.load_l1_w * (0.0 if at == 0 else 2.0 / 3.0 if at == 1 else -1.0 / 3.0)
        l1_a = fabs(w * share + l1_w) / (p.grid.v / sqrt(3.0)) if p.grid.v > 1.0 else 0.0
        put_i16(im, m + 2 + at, (l1_a if at > 0 and t.load_l1_w != 0.0 else amps * (3.0 if at == 0 else 1.0)) * per(im, m + 6))
        put_i16(im, m + 7 + at, p.grid.v / sqrt(3.0) * 10.0)
        put_i16(im, m + 11 + at, p.grid.v * 10.0)
        put_i16(im, m + 18 + at, (w * share + l1_w) * kw)
        put_i16(im, m + 23 + at, s * share * kw)
        put_i16(im, m + 28 + at, q * share * kw)
        put_i16(im, m + 33 + at, 1000.0 * (w / s if s > 1.0 else 1.0))
        put_acc32(im, m + 38 + 2 * at, t.export_wh * share)
        put_acc32(im, m + 46 + 2 * at, t.import_wh * share)
    put_i16(im, m + 16, p.grid.hz * 100.0)
