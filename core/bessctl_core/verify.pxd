# What is read after each connection before a device is believed: the sealed checks, then the factors.
#
# A check is a register that must hold its sealed value: model ids, lengths, serial number, a rating. A factor is a scale factor or a rating
# that other values are multiplied with; it must be a number within its sealed range. Loop, nogil, bounded by the sealed tables.

from .driver cimport Device
from .layout cimport Inputs, SiteConfig

# What did not hold: register, and both values (NaN: there is none).
cdef struct Finding:
    int register
    double found
    double expected

# Fill dev.setup with the next question of a phase; False when none is left.
cdef bint next_checks(const SiteConfig* c, Device* dev) noexcept nogil
cdef bint next_factor(const SiteConfig* c, Device* dev) noexcept nogil

# Judge the answer in dev.setup. False: `finding` says what does not hold.
cdef bint checks_hold(const SiteConfig* c, const Device* dev, Finding* finding) noexcept nogil
cdef bint take_factor(const SiteConfig* c, Device* dev, Inputs* inp, Finding* finding) noexcept nogil

# Nothing is known of this device's factors.
cdef void forget_factors(const SiteConfig* c, const Device* dev, Inputs* inp) noexcept nogil

# What one count of a set point is worth, W or var, by the factors read on this connection; NaN until they are.
cdef double count_w(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil
cdef double count_var(const SiteConfig* c, const Device* dev, const Inputs* inp) noexcept nogil
