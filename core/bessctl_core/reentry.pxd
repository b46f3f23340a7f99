# A direction that was closed to a unit opens again only with a margin, so that nothing ping-pongs at the end of a battery.
#
# Rules. At the lowest SoC a battery allows no discharge; unloaded, its cells recover, and a little is allowed again: taken at once it would
# be gone at once. So a direction of a unit that the BMS or a protection row brought to 0 stays closed until reentry_share of the rating is
# allowed and reentry_ns have passed since it closed. What closed it goes on being named. A share that only fell closes nothing: it is followed.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .layout cimport MAX_UNITS, SiteConfig

cdef struct Gate:
    int64_t since_ns        # when it closed; 0 = open
    int16_t id              # what closed it: BindKind and its id
    uint8_t bind

# One direction of one unit: `w` is its magnitude (changed to 0 while closed), `bind` and `id` name who sets it.
cdef void gate_update(const SiteConfig* c, Gate* g, double rating_w, double* w, int* bind, int* ident, int64_t now_ns) noexcept nogil
