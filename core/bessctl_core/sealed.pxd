# The sealed configuration: one flat file that `bessctl check --seal` writes and the loop reads once.
#
#   magic "BESSEAL1" | layout version u32 | struct size u32 | names size u32 | 0 u32 | sha256 of all that follows | SiteConfig | names (JSON)
#
# The hash is the configuration's name everywhere: in the journal, in the segments, in `status`.

from .layout cimport SiteConfig


cdef class SealedSite:
    cdef SiteConfig config
    cdef readonly bytes digest
    cdef readonly bytes names_json
