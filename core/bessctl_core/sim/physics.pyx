"""One step of the whole plant on its fixed time grid: PCS, battery, grid and PCC meter. Pure physics, no Python, no GIL."""

from libc.math cimport fmax, fmod, sin
from libc.stdint cimport int64_t, uint64_t

from bessctl_core.sim.battery cimport battery_step
from bessctl_core.sim.controls cimport log_push, reversions_step
from bessctl_core.sim.pcs cimport pcs_step
from bessctl_core.sim.sunspec_image cimport refresh_battery, refresh_meter, refresh_pcs
from bessctl_core.sim.types cimport LOG_HEARTBEAT_LOST, TRACE_MAX, Image, Meter, Profile, SimPlant, TraceEntry


cdef double profile_w(const Profile* f, double t_s) noexcept nogil:
    cdef int i = 1
    if f.kind == 1:
        return f.base_w + f.amplitude_w * sin(6.283185307179586 * (t_s + f.phase_s) / f.period_s)
    if f.kind != 2 or f.n < 1:
        return f.base_w
    if f.t_s[f.n - 1] > 0.0:
        t_s = fmod(t_s + f.phase_s, f.t_s[f.n - 1])
    while i < f.n:
        if t_s <= f.t_s[i]:
            return f.w[i - 1] + (f.w[i] - f.w[i - 1]) * (t_s - f.t_s[i - 1]) / (f.t_s[i] - f.t_s[i - 1])
        i += 1
    return f.w[f.n - 1]


cdef double noise(SimPlant* p) noexcept nogil:
    """Uniform in [-1, 1): a linear congruential sequence (Knuth's MMIX constants), the same in every run."""
    p.grid.seed = p.grid.seed * <uint64_t>6364136223846793005 + <uint64_t>1442695040888963407
    return <double>(p.grid.seed >> 11) / 4503599627370496.0 - 1.0


cdef void grid_step(SimPlant* p) noexcept nogil:
    """Measured quantities of a living grid never stand still: a small noise, drawn every 100 ms."""
    cdef double t_s = p.now_ns * 1e-9
    if p.grid.v_script.n > 0:
        p.grid.set_v = profile_w(&p.grid.v_script, t_s)
    if p.grid.hz_script.n > 0:
        p.grid.set_hz = profile_w(&p.grid.hz_script, t_s)
    if p.now_ns % 100000000 < p.grid_ns:
        p.grid.v = p.grid.set_v + p.grid.noise_v * noise(p)
        p.grid.hz = p.grid.set_hz + p.grid.noise_hz * noise(p)
        p.grid.load_noise_w = p.grid.noise_w * noise(p)
    if p.grid.set_v <= 0.0:
        p.grid.v = 0.0


cdef void meter_step(SimPlant* p) noexcept nogil:
    cdef Meter* m = &p.meter
    cdef double t_s = p.now_ns * 1e-9
    cdef double wh
    m.load_w = profile_w(&m.load, t_s) + p.grid.load_noise_w
    m.pv_w = fmax(0.0, profile_w(&m.pv, t_s))
    m.evse_now_w = m.evse_w + fmax(0.0, profile_w(&m.evse, t_s))
    m.pcc_w = p.pcs.w + m.other_ess_w + m.pv_w - m.load_w - m.load_l1_w - m.evse_now_w
    m.pcc_var = p.pcs.var
    wh = m.pcc_w * p.dt_s / 3600.0
    m.export_wh += fmax(wh, 0.0)
    m.import_wh += fmax(-wh, 0.0)


cdef void plant_step(SimPlant* p) noexcept nogil:
    """One step of the grid, with the orders that stand at its start."""
    cdef int lost = p.pcs.heartbeat_lost
    cdef TraceEntry* t
    grid_step(p)
    pcs_step(&p.pcs, &p.grid, &p.bat, p.dt_s)
    battery_step(&p.bat, p.pcs.dc_w, p.dt_s)
    p.now_ns += p.grid_ns
    meter_step(p)
    reversions_step(p)
    if p.pcs.heartbeat_lost and not lost:
        log_push(p, p.now_ns, LOG_HEARTBEAT_LOST, p.pcs.par.controller_timeout_s)
    t = &p.trace[p.trace_n % TRACE_MAX]
    t.ns = p.now_ns + p.epoch_ns
    t.w = p.pcs.w
    p.trace_n += 1


cdef bint refresh_due(SimPlant* p, Image* im, bint force) noexcept nogil:
    if im.frozen or (not force and p.now_ns - im.refreshed_ns < <int64_t>(im.refresh_ms * 1e6)):
        return False
    im.refreshed_ns = p.now_ns
    return True


cdef void plant_refresh(SimPlant* p, bint force) noexcept nogil:
    if refresh_due(p, &p.pcs_image, force):
        refresh_pcs(p)
        if p.combined:
            refresh_battery(p)
    if not p.combined and refresh_due(p, &p.bat_image, force):
        refresh_battery(p)
    if refresh_due(p, &p.meter_image, force):
        refresh_meter(p)


cdef void plant_advance(SimPlant* p, int64_t until_ns) noexcept nogil:
    """All whole steps up to `until_ns`, then the registers. More than 2 s behind (the process was stopped): time is given up."""
    cdef int64_t behind = until_ns - p.now_ns
    if p.epoch_ns != 0 and behind > 2000000000:
        p.epoch_ns += behind
        p.skipped_ns += behind
        until_ns -= behind
    if until_ns < p.now_ns + p.grid_ns:
        return
    while p.now_ns + p.grid_ns <= until_ns:
        plant_step(p)
    plant_refresh(p, False)


cdef Image* plant_device(SimPlant* p, int unit) noexcept nogil:
    if p.units_swapped and not p.combined and unit in (p.pcs_image.unit, p.bat_image.unit):
        return &p.bat_image if unit == p.pcs_image.unit else &p.pcs_image
    if p.pcs_image.unit == unit:
        return &p.pcs_image
    if not p.combined and p.bat_image.unit == unit:
        return &p.bat_image
    if p.io_image.n > 0 and p.io_image.unit == unit:
        return &p.io_image
    return &p.meter_image if p.meter_image.unit == unit else NULL
