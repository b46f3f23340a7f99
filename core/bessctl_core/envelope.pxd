# What is allowed now, per unit and for the plant, and who says so.
#
# The device interval of a unit is the smallest of: rating, the rating the PCS states, apparent power, the BMS's current limits as watts (R14),
# derating and protection. It always contains 0 and never yields. The plant's device interval is the sum over its units.
#
# Sources then narrow it, class by class: grid, contract, market. Within a class limits intersect; where they are disjoint the point nearest 0
# counts. A class that is disjoint from what the better ones left gets the nearest point of it. Either way the rest is reported as unmet, with
# the slot that asked for it (R3). ess limits always contain 0. A pcc limit becomes an ess limit by the rest of the site (pcc minus ess, taken at each meter sample); it may ask for
# power away from 0 only in a direction its slot may force, and a stale meter never commands power (R10): what was known is held for
# meter_hold, then the worst load and PV of the site count. A meter that is not up, frozen for one (R4), brings no samples.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .layout cimport MAX_UNITS, Inputs, Outputs, SiteConfig
from .plans cimport SlotTable
from .protect cimport RowTable

# One side: a value and who set it.
cdef struct Side:
    double w
    uint8_t bind
    int16_t id
    int64_t since_ns
    int64_t until_ns

cdef struct Envelope:
    Side unit_lo[MAX_UNITS]
    Side unit_hi[MAX_UNITS]
    Side device_lo          # plant
    Side device_hi
    Side lo                 # after the sources
    Side hi
    double rest_w           # pcc minus ess at the last meter sample
    int64_t rest_ns         # when that sample was asked for; 0 = never
    double ess_w            # measured, all units; NaN when one is missing
    double unmet_w
    int16_t unmet_slot
    uint8_t cease           # a source asks to cease to energise
    uint8_t rest_usable     # fresh, or within the hold

# Rating, BMS, rows: the part no source touches. `mode_blocks`: the mode allows no power; `mode` names it.
cdef void device_interval(const SiteConfig* c, const Inputs* inp, const RowTable* rows, Envelope* e, bint mode_blocks, int mode,
                          int64_t now_ns) noexcept nogil

# The meter: what the site does beside the BESS.
cdef void rest_update(const SiteConfig* c, const Inputs* inp, Envelope* e, int64_t now_ns) noexcept nogil

# The sources, class by class.
cdef void arbitrate(const SiteConfig* c, const SlotTable* slots, Envelope* e, int64_t now_ns) noexcept nogil

# Is this measurement of a unit there, finite, and no older than the unit's data age?
cdef bint unit_sees(const SiteConfig* c, const Inputs* inp, int unit, int quantity, int64_t now_ns) noexcept nogil
