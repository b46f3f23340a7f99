"""A sealed configuration as the tick needs it: every index within its array. The tick trusts them afterwards; Python, at start, once.

Sealing checks what a value means; this checks that a file written by another program cannot lead the loop out of its memory.
"""

from libc.math cimport isfinite

from .layout cimport (
    ACT_DERATE, BUS_RTU, BUS_TCP, CLASS_MARKET, CURVE_POINTS, CURVES, DEV_IO, DEV_NONE, MAX_BUSES, MAX_CHECKS, MAX_CHIPS, MAX_DEVICES, MAX_FACTORS,
    MAX_FIELDS, MAX_INPUTS, MAX_MAPS, MAX_POINTS, MAX_READS, MAX_ROWS, MAX_SLOTS, MAX_UNITS, MAX_WRITES, PLANT, PR_LIMITS, PR_SETPOINT, PR_VAR, PROGRAMS,
    PT_BIT, PT_BITS16, QUANTITIES, Q_INPUT_0, SRC_SHED, TEXT, SiteConfig,
)
from .driver cimport LIMIT_REGISTERS, LIMIT_ROWS
from .frames cimport READ_COILS, READ_DISCRETE_INPUTS, READ_INPUT_REGISTERS
from .points cimport point_end, type_registers
from .setpoint cimport ROW_REGISTERS, ROWS_MAX
from .sealed cimport SealedSite

cdef enum:
    REGISTERS_PER_READ = 125
    REGISTERS_PER_WRITE = 123
    BITS_PER_READ = 2000
    LAST_ADDRESS = 65535
    CURVE_POINTS_MAX = 60
    CURVE_REGISTERS = 300           # as far as two sets of so many points reach


cdef inline bint within(int value, int low, int high):
    return low <= value <= high


cdef inline bint is_place(int place, const SiteConfig* c):
    return 0 <= place < c.n_units or place == PLANT


cdef str counts(const SiteConfig* c):
    for name, value, most in (
        ("units", c.n_units, MAX_UNITS), ("sources", c.n_slots, MAX_SLOTS), ("protection rows", c.n_rows, MAX_ROWS),
        ("devices", c.n_devices, MAX_DEVICES), ("buses", c.n_buses, MAX_BUSES), ("reads", c.n_reads, MAX_READS),
        ("points", c.n_points, MAX_POINTS), ("checks", c.n_checks, MAX_CHECKS),
        ("factors", c.n_factors, MAX_FACTORS), ("codes", c.n_maps, MAX_MAPS), ("writes", c.n_writes, MAX_WRITES),
        ("written values", c.n_fields, MAX_FIELDS), ("GPIO chips", c.n_chips, MAX_CHIPS), ("GPIO lines", c.n_lines, MAX_INPUTS),
    ):
        if not 0 <= value <= most:
            return f"{value} {name}; at most {most} fit"
    if not isfinite(c.rate_hz) or not 10 <= c.rate_hz <= 1000:
        return f"a loop rate of {c.rate_hz} Hz; it runs at 10 to 1000 Hz"
    return None


cdef str units_and_rows(const SiteConfig* c):
    for i in range(c.n_units):
        if not within(c.unit_pcs_device[i], -1, c.n_devices - 1) or not within(c.unit_bms_device[i], -1, c.n_devices - 1):
            return f"unit {i} names a device that does not exist"
    for i in range(c.n_rows):
        if not is_place(c.row_unit[i], c) or c.row_quantity[i] >= QUANTITIES or c.row_curve_count[i] > CURVE_POINTS:
            return f"protection row {i} names a unit, a quantity or a curve that does not exist"
        if c.row_action[i] == ACT_DERATE and c.row_curve_count[i] == 0:
            return f"protection row {i} derates by no curve"
        if not 0 <= c.row_other_cut[i] <= 1:
            return f"protection row {i} takes {c.row_other_cut[i]:g} of the other direction; parts are 0 to 1"
    return None


