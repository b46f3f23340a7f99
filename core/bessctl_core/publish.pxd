# The step's part of the published state: who limits whom, for everyone to read. Loop, nogil, bounded.
from libc.stdint cimport int64_t

from .layout cimport Inputs, Outputs, PlantState, SiteConfig
from .state cimport StepState

cdef void publish(const SiteConfig* c, const Inputs* inp, const StepState* s, const Outputs* out, PlantState* pub, int64_t now_ns) noexcept nogil
