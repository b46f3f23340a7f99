# The plant's power as commands to its units: split, encode, and the last look.
#
# What units beyond our command may be giving (R9) is their share of the plant's power; the rest is for the others, and none of it where they
# already give all or more. The others share by what each may give in the direction asked, times their weight (envelope.pxd); what one cannot
# take goes to those that can. So none leaves its interval and all run in one direction. A PCS understands counts of its scale factor: encoding
# rounds toward 0. Last action (R1): the counts are decoded again, and every unit's and the plant's limits, and one direction for all, are
# asserted on what the PCS will really understand; a violation sends 0 everywhere and trips. Where reactive power goes first each unit keeps the
# room it needs, unless the plant's power asks for more.

from libc.stdint cimport int32_t

from .envelope cimport Envelope
from .layout cimport Inputs, Outputs, SiteConfig
from .reactive cimport Reactive


# Fills cmd_raw and cmd_w for a plant power within the envelope.
cdef void dispatch(const SiteConfig* c, const Inputs* inp, const Envelope* e, const Reactive* r, double plant_w, Outputs* out) noexcept nogil

# R1: True when every decoded command holds every limit.
cdef bint commands_hold(const SiteConfig* c, const Inputs* inp, const Envelope* e, const Outputs* out) noexcept nogil

cdef void command_zero(const SiteConfig* c, Outputs* out) noexcept nogil

# Counts for a power, rounded toward 0 and kept within int32; 0 for a scale that is not known.
cdef int32_t encode_w(double w, double scale_w) noexcept nogil

# A sum over units, in proportion to limit times weight; whoever comes to its limit keeps that, and the others share the rest. Limits have the
# sign of `w`. Each round but the last brings one to its limit.
cdef void share_out(const SiteConfig* c, double w, const double* limit, const double* weight, double* given) noexcept nogil
