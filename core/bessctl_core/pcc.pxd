# The point of common coupling in closed loop (R10): what the site does beside the BESS, and how far that is known.
#
# Rest. pcc minus ess is the rest of the site: load, PV, everything that is not ours. Each new meter sample corrects it once, against what the
# BESS gave when that sample was asked for: measured powers are kept with their instants, per unit. A limit or target at the PCC becomes one
# of the BESS by the rest, so the answer to a change of load is complete with the first sample that shows it, and nothing is summed up that
# could wind up: what counts is measured power, never what was ordered.
#
# What the BESS gave is known as an interval: the measured powers around the instant, and for a silent unit all it may be giving (R9). The
# rest moves only as far as the sample proves it wrong, to the nearer end. So our own steps, seen by PCS and meter at slightly different
# times, move nothing. A sample waits until a measurement of each unit lies behind its instant; while the command stood still for SETTLED_NS
# the newest will do, and the answer comes at once.
#
# New is a sample whose value differs from the one before. A meter asked more often than it measures repeats itself to the last bit: a
# repetition renews the age but not the rest, and the value after it was measured at some instant since. After REPEAT_NS a value that still
# repeats counts as new. meter_delay: how much older than its question a value may be by the meter's own averaging.
#
# Trim. What a PCS gives short of or beyond its command while the command stands still is added to what is asked of it, learned slowly,
# at most TRIM_SHARE of the rating, forgotten when the direction turns or a unit does not follow.
#
# Phases. Current limits hold per phase and the worst binds. The BESS is symmetric: a third of its power flows in each phase. From W, V and A
# of a phase follow its reactive power and so the active power it may carry.
#
# Age. A sample is as old as its question. Phases of the meter:
#   fresh    age <= meter_age
#   held     age <= meter_hold: the rest stands; power that the meter asks for (a pcc target, a forced limit) may fall, but not grow
#   lost     the worst load and PV of the site count; power the meter asked for, and power the worst case forbids, is ramped away
# While the meter is held or lost, and while a limit stays unmet, shedding of load is requested.
#
# Sign. When our own power moves, the meter must move the same way. Movements of about the same size against ours are summed, in watts, and
# cancelled by movements with ours: SIGN_COUNT of them with SIGN_SHARE of the rating in sum trip the machine (0 W, latched). A movement of another
# size against ours is the load's and says nothing.

from libc.stdint cimport int32_t, int64_t, uint8_t

from .layout cimport MAX_UNITS, Inputs, SiteConfig
from .units cimport UnitTable

cdef enum:
    HISTORY = 64        # measurements kept per unit, at least 20 ms apart: 1.3 s
    PARTS = 4           # the whole, then the three phases

cdef enum MeterPhase:
    METER_FRESH = 0
    METER_HELD = 1
    METER_LOST = 2

# Measured power of one unit, newest at `last`.
cdef struct History:
    int64_t ns[HISTORY]
    double w[HISTORY]
    int32_t last
    int32_t count

cdef struct Pcc:
    double rest_w[PARTS]        # the site without the BESS: as a whole, per phase
    double room_w[PARTS]        # active power each phase may carry either way; the whole: unused
    double trim_w
    double keep_w               # power that may still be given on the word of a meter that is not fresh
    uint8_t known               # a sample was taken: rest_w means something
    uint8_t phase               # MeterPhase
    uint8_t used                # a pcc limit or target stood in the last tick
    uint8_t wrong               # the meter answers our steps with the wrong sign; whoever trips the machine for it clears this
    # samples
    int64_t heard_ns            # newest sample, repetitions included: when it was asked for; 0 = never
    int64_t repeated_ns         # newest repetition of the value before; 0 = it differed
    int64_t taken_ns            # newest sample that corrected the rest
    double heard_w[PARTS]
    double lo_w                 # the narrowest limits at the connection of this tick; infinite = none
    double hi_w
    # one sample that waits for measurements of the units
    int64_t since_ns            # measured in [since_ns, asked_ns]; asked_ns 0 = none waits
    int64_t asked_ns
    double sample_w[PARTS]
    double sample_room_w[PARTS]
    # what moved
    double seen_pcc_w           # at the last correction
    double seen_ess_w
    double wrong_w
    int32_t wrong_count
    # commands
    double command_w
    double anchor_w
    int64_t anchor_ns           # since when the command stays near anchor_w
    History unit[MAX_UNITS]

cdef void pcc_init(Pcc* p, int64_t now_ns) noexcept nogil

# The meter's word of this tick; after units_update. ramp_w: the plant's power as the ramp has it; period_ns: at most this much of a fade.
cdef void pcc_update(const SiteConfig* c, const Inputs* inp, const UnitTable* u, Pcc* p, double ramp_w, int64_t now_ns) noexcept nogil

# What was commanded in this tick.
cdef void pcc_note(const SiteConfig* c, Pcc* p, double command_w, int64_t now_ns) noexcept nogil

# A limit at the PCC as one of the BESS. `force`: Direction in which it may exclude 0. Infinite limits stay infinite.
cdef void pcc_bounds(const SiteConfig* c, const Pcc* p, double pcc_lo, double pcc_hi, int force, double* lo, double* hi) noexcept nogil

# The limits of one phase (1..3) as one of the BESS; never forces.
cdef void phase_bounds(const Pcc* p, int phase, double* lo, double* hi) noexcept nogil

# A target at the PCC as one of the BESS.
cdef double pcc_target(const Pcc* p, double target_w) noexcept nogil
