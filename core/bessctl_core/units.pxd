# One unit as the step sees it: what is measured, whether it follows our commands, and what it may be giving when it does not (R9).
#
# Rules. A unit obeys when its PCS is there, verified, running, on the grid and not switched to local control, its power is measured, and a watt can be put
# into a count of its set point. Where a PCS says whether it is on the grid, or who controls it, and the word is missing or too old, it does not obey
# (R5). It follows when its battery is there as well. One that does not follow is commanded 0. One that obeys takes that
# as it takes any command, so its share moves to the others in the same tick. For one that does not obey, what it may be giving counts
# beside the commands of the others:
#   heard            its measured power
#   reports rest     (701 InvSt off, sleeping, standby): nothing, at once; measured power counts again if it is there REST_NS later
#   silent           the worst of 0, its last measurement and every command since that measurement, until 1.5 x reversion + its own ramp to 0
#                    have passed since it fell silent: then nothing
# While a silent unit counts its share does not move to the others; once it counts nothing the share moves in the same tick.

from libc.stdint cimport int64_t, uint8_t

from .layout cimport MAX_UNITS, Inputs, Outputs, SiteConfig

cdef enum:
    UNIT_VALUES = 1536      # MAX_UNITS * QUANTITIES

cdef struct UnitTable:
    double giving_lo_w[MAX_UNITS]   # <= 0: what a unit that does not obey may be giving at least
    double giving_hi_w[MAX_UNITS]   # >= 0
    double lo_w                     # their sums
    double hi_w
    double measured_w[MAX_UNITS]    # the last measurement, 0 before the first
    int64_t measured_ns[MAX_UNITS]  # when it was asked for
    double command_w[MAX_UNITS]     # of the last tick
    double command_lo_w[MAX_UNITS]  # least and greatest since the last measurement
    double command_hi_w[MAX_UNITS]
    int64_t silent_ns[MAX_UNITS]    # since when; 0 = heard
    int64_t resting_ns[MAX_UNITS]   # since when it reports rest; 0 = it does not
    uint8_t obeys[MAX_UNITS]
    uint8_t follows[MAX_UNITS]
    uint8_t heard[MAX_UNITS]        # its PCS is up and its power is measured
    int64_t age_ns[UNIT_VALUES]     # unit * QUANTITIES + quantity: how old it may be; 0 = by the sealed configuration no device brings it

# Once, before the first tick. A value asked for at a slow pace may be as old as three of its periods and the unit's data age: three chances to come
# again (R4); any other as old as the unit's data age.
cdef void units_init(const SiteConfig* c, UnitTable* u) noexcept nogil

# Before anything that asks what a unit gives; after it the commands of the tick are noted.
cdef void units_update(const SiteConfig* c, const Inputs* inp, UnitTable* u, int64_t now_ns) noexcept nogil
cdef void units_note(const SiteConfig* c, const Outputs* out, UnitTable* u) noexcept nogil

# Is this measurement of a unit there, finite, and no older than the unit's data age?
cdef bint unit_sees(const SiteConfig* c, const Inputs* inp, int unit, int quantity, int64_t now_ns) noexcept nogil

# Does some device bring this point: by the sealed configuration, or because one did? One that did not come yet, does no more, or is NaN is a
# violation (R5), not a point that is not there.
cdef bint is_mapped(const Inputs* inp, const UnitTable* u, int unit, int quantity) noexcept nogil

# Is it there, finite, and no older than its pace allows?
cdef bint sees_in_time(const SiteConfig* c, const Inputs* inp, const UnitTable* u, int unit, int quantity, int64_t now_ns) noexcept nogil

# Has everything come at least once that decides whether and how far this unit may be loaded? Part of what a start waits for (R5).
cdef bint unit_arrived(const Inputs* inp, const UnitTable* u, int unit) noexcept nogil
