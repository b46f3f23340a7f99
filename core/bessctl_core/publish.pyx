"""The step's part of the published state; see publish.pxd. Loop, nogil, bounded."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.math cimport NAN
from libc.string cimport memcpy

from .connect cimport disconnects
from .energy cimport EXPORT, IMPORT
from .layout cimport PLANT, PLAN_OK, QC_NONE, QUANTITIES, Q_AC_VAR, Q_PCC_W, SLOT_LAPSED, SLOT_REFUSED
from .pcc cimport METER_LOST
from .units cimport unit_sees


cdef void publish_powers(const SiteConfig* c, const Inputs* inp, const StepState* s, const Outputs* out, PlantState* pub) noexcept nogil:
    cdef int unit
    pub.ess_w = s.envelope.ess_w
    pub.pcc_w = inp.value[PLANT * QUANTITIES + Q_PCC_W] if s.pcc.known and s.pcc.phase != METER_LOST else NAN
    pub.command_w = 0
    for unit in range(c.n_units):
        pub.command_w += out.cmd_w[unit]
    pub.wanted_w = s.wanted_w
    pub.target_slot = s.target_slot


cdef void publish_reactive(const SiteConfig* c, const Inputs* inp, const StepState* s, PlantState* pub, int64_t now_ns) noexcept nogil:
    cdef int unit
    pub.ess_var = 0
    for unit in range(c.n_units):
        pub.ess_var += inp.value[unit * QUANTITIES + Q_AC_VAR] if unit_sees(c, inp, unit, Q_AC_VAR, now_ns) else NAN
    pub.command_var, pub.wanted_var, pub.reactive_max_var = s.reactive.command_var, s.reactive.wanted_var, s.reactive.max_var
    pub.reactive_slot, pub.reactive_kind = s.reactive.slot, s.reactive.kind


cdef void publish_energy(const SiteConfig* c, const StepState* s, PlantState* pub) noexcept nogil:
    cdef int unit
    for unit in range(c.n_units):
        pub.unit_import_wh[unit], pub.unit_export_wh[unit] = s.energy.of[IMPORT][unit].wh, s.energy.of[EXPORT][unit].wh
    pub.pcc_import_wh, pub.pcc_export_wh = s.energy.of[IMPORT][PLANT].wh, s.energy.of[EXPORT][PLANT].wh


cdef void publish_envelope(const SiteConfig* c, const StepState* s, PlantState* pub) noexcept nogil:
    cdef int unit
    pub.lo_w, pub.lo_bind, pub.lo_bind_id = s.envelope.lo.w, s.envelope.lo.bind, s.envelope.lo.id
    pub.hi_w, pub.hi_bind, pub.hi_bind_id = s.envelope.hi.w, s.envelope.hi.bind, s.envelope.hi.id
    pub.lo_since_ns, pub.lo_until_ns = s.envelope.lo.since_ns, s.envelope.lo.until_ns
    pub.hi_since_ns, pub.hi_until_ns = s.envelope.hi.since_ns, s.envelope.hi.until_ns
    pub.device_lo_w, pub.device_hi_w = s.envelope.device_lo.w, s.envelope.device_hi.w
    pub.pcc_unmet_w, pub.unmet_slot = s.envelope.unmet_w, <uint8_t> s.envelope.unmet_slot
    for unit in range(c.n_units):
        pub.unit_lo_w[unit], pub.unit_hi_w[unit] = s.envelope.unit_lo[unit].w, s.envelope.unit_hi[unit].w
        pub.unit_lo_bind[unit], pub.unit_hi_bind[unit] = s.envelope.unit_lo[unit].bind, s.envelope.unit_hi[unit].bind
        pub.unit_lo_bind_id[unit], pub.unit_hi_bind_id[unit] = s.envelope.unit_lo[unit].id, s.envelope.unit_hi[unit].id


cdef void publish_connect(const SiteConfig* c, const StepState* s, PlantState* pub) noexcept nogil:
    cdef int unit
    pub.connect_since_ns, pub.connect_until_ns = s.connect.since_ns, s.connect.until_ns
    pub.connect_slot, pub.connect_bind = s.connect.slot, s.connect.bind
    for unit in range(c.n_units):
        pub.unit_disconnect[unit] = <uint8_t> disconnects(c, &s.connect, unit)
    pub.shed, pub.shed_since_ns = s.shed.order, s.shed.since_ns


cdef void publish_slots(const SiteConfig* c, const StepState* s, PlantState* pub) noexcept nogil:
    cdef int slot
    for slot in range(c.n_slots):
        pub.slot_serial[slot] = s.slots.plan[slot].serial
        pub.slot_lease_until_ns[slot] = s.slots.plan[slot].lease_until_ns
        pub.slot_target_w[slot] = s.slots.ask[slot].target_w if s.slots.ask[slot].has_target else NAN
        pub.slot_q_kind[slot], pub.slot_q_value[slot] = s.slots.ask[slot].q_kind, s.slots.ask[slot].q_value
        pub.slot_fault[slot] = s.slots.fault[slot]
        pub.slot_state[slot] = s.slots.state[slot]
        if s.slots.fault[slot] != PLAN_OK and s.slots.state[slot] != SLOT_LAPSED:
            pub.slot_state[slot] = SLOT_REFUSED


cdef void publish(const SiteConfig* c, const Inputs* inp, const StepState* s, const Outputs* out, PlantState* pub, int64_t now_ns) noexcept nogil:
    cdef int row
    pub.tick, pub.now_ns, pub.mode, pub.internal, pub.flags = s.tick, now_ns, s.mode, s.internal, s.flags
    publish_powers(c, inp, s, out, pub)
    publish_reactive(c, inp, s, pub, now_ns)
    publish_envelope(c, s, pub)
    publish_connect(c, s, pub)
    publish_slots(c, s, pub)
    memcpy(pub.value, inp.value, sizeof(pub.value))
    memcpy(pub.sampled_ns, inp.sampled_ns, sizeof(pub.sampled_ns))
    memcpy(pub.unit_command_w, out.cmd_w, sizeof(pub.unit_command_w))
    memcpy(pub.unit_command_var, out.cmd_var, sizeof(pub.unit_command_var))
    memcpy(pub.unit_giving_lo_w, s.units.giving_lo_w, sizeof(pub.unit_giving_lo_w))
    memcpy(pub.unit_giving_hi_w, s.units.giving_hi_w, sizeof(pub.unit_giving_hi_w))
    memcpy(pub.unit_run, out.cmd_run, sizeof(pub.unit_run))
    publish_energy(c, s, pub)
    memcpy(pub.pcs_state, inp.pcs_state, sizeof(pub.pcs_state))
    memcpy(pub.bms_state, inp.bms_state, sizeof(pub.bms_state))
    pub.meter_state = inp.meter_state
    for row in range(c.n_rows):
        pub.row_active[row] = s.rows.active[row] | s.rows.blind[row] << 1
    memcpy(pub.unit_contactor, s.contactors.step, sizeof(pub.unit_contactor))
    memcpy(pub.unit_commissioned, s.commission.done, sizeof(pub.unit_commissioned))
    memcpy(pub.row_latched, s.rows.latched, c.n_rows)
    memcpy(pub.row_since_ns, s.rows.since_ns, c.n_rows * sizeof(int64_t))
