# The load-shed output (R3): a limit that the batteries cannot meet is met by somebody's load.
#
# Rules
# - Load is to be shed while a limit is unmet, whoever set it (envelope.pxd); while the meter at the connection is stale (R10); and while a
#   fresh meter shows more than shed_margin_w beyond the narrowest limit of grid, contract, connection or phase, be it that no source may force
#   the power that would meet it.
# - The output goes on after shed_on_ns of that without a break, off after shed_off_ns without any of it. A restart of the loop knows neither:
#   until one of the two has passed nothing is ordered, and the output stays as it was left.
# - A site without such an output has shed_on_ns 0: nothing is ordered and nothing is told.

from libc.stdint cimport int64_t, uint8_t

from .events cimport EventSink
from .layout cimport SiteConfig
from .pcc cimport Pcc

cdef enum ShedOrder:
    SHED_OFF = 0
    SHED_ON = 1
    SHED_UNKNOWN = 2

cdef struct Shed:
    int64_t since_ns            # of the order
    int64_t turning_ns          # since when the other one is wanted; 0 = it is not
    uint8_t order               # ShedOrder
    uint8_t wanted

cdef void shed_init(Shed* s, int64_t now_ns) noexcept nogil

# `unmet`: a limit is unmet or the meter stale, by unmet_w (NaN: nobody knows by how much).
cdef void shed_update(const SiteConfig* c, const Pcc* p, Shed* s, bint unmet, double unmet_w, EventSink* sink, int64_t now_ns) noexcept nogil
