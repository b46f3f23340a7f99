# Reactive power: who asks, how much there is beside the active power, and the share of each unit.
#
# Rules. Positive is injected (over-excited), as in IEEE 1547. Of the sources that ask, the one with the lowest priority number rules; it needs
# the scope `reactive`, and its wish ends with its lease like a target, unless its fallback series asks too (a current limit that was counted
# without reactive power). Nobody asks: the PCS are released, and their own functions (volt-var and the rest of the grid code) rule; nothing of
# ours overrides them.
#   var         as asked, all units together
#   pf          tan(acos |pf|) times the active power commanded; the sign of pf is the excitation, whichever way active power flows
#   available   that share of what active power leaves
# Away from 0 at reactive_ramp, toward 0 at once, as R2 has it for active power. 0 in every mode but run, where a source asks to cease, and for a
# unit that does not follow or that a protection row brings to 0.
#
# Apparent power. Each unit keeps P^2 + Q^2 within its rating and Q within its own. Units share in proportion to their apparent power; what
# one cannot take goes to those that can. Active power goes first, and reactive power takes what it leaves. With reactive_first it is the other
# way round: the envelope of active power narrows to what reactive power leaves (BIND_REACTIVE), in the class of the source that asks: a limit
# of a better class that forces more still gets it. The device interval does not move by it.
#
# Encoding rounds toward 0. Last action (R1): the counts are decoded again, and circle, rating, and 0 where 0 must be are asserted.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .layout cimport MAX_UNITS, Inputs, Outputs, SiteConfig
from .plans cimport SlotTable
from .protect cimport RowTable
from .ramp cimport RampState
from .units cimport UnitTable

cdef struct Reactive:
    RampState ramp              # var of the plant
    double wanted_var           # NaN: nobody asks
    double max_var              # what all units may give now, either way
    double command_var
    double value                # of the ask that rules
    double absorb
    double room_hi_w[MAX_UNITS] # active power that reactive power leaves, either way; infinite where it does not go first
    double room_lo_w[MAX_UNITS]
    uint8_t able[MAX_UNITS]     # may give reactive power in this tick
    uint8_t kind                # QControl
    int16_t slot                # -1 nobody asks

# Who rules, who can, and how much active power that leaves; before the sources narrow the envelope. `allowed`: the mode is run.
cdef void reactive_prepare(const SiteConfig* c, const Inputs* inp, const SlotTable* slots, const RowTable* rows, const UnitTable* u,
                           Reactive* r, bint allowed, int64_t now_ns) noexcept nogil

# The commands, beside the active power commanded. `cease`: a source asks to cease to energise.
cdef void reactive_dispatch(const SiteConfig* c, const Inputs* inp, Reactive* r, Outputs* out, bint cease, int64_t now_ns) noexcept nogil

# R1: True when every decoded command keeps circle and rating.
cdef bint reactive_holds(const SiteConfig* c, const Inputs* inp, const Reactive* r, const Outputs* out) noexcept nogil

# 0 everywhere; the ramp begins anew.
cdef void reactive_zero(Reactive* r, Outputs* out, int64_t now_ns) noexcept nogil
