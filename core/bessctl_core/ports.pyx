"""What peers do with the shared segments: read the state, drain events, write plans and commands. The rules stand in segment.pxd.

Each port maps its segment and checks its header; what does not fit this build is refused with both values. Supervisor thread, with the GIL.
"""

import os

from libc.math cimport NAN
from libc.stdint cimport INT64_MAX, int16_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from .atomics cimport load_acquire_u64
from .curves cimport curve_fault
from .handover cimport Handover, handover_read, handover_version, handover_write
from .layout cimport (
    CURVE_STEPS, CURVE_XY, CURVES, HAS_CONNECT, HAS_ENERGIZE, HAS_ESS_HI, HAS_ESS_LO, HAS_PCC_HI, HAS_PCC_LO, HAS_RATE, HAS_TARGET, LAYOUT_VERSION, MAX_BLOCKS, MAX_BUSES, MAX_ROWS, MAX_SLOTS, MAX_UNITS,
    Command, CurvePlan, Event, Plan, PlantState, Series, SiteConfig,
)
from .plans cimport plan_fault
from .ring cimport EVENT_ENTRIES, CommandRing, EventRing, command_push, event_read
from .sealed cimport SealedSite
from .segment cimport SEGMENT_HEADER, Mapping, SegmentHeader, commands_offset, curves_offset, events_offset, plan_offset, plans_size, state_size
from .service cimport SERVICE_REFERENCE, SERVICE_VALUES, service_address

from .segment import PLANS_MAGIC as _PLANS_MAGIC
from .segment import STATE_MAGIC as _STATE_MAGIC
from .segment import SegmentError

REMEDY = "run loop and supervisor from one installation, and restart both"


class CommandsWaiting(RuntimeError):
    """The loop has not taken the commands sent before; it is stopped or very late."""


cdef uint64_t epoch_of(Mapping mapping) noexcept:
    return load_acquire_u64(&(<SegmentHeader*> mapping.address).epoch)


