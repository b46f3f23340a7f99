"""The Python object around one simulated plant.

The structure is stepped by one thread at a time: by `step()` in simulated time, or by a server in real time; a mutex per plant lets
Python look and inject meanwhile. Everything inside runs without the GIL.
"""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from bessctl_core.sim.battery cimport battery_settle, bms_order, cell_values
from bessctl_core.sim.chain cimport image_build, image_settings
from bessctl_core.sim.controls cimport decode_controls
from bessctl_core.sim.pcs cimport pcs_prepare, pcs_shown_state
from bessctl_core.sim.physics cimport grid_step, meter_step, plant_advance, plant_device, plant_refresh
from bessctl_core.sim.slave cimport slave_answer
from bessctl_core.sim.types cimport (
    BANK_CONNECTED, BANK_DISCONNECTED, GRID_ROWS, LOG_MAX, POLY_MAX, ST_OFF, ST_RUNNING, ST_STANDBY, TRACE_MAX, BatteryParams, Image,
    PcsParams, Polyline, Profile, SimPlant, TraceEntry,
)

# Contacts of the input module, by what `set` calls them: input_estop ... is 1 while the contact is open
INPUTS = ("estop", "fire", "door", "insulation", "other")

# Names of the LogKind entries, in their order
LOG_NAMES = (
    "wset", "wset_pct", "wset_ena", "reversion", "opctl", "es", "wmaxlim", "var", "heartbeat_lost", "heartbeat_back", "setop", "curve",
)


# What `bms_fault` latches: 802 Evt1 RESERVED_1, to which the standard gives no meaning
cdef uint32_t BMS_OWN_FAULT = 1 << 27


cdef void fill_polyline(Polyline* line, list points) except *:
    if not 1 <= len(points) <= POLY_MAX:
        raise ValueError(f"a polyline has 1 to {POLY_MAX} points, not {len(points)}")
    line.n = len(points)
    for i, (x, y) in enumerate(points):
        line.x[i] = x
        line.y[i] = y


cdef void fill_profile(Profile* f, dict cfg) except *:
    f.kind = {"constant": 0, "sine": 1, "points": 2}[cfg["kind"]]
    f.base_w, f.amplitude_w, f.period_s, f.phase_s = cfg["base_w"], cfg["amplitude_w"], cfg["period_s"], cfg["phase_s"]
    points = cfg["points"]
    f.n = len(points)
    f.t_s = <double*>calloc(f.n + 1, sizeof(double))
    f.w = <double*>calloc(f.n + 1, sizeof(double))
    for i, (t, w) in enumerate(points):
        f.t_s[i] = t
        f.w[i] = w


