# A plan that disconnects the plant (a block's `connect` 0: IEEE 2030.5 opModConnect false, galvanically open).
#
# Rules
# - Any source may ask for it: it takes power away and gives none. While one does, no unit gives power, whatever any other source may force;
#   that is part of the device interval (envelope.pxd), which never yields.
# - Of several the best class names the binding, then the lowest priority number, then the lowest slot.
# - A unit whose contactors we drive, and whose BMS says how they are, is opened in the order of contactor.pxd: 0 W, PCS stop, then open. Any
#   other unit ceases to energise: 0 W and its PCS in standby, published as BIND_CEASE.
# - It ends with the statement. Then contactors close as after a reset: BMS connected and precharged before the PCS starts, tries bounded. What
#   a row opened, or opened by itself, or could not be closed before, is not closed by the end of a plan.
# - Lapsing never ends it in a binding slot (plans.pxd).

from libc.stdint cimport int16_t, int64_t, uint8_t

from .events cimport EventSink
from .layout cimport SiteConfig
from .plans cimport SlotTable

cdef struct Connect:
    int64_t since_ns            # 0 = nobody disconnects
    int64_t until_ns            # 0 = open
    int16_t slot                # whose plan; -1 nobody
    uint8_t bind                # BIND_SLOT or BIND_FALLBACK

cdef void connect_init(Connect* k) noexcept nogil

# After slots_update; a change is an event.
cdef void connect_update(const SiteConfig* c, const SlotTable* slots, Connect* k, EventSink* sink, int64_t now_ns) noexcept nogil

# What it means for one unit: BIND_OPEN, BIND_CEASE, or BIND_NONE while nobody asks.
cdef int disconnects(const SiteConfig* c, const Connect* k, int unit) noexcept nogil
