"""Python's hand on the digital inputs of this controller, for tests and tools. One thread."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from .gpio cimport Lines, lines_close, lines_open, lines_take
from .layout cimport MAX_INPUTS, PLANT, QUANTITIES, Q_INPUT_0, Inputs
from .sealed cimport SealedSite


cdef class LinesHarness:
    """The lines of a sealed site, opened. `refused`: None, or (chip, errno, fastest read in ns) of the chip that could not be had."""

    cdef SealedSite site
    cdef Lines lines
    cdef Inputs inp
    cdef readonly object refused
    cdef readonly list edges                # of each chip: does the kernel note its changes?

    def __cinit__(self, SealedSite site not None):
        cdef int chip
        memset(&self.inp, 0, sizeof(Inputs))
        self.site = site
        chip = lines_open(&site.config, &self.lines)
        self.refused = None if chip < 0 else (chip, self.lines.last_errno, self.lines.fastest_ns)
        self.edges = [bool(self.lines.edges[i]) for i in range(site.config.n_chips)]

    def take(self, int64_t now_ns) -> list:
        """One tick's read: (value, when it was read) of each input, 0 = never."""
        cdef int first = PLANT * QUANTITIES + Q_INPUT_0
        lines_take(&self.site.config, &self.lines, &self.inp, now_ns)
        return [(self.inp.value[first + i], self.inp.sampled_ns[first + i]) for i in range(MAX_INPUTS)]

    def close(self) -> None:
        """Give the lines back."""
        lines_close(&self.site.config, &self.lines)