cdef class Plant:
    """A simulated plant in simulated time. `config` is what bessctl.sim.config makes of a YAML file: every key present.

    Any thread may call any method; each holds the plant's mutex for microseconds.
    """

    def __cinit__(self, dict config):
        self.p = <SimPlant*>calloc(1, sizeof(SimPlant))
        self.p.trace = <TraceEntry*>calloc(TRACE_MAX, sizeof(TraceEntry)) if self.p else NULL
        if not self.p or not self.p.trace:
            raise MemoryError
        pthread_mutex_init(&self.lock, NULL)

    def __init__(self, dict config):
        cdef SimPlant* p = self.p
        self.config = config
        p.grid_ns = config["grid_ms"] * 1000000
        p.dt_s = p.grid_ns * 1e-9
        self._battery(config["battery"])
        self._pcs(config["pcs"])
        self._site(config)
        self._images(config)
        self._names()
        self._initial(config["initial"])
        pcs_prepare(&p.pcs, p.dt_s)
        battery_settle(&p.bat)
        grid_step(p)
        meter_step(p)
        p.meter.export_wh = p.meter.import_wh = 0.0
        plant_refresh(p, True)

    def __dealloc__(self):
        cdef Profile* f
        cdef int i
        if self.p:
            free(self.p.trace)
            free(self.p.meter.load.t_s)
            free(self.p.meter.load.w)
            free(self.p.meter.pv.t_s)
            free(self.p.meter.pv.w)
            for i in range(3):
                f = &self.p.meter.evse if i == 0 else &self.p.grid.v_script if i == 1 else &self.p.grid.hz_script
                free(f.t_s)
                free(f.w)
            free(self.p)

    def _battery(self, dict cfg):
        cdef BatteryParams par = cfg["params"]
        self.p.bat.par = par
        fill_polyline(&self.p.bat.ocv, cfg["ocv"])
        fill_polyline(&self.p.bat.charge_soc, cfg["charge_soc"])
        fill_polyline(&self.p.bat.discharge_soc, cfg["discharge_soc"])
        fill_polyline(&self.p.bat.charge_temp, cfg["charge_temp"])
        fill_polyline(&self.p.bat.discharge_temp, cfg["discharge_temp"])
        self.p.bat.pin_cell_c_max = self.p.bat.pin_cell_c_min = NAN
        self.p.bat.pin_cell_v_max = self.p.bat.pin_cell_v_min = NAN
        self.p.bat.shown_soc_pct = self.p.bat.shown_v = self.p.pcs.pin_sink_c = NAN

    def _pcs(self, dict cfg):
        cdef PcsParams par = cfg["params"]
        kinds = {"over_voltage": 0, "under_voltage": 1, "over_frequency": 2, "under_frequency": 3}
        rows = cfg["trips"]
        if len(rows) > GRID_ROWS:
            raise ValueError(f"at most {GRID_ROWS} grid trip rows")
        self.p.pcs.par = par
        self.p.pcs.rows = len(rows)
        for i, row in enumerate(rows):
            self.p.pcs.row_kind[i] = kinds[row["kind"]]
            self.p.pcs.row_at[i] = row["at"]
            self.p.pcs.row_delay_s[i] = row["delay_s"]
        es = cfg["enter_service"]
        self.p.pcs.ctl.es = es["permitted"]
        self.p.pcs.ctl.es_v_hi_pct, self.p.pcs.ctl.es_v_lo_pct = es["v_hi_pct"], es["v_lo_pct"]
        self.p.pcs.ctl.es_hz_hi, self.p.pcs.ctl.es_hz_lo = es["hz_hi"], es["hz_lo"]
        self.p.pcs.ctl.es_delay_s = es["delay_s"]
        self.p.pcs.sink_c = 25.0

    def _site(self, dict cfg):
        grid = cfg["grid"]
        self.p.grid.set_v, self.p.grid.set_hz = grid["v"], grid["hz"]
        self.p.grid.v, self.p.grid.hz = grid["v"], grid["hz"]
        self.p.grid.noise_v, self.p.grid.noise_hz, self.p.grid.noise_w = grid["noise_v"], grid["noise_hz"], grid["noise_w"]
        self.p.grid.seed = grid["seed"]
        fill_profile(&self.p.meter.load, cfg["meter"]["load"])
        fill_profile(&self.p.meter.pv, cfg["meter"]["pv"])
        fill_profile(&self.p.meter.evse, cfg["meter"]["evse"])
        fill_profile(&self.p.grid.v_script, grid["v_script"])
        fill_profile(&self.p.grid.hz_script, grid["hz_script"])
        self.p.meter.evse_w = cfg["meter"]["evse_w"]
        self.p.meter.rated_w = cfg["meter"]["rated_w"]

    def _images(self, dict cfg):
        devices = cfg["devices"]
        pcs_models = [1, 701, 702, 703, 704, 713, 714, 715]
        self.p.combined = cfg["combined"]
        if self.p.combined:
            pcs_models += [802, 803]
        if devices["pcs"]["curves"]:
            pcs_models += [705, 706, 712]
        image_build(&self.p.pcs_image, devices["pcs"], pcs_models)
        if not self.p.combined:
            image_build(&self.p.bat_image, devices["battery"], [1, 802, 803])
        image_build(&self.p.meter_image, devices["meter"], [1, 203])
        if devices["inputs"]:
            self.p.io_image.unit, self.p.io_image.n = devices["inputs"]["unit"], 1
            self.p.io_image.regs[0] = 0xFFFF

    def _initial(self, dict cfg):
        cdef SimPlant* p = self.p
        p.bat.soc_pct = cfg["soc_pct"]
        p.bat.temp_c = cfg["cell_temp_c"]
        p.bat.contactor = cfg["contactors"] == "closed"
        p.bat.state = BANK_CONNECTED if p.bat.contactor else BANK_DISCONNECTED
        p.pcs.state = {"off": ST_OFF, "running": ST_RUNNING, "standby": ST_STANDBY}[cfg["pcs"]]
        p.pcs.run_wanted = p.pcs.state != ST_OFF
        p.pcs.standby_wanted = p.pcs.state == ST_STANDBY
        p.pcs.es_left_s = p.pcs.ctl.es_delay_s
        image_settings(p)
        decode_controls(p)

    def _names(self):
        """What `set` reaches: a name, and where it lives."""
        cdef SimPlant* p = self.p
        self.doubles = {
            "evse_w": <size_t>&p.meter.evse_w, "other_ess_w": <size_t>&p.meter.other_ess_w,
            "grid_v": <size_t>&p.grid.set_v, "grid_hz": <size_t>&p.grid.set_hz, "ambient_c": <size_t>&p.bat.par.ambient_c,
            "temp_c": <size_t>&p.bat.temp_c, "cell_temp_c": <size_t>&p.bat.pin_cell_c_max, "cell_temp_min_c": <size_t>&p.bat.pin_cell_c_min,
            "cell_v_max": <size_t>&p.bat.pin_cell_v_max, "cell_v_min": <size_t>&p.bat.pin_cell_v_min,
            "pcs_answer_ms": <size_t>&p.pcs_image.answer_ms, "bms_answer_ms": <size_t>&p.bat_image.answer_ms,
            "meter_answer_ms": <size_t>&p.meter_image.answer_ms, "charge_a_max": <size_t>&p.bat.par.charge_a_max,
            "discharge_a_max": <size_t>&p.bat.par.discharge_a_max, "soh_pct": <size_t>&p.bat.par.soh_pct, "bms_trips": <size_t>&p.bat.par.trips,
            "controller_timeout_s": <size_t>&p.pcs.par.controller_timeout_s, "timer_scale": <size_t>&p.pcs.par.timer_scale,
            "soc_shown_pct": <size_t>&p.bat.shown_soc_pct, "pack_v": <size_t>&p.bat.shown_v, "bms_a_offset": <size_t>&p.bat.shown_a_offset,
            "sink_pin_c": <size_t>&p.pcs.pin_sink_c, "load_l1_w": <size_t>&p.meter.load_l1_w,
        }
        self.bytes_ = {
            "pcs_silent": <size_t>&p.pcs_image.silent, "bms_silent": <size_t>&p.bat_image.silent, "meter_silent": <size_t>&p.meter_image.silent,
            "pcs_frozen": <size_t>&p.pcs_image.frozen, "bms_frozen": <size_t>&p.bat_image.frozen, "meter_frozen": <size_t>&p.meter_image.frozen,
            "pcs_exception": <size_t>&p.pcs_image.exception, "bms_exception": <size_t>&p.bat_image.exception,
            "meter_exception": <size_t>&p.meter_image.exception, "io_silent": <size_t>&p.io_image.silent,
            "pcs_write_exception": <size_t>&p.pcs_image.write_exception,
        }
        self.ints = {
            "ignore_setpoints": <size_t>&p.pcs.ignore_setpoints, "wrong_sign": <size_t>&p.pcs.wrong_sign,
            "curve_refused": <size_t>&p.pcs.curve_refused,
            "meter_wrong_sign": <size_t>&p.meter.wrong_sign, "fault": <size_t>&p.pcs.injected_fault, "bms_event": <size_t>&p.bat.injected_evt,
            "units_swapped": <size_t>&p.units_swapped,
        }

    def set(self, **values):
        """Inject. None releases a pinned cell value. Unknown names: KeyError, nothing is changed."""
        known = {"load_w", "pv_w", "soc_pct", "local", "estop", "bms_open", "bms_fault", *(f"input_{name}" for name in INPUTS)}
        known |= self.doubles.keys() | self.bytes_.keys() | self.ints.keys()
        unknown = sorted(values.keys() - known)
        if unknown:
            raise KeyError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        with nogil:
            pthread_mutex_lock(&self.lock)
        try:
            for name, value in values.items():
                self._set_one(name, value)
            cell_values(&self.p.bat)
            if not self.served:
                plant_refresh(self.p, True)
        finally:
            pthread_mutex_unlock(&self.lock)

    def _set_one(self, str name, value):
        cdef Profile* f
        if name in self.doubles:
            (<double*><size_t>self.doubles[name])[0] = NAN if value is None else value
        elif name in self.bytes_:
            (<uint8_t*><size_t>self.bytes_[name])[0] = value
        elif name in self.ints:
            (<uint32_t*><size_t>self.ints[name])[0] = value
        elif name == "soc_pct":
            self.p.bat.soc_pct = value
            battery_settle(&self.p.bat)
        elif name == "estop":
            self._estop(value)
        elif name == "bms_open":
            if value:
                bms_order(&self.p.bat, 2)
        elif name == "bms_fault":
            self.p.bat.latched = (self.p.bat.latched | BMS_OWN_FAULT) if value else (self.p.bat.latched & ~BMS_OWN_FAULT)
        elif name.startswith("input_"):
            self._contact(INPUTS.index(name.removeprefix("input_")), value)
        elif name == "local":
            self.p.pcs_image.regs[self.p.pcs_image.m715 + 2] = 1 if value else 0
        else:
            f = &self.p.meter.load if name == "load_w" else &self.p.meter.pv
            f.kind = 0
            f.base_w = value

    def _estop(self, pressed):
        """By wire on both: the PCS ceases (701 MANUAL_SHUTDOWN), the bank opens. Its release starts nothing."""
        if pressed:
            self.p.pcs.injected_fault |= 1 << 6
            bms_order(&self.p.bat, 2)
        else:
            self.p.pcs.injected_fault &= ~(<uint32_t>1 << 6)

    def _contact(self, int at, opened):
        cdef uint16_t bit = <uint16_t>(1 << at)
        if opened:
            self.p.io_image.regs[0] &= <uint16_t>(~bit & 0xFFFF)
        else:
            self.p.io_image.regs[0] |= bit

    def place_of_wset(self):
        """Unit id and address of 704 WSet: where another tool on the same bus would write a set point."""
        return self.p.pcs_image.unit, self.p.pcs_image.base + self.p.pcs_image.m704 + 24

    def step(self, double dt_s):
        """Advance simulated time by `dt_s`; what is no whole step of the grid waits for the next call. RuntimeError while a server
        steps the plant in real time."""
        if self.served:
            raise RuntimeError("the server steps this plant in real time")
        with nogil:
            pthread_mutex_lock(&self.lock)
            self.due_ns = max(self.due_ns, self.p.now_ns) + <int64_t>(dt_s * 1e9 + 0.5)
            plant_advance(self.p, self.due_ns)
            plant_refresh(self.p, True)
            pthread_mutex_unlock(&self.lock)

    def request(self, int unit, bytes pdu):
        """Answer one Modbus PDU in process. None: no such unit, or it is silent."""
        cdef uint8_t[256] out
        cdef Image* im
        cdef int n = 0
        pthread_mutex_lock(&self.lock)
        im = plant_device(self.p, unit)
        if im != NULL:
            n = slave_answer(self.p, im, pdu, len(pdu), out, self.p.now_ns)
        pthread_mutex_unlock(&self.lock)
        return (<char*>out)[:n] if n else None

    def get(self):
        """Everything worth knowing now, in SI units, as one dict."""
        cdef SimPlant* p = self.p
        with nogil:
            pthread_mutex_lock(&self.lock)
        try:
            return {
                "ns": p.now_ns + p.epoch_ns, "skipped_ns": p.skipped_ns, "wset_writes": p.wset_writes,
                "requests": {"pcs": p.pcs_image.requests, "battery": p.bat_image.requests, "meter": p.meter_image.requests},
                **self._get_pcs(), **self._get_battery(), **self._get_meter(),
            }
        finally:
            pthread_mutex_unlock(&self.lock)

    def _get_pcs(self):
        c = self.p.pcs
        return {
            "ess_w": c.w, "ess_var": c.var, "dc_w": c.dc_w, "order_w": c.order_w, "order_var": c.order_var, "var_ena": c.ctl.var_ena, "inv_state": pcs_shown_state(&self.p.pcs),
            "alarms": c.alarms, "heartbeat_lost": bool(c.heartbeat_lost), "wset_ena": bool(c.ctl.w_ena), "wset_w": c.ctl.w_w,
            "reversion_ns": self.p.reversion_ns[1] + self.p.epoch_ns if self.p.reversion_ns[1] else 0,
            "inj_wh": c.inj_wh, "abs_wh": c.abs_wh, "pcs_loss_wh": c.loss_wh, "sink_c": c.sink_c,
        }

    def _get_battery(self):
        b = self.p.bat
        return {
            "soc_pct": b.soc_pct, "soh_pct": b.par.soh_pct, "v": b.v, "ocv_v": b.ocv_v, "i_a": b.i_a, "temp_c": b.temp_c, "cell_c_max": b.cell_c_max,
            "cell_c_min": b.cell_c_min, "cell_v_max": b.cell_v_max, "cell_v_min": b.cell_v_min, "a_charge_max": b.a_charge_max,
            "a_discharge_max": b.a_discharge_max, "contactor": bool(b.contactor), "bank_state": b.state, "events": b.alarms | b.latched,
            "charge_ah": b.charge_ah, "chemical_wh": b.chemical_wh, "dc_out_wh": b.dc_out_wh, "dc_in_wh": b.dc_in_wh, "bat_loss_wh": b.loss_wh,
        }

    def _get_meter(self):
        m = self.p.meter
        return {
            "pcc_w": m.pcc_w, "pcc_var": m.pcc_var, "load_w": m.load_w, "pv_w": m.pv_w, "evse_w": m.evse_now_w, "export_wh": m.export_wh,
            "import_wh": m.import_wh, "grid_v": self.p.grid.v, "grid_hz": self.p.grid.hz,
        }

    def command_log(self, long long since=0):
        """Entries from number `since` on, oldest first: (number, ns, kind, value). The ring keeps the last 8192."""
        cdef SimPlant* p = self.p
        with nogil:
            pthread_mutex_lock(&self.lock)
        try:
            first = max(since, p.log_n - LOG_MAX, 0)
            return [
                (n, p.log[n % LOG_MAX].ns, LOG_NAMES[p.log[n % LOG_MAX].kind], p.log[n % LOG_MAX].value)
                for n in range(first, p.log_n)
            ]
        finally:
            pthread_mutex_unlock(&self.lock)

    def power_trace(self, long long since_ns=0, long long until_ns=(1 << 62)):
        """AC power at each physics step in (since_ns, until_ns]: (ns, w), oldest first. The ring keeps 65536 steps."""
        cdef SimPlant* p = self.p
        cdef int64_t n, ns
        with nogil:
            pthread_mutex_lock(&self.lock)
        try:
            rows = []
            for n in range(self._first_after(since_ns), p.trace_n):
                ns = p.trace[n % TRACE_MAX].ns
                if ns > until_ns:
                    break
                rows.append((ns, p.trace[n % TRACE_MAX].w))
            return rows
        finally:
            pthread_mutex_unlock(&self.lock)

    cdef int64_t _first_after(self, int64_t since_ns):
        cdef SimPlant* p = self.p
        cdef int64_t lo = p.trace_n - TRACE_MAX if p.trace_n > TRACE_MAX else 0
        cdef int64_t hi = p.trace_n
        cdef int64_t mid
        while lo < hi:
            mid = (lo + hi) // 2
            if p.trace[mid % TRACE_MAX].ns > since_ns:
                hi = mid
            else:
                lo = mid + 1
        return lo

    def crossing(self, long long after_ns, double w, bint rising=True):
        """First instant after `after_ns` at which AC power was at least (rising) or at most (falling) `w`; None: not yet."""
        cdef SimPlant* p = self.p
        cdef int64_t n
        cdef double x
        with nogil:
            pthread_mutex_lock(&self.lock)
        try:
            for n in range(self._first_after(after_ns), p.trace_n):
                x = p.trace[n % TRACE_MAX].w
                if (x >= w) if rising else (x <= w):
                    return p.trace[n % TRACE_MAX].ns
            return None
        finally:
            pthread_mutex_unlock(&self.lock)
