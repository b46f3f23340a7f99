# What every owner of a Transaction asks of it and states on it. Loop, nogil, bounded.

from .frames cimport DONE, FAILED, QUEUED, SENT, Transaction
from .layout cimport SiteConfig

cdef inline bint busy(const Transaction* t) noexcept nogil:
    """It is the bus's: queued or sent."""
    return t.status == QUEUED or t.status == SENT

cdef inline bint ended(const Transaction* t) noexcept nogil:
    return t.status == DONE or t.status == FAILED

cdef inline void question_of(const SiteConfig* c, int device, Transaction* t) noexcept nogil:
    """What the bus must know of the device. Whoever leaves out the worst time lets a serial line speak again while a late answer may still
    come, which then passes for the answer of another register."""
    t.unit_id = c.dev_modbus_id[device]
    t.timeout_ns, t.worst_ns, t.pipelined = c.dev_timeout_ns[device], c.dev_worst_ns[device], c.dev_pipelined[device]
