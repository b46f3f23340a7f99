"""All buses and all devices of the site; see fleet.pxd."""

from libc.math cimport NAN
from libc.stdint cimport uint32_t
from libc.string cimport memset
from posix.time cimport timespec

from .bus cimport (
    BUS_AWAIT, BUS_CONNECTING, BUS_IDLE, BUS_QUIET, DONE, FAILED, FAULT_BAD_REQUEST, FAULT_QUEUE_FULL, FAULT_TIMEOUT, IDLE, QUEUE_MAX,
    bus_alike, bus_close, bus_deadline_ns, bus_events, bus_fd, bus_init_rtu, bus_init_tcp, bus_pump, bus_step, bus_submit_poll,
)
from .bus_state cimport BusCounters, waiting
from .curves cimport curves_init, curves_send, curves_take
from .driver cimport PHASE_UP, device_init, device_note, device_release, device_seen, device_send, device_state, device_stopped, device_take
from .frames cimport READ_HOLDING_REGISTERS
from .layout cimport (
    BUS_RTU, BUS_TCP, CURVES, DEV_DOWN, DEV_METER, DEV_PCS, FLAG_SETPOINT_HELD, MAX_FACTORS, MAX_UNITS, NS_PER_S, PLACES, PLANT, QUANTITIES, TEXT,
)
from .points cimport index_points, take_points
from .question cimport question_of
from .shed_output cimport shed_output_init, shed_output_send, shed_output_taken, shed_output_unconfirmed
from .rt cimport monotonic_ns, sleep_until
from .service cimport service_init, service_send, service_take

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int ppoll(pollfd* fds, unsigned long count, const timespec* timeout, const void* mask)

cdef enum:
    USER_TIMEOUT_MS = 2000      # a pulled cable ends the connection after this long, where no data age says otherwise
    MS = 1000000
    LINE_AHEAD = 2              # polls that wait on a serial line: enough to keep it busy from tick to tick
    ROUNDS_PER_WAIT = 512       # a peer that floods us gets no more of the time between two ticks


# --- start --------------------------------------------------------------------------------------------------------------------------------

