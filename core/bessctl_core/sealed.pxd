# The sealed configuration: one flat file that `bessctl check --seal` writes and the loop reads once.
#
#   magic "BESSEAL1" | layout version u32 | struct size u32 | names size u32 | 0 u32 | sha256 of all that follows | SiteConfig | names (JSON)
#
# The hash is this file's name: in the segments, in `status`. What the journal keeps is the identity (names, "identity"), which says what is
# configured whatever the layout: latches and commissioning (R16) hold under it, in the release before and after an update too (ADR 0066).

from .layout cimport SiteConfig


cdef class SealedSite:
    cdef SiteConfig config
    cdef readonly bytes digest
    cdef readonly bytes names_json
