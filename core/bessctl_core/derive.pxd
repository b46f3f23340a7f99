# Quantities that follow from others, written into the inputs before anything judges them.
#
# The contract of what is written. Derived quantities are the step's alone and new in every tick. Two measured ones are taken away as well: SoC
# while it is not believed, pack voltage while the battery is not connected. They are NaN in the inputs from then on, for this and every later
# tick, until their device is asked again: take_points writes both back with the next answer, and this decides anew. So nobody behind derive sees
# a value that it did not let through, and a published NaN is what the step judged; their sampled_ns stays that of the answer.
#
# Rules
# - The age of a device's data counts from when its question was sent; what never came, or comes from a frozen device, is infinitely old (R4).
# - What is made of two values is as old as the older of them.
# - Currents are compared with what the BMS allows in their direction at this moment: the battery's own, else the PCS's on its DC side; spreads are highest less lowest.
# - A heartbeat's age counts from the question that brought its last change.
# - SoC that stands still while soc_stuck_pct of the unit's capacity is counted at the battery (Wh, net) is no number until it moves again
#   (R4). Nothing else here looks at SoC.
# - The pack voltage of a battery that is not connected is no statement about its cells: 802 V is measured behind them. It is no number.
# - Astray: measured power beyond the limits of the unit in the tick before, or against the direction of its command (R12). Following error:
#   the distance to the command. Both are 0 for a unit that is not ours to command (local control) or does not run.
# - Conflict: the PCS says that power flows one way at its AC terminals, the battery says the other; the smaller of the two counts.

from libc.stdint cimport int64_t, uint8_t

from .contactor cimport ContactorTable
from .envelope cimport Envelope
from .events cimport EventSink
from .layout cimport MAX_UNITS, Inputs, SiteConfig
from .units cimport UnitTable

cdef enum:
    BEATS = 32              # of a PCS and a BMS per unit

cdef struct DeriveState:
    double beat[BEATS]
    int64_t beat_ns[BEATS]          # when the question was sent that brought its last change; 0 = none came
    double soc_pct[MAX_UNITS]       # the last one that was different
    double counted_wh[MAX_UNITS]    # since then, + discharge
    uint8_t soc_frozen[MAX_UNITS]

cdef void derive_init(DeriveState* d) noexcept nogil

# `units`, `envelope`, `wanted_w` are those of the tick before; `elapsed_ns` is the time since it.
cdef void derive(const SiteConfig* c, Inputs* inp, DeriveState* d, const UnitTable* units, const Envelope* envelope,
                 const ContactorTable* contactors, double wanted_w, EventSink* sink, int64_t elapsed_ns, int64_t now_ns) noexcept nogil
