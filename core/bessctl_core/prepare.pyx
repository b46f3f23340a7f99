"""Settings found, told and owned; the rules stand in prepare.pxd. Loop, nogil, bounded."""

from libc.stdint cimport uint16_t

from .bus cimport DONE, FAULT_EXCEPTION, IDLE, Transaction, bus_submit_command
from .events cimport LEVEL_WARNING, emit
from .layout cimport EV_SETTING_FOREIGN, PR_PREPARE, WF_VERIFY
from .question cimport busy
from .writes cimport Values, field_counts, field_found, fill_row, first_other, rows_of

cdef enum:
    WRITES_MAX = 2

# What dev.setup asks.
cdef enum Asked:
    ASKED_NOTHING
    ASKED_READ
    ASKED_WRITE


cdef void prepare_init(const SiteConfig* c, Device* dev) noexcept nogil:
    dev.prepare_rows = rows_of(c, dev.index, PR_PREPARE)


cdef void prepare_restart(Device* dev) noexcept nogil:
    dev.prepare_row = dev.prepare_writes = 0
    dev.prepare_asked = ASKED_NOTHING
    dev.prepare_differs = 0


cdef bint prepared(const Device* dev) noexcept nogil:
    return dev.prepare_row >= dev.prepare_rows.count


cdef Values values_of(const SiteConfig* c, const Device* dev, int64_t now_ns) noexcept nogil:
    cdef Values v
    v.now_ns, v.reversion_ns, v.raw, v.beat, v.unit = now_ns, c.unit_reversion_ns[dev.unit], 0, 0, dev.unit
    return v


cdef void prepare_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef Values v = values_of(c, dev, now_ns)
    cdef Transaction* t = &dev.setup
    cdef int row = dev.prepare_rows.first + dev.prepare_row
    cdef bint write = dev.prepare_differs or not c.write_flags[row] & WF_VERIFY
    if prepared(dev) or busy(t) or now_ns < dev.prepare_next_ns:
        return
    t.address = <uint16_t> c.write_addr[row]
    t.function = c.write_function[row] if write else c.write_read_function[row]
    t.count = <uint16_t> (c.write_count[row] if write else c.write_back[row])
    if write:
        fill_row(c, row, inp, &v, t.regs)
    dev.prepare_asked = ASKED_WRITE if write else ASKED_READ
    if not bus_submit_command(bus, t):
        t.status = IDLE
        dev.prepare_asked = ASKED_NOTHING


cdef void row_done(Device* dev) noexcept nogil:
    dev.prepare_row += 1
    dev.prepare_writes = dev.prepare_differs = 0


cdef int differs(const SiteConfig* c, Device* dev, const Inputs* inp, int row, int field, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Values v = values_of(c, dev, now_ns)
    dev.prepare_found = field_found(c, field, dev.setup.regs)
    dev.prepare_ours = field_counts(c, field, inp, &v)
    dev.prepare_register = c.write_addr[row] + c.field_offset[field]
    if dev.prepare_writes >= WRITES_MAX:
        return PREPARE_REFUSED
    if dev.prepare_writes == 0:
        emit(sink, now_ns, EV_SETTING_FOREIGN, LEVEL_WARNING, dev.unit, dev.index, -1, dev.prepare_register, dev.prepare_found, dev.prepare_ours)
    dev.prepare_differs = 1
    return PREPARED_SO_FAR


cdef int take_read(const SiteConfig* c, Device* dev, const Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Values v = values_of(c, dev, now_ns)
    cdef int row = dev.prepare_rows.first + dev.prepare_row
    cdef int field = first_other(c, row, inp, &v, dev.setup.regs)
    if field >= 0:
        return differs(c, dev, inp, row, field, sink, now_ns)
    row_done(dev)
    return PREPARED_SO_FAR


cdef int prepare_take(const SiteConfig* c, Device* dev, const Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int asked = dev.prepare_asked
    cdef int row = dev.prepare_rows.first + dev.prepare_row
    dev.prepare_asked = ASKED_NOTHING
    if asked == ASKED_NOTHING or prepared(dev):
        return PREPARED_SO_FAR
    if dev.setup.status != DONE:
        # No answer is for the driver to judge; a refusal is repeated, not hammered.
        dev.prepare_next_ns = now_ns + c.dev_order_repeat_ns[dev.index]
        if dev.setup.fault == FAULT_EXCEPTION and asked == ASKED_WRITE:
            dev.prepare_writes += 1
            dev.prepare_differs = 0
        return PREPARED_SO_FAR
    if asked == ASKED_READ:
        return take_read(c, dev, inp, sink, now_ns)
    dev.prepare_writes += 1
    dev.prepare_differs = 0
    if not c.write_flags[row] & WF_VERIFY:
        row_done(dev)
    return PREPARED_SO_FAR