cdef bint open_bus(const SiteConfig* c, int index, Bus* bus, int64_t seed) noexcept nogil:
    cdef const char* path = &c.bus_path[index * TEXT]
    cdef int64_t give_up_ns = c.bus_give_up_ns[index]
    if c.bus_kind[index] == BUS_TCP:
        if not bus_init_tcp(bus, path, c.bus_port[index], <int> (give_up_ns // MS) if give_up_ns >= MS else USER_TIMEOUT_MS, seed):
            return False
        bus.opt.give_up_ns = give_up_ns
        return True
    return bus_init_rtu(bus, path, c.bus_baud[index], c.bus_parity[index], c.bus_stop_bits[index], c.bus_rs485[index], seed)


cdef void clear_inputs(Inputs* inp) noexcept nogil:
    cdef int i
    memset(inp, 0, sizeof(Inputs))
    for i in range(PLACES * QUANTITIES):
        inp.value[i] = NAN
    for i in range(MAX_UNITS):
        inp.wset_scale_w[i] = inp.varset_scale_var[i] = NAN
    for i in range(MAX_FACTORS):
        inp.factor[i] = NAN


cdef int fleet_init(const SiteConfig* c, Fleet* f, Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int i
    cdef Transaction* t
    memset(f, 0, sizeof(Fleet))
    clear_inputs(inp)
    index_points(c, &f.points)
    for i in range(c.n_buses):
        if not open_bus(c, i, &f.bus[i], now_ns + i):
            return i
        f.bus[i].opt.min_gap_ns = c.bus_min_gap_ns[i]
        if c.bus_reconnect_ns[i] > 0:
            f.bus[i].opt.backoff_min_ns = c.bus_reconnect_ns[i]
            f.bus[i].opt.backoff_max_ns = max(f.bus[i].opt.backoff_max_ns, c.bus_reconnect_ns[i])
    for i in range(c.n_devices):
        device_init(c, i, &f.device[i])
        shed_output_init(c, &f.device[i])
        curves_init(c, i, &f.curve[i])
        service_init(c, i, &f.service[i])
    for i in range(c.n_reads):
        t = &f.read[i]
        t.function = c.read_function[i] if c.read_function[i] else <int> READ_HOLDING_REGISTERS
        question_of(c, c.read_device[i], t)
        t.address, t.count = <int> c.read_addr[i], <int> c.read_count[i]
    return -1


# --- read ---------------------------------------------------------------------------------------------------------------------------------

cdef void take_read(const SiteConfig* c, Fleet* f, int read, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef Transaction* t = &f.read[read]
    cdef Device* dev = &f.device[c.read_device[read]]
    cdef uint64_t fingerprint
    if t.status == DONE and dev.phase == PHASE_UP and t.epoch == dev.epoch:
        fingerprint = take_points(c, &f.points, read, t.regs, t.sent_ns, inp)
        device_seen(c, dev, inp, fingerprint != f.read_print[read], t.sent_ns)
        f.read_print[read] = fingerprint
    if t.status == DONE or t.status == FAILED:
        device_note(dev, &f.bus[c.dev_bus[dev.index]], t, sink, now_ns)
        t.status = IDLE


cdef int state_of(const Fleet* f, int device) noexcept nogil:
    return device_state(&f.device[device]) if device >= 0 else DEV_DOWN


cdef void take_states(const SiteConfig* c, const Fleet* f, Inputs* inp, int64_t now_ns) noexcept nogil:
    cdef int i
    for i in range(c.n_units):
        inp.pcs_state[i] = state_of(f, c.unit_pcs_device[i])
        inp.bms_state[i] = state_of(f, c.unit_bms_device[i]) if c.unit_bms_device[i] >= 0 else inp.pcs_state[i]
    inp.meter_state = DEV_DOWN
    inp.shed_unconfirmed = 0
    for i in range(c.n_devices):
        if f.device[i].shed_rows.count > 0 and shed_output_unconfirmed(&f.device[i], now_ns):
            inp.shed_unconfirmed = 1
        if c.dev_kind[i] == DEV_METER and c.dev_place[i] == PLANT:
            inp.meter_state = device_state(&f.device[i])


cdef void fleet_take(const SiteConfig* c, Fleet* f, Inputs* inp, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int i
    for i in range(c.n_buses):
        bus_pump(&f.bus[i], now_ns)
    for i in range(c.n_reads):
        take_read(c, f, i, inp, sink, now_ns)
    for i in range(c.n_devices):
        if f.device[i].shed_rows.count > 0:
            shed_output_taken(&f.device[i], now_ns)
        device_take(c, &f.device[i], &f.bus[c.dev_bus[i]], inp, sink, now_ns)
        curves_take(c, &f.curve[i], &f.device[i], &f.bus[c.dev_bus[i]], sink, now_ns)
        service_take(c, &f.service[i], &f.device[i], &f.bus[c.dev_bus[i]], sink, now_ns)
    take_states(c, f, inp, now_ns)


# --- write --------------------------------------------------------------------------------------------------------------------------------

cdef inline bint connected(const Bus* bus) noexcept nogil:
    return BUS_IDLE <= bus.state <= BUS_QUIET


cdef bint is_loaded(const SiteConfig* c, const Device* dev, const Outputs* out) noexcept nogil:
    cdef int unit
    if dev.unit < MAX_UNITS:
        return out.cmd_raw[dev.unit] != 0
    for unit in range(c.n_units):
        if out.cmd_raw[unit] != 0:
            return True
    return False


cdef bint asked_already(const SiteConfig* c, const Fleet* f, int device) noexcept nogil:
    cdef int i
    for i in range(c.n_reads):
        if c.read_device[i] == device and f.read[i].status != IDLE:
            return True
    return False


cdef bint is_due(const SiteConfig* c, const Fleet* f, int read, int64_t now_ns) noexcept nogil:
    """A device that left a question unanswered is asked one at a time: its neighbours lose no more than one time-out to it in a row."""
    cdef const Device* dev = &f.device[c.read_device[read]]
    if dev.phase != PHASE_UP or f.read[read].status != IDLE or now_ns < f.read_due_ns[read]:
        return False
    return dev.silent == 0 or not asked_already(c, f, dev.index)


cdef void send_read(const SiteConfig* c, Fleet* f, int read, int64_t now_ns) noexcept nogil:
    cdef Transaction* t = &f.read[read]
    cdef Bus* bus = &f.bus[c.dev_bus[c.read_device[read]]]
    if bus.polls.count >= QUEUE_MAX or not is_due(c, f, read, now_ns):
        return
    if bus_submit_poll(bus, t):
        f.read_due_ns[read] = max(f.read_due_ns[read] + c.read_period_ns[read], now_ns)
    else:
        t.status = IDLE


cdef bint goes_before(const Fleet* f, const Bus* bus, int read, int other) noexcept nogil:
    """After a time-out a read whose answer differs in length from the one that is missing, else the one that is due longer."""
    cdef bint alike = bus_alike(bus, &f.read[read])
    if alike != bus_alike(bus, &f.read[other]):
        return not alike
    return f.read_due_ns[read] < f.read_due_ns[other]


cdef void send_line_reads(const SiteConfig* c, Fleet* f, int bus, int64_t now_ns) noexcept nogil:
    """On a serial line the read that is due longest goes first, and few wait: what becomes urgent meanwhile is not far behind."""
    cdef int i, ahead, best
    for ahead in range(f.bus[bus].polls.count, LINE_AHEAD):
        best = -1
        for i in range(c.n_reads):
            if c.dev_bus[c.read_device[i]] == bus and is_due(c, f, i, now_ns) and (best < 0 or goes_before(f, &f.bus[bus], i, best)):
                best = i
        if best < 0:
            return
        send_read(c, f, best, now_ns)


cdef bint fleet_send(const SiteConfig* c, Fleet* f, const Inputs* inp, const Outputs* out, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int i, read
    cdef bint handed = True
    f.ticks += 1
    for i in range(c.n_devices):
        f.device[i].loaded = is_loaded(c, &f.device[i], out)
        if f.device[i].shed_rows.count > 0:
            shed_output_send(c, &f.device[i], &f.bus[c.dev_bus[i]], inp, out, now_ns)
        handed = device_send(c, &f.device[i], &f.bus[c.dev_bus[i]], inp, out, f.ticks, sink, now_ns) and handed
    # Where more is due than a queue holds, each tick begins with another read, so that none waits for ever.
    for i in range(c.n_reads):
        read = <int> ((f.ticks + i) % c.n_reads)
        if c.bus_kind[c.dev_bus[c.read_device[read]]] == BUS_TCP:
            send_read(c, f, read, now_ns)
    for i in range(c.n_buses):
        if c.bus_kind[i] == BUS_RTU:
            send_line_reads(c, f, i, now_ns)
        if connected(&f.bus[i]):
            bus_step(&f.bus[i], now_ns, 0)
    return handed


cdef void fleet_curves(const SiteConfig* c, Fleet* f, const CurvePlan* plan, EventSink* sink, int64_t now_ns) noexcept nogil:
    cdef int i
    for i in range(c.n_devices):
        if c.dev_kind[i] == DEV_PCS:
            curves_send(c, &f.curve[i], &f.device[i], &f.bus[c.dev_bus[i]], plan, sink, now_ns)
            service_send(c, &f.service[i], &f.device[i], &f.bus[c.dev_bus[i]], plan, sink, now_ns)


# --- sleep --------------------------------------------------------------------------------------------------------------------------------

cdef inline bint at_work(const Bus* bus) noexcept nogil:
    return bus.state == BUS_CONNECTING or bus.state == BUS_AWAIT or (connected(bus) and waiting(bus) > 0)


cdef int64_t watch(const SiteConfig* c, const Fleet* f, pollfd* fds, int64_t until_ns) noexcept nogil:
    """What to poll, and until when; 0 when no bus is at work."""
    cdef int i
    cdef int64_t next_ns = 0
    for i in range(c.n_buses):
        fds[i].fd = -1
        fds[i].revents = 0
        if at_work(&f.bus[i]):
            fds[i].fd, fds[i].events = bus_fd(&f.bus[i]), bus_events(&f.bus[i])
            next_ns = min(bus_deadline_ns(&f.bus[i]), next_ns if next_ns else until_ns)
            next_ns = max(next_ns, 1)
    return next_ns


cdef void poll_until(pollfd* fds, int count, int64_t wait_ns) noexcept nogil:
    cdef timespec t
    wait_ns = max(wait_ns, 0)
    t.tv_sec, t.tv_nsec = wait_ns // NS_PER_S, wait_ns % NS_PER_S
    ppoll(fds, count, &t, NULL)


cdef void fleet_wait(const SiteConfig* c, Fleet* f, int64_t until_ns) noexcept nogil:
    cdef pollfd[MAX_BUSES] fds
    cdef int i, rounds
    cdef int64_t now_ns, next_ns
    for rounds in range(ROUNDS_PER_WAIT):
        next_ns = watch(c, f, fds, until_ns)
        now_ns = monotonic_ns()
        if next_ns == 0 or now_ns >= until_ns:
            break
        poll_until(fds, c.n_buses, next_ns - now_ns)
        now_ns = monotonic_ns()
        for i in range(c.n_buses):
            if fds[i].revents or (fds[i].fd >= 0 and bus_deadline_ns(&f.bus[i]) <= now_ns):
                bus_step(&f.bus[i], now_ns, fds[i].revents)
    sleep_until(until_ns)


# --- the rest -----------------------------------------------------------------------------------------------------------------------------

cdef bint fleet_stopped(const SiteConfig* c, const Fleet* f, const Inputs* inp) noexcept nogil:
    cdef int i
    for i in range(c.n_devices):
        if not device_stopped(c, &f.device[i], inp):
            return False
    return True


cdef void fleet_release(const SiteConfig* c, Fleet* f) noexcept nogil:
    cdef int i
    for i in range(c.n_devices):
        device_release(&f.device[i])


cdef void fleet_account(const SiteConfig* c, const Fleet* f, PlantState* state) noexcept nogil:
    cdef int i, kind
    cdef const Bus* b
    for i in range(c.n_units):
        for kind in range(CURVES):
            state.unit_curve[i * CURVES + kind] = f.curve[c.unit_pcs_device[i]].state[kind] if c.unit_pcs_device[i] >= 0 else 0
    for i in range(c.n_buses):
        b = &f.bus[i]
        state.bus_state[i] = b.state
        state.bus_ok[i] = <int> b.count.ok
        state.bus_timeouts[i] = <int> b.count.faults[<int> FAULT_TIMEOUT]
        state.bus_late[i] = <int> b.count.late_replies
        state.bus_exceptions[i] = exceptions_of(b)
        state.bus_exception_code[i] = b.exception_code
        state.bus_reconnects[i] = b.epoch - 1 if b.epoch > 0 else 0
        account_frames(&b.count, state, i)
        account_connections(&b.count, state, i)
        account_unsent(&b.count, state, i)
    for i in range(c.n_devices):
        state.flags |= FLAG_SETPOINT_HELD if f.device[i].setpoint.saving else 0


cdef void account_frames(const BusCounters* n, PlantState* state, int i) noexcept nogil:
    state.bus_slow[i], state.bus_gaps[i], state.bus_echoes[i] = <uint32_t> n.slow, <uint32_t> n.gaps, <uint32_t> n.echoes
    state.bus_crc[i], state.bus_wrong_unit[i] = <uint32_t> n.crc_errors, <uint32_t> n.wrong_unit
    state.bus_wrong_function[i], state.bus_wrong_length[i] = <uint32_t> n.wrong_function, <uint32_t> n.wrong_length
    state.bus_wrong_echo[i], state.bus_wrong_protocol[i] = <uint32_t> n.wrong_echo, <uint32_t> n.wrong_protocol
    state.bus_garbage[i] = <uint32_t> n.garbage_bytes
    state.bus_bad[i] = <uint32_t> (n.crc_errors + n.wrong_unit + n.wrong_function + n.wrong_length + n.wrong_echo + n.wrong_protocol)


cdef void account_connections(const BusCounters* n, PlantState* state, int i) noexcept nogil:
    state.bus_refused[i], state.bus_closed[i] = <uint32_t> n.connect_failures, <uint32_t> n.disconnects
    state.bus_half_open[i] = <uint32_t> n.half_open


cdef void account_unsent(const BusCounters* n, PlantState* state, int i) noexcept nogil:
    state.bus_queue_full[i] = <uint32_t> n.faults[<int> FAULT_QUEUE_FULL]
    state.bus_bad_request[i] = <uint32_t> n.faults[<int> FAULT_BAD_REQUEST]


cdef int exceptions_of(const Bus* b) noexcept nogil:
    cdef int i
    cdef uint64_t sum = 0
    for i in range(16):
        sum += b.count.exceptions[i]
    return <int> sum


cdef void fleet_close(const SiteConfig* c, Fleet* f, int64_t now_ns) noexcept nogil:
    cdef int i
    for i in range(c.n_buses):
        bus_close(&f.bus[i], now_ns)
