"""Checks and factors after each connection; see verify.pxd."""

from libc.math cimport NAN
from libc.stdint cimport uint16_t

from .frames cimport READ_HOLDING_REGISTERS
from .points cimport type_registers, typed_value

cdef enum:
    CHECK_RUN_MAX = 20          # registers; on a slow line a longer read would hold up the neighbours' commands
    OF_SETPOINT = 1             # factor_of_setpoint
    OF_VAR = 2


cdef bint first_read(const SiteConfig* c, Device* dev) noexcept nogil:
    """A device that nothing else is known of proves that it is there by answering its first read; False when it did."""
    cdef int i
    if dev.said_hello:
        return False
    dev.said_hello = 1
    for i in range(c.n_checks):
        if c.check_device[i] == dev.index:
            return False
    for i in range(c.n_reads):
        if c.read_device[i] == dev.index:
            dev.check_first = dev.check_count = 0
            dev.setup.function = c.read_function[i] if c.read_function[i] else <int> READ_HOLDING_REGISTERS
            dev.setup.address, dev.setup.count = <uint16_t> c.read_addr[i], <uint16_t> c.read_count[i]
            return True
    return False


cdef bint next_checks(const SiteConfig* c, Device* dev) noexcept nogil:
    """The next run of checks in neighbouring registers, as one read; False when none is left."""
    cdef int first = dev.check_at
    if first_read(c, dev):
        return True
    cdef int n = 0
    while first < c.n_checks and c.check_device[first] != dev.index:
        first += 1
    while n < CHECK_RUN_MAX and first + n < c.n_checks and c.check_device[first + n] == dev.index \
            and c.check_addr[first + n] == c.check_addr[first] + n:
        n += 1
    if n == 0:
        return False
    dev.check_first, dev.check_count, dev.check_at = first, n, first + n
    dev.setup.function = c.dev_check_function[dev.index] if c.dev_check_function[dev.index] else <int> READ_HOLDING_REGISTERS
    dev.setup.address, dev.setup.count = <uint16_t> c.check_addr[first], <uint16_t> n
    return True


cdef bint checks_hold(const SiteConfig* c, const Device* dev, Finding* finding) noexcept nogil:
    cdef int i
    for i in range(dev.check_count):
        if dev.setup.regs[i] != <uint16_t> c.check_value[dev.check_first + i]:
            finding.register, finding.found = dev.setup.address + i, dev.setup.regs[i]
            finding.expected = <uint16_t> c.check_value[dev.check_first + i]
            return False
    return True


cdef bint next_factor(const SiteConfig* c, Device* dev) noexcept nogil:
    """The next factor as one read; False when none is left."""
    while dev.factor_at < c.n_factors and c.factor_device[dev.factor_at] != dev.index:
        dev.factor_at += 1
    if dev.factor_at >= c.n_factors:
        return False
    dev.setup.function = c.factor_function[dev.factor_at]
    dev.setup.address, dev.setup.count = <uint16_t> c.factor_addr[dev.factor_at], <uint16_t> type_registers(c.factor_type[dev.factor_at])
    return True


cdef bint take_factor(const SiteConfig* c, Device* dev, Inputs* inp, Finding* finding) noexcept nogil:
    cdef int i = dev.factor_at
    cdef double value = c.factor_scale[i] * typed_value(
        c.factor_type[i], c.factor_low_first[i], c.factor_absent[i], 0, dev.setup.regs)
    # Written so that a NaN fails.
    if not (c.factor_least[i] <= value <= c.factor_most[i]):
        finding.register, finding.found, finding.expected = dev.setup.address, dev.setup.regs[0], NAN
        return False
    inp.factor[i] = value
    dev.factor_at += 1
    return True


cdef void forget_factors(const SiteConfig* c, const Device* dev, Inputs* inp) noexcept nogil:
    cdef int i
    for i in range(c.n_factors):
        if c.factor_device[i] == dev.index:
            inp.factor[i] = NAN


cdef double worth(const SiteConfig* c, const Device* dev, const Inputs* inp, double count, int setpoint) noexcept nogil:
    cdef int i
    for i in range(c.n_factors):
        if c.factor_device[i] == dev.index and c.factor_of_setpoint[i] == setpoint:
            count *= inp.factor[i]
    return count


cdef double count_w(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil:
    return worth(c, dev, inp, c.dev_count_w[dev.index], OF_SETPOINT)


cdef double count_var(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil:
    return worth(c, dev, inp, c.dev_count_var[dev.index], OF_VAR)
