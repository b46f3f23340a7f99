"""The load-shed output of a device; the rules stand in shed_output.pxd. Loop, nogil, bounded."""

from libc.stdint cimport uint16_t

from .bus cimport DONE, IDLE, bus_submit_command
from .driver cimport PHASE_UP
from .layout cimport NS_PER_S, PR_SHED
from .question cimport busy
from .shed cimport SHED_UNKNOWN
from .writes cimport Values, fill_row, rows_of

cdef int64_t CONFIRM_NS = 5 * <int64_t> NS_PER_S


cdef void shed_output_init(const SiteConfig* c, Device* dev) noexcept nogil:
    dev.shed_rows = rows_of(c, dev.index, PR_SHED)
    dev.shed_order = dev.shed_sent = SHED_UNKNOWN
    if dev.shed_rows.count > 0:
        dev.order_under_way = -1


cdef void shed_output_taken(Device* dev, int64_t now_ns) noexcept nogil:
    if dev.switch.status == DONE and dev.shed_sent == dev.shed_order:
        dev.shed_heard_ns = now_ns


cdef void shed_output_send(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, const Outputs* out, int64_t now_ns) noexcept nogil:
    cdef Values v
    cdef int row = dev.shed_rows.first
    if out.shed == SHED_UNKNOWN:
        return
    if out.shed != dev.shed_order:
        # Another order has its own time to be acknowledged, unless the module was silent before: then it still is.
        if not shed_output_unconfirmed(dev, now_ns):
            dev.shed_heard_ns = now_ns
        dev.shed_order, dev.shed_next_ns = out.shed, 0
    if dev.epoch != dev.shed_epoch:
        dev.shed_epoch, dev.shed_next_ns = dev.epoch, 0
    if dev.phase != PHASE_UP or now_ns < dev.shed_next_ns or busy(&dev.switch):
        return
    v.now_ns, v.reversion_ns, v.raw, v.beat, v.unit = now_ns, 0, dev.shed_order, 0, dev.unit
    dev.switch.function = c.write_function[row]
    dev.switch.address, dev.switch.count = <uint16_t> c.write_addr[row], <uint16_t> c.write_count[row]
    fill_row(c, row, inp, &v, dev.switch.regs)
    if bus_submit_command(bus, &dev.switch):
        dev.shed_sent, dev.shed_next_ns = dev.shed_order, now_ns + c.dev_order_repeat_ns[dev.index]
    else:
        dev.switch.status = IDLE


cdef bint shed_output_unconfirmed(const Device* dev, int64_t now_ns) noexcept nogil:
    return dev.shed_order != SHED_UNKNOWN and now_ns - dev.shed_heard_ns > CONFIRM_NS
