"""Heartbeats and mirrored limits; the rules stand in feed.pxd. Loop, nogil, bounded."""

from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from .bus cimport DONE, IDLE, Transaction, bus_submit_command
from .driver cimport LIMIT_REGISTERS
from .layout cimport NS_PER_S, PR_BEAT, PR_LIMITS
from .question cimport busy
from .writes cimport Values, fill_row, rows_of

cdef int64_t LIMITS_NS = NS_PER_S
cdef int64_t LIMITS_AGAIN_NS = 60 * <int64_t> NS_PER_S


cdef void feed_init(const SiteConfig* c, Device* dev) noexcept nogil:
    cdef double ticks = c.dev_beat_ns[dev.index] * c.rate_hz / NS_PER_S
    dev.beat_rows = rows_of(c, dev.index, PR_BEAT)
    dev.limit_rows = rows_of(c, dev.index, PR_LIMITS)
    dev.beat_ticks = <uint64_t> max(1.0, ticks if ticks > 0 else c.rate_hz)
    feed_restart(dev)


cdef void feed_restart(Device* dev) noexcept nogil:
    # Whatever beat comes next is another than the last one.
    dev.beat_row = dev.beat_rows.count
    dev.limit_row = dev.limit_rows.count
    dev.limit_next_ns = 0
    memset(dev.limit_known, 0, sizeof(dev.limit_known))


cdef void prepare_row(const SiteConfig* c, Device* dev, const Inputs* inp, int row, Transaction* t, int64_t now_ns) noexcept nogil:
    cdef Values v
    v.now_ns, v.reversion_ns, v.raw, v.beat, v.unit = now_ns, c.unit_reversion_ns[dev.unit], 0, dev.beat_sent, dev.unit
    t.function = c.write_function[row]
    t.address, t.count = <uint16_t> c.write_addr[row], <uint16_t> c.write_count[row]
    fill_row(c, row, inp, &v, t.regs)


cdef void beat_taken(Device* dev) noexcept nogil:
    # One that failed is not repeated: the next beat comes soon enough.
    dev.beat_row = dev.beat_row + 1 if dev.beat.status == DONE else dev.beat_rows.count


cdef void send_beat(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, uint64_t ticks, int64_t now_ns) noexcept nogil:
    cdef uint32_t beat = <uint32_t> (ticks // dev.beat_ticks)
    if dev.beat_rows.count == 0 or busy(&dev.beat):
        return
    if dev.beat_row >= dev.beat_rows.count:
        if beat == dev.beat_sent:
            return
        dev.beat_sent = beat
        dev.beat_row = 0
    prepare_row(c, dev, inp, dev.beat_rows.first + dev.beat_row, &dev.beat, now_ns)
    if not bus_submit_command(bus, &dev.beat):
        dev.beat.status = IDLE


cdef void limits_taken(const SiteConfig* c, Device* dev, int64_t now_ns) noexcept nogil:
    cdef int i = dev.limit_row
    if i >= dev.limit_rows.count:
        return
    if dev.limits.status == DONE:
        dev.limit_known[i] = now_ns
        memcpy(&dev.limit_regs[i * LIMIT_REGISTERS], dev.limits.regs, dev.limits.count * sizeof(uint16_t))
    else:
        dev.limit_known[i] = 0
    dev.limit_row += 1


cdef bint stands(const Device* dev, int i, int64_t now_ns) noexcept nogil:
    return dev.limit_known[i] != 0 and now_ns - dev.limit_known[i] < LIMITS_AGAIN_NS and memcmp(
        &dev.limit_regs[i * LIMIT_REGISTERS], dev.limits.regs, dev.limits.count * sizeof(uint16_t)) == 0


cdef void send_limits(const SiteConfig* c, Device* dev, Bus* bus, const Inputs* inp, int64_t now_ns) noexcept nogil:
    if dev.limit_rows.count == 0 or busy(&dev.limits):
        return
    if dev.limit_row >= dev.limit_rows.count:
        if now_ns < dev.limit_next_ns:
            return
        dev.limit_next_ns = now_ns + LIMITS_NS
        dev.limit_row = dev.limit_changed = 0
    prepare_row(c, dev, inp, dev.limit_rows.first + dev.limit_row, &dev.limits, now_ns)
    if stands(dev, dev.limit_row, now_ns) and not dev.limit_changed:
        dev.limit_row += 1
    elif bus_submit_command(bus, &dev.limits):
        dev.limit_changed = 1
    else:
        dev.limits.status = IDLE
