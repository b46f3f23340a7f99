"""A Modbus master for tests, benches and tools: the loop's own state machine behind a few methods. See master.pyi.

Two ways to drive it. `read`, `write` and `cycle` wait for their answer (poll with the absolute deadline, without the GIL). `submit`
and `pump` leave time to the caller, as the loop does: nothing happens but at the instants that are handed in.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from bessctl_core.bus cimport (
    BUS_AWAIT, BUS_CLOSED, BUS_CONNECTING, BUS_DOWN, BUS_IDLE, BUS_QUIET, DONE, EXCEPTION_CODES, FAULT_COUNT, Bus,
    Transaction, bus_close, bus_deadline_ns, bus_events, bus_fd, bus_init_rtu, bus_init_tcp, bus_pump, bus_step, bus_submit_command,
    bus_submit_poll, bus_submit_urgent,
)
from bessctl_core.frames cimport REGS_MAX, READ_COILS, READ_DISCRETE_INPUTS, READ_INPUT_REGISTERS, WRITE_MULTIPLE_COILS
from bessctl_core.posix_io cimport io_now_ns, io_wait
from bessctl_core.question cimport busy

import os

from bessctl_core.frames import FAULTS

STATES = {BUS_DOWN: "down", BUS_CONNECTING: "connecting", BUS_IDLE: "idle", BUS_AWAIT: "await", BUS_QUIET: "quiet", BUS_CLOSED: "closed"}
STATUSES = ("idle", "queued", "sent", "done", "failed")

cdef enum:
    TICKETS = 80
    TOGETHER_MAX = 40


class BusError(Exception):
    def __init__(self, what, fault, exception_code, error):
        detail = f" {exception_code}" if exception_code else f" ({os.strerror(error)})" if fault in ("connect", "closed") else ""
        super().__init__(f"{what}: {fault}{detail}")
        self.fault = fault
        self.exception_code = exception_code


cdef void run(Bus* b, Transaction* t) noexcept nogil:
    # Until t has ended: a send, a poll and a recv for a question, nothing more.
    cdef short revents = 0
    cdef int64_t now_ns
    while busy(t):
        now_ns = io_now_ns()
        bus_step(b, now_ns, revents)
        if busy(t):
            revents = io_wait(bus_fd(b), bus_events(b), bus_deadline_ns(b) - now_ns)


cdef int64_t run_two(Bus* b, Transaction* first, Transaction* second) noexcept nogil:
    cdef int64_t start_ns = io_now_ns()
    if bus_submit_poll(b, first):
        run(b, first)
    if first.status == DONE and bus_submit_command(b, second):
        run(b, second)
    return io_now_ns() - start_ns


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout_ms)


cdef int look_after(Bus** buses, Transaction** asked, int count) noexcept nogil:
    """One wait for all buses with a question out, and what came of it; how many are still out."""
    cdef pollfd[TOGETHER_MAX] fds
    cdef int64_t now_ns = io_now_ns()
    cdef int64_t next_ns = now_ns + 1000000000
    cdef int i
    cdef int left = 0
    for i in range(count):
        fds[i].fd, fds[i].events, fds[i].revents = -1, 0, 0
        if busy(asked[i]):
            fds[i].fd, fds[i].events = bus_fd(buses[i]), bus_events(buses[i])
            next_ns = min(next_ns, bus_deadline_ns(buses[i]))
    poll(fds, count, <int> max(<int64_t> 0, (next_ns - now_ns + 999999) // 1000000))
    now_ns = io_now_ns()
    for i in range(count):
        if busy(asked[i]):
            bus_step(buses[i], now_ns, fds[i].revents)
            left += busy(asked[i])
    return left


cdef inline bint bits(uint8_t function) noexcept:
    return function == READ_COILS or function == READ_DISCRETE_INPUTS or function == WRITE_MULTIPLE_COILS


cdef class Master:
    cdef Bus bus
    cdef Transaction tickets[80]
    cdef int next_ticket
    cdef int64_t timeout_ns

    @staticmethod
    def tcp(host, port, timeout_s=1.0, *, user_timeout_s=3.0, connect_timeout_s=1.0, max_timeouts=3, give_up_s=0.0, seed=1):
        cdef Master m = Master()
        cdef bytes ip = host.encode()
        if not bus_init_tcp(&m.bus, ip, port, int(user_timeout_s * 1000), seed):
            raise ValueError(f"{host!r} is no numeric IPv4 or IPv6 address")
        m.bus.opt.connect_timeout_ns = int(connect_timeout_s * 1e9)
        m.bus.opt.max_timeouts = max_timeouts
        m.bus.opt.give_up_ns = int(give_up_s * 1e9)
        m.timeout_ns = int(timeout_s * 1e9)
        return m

    @staticmethod
    def rtu(path, baud=19200, parity="E", stop_bits=1, timeout_s=1.0, *, rs485=False, worst_s=1.0, silence_s=None, seed=1):
        cdef Master m = Master()
        cdef bytes name = os.fsencode(path)
        if not bus_init_rtu(&m.bus, name, baud, ord(parity), stop_bits, rs485, seed):
            raise ValueError(f"no such serial line setting: {path} {baud} 8{parity}{stop_bits}")
        m.bus.opt.worst_ns = int(worst_s * 1e9)
        if silence_s is not None:
            m.bus.opt.silence_ns = int(silence_s * 1e9)
        m.timeout_ns = int(timeout_s * 1e9)
        return m

    def __cinit__(self):
        memset(self.tickets, 0, sizeof(self.tickets))
        self.bus.state = BUS_CLOSED
        self.bus.link.fd = -1

    def __dealloc__(self):
        bus_close(&self.bus, 0)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        bus_close(&self.bus, io_now_ns())

    cdef Transaction* fill(self, int number, unit, function, address, count, values, timeout_ns):
        cdef Transaction* t = &self.tickets[number]
        if busy(t):
            raise ValueError("every ticket is under way")
        memset(t, 0, sizeof(Transaction))
        t.unit_id = unit
        t.function = function
        t.address = address
        t.count = count
        t.timeout_ns = timeout_ns
        for i, value in enumerate(values[:2000 if bits(function) else REGS_MAX]):
            if not bits(function):
                t.regs[i] = value
            elif value:
                t.regs[i >> 4] |= 1 << (i & 15)
        return t

    cdef result(self, Transaction* t):
        if t.status != DONE or t.function > READ_INPUT_REGISTERS:
            return None
        if bits(t.function):
            return [(t.regs[i >> 4] >> (i & 15)) & 1 for i in range(t.count)]
        return [t.regs[i] for i in range(t.count)]

    cdef check(self, Transaction* t):
        if t.status != DONE:
            what = f"unit {t.unit_id} FC{t.function:02d} at {t.address} x {t.count}"
            raise BusError(what, FAULTS[t.fault], t.exception_code, self.bus.last_errno)

    cdef wait(self, Transaction* t, bint submitted):
        if submitted:
            with nogil:
                run(&self.bus, t)
        self.check(t)
        return self.result(t)

    def read(self, unit, fc, address, count):
        cdef Transaction* t = self.fill(0, unit, fc, address, count, (), self.timeout_ns)
        return self.wait(t, bus_submit_poll(&self.bus, t))

    def write(self, unit, address, regs, fc=16):
        cdef Transaction* t = self.fill(0, unit, fc, address, len(regs), regs, self.timeout_ns)
        self.wait(t, bus_submit_command(&self.bus, t))

    def cycle(self, unit, read_addr, read_count, write_addr, regs):
        cdef Transaction* first = self.fill(0, unit, 3, read_addr, read_count, (), self.timeout_ns)
        cdef Transaction* second = self.fill(1, unit, 16, write_addr, len(regs), regs, self.timeout_ns)
        cdef int64_t took_ns
        with nogil:
            took_ns = run_two(&self.bus, first, second)
        self.check(first)
        self.check(second)
        return took_ns

    def cycles(self, unit, read_addr, read_count, write_addr, regs, int64_t[::1] took_ns):
        cdef Transaction* first = self.fill(0, unit, 3, read_addr, read_count, (), self.timeout_ns)
        cdef Transaction* second = self.fill(1, unit, 16, write_addr, len(regs), regs, self.timeout_ns)
        cdef Py_ssize_t i
        with nogil:
            for i in range(took_ns.shape[0]):
                took_ns[i] = run_two(&self.bus, first, second)
                if second.status != DONE:
                    break
        self.check(first)
        self.check(second)

    def submit(self, unit, fc, address, count, regs=(), *, timeout_ns=0, worst_ns=0, command=False, urgent=False, pipelined=False):
        cdef int number = self.next_ticket
        cdef Transaction* t = self.fill(number, unit, fc, address, count, regs, timeout_ns or self.timeout_ns)
        t.worst_ns = worst_ns
        t.pipelined = pipelined
        self.next_ticket = (number + 1) % TICKETS
        if urgent:
            bus_submit_urgent(&self.bus, t)
        elif command:
            bus_submit_command(&self.bus, t)
        else:
            bus_submit_poll(&self.bus, t)
        return number

    def hasten(self, number):
        bus_submit_urgent(&self.bus, &self.tickets[number])

    def pump(self, now_ns, revents=None):
        return bus_pump(&self.bus, now_ns) if revents is None else bus_step(&self.bus, now_ns, revents)

    def outcome(self, number):
        cdef Transaction* t = &self.tickets[number]
        return STATUSES[t.status], FAULTS[t.fault], t.exception_code, self.result(t)

    def times(self, number):
        cdef Transaction* t = &self.tickets[number]
        return t.sent_ns, t.done_ns, t.epoch

    def fileno(self):
        return bus_fd(&self.bus)

    def events(self):
        return bus_events(&self.bus)

    def deadline_ns(self):
        return bus_deadline_ns(&self.bus)

    @property
    def state(self):
        return STATES[self.bus.state]

    @property
    def epoch(self):
        return self.bus.epoch

    @property
    def last_errno(self):
        return self.bus.last_errno

    def counters(self):
        c = self.bus.count
        return {
            "ok": c.ok,
            **{f"failed_{FAULTS[i]}": c.faults[i] for i in range(1, FAULT_COUNT)},
            **{f"exception_{i}": c.exceptions[i] for i in range(EXCEPTION_CODES) if c.exceptions[i]},
            "late_replies": c.late_replies,
            "slow": c.slow,
            "crc_errors": c.crc_errors,
            "wrong_unit": c.wrong_unit,
            "wrong_function": c.wrong_function,
            "wrong_length": c.wrong_length,
            "wrong_echo": c.wrong_echo,
            "wrong_protocol": c.wrong_protocol,
            "garbage_bytes": c.garbage_bytes,
            "gaps": c.gaps,
            "echoes": c.echoes,
            "connects": c.connects,
            "connect_failures": c.connect_failures,
            "disconnects": c.disconnects,
            "half_open": c.half_open,
            "bytes_in": c.bytes_in,
            "bytes_out": c.bytes_out,
        }


def read_together(masters, unit, address, count, int64_t[:, ::1] took_ns):
    cdef Bus* buses[TOGETHER_MAX]
    cdef Transaction* asked[TOGETHER_MAX]
    cdef Master m
    cdef int n = len(masters)
    cdef int i
    cdef Py_ssize_t cycle
    cdef int64_t start_ns
    if not 1 <= n <= TOGETHER_MAX or took_ns.shape[1] != n + 1:
        raise ValueError(f"1 to {TOGETHER_MAX} masters, and a column more than masters")
    for i in range(n):
        m = masters[i]
        buses[i], asked[i] = &m.bus, m.fill(0, unit, 3, address, count, (), m.timeout_ns)
    for cycle in range(took_ns.shape[0]):
        with nogil:
            start_ns = io_now_ns()
            for i in range(n):
                bus_submit_poll(buses[i], asked[i])
                bus_step(buses[i], start_ns, 0)
            while look_after(buses, asked, n):
                pass
            took_ns[cycle, n] = io_now_ns() - start_ns
        for i in range(n):
            (<Master> masters[i]).check(asked[i])
            took_ns[cycle, i] = asked[i].done_ns - start_ns