def _refuse(name: str, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise SegmentError(f"{name} segment: {what} is {found}, this build expects {expected}; {REMEDY}")


cdef Mapping attach(int fd, str name, bytes magic, size_t size, size_t payload, size_t entry, bint writable, bytes config_hash):
    """Map a segment after everything about it was compared with this build, the size first: nothing beyond a file's end is touched."""
    cdef Mapping mapping
    cdef SegmentHeader* header
    found_size = os.fstat(fd).st_size
    if found_size >= SEGMENT_HEADER:
        # The layout's number explains a wrong size better than the size does.
        head = os.pread(fd, 12, 0)
        _refuse(name, "magic", head[:8], magic)
        _refuse(name, "layout version", int.from_bytes(head[8:12], "little"), LAYOUT_VERSION)
    _refuse(name, "size", found_size, size)
    mapping = Mapping(fd, size, writable)
    header = <SegmentHeader*> mapping.address
    _refuse(name, "size of a value", header.payload_size, payload)
    _refuse(name, "size of a ring entry", header.entry_size, entry)
    _refuse(name, "stated size", header.total_size, size)
    if header.epoch == 0:
        raise SegmentError(f"{name} segment: the loop process that made it has ended; attach again")
    found_hash = (<const char*> header.config_hash)[:32]
    if config_hash is not None and found_hash != config_hash:
        raise SegmentError(
            f"{name} segment: the loop runs configuration {found_hash.hex()[:12]}, expected was {config_hash.hex()[:12]}; attach again"
        )
    return mapping


cdef class StatePort:
    """The plant's state, read only. `fd` may be closed afterwards. Raises SegmentError, PermissionError."""

    cdef Mapping _mapping
    cdef Handover* _h
    cdef PlantState _copy
    cdef readonly unsigned long long epoch
    cdef readonly unsigned long long retries

    def __cinit__(self, int fd, bytes config_hash=None):
        self._mapping = attach(fd, "state", _STATE_MAGIC, state_size(), sizeof(PlantState), sizeof(Event), False, config_hash)
        self._h = <Handover*> (self._mapping.address + SEGMENT_HEADER)
        self.epoch = epoch_of(self._mapping)

    cdef bint _take(self):
        cdef uint64_t retries = 0
        cdef bint whole = handover_read(self._h, &self._copy, sizeof(PlantState), NULL, &retries)
        self.retries += retries
        return whole

    def read(self) -> dict | None:
        """The newest state, every field of PlantState by name; None: nothing published yet, or torn four times in a row."""
        return self._as_dict() if self._take() else None

    cdef dict _as_dict(self):
        cdef PlantState* s = &self._copy
        fields = <dict> s[0]
        # Left to itself Cython takes an array of bytes for a C string and ends it at the first zero.
        for name, codes in (
            ("unit_lo_bind", s.unit_lo_bind[:MAX_UNITS]), ("unit_hi_bind", s.unit_hi_bind[:MAX_UNITS]),
            ("unit_run", s.unit_run[:MAX_UNITS]), ("pcs_state", s.pcs_state[:MAX_UNITS]), ("bms_state", s.bms_state[:MAX_UNITS]),
            ("unit_contactor", s.unit_contactor[:MAX_UNITS]), ("unit_curve", s.unit_curve[:MAX_UNITS * CURVES]),
            ("row_active", s.row_active[:MAX_ROWS]), ("row_latched", s.row_latched[:MAX_ROWS]),
            ("slot_q_kind", s.slot_q_kind[:MAX_SLOTS]), ("slot_state", s.slot_state[:MAX_SLOTS]), ("slot_fault", s.slot_fault[:MAX_SLOTS]),
            ("bus_exception_code", s.bus_exception_code[:MAX_BUSES]), ("unit_commissioned", s.unit_commissioned[:MAX_UNITS]),
            ("unit_disconnect", s.unit_disconnect[:MAX_UNITS]),
        ):
            fields[name] = codes
        return fields

    def read_bytes(self) -> bytes | None:
        """The same as bytes, for layout.dtype("PlantState")."""
        return (<const char*> &self._copy)[:sizeof(PlantState)] if self._take() else None

    def commands_taken(self) -> int:
        """How many commands the loop has taken from the ring; 0 before its first tick."""
        return self._copy.commands_taken if self._take() else 0

    @property
    def version(self) -> int:
        """The number of the published state; 0 = none yet. Another number is another state."""
        return handover_version(self._h)

    @property
    def current(self) -> bool:
        """False once the loop took leave: attach again. (A loop that was killed shows by the end of its socket instead.)"""
        return epoch_of(self._mapping) == self.epoch


cdef class EventReader:
    """Drains the event ring. Starts with event `from_seq`; 0 = the oldest one that still stands."""

    cdef Mapping _mapping
    cdef EventRing* _ring
    cdef readonly unsigned long long next_seq
    cdef readonly unsigned long long lost

    def __cinit__(self, int fd, uint64_t from_seq=0, bytes config_hash=None):
        self._mapping = attach(fd, "state", _STATE_MAGIC, state_size(), sizeof(PlantState), sizeof(Event), False, config_hash)
        self._ring = <EventRing*> (self._mapping.address + events_offset())
        self.next_seq = from_seq or self._oldest()

    cdef uint64_t _oldest(self):
        cdef uint64_t newest = load_acquire_u64(&self._ring.newest)
        return newest - EVENT_ENTRIES + 1 if newest >= EVENT_ENTRIES else 1

    def drain(self) -> list[dict]:
        """The events since the last call, oldest first; each a dict of Event's fields. `lost` counts those overwritten before. Bounded."""
        cdef Event event
        cdef int found
        drained = []
        for _ in range(2 * EVENT_ENTRIES):
            found = event_read(self._ring, self.next_seq, &event)
            if found == 0:
                break
            if found == 1:
                drained.append(event)
                self.next_seq += 1
            else:
                self._skip()
        return drained

    cdef _skip(self):
        cdef uint64_t oldest = max(self._oldest(), <uint64_t> self.next_seq + 1)
        self.lost += oldest - self.next_seq
        self.next_seq = oldest


cdef inline uint8_t put(double* place, object value, uint8_t bit) except? 255:
    """Write a statement and return its bit; None leaves NaN and no bit."""
    if value is None:
        place[0] = NAN
        return 0
    place[0] = value
    return bit


cdef int fill(Series* series, blocks) except -1:
    cdef int i
    if len(blocks) > MAX_BLOCKS:
        raise ValueError(f"{len(blocks)} blocks, a series holds {MAX_BLOCKS}")
    for i, (start, end, ess_lo, ess_hi, pcc_lo, pcc_hi, target, target_scope, q_kind, q_value, q_absorb, energize, rate, *more) in enumerate(blocks):
        connect = more[0] if more else None
        series.start_ns[i], series.end_ns[i] = start, end
        series.stated[i] = (
            put(&series.ess_lo_w[i], ess_lo, HAS_ESS_LO) | put(&series.ess_hi_w[i], ess_hi, HAS_ESS_HI)
            | put(&series.pcc_lo_w[i], pcc_lo, HAS_PCC_LO) | put(&series.pcc_hi_w[i], pcc_hi, HAS_PCC_HI)
            | put(&series.target_w[i], target, HAS_TARGET) | put(&series.rate_w_per_s[i], rate, HAS_RATE)
            | (0 if energize is None else HAS_ENERGIZE) | (0 if connect is None else HAS_CONNECT)
        )
        series.target_scope[i], series.q_kind[i] = target_scope, q_kind
        put(&series.q_value[i], q_value, 0)
        put(&series.q_absorb[i], q_absorb, 0)
        series.energize[i], series.connect[i] = 1 if energize else 0, 1 if connect else 0
    series.count = <int> len(blocks)
    return 0


cdef int fill_curve(CurvePlan* plan, int kind, steps) except -1:
    cdef int at, i
    if not 0 <= kind < CURVES or len(steps) > CURVE_STEPS:
        raise ValueError(f"curve {kind} with {len(steps)} steps: there are {CURVES} kinds of at most {CURVE_STEPS}")
    plan.ours[kind] = 1
    for step, (start, end, reference, response_s, points) in enumerate(steps):
        at = kind * CURVE_STEPS + <int> step
        if len(points) > CURVE_XY:
            raise ValueError(f"a curve of {len(points)} points; at most {CURVE_XY}")
        plan.start_ns[at], plan.end_ns[at], plan.reference[at], plan.response_s[at] = start, end, reference, response_s
        plan.points[at] = <uint8_t> len(points)
        for i, (x, y) in enumerate(points):
            plan.x[at * CURVE_XY + i], plan.y[at * CURVE_XY + i] = x, y
    return 0


cdef int fill_service(CurvePlan* plan, service) except -1:
    """The document travels as the last step of the last kind, which no curve uses (rules in service.pxd): its values stand as the points' x
    in the order of ServiceValue, and SERVICE_REFERENCE, the DeptRef of no curve, says so."""
    cdef int at = CURVES * CURVE_STEPS - 1
    cdef int i
    if plan.points[at] != 0 or len(service) != SERVICE_VALUES:
        raise ValueError(f"{len(service)} values of enter service, and {plan.points[at]} points of a curve in its place")
    plan.start_ns[at], plan.end_ns[at], plan.reference[at], plan.points[at] = 0, INT64_MAX, SERVICE_REFERENCE, SERVICE_VALUES
    for i, value in enumerate(service):
        plan.x[at * CURVE_XY + i] = value
    return 0


cdef class PlanPort:
    """Writes plans into slots. One writer process at a time: the loop hands this descriptor to one holder."""

    cdef Mapping _mapping
    cdef Plan _plan
    cdef readonly unsigned long long epoch

    def __cinit__(self, int fd, bytes config_hash=None):
        self._mapping = attach(fd, "plans", _PLANS_MAGIC, plans_size(), sizeof(Plan), sizeof(Command), True, config_hash)
        self.epoch = epoch_of(self._mapping)

    cdef Handover* _slot(self, int slot) except NULL:
        if slot < 0 or slot >= MAX_SLOTS:
            raise IndexError(f"slot {slot}: there are {MAX_SLOTS}")
        return <Handover*> (self._mapping.address + plan_offset(slot))

    cdef uint64_t _serial(self, Handover* h):
        """One more than the slot's last serial, whoever wrote it."""
        cdef Plan last
        if not handover_read(h, &last, sizeof(Plan), NULL, NULL):
            return 1
        return last.serial + 1 if last.serial + 1 != 0 else 1

    cdef _compose(self, int64_t lease_until_ns, int lapse, live, fallback):
        """Put a plan together in private memory: whatever raises here, the slots keep what they had."""
        cdef SegmentHeader* header = <SegmentHeader*> self._mapping.address
        memset(&self._plan, 0, sizeof(Plan))
        fill(&self._plan.live, live)
        fill(&self._plan.fallback, fallback)
        self._plan.boot_id_hi, self._plan.boot_id_lo = header.boot_id_hi, header.boot_id_lo
        self._plan.lease_until_ns, self._plan.lapse = lease_until_ns, lapse

    def fault(self, SealedSite site, int slot, int64_t now_ns, int64_t lease_until_ns, int lapse, live, fallback=()) -> int:
        """The PlanFault for which the loop would refuse this plan at `now_ns`, by the loop's own function; 0 = it would take it.

        Arguments as for write(); raises what write() raises.
        """
        self._slot(slot)
        if slot >= site.config.n_slots:
            raise IndexError(f"slot {slot}: this site has {site.config.n_slots}")
        self._compose(lease_until_ns, lapse, live, fallback)
        return plan_fault(&site.config, slot, &self._plan, self._plan.boot_id_hi, self._plan.boot_id_lo, now_ns)

    def write(self, int slot, int64_t lease_until_ns, int lapse, live, fallback=()) -> int:
        """Replace the slot's plan; returns its serial. Nothing is checked but that it fits the structure.

        A block is (start_ns, end_ns, ess_lo_w, ess_hi_w, pcc_lo_w, pcc_hi_w, target_w, target_scope, q_kind, q_value, q_absorb,
        energize, rate_w_per_s, connect); the last may be left out, None is no statement. Raises ValueError, TypeError, OverflowError, IndexError; the slot then keeps what it had.
        """
        cdef Handover* h = self._slot(slot)
        self._compose(lease_until_ns, lapse, live, fallback)
        self._plan.serial = self._serial(h)
        handover_write(h, &self._plan, sizeof(Plan))
        return self._plan.serial

    def write_bytes(self, int slot, const unsigned char[::1] plan) -> None:
        """Publish a Plan structure as it is, for tests of what the loop refuses."""
        if <size_t> plan.shape[0] != sizeof(Plan):
            raise ValueError(f"a plan has {sizeof(Plan)} bytes, not {plan.shape[0]}")
        handover_write(self._slot(slot), &plan[0], sizeof(Plan))

    def write_curves(self, curves, service=None) -> int:
        """Replace the curves and the enter service of all PCS; returns the PlanFault for which the loop would refuse them, 0 = written.

        `curves` maps a CurveKind to its steps (start_ns, end_ns, reference, response_s, points), points being (x, y) pairs; a kind that is
        not in it is left alone. `service`: seven values in the order of ServiceValue, NaN = not stated; None = none of them. Raises
        ValueError, TypeError, OverflowError.
        """
        cdef SegmentHeader* header = <SegmentHeader*> self._mapping.address
        cdef Handover* h = <Handover*> (self._mapping.address + curves_offset())
        cdef CurvePlan plan
        cdef CurvePlan last
        cdef int fault
        memset(&plan, 0, sizeof(CurvePlan))
        for kind, steps in curves.items():
            fill_curve(&plan, kind, steps)
        if service is not None:
            fill_service(&plan, service)
        plan.boot_id_hi, plan.boot_id_lo = header.boot_id_hi, header.boot_id_lo
        plan.serial = last.serial + 1 if handover_read(h, &last, sizeof(CurvePlan), NULL, NULL) else 1
        fault = curve_fault(&plan, plan.boot_id_hi, plan.boot_id_lo)
        if fault == 0:
            handover_write(h, &plan, sizeof(CurvePlan))
        return fault

    @property
    def current(self) -> bool:
        """False once the loop took leave: attach again."""
        return epoch_of(self._mapping) == self.epoch


cdef class CommandPort:
    """Sends commands to the loop; `state` tells how many it has taken."""

    cdef Mapping _mapping
    cdef CommandRing* _ring
    cdef StatePort _state

    def __cinit__(self, int fd, StatePort state, bytes config_hash=None):
        self._mapping = attach(fd, "plans", _PLANS_MAGIC, plans_size(), sizeof(Plan), sizeof(Command), True, config_hash)
        self._ring = <CommandRing*> (self._mapping.address + commands_offset())
        self._state = state

    def push(self, uint8_t code, int16_t arg=0) -> int:
        """Send one CommandCode; returns the id that its event will name. CommandsWaiting: the loop takes none."""
        cdef Command command
        cdef uint64_t given
        memset(&command, 0, sizeof(Command))
        command.code, command.arg = code, arg
        given = command_push(self._ring, &command, self._state.commands_taken())
        if given == 0:
            raise CommandsWaiting("the loop takes no commands: all entries of the ring wait; see `bessctl status`")
        return given


cdef dict unit_curves(const SiteConfig* c, int unit):
    """The CurveKinds that a unit's PCS takes, and of how many points."""
    cdef int kind
    cdef int at = c.unit_pcs_device[unit] * CURVES
    return {kind: min(<int> c.curve_points_max[at + kind], <int> CURVE_XY) for kind in range(CURVES) if at >= 0 and c.curve_addr[at + kind] > 0}


cdef bint unit_service(const SiteConfig* c, int unit):
    """Whether a unit's PCS takes enter-service settings."""
    cdef double v_scale, hz_scale
    return c.unit_pcs_device[unit] >= 0 and service_address(c, c.unit_pcs_device[unit], &v_scale, &hz_scale) > 0


cdef tuple slot_default(const SiteConfig* c, int slot):
    """The sealed limits that speak in a slot's gaps: ess lo and hi, pcc lo and hi; None where none is stated."""
    cdef int stated = c.slot_default[slot]
    return (
        c.slot_ess_lo_w[slot] if stated & HAS_ESS_LO else None, c.slot_ess_hi_w[slot] if stated & HAS_ESS_HI else None,
        c.slot_pcc_lo_w[slot] if stated & HAS_PCC_LO else None, c.slot_pcc_hi_w[slot] if stated & HAS_PCC_HI else None,
    )


def facts(SealedSite site) -> dict:
    """What a peer needs of the sealed configuration beside its names: counts, and per unit and row the numbers that a snapshot is made of."""
    cdef const SiteConfig* c = &site.config
    cdef int units = max(0, min(c.n_units, MAX_UNITS))
    cdef int slots = max(0, min(c.n_slots, MAX_SLOTS))
    cdef int rows = max(0, min(c.n_rows, MAX_ROWS))
    return {
        "rate_hz": c.rate_hz, "units": units, "rows": rows, "slots": slots, "has_meter": bool(c.has_meter),
        "unit_wh": [c.unit_wh[i] for i in range(units)],
        "unit_w_dis_max": [c.unit_w_dis_max[i] for i in range(units)],
        "unit_w_cha_max": [c.unit_w_cha_max[i] for i in range(units)],
        "unit_has_bms": [c.unit_bms_device[i] >= 0 for i in range(units)],
        "unit_data_age_ns": [c.unit_data_age_ns[i] for i in range(units)],
        "unit_curves": [unit_curves(c, i) for i in range(units)],
        "unit_service": [unit_service(c, i) for i in range(units)],
        "unit_opens": [bool(c.unit_opens[i]) for i in range(units)],
        "row_tier": [c.row_tier[i] for i in range(rows)],
        "row_place": [c.row_unit[i] for i in range(rows)],
        "row_quantity": [c.row_quantity[i] for i in range(rows)],
        "row_pickup": [c.row_pickup[i] for i in range(rows)],
        "row_max_age_ns": [c.row_max_age_ns[i] for i in range(rows)],
        "slot_max_lease_ns": [c.slot_max_lease_ns[i] for i in range(slots)],
        "slot_defaults": [slot_default(c, i) for i in range(slots)],
    }