cdef str sources(const SiteConfig* c):
    """The envelope takes limits class after class: those of a class that it does not know would hold nobody."""
    for i in range(c.n_slots):
        if c.slot_class[i] > CLASS_MARKET:
            return f"source {i} is of class {c.slot_class[i]}; the last one is {<int> CLASS_MARKET}"
    return None


cdef str buses_and_devices(const SiteConfig* c):
    for i in range(c.n_buses):
        if c.bus_kind[i] not in (BUS_TCP, BUS_RTU) or c.bus_path[(i + 1) * TEXT - 1] != 0:
            return f"bus {i} is of no known kind or its name does not end"
    for i in range(c.n_devices):
        if not DEV_NONE < c.dev_kind[i] <= DEV_IO or not is_place(c.dev_place[i], c) or not within(c.dev_bus[i], 0, c.n_buses - 1):
            return f"device {i} is of no known kind, or names a unit or bus that does not exist"
        if not within(c.dev_hb_quantity[i], 0, QUANTITIES - 1):
            return f"device {i} has a heartbeat of no known quantity"
    for i in range(c.n_devices * CURVES):
        if c.curve_addr[i] != 0 and not (within(c.curve_addr[i], 1, LAST_ADDRESS - CURVE_REGISTERS) and within(c.curve_points_max[i], 2, CURVE_POINTS_MAX)
                                         and c.curve_x_scale[i] > 0 and c.curve_y_scale[i] > 0):
            return f"device {i // CURVES} has a curve outside its registers, or of no points"
    return None


cdef inline bint reads_bits(const SiteConfig* c, int read):
    return c.read_function[read] == READ_COILS or c.read_function[read] == READ_DISCRETE_INPUTS


cdef str reads_and_points(const SiteConfig* c):
    for i in range(c.n_reads):
        most = BITS_PER_READ if reads_bits(c, i) else REGISTERS_PER_READ
        if not within(c.read_device[i], 0, c.n_devices - 1) or not within(c.read_count[i], 1, most) or not within(
                c.read_addr[i], 0, LAST_ADDRESS + 1 - c.read_count[i]) or c.read_function[i] > READ_INPUT_REGISTERS:
            return f"read {i} asks a device or registers that do not exist"
    for i in range(c.n_points):
        if not within(c.point_read[i], 0, c.n_reads - 1) or not is_place(c.point_place[i], c) or c.point_quantity[i] >= QUANTITIES \
                or c.point_type[i] > PT_BIT:
            return f"point {i} names a read, unit, quantity or type that does not exist"
        size = c.read_count[c.point_read[i]]
        if reads_bits(c, c.point_read[i]):
            fits = c.point_type[i] == PT_BIT and within(c.point_offset[i], 0, size - 1)
        else:
            fits = c.point_offset[i] >= 0 and point_end(c.point_type[i], c.point_offset[i]) <= size
        if not fits or not within(c.point_sf_offset[i], -1, size - 1) or not within(c.point_sign_offset[i], 0, size - 1):
            return f"point {i} lies outside what is read"
        if not within(c.point_factor[i], 0, c.n_factors) or not within(c.point_map_first[i], 0, c.n_maps) or not within(
                c.point_map_count[i], 0, c.n_maps - c.point_map_first[i]):
            return f"point {i} names a factor or codes that do not exist"
    return checks(c) or written_twice(c)


cdef str written_twice(const SiteConfig* c):
    """Two devices that write one value: the last one wins, and the other one's silence is never seen."""
    lines = [(PLANT, Q_INPUT_0 + c.line_input[i]) for i in range(c.n_lines)]
    seen = set()
    for name, places in (("point", [(c.point_place[i], c.point_quantity[i]) for i in range(c.n_points)]), ("GPIO line", lines)):
        for i, place in enumerate(places):
            if place in seen:
                return f"{name} {i} brings what another one brings already; seal the site again, which says what and from where"
            seen.add(place)
    return None


