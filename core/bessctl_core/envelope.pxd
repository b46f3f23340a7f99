# What is allowed now, per unit and for the plant, and who says so.
#
# The device interval of a unit is the smallest of: rating, the rating the PCS states, apparent power, the BMS's current limits as watts (R14),
# derating and protection, what an untried unit may give (R16); nothing for a unit that does not follow, whose battery is not connected, or that a plan
# disconnects (connect.pxd). It always contains 0 and never yields. The plant's device interval is the
# sum over its units and over what units beyond our command may be giving (R9): those watts flow whatever is decided here, so the plant's
# limits hold for all of them together, and dispatch.pxd leaves their share to them.
#
# Sources then narrow it, class by class: grid, contract, market. Within a class limits intersect; where they are disjoint the point nearest 0
# counts. A class that is disjoint from what the better ones left gets the nearest point of it. Either way the rest is reported as unmet, with
# the slot that asked for it (R3). ess limits always contain 0. A pcc limit becomes an ess limit by the rest of the site (pcc.pxd); it may ask
# for power away from 0 only in a direction its slot may force.
#
# A source whose reactive power goes first narrows active power as well, in its own class (reactive.pxd).
#
# Weights. Units share by what each may give times a weight by their SoC, so that they grow equal: with balance_soc_pct above the mean twice
# the share in discharge and nearly none in charge, below it the other way round, in between in proportion. Within 1 % of the mean, without a
# SoC, or with balance_soc_pct 0 the weight is 1.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .connect cimport Connect
from .contactor cimport ContactorTable
from .layout cimport MAX_UNITS, Inputs, Outputs, SiteConfig
from .commission cimport Commission
from .pcc cimport Pcc
from .plans cimport SlotTable
from .protect cimport RowTable
from .reactive cimport Reactive
from .reentry cimport Gate
from .units cimport UnitTable

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
    double giving_lo_w      # what units beyond our command may be giving, part of the device interval
    double giving_hi_w
    Gate gate_dis[MAX_UNITS]
    Gate gate_cha[MAX_UNITS]
    double weight_dis[MAX_UNITS]
    double weight_cha[MAX_UNITS]
    double ess_w            # measured, all units; NaN when one is missing
    double unmet_w
    int16_t unmet_slot
    uint8_t cease           # a source asks to cease to energise, or disconnects

# Rating, BMS, rows: the part no source touches. `mode_blocks`: the mode allows no power; `mode` names it.
cdef void device_interval(const SiteConfig* c, const Inputs* inp, const RowTable* rows, const UnitTable* u, const ContactorTable* contactors,
                          const Connect* connect, const Commission* k, Envelope* e, bint mode_blocks, int mode, int64_t now_ns) noexcept nogil

# The sources, class by class. Marks in `p` whether any of them speaks of the PCC.
cdef void arbitrate(const SiteConfig* c, const SlotTable* slots, Pcc* p, const Reactive* r, Envelope* e, int64_t now_ns) noexcept nogil
