"""See recorder.pxd. One thread, with the GIL; a row costs one copy a value."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from .layout cimport PlantState
from .sim.plant cimport Plant
from .sim.types cimport SimPlant

# How a recorded value lies in memory.
cdef enum Kind:
    AS_DOUBLE
    AS_U8
    AS_I16
    AS_I32
    AS_U32
    AS_U64


cdef double value_of(const Probe* p) noexcept nogil:
    if p.kind == AS_DOUBLE:
        return (<const double*> p.at)[0]
    if p.kind == AS_U8:
        return (<const uint8_t*> p.at)[0]
    if p.kind == AS_I16:
        return (<const int16_t*> p.at)[0]
    if p.kind == AS_I32:
        return (<const int32_t*> p.at)[0]
    if p.kind == AS_U32:
        return (<const uint32_t*> p.at)[0]
    return <double> (<const uint64_t*> p.at)[0]


cdef dict places_of_loop(const PlantState* s):
    """Field of PlantState -> address, kind, bytes to the next index."""
    doubles = {
        "ess_w": <size_t> &s.ess_w, "pcc_w": <size_t> &s.pcc_w, "command_w": <size_t> &s.command_w, "wanted_w": <size_t> &s.wanted_w,
        "lo_w": <size_t> &s.lo_w, "hi_w": <size_t> &s.hi_w, "pcc_unmet_w": <size_t> &s.pcc_unmet_w, "value": <size_t> s.value,
        "unit_command_w": <size_t> s.unit_command_w, "unit_lo_w": <size_t> s.unit_lo_w, "unit_hi_w": <size_t> s.unit_hi_w,
        "slot_target_w": <size_t> s.slot_target_w, "device_lo_w": <size_t> &s.device_lo_w, "device_hi_w": <size_t> &s.device_hi_w,
    }
    bytes_ = {
        "mode": <size_t> &s.mode, "internal": <size_t> &s.internal, "lo_bind": <size_t> &s.lo_bind, "hi_bind": <size_t> &s.hi_bind,
        "unit_run": <size_t> s.unit_run, "pcs_state": <size_t> s.pcs_state, "bms_state": <size_t> s.bms_state,
        "meter_state": <size_t> &s.meter_state, "row_active": <size_t> s.row_active, "row_latched": <size_t> s.row_latched,
        "slot_state": <size_t> s.slot_state, "slot_fault": <size_t> s.slot_fault,
    }
    shorts = {"lo_bind_id": <size_t> &s.lo_bind_id, "hi_bind_id": <size_t> &s.hi_bind_id, "target_slot": <size_t> &s.target_slot}
    words = {
        "flags": <size_t> &s.flags, "bus_ok": <size_t> s.bus_ok, "bus_timeouts": <size_t> s.bus_timeouts, "bus_late": <size_t> s.bus_late,
        "bus_bad": <size_t> s.bus_bad, "bus_exceptions": <size_t> s.bus_exceptions, "bus_reconnects": <size_t> s.bus_reconnects,
    }
    return {
        **{name: (at, AS_DOUBLE, sizeof(double)) for name, at in doubles.items()},
        **{name: (at, AS_U8, 1) for name, at in bytes_.items()},
        **{name: (at, AS_I16, sizeof(int16_t)) for name, at in shorts.items()},
        **{name: (at, AS_U32, sizeof(uint32_t)) for name, at in words.items()},
        "tick": (<size_t> &s.tick, AS_U64, sizeof(uint64_t)),
    }


cdef dict places_of_plant(SimPlant* p):
    """Name as in Plant.get() -> address, kind."""
    doubles = {
        "ess_w": <size_t> &p.pcs.w, "ess_var": <size_t> &p.pcs.var, "dc_w": <size_t> &p.pcs.dc_w, "order_w": <size_t> &p.pcs.order_w,
        "wset_w": <size_t> &p.pcs.ctl.w_w, "sink_c": <size_t> &p.pcs.sink_c, "soc_pct": <size_t> &p.bat.soc_pct, "soh_pct": <size_t> &p.bat.par.soh_pct, "v": <size_t> &p.bat.v,
        "i_a": <size_t> &p.bat.i_a, "temp_c": <size_t> &p.bat.temp_c, "cell_c_max": <size_t> &p.bat.cell_c_max,
        "cell_c_min": <size_t> &p.bat.cell_c_min, "cell_v_max": <size_t> &p.bat.cell_v_max, "cell_v_min": <size_t> &p.bat.cell_v_min,
        "a_charge_max": <size_t> &p.bat.a_charge_max, "a_discharge_max": <size_t> &p.bat.a_discharge_max,
        "pcc_w": <size_t> &p.meter.pcc_w, "pcc_var": <size_t> &p.meter.pcc_var, "load_w": <size_t> &p.meter.load_w,
        "pv_w": <size_t> &p.meter.pv_w, "evse_w": <size_t> &p.meter.evse_now_w, "grid_v": <size_t> &p.grid.v, "grid_hz": <size_t> &p.grid.hz,
    }
    ints = {
        "inv_state": <size_t> &p.pcs.state, "contactor": <size_t> &p.bat.contactor, "bank_state": <size_t> &p.bat.state,
        "heartbeat_lost": <size_t> &p.pcs.heartbeat_lost,
    }
    return {
        **{name: (at, AS_DOUBLE) for name, at in doubles.items()},
        **{name: (at, AS_I32) for name, at in ints.items()},
        "alarms": (<size_t> &p.pcs.alarms, AS_U32),
    }


cdef class Recorder:
    """`names`: (side, field, index) each; side "loop" with a field of PlantState and its index, "plant" with a name of Plant.get() and
    the plant's number. KeyError for a name that is not recorded."""

    def __cinit__(self, list names, size_t state_at, list plants, int64_t from_ns):
        cdef Plant plant
        cdef size_t at
        loop = places_of_loop(<const PlantState*> state_at)
        truth = [places_of_plant((<Plant> plant).p) for plant in plants]
        self._plants, self._from_ns, self._probes = plants, from_ns, len(names)
        self._probe = <Probe*> calloc(len(names) + 1, sizeof(Probe))
        for i, (side, field, index) in enumerate(names):
            if side == "loop":
                at, kind = loop[field][0] + loop[field][2] * index, loop[field][1]
            else:
                at, kind = truth[index][field]
            self._probe[i].at, self._probe[i].kind = <const char*> at, kind

    def __dealloc__(self):
        free(self._probe)
        free(self._rows)

    cdef void note(self, int64_t now_ns) noexcept:
        cdef int i
        cdef double* row
        if self._filled + self._probes + 1 > self._room:
            self._room = 2 * self._room + 64 * (self._probes + 1)
            self._rows = <double*> realloc(self._rows, self._room * sizeof(double))
        row = self._rows + self._filled
        row[0] = <double> (now_ns - self._from_ns) * 1e-9
        for i in range(self._probes):
            row[1 + i] = value_of(&self._probe[i])
        self._filled += self._probes + 1

    def taken(self) -> bytes:
        """What was recorded since the last call, doubles: seconds since the beginning, then one value for each name; tick by tick."""
        data = (<const char*> self._rows)[:self._filled * sizeof(double)] if self._filled else b""
        self._filled = 0
        return data