cdef str checks(const SiteConfig* c):
    for i in range(c.n_checks):
        if not within(c.check_device[i], 0, c.n_devices - 1) or not within(c.check_addr[i], 0, LAST_ADDRESS):
            return f"check {i} names a device or register that does not exist"
    return None


cdef bint is_range(int address, int count, int most):
    return 1 <= count <= most and 0 <= address <= LAST_ADDRESS + 1 - count


cdef str factors(const SiteConfig* c):
    for i in range(c.n_factors):
        if not within(c.factor_device[i], 0, c.n_devices - 1) or c.factor_type[i] > PT_BITS16 or not is_range(
                c.factor_addr[i], type_registers(c.factor_type[i]), REGISTERS_PER_READ):
            return f"factor {i} names a device, type or register that does not exist"
    return None


cdef str writes(const SiteConfig* c):
    in_program = {}
    for i in range(c.n_writes):
        if not within(c.write_device[i], 0, c.n_devices - 1) or c.write_program[i] >= PROGRAMS or not is_range(
                c.write_addr[i], c.write_count[i], REGISTERS_PER_WRITE) or not is_range(c.write_addr[i], c.write_back[i], REGISTERS_PER_READ):
            return f"write {i} names a device, program or registers that do not exist"
        if not within(c.write_field[i], 0, c.n_fields) or not within(c.write_fields[i], 0, c.n_fields - c.write_field[i]):
            return f"write {i} names fields that do not exist"
        key = c.write_device[i], c.write_program[i]
        at, count = in_program.get(key, (i, 0))
        if at + count != i:
            return f"write {i} stands apart from the others of its device and program"
        in_program[key] = at, count + 1
        fault = sizes(c, i, count + 1) or fields_of(c, i)
        if fault:
            return fault
    return None


cdef str sizes(const SiteConfig* c, int i, int count):
    """What the driver keeps of a row must fit where it keeps it."""
    if count > ROWS_MAX:
        return f"write {i} is one too many in its program; at most {ROWS_MAX} fit"
    if c.write_program[i] in (PR_SETPOINT, PR_VAR) and c.write_count[i] > ROW_REGISTERS:
        return f"write {i} of a set point has {c.write_count[i]} registers; at most {ROW_REGISTERS} fit"
    if c.write_program[i] == PR_LIMITS and (c.write_count[i] > LIMIT_REGISTERS or count > LIMIT_ROWS):
        return f"write {i} of limits has {c.write_count[i]} registers; at most {LIMIT_REGISTERS} in {LIMIT_ROWS} rows fit"
    return None


cdef str fields_of(const SiteConfig* c, int i):
    cdef int room = c.write_count[i] if c.write_count[i] > c.write_back[i] else c.write_back[i]
    for k in range(c.write_field[i], c.write_field[i] + c.write_fields[i]):
        size = type_registers(c.field_type[k])
        across = c.field_offset[k] < c.write_count[i] < c.field_offset[k] + size
        if c.field_type[k] > PT_BITS16 or c.field_source[k] > SRC_SHED or c.field_quantity[k] >= QUANTITIES \
                or not within(c.field_factor[k], 0, c.n_factors) or not within(c.field_offset[k], 0, room - size) or across:
            return f"field {k} of write {i} is of no known kind or lies outside of it"
    return None


cdef str lines(const SiteConfig* c):
    for i in range(c.n_chips):
        if c.chip_path[(i + 1) * TEXT - 1] != 0:
            return f"the name of GPIO chip {i} does not end"
    for i in range(c.n_lines):
        if c.line_chip[i] >= c.n_chips or c.line_input[i] >= MAX_INPUTS or c.line_offset[i] < 0 or c.line_healthy[i] > 1:
            return f"GPIO line {i} names a chip, an input or a level that does not exist"
    return None


def fault_of(SealedSite site) -> str | None:
    """What of this configuration the loop cannot run, or None."""
    cdef const SiteConfig* c = &site.config
    return counts(c) or units_and_rows(c) or sources(c) or buses_and_devices(c) or reads_and_points(c) or factors(c) or writes(c) or lines(c)
