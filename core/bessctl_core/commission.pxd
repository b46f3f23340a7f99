# R16: a unit that was never tried under this configuration gives little.
#
# Rules. A unit counts as commissioned once `bessctl commission` has tried it and found that PCS, DC side and connection agree, and the journal
# holds that together with the hash of the configuration; another configuration begins anew. Until then it gives CAP_SHARE of its rating at
# most, either way. While one unit is tried the others give nothing, so that what the connection sees is its doing alone; a trial that nobody
# ends is over after TRIAL_NS. Only the operator at the machine may ask for either.

from libc.stdint cimport int16_t, int64_t, uint8_t

from .events cimport EventSink
from .layout cimport MAX_UNITS, SiteConfig

cdef struct Commission:
    uint8_t done[MAX_UNITS]
    uint8_t asked[MAX_UNITS]    # done, once the journal holds it
    int16_t trial               # the unit that is tried; -1 none
    int64_t trial_until_ns

cdef void commission_init(const SiteConfig* c, Commission* k, const uint8_t* done, EventSink* sink, int64_t now_ns) noexcept nogil

# The unit that may give power alone, -1 for none: a trial is over.
cdef void commission_try(Commission* k, int unit, EventSink* sink, int64_t now_ns) noexcept nogil

# Each tick: a trial that nobody ended.
cdef void commission_update(Commission* k, EventSink* sink, int64_t now_ns) noexcept nogil

# The journal holds what was asked for.
cdef void commission_settle(const SiteConfig* c, Commission* k, EventSink* sink, int64_t now_ns) noexcept nogil

# The part of its rating that a unit may give, 0 to 1.
cdef double commission_share(const Commission* k, int unit) noexcept nogil

cdef bint commission_complete(const SiteConfig* c, const Commission* k) noexcept nogil
