"""A sealed configuration as the tick needs it: every index within its array. The tick trusts them afterwards; Python, at start, once.

Sealing checks what a value means; this checks that a file written by another program cannot lead the loop out of its memory.
"""

from libc.math cimport isfinite

from .layout cimport (
    BUS_RTU, BUS_TCP, CURVE_POINTS, DEV_METER, DEV_NONE, MAX_BUSES, MAX_CHECKS, MAX_DEVICES, MAX_POINTS, MAX_READS, MAX_ROWS, MAX_SLOTS,
    MAX_UNITS, PLANT, PT_INT64, QUANTITIES, TEXT, SiteConfig,
)
from .points cimport type_registers
from .sealed cimport SealedSite

cdef enum:
    REGISTERS_PER_READ = 125
    LAST_ADDRESS = 65535


cdef inline bint within(int value, int low, int high):
    return low <= value <= high


cdef inline bint is_place(int place, const SiteConfig* c):
    return 0 <= place < c.n_units or place == PLANT


cdef str counts(const SiteConfig* c):
    for name, value, most in (
        ("units", c.n_units, MAX_UNITS), ("sources", c.n_slots, MAX_SLOTS), ("protection rows", c.n_rows, MAX_ROWS),
        ("devices", c.n_devices, MAX_DEVICES), ("buses", c.n_buses, MAX_BUSES), ("reads", c.n_reads, MAX_READS),
        ("points", c.n_points, MAX_POINTS), ("checks", c.n_checks, MAX_CHECKS),
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
    return None


cdef str buses_and_devices(const SiteConfig* c):
    for i in range(c.n_buses):
        if c.bus_kind[i] not in (BUS_TCP, BUS_RTU) or c.bus_path[(i + 1) * TEXT - 1] != 0:
            return f"bus {i} is of no known kind or its name does not end"
    for i in range(c.n_devices):
        if not DEV_NONE < c.dev_kind[i] <= DEV_METER or not is_place(c.dev_place[i], c) or not within(c.dev_bus[i], 0, c.n_buses - 1):
            return f"device {i} is of no known kind, or names a unit or bus that does not exist"
        for address in (c.dev_wset_addr[i], c.dev_wset_sf_addr[i], c.dev_hb_addr[i], c.dev_opctl_addr[i], c.dev_es_addr[i], c.dev_contactor_addr[i]):
            if not within(address, -1, LAST_ADDRESS - 13):
                return f"device {i} writes to register {address}; registers end at {LAST_ADDRESS}"
        if not within(c.dev_hb_quantity[i], 0, QUANTITIES - 1):
            return f"device {i} has a heartbeat of no known quantity"
    return None


cdef str reads_and_points(const SiteConfig* c):
    for i in range(c.n_reads):
        if not within(c.read_device[i], 0, c.n_devices - 1) or not within(c.read_count[i], 1, REGISTERS_PER_READ) or not within(
                c.read_addr[i], 0, LAST_ADDRESS + 1 - c.read_count[i]):
            return f"read {i} asks a device or registers that do not exist"
    for i in range(c.n_points):
        if not within(c.point_read[i], 0, c.n_reads - 1) or not is_place(c.point_place[i], c) or c.point_quantity[i] >= QUANTITIES \
                or c.point_type[i] > PT_INT64:
            return f"point {i} names a read, unit, quantity or type that does not exist"
        size = c.read_count[c.point_read[i]]
        if not within(c.point_offset[i], 0, size - type_registers(c.point_type[i])) or not within(c.point_sf_offset[i], -1, size - 1):
            return f"point {i} lies outside what is read"
    for i in range(c.n_checks):
        if not within(c.check_device[i], 0, c.n_devices - 1) or not within(c.check_addr[i], 0, LAST_ADDRESS):
            return f"check {i} names a device or register that does not exist"
    return None


def fault_of(SealedSite site) -> str | None:
    """What of this configuration the loop cannot run, or None."""
    cdef const SiteConfig* c = &site.config
    return counts(c) or units_and_rows(c) or buses_and_devices(c) or reads_and_points(c)
