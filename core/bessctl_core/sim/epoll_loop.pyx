"""The Modbus slave of the simulated plants: one thread, no GIL, epoll over TCP listeners, connections and pseudo-terminals.

The same thread steps the physics in real time, on the plants' own grid: whenever something happens, all whole steps up to now are
made first, then the request is served. A write lets the step under way end before it: an order acts from the first instant of the grid
at or after its frame's arrival, never earlier; the command log holds the arrival itself.
One timer wakes the thread for the next grid step or the next answer that a device's answer time holds back.

TCP: Modbus Messaging on TCP/IP V1.0b; a frame whose protocol id or length is wrong closes the connection; an unknown unit answers
exception 11 (gateway target failed to respond), a silent one nothing. RTU: a request's end is known from its function code; one with
a wrong CRC, or for a unit nobody has here, is dropped without an answer; unit 0 is a broadcast, obeyed and not answered.
"""

from libc.errno cimport EAGAIN, EINTR, errno as c_errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from bessctl_core.sim.physics cimport plant_advance, plant_device
from bessctl_core.sim.plant cimport pthread_mutex_lock, pthread_mutex_unlock
from bessctl_core.sim.slave cimport crc16, rtu_length, slave_answer
from bessctl_core.sim.spoil cimport spoil, spoil_wait_ns
from bessctl_core.sim.types cimport Image, SimPlant


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int CLOCK_MONOTONIC
    int clock_gettime(int, timespec*)

cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_TIMER_ABSTIME
    int timerfd_settime(int, int, const itimerspec*, itimerspec*)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int EPOLL_CTL_ADD, EPOLLIN
    int epoll_ctl(int, int, int, epoll_event*)
    int epoll_wait(int, epoll_event*, int, int)

cdef extern from "<sys/socket.h>" nogil:
    int SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_NOSIGNAL
    int accept4(int, void*, void*, int)
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    int setsockopt(int, int, int, const void*, unsigned int)

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int, void*, size_t)
    ssize_t write(int, const void*, size_t)
    int close(int)

cdef int64_t NEVER_NS = <int64_t>(1 << 30) * 1000000000


cdef int64_t clock_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


# ---- ends ------------------------------------------------------------------------------------------------------------------------


cdef int watch(Server* s, int fd, uint32_t tag) noexcept nogil:
    cdef epoll_event ev
    ev.events = EPOLLIN
    ev.data.u32 = tag
    return epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, fd, &ev)


cdef int end_add(Server* s, int kind, int fd, int bus) noexcept nogil:
    """Index of the new end; -1 where none is free (the caller closes the fd)."""
    cdef int i
    for i in range(ENDS_MAX):
        if s.ends[i].kind == END_FREE:
            s.ends[i].kind = kind
            s.ends[i].fd = fd
            s.ends[i].bus = bus
            s.ends[i].rx_n = s.ends[i].q_n = s.ends[i].q_head = 0
            s.ends[i].hold_ns = s.ends[i].char_ns = s.ends[i].quiet_ns = 0
            if watch(s, fd, i) == 0:
                return i
            s.ends[i].kind = END_FREE
            return -1
    return -1


cdef void end_close(End* e) noexcept nogil:
    close(e.fd)
    e.kind = END_FREE
    e.fd = -1


cdef int sessions(const Server* s, int bus) noexcept nogil:
    cdef int i
    cdef int n = 0
    for i in range(ENDS_MAX):
        n += s.ends[i].kind == END_TCP and s.ends[i].bus == bus
    return n


cdef void accept_one(Server* s, End* listener) noexcept nogil:
    cdef int one = 1
    cdef int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if fd < 0:
        return
    s.accepted += 1
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if (s.single_session and sessions(s, listener.bus) > 0) or end_add(s, END_TCP, fd, listener.bus) < 0:
        close(fd)


# ---- serving ---------------------------------------------------------------------------------------------------------------------


cdef int serve_plant(Server* s, Bus* b, int i, int unit, const uint8_t* pdu, int n, uint8_t* out, int64_t now_ns, double* wait_ms) noexcept nogil:
    """-1: the plant has no such unit. Otherwise the length of the answer, 0 = none."""
    cdef SimPlant* p = b.plants[i]
    cdef Image* im = plant_device(p, unit)
    cdef int m
    if im == NULL:
        return -1
    pthread_mutex_lock(b.locks[i])
    if s.real_time:
        plant_advance(p, now_ns - p.epoch_ns + (p.grid_ns - 1 if n > 0 and (pdu[0] == 6 or pdu[0] == 16) else 0))
    m = slave_answer(p, im, pdu, n, out, now_ns - p.epoch_ns if s.real_time else p.now_ns)
    wait_ms[0] = im.answer_ms
    pthread_mutex_unlock(b.locks[i])
    return m


cdef int serve(Server* s, End* e, int unit, const uint8_t* pdu, int n, uint8_t* out, int64_t now_ns, double* wait_ms) noexcept nogil:
    cdef Bus* b = &s.bus[e.bus]
    cdef int i, m
    wait_ms[0] = 0.0
    for i in range(b.n):
        m = serve_plant(s, b, i, unit, pdu, n, out, now_ns, wait_ms)
        if m >= 0:
            return m
    return -1


cdef void broadcast(Server* s, End* e, const uint8_t* pdu, int n, int64_t now_ns) noexcept nogil:
    cdef Bus* b = &s.bus[e.bus]
    cdef uint8_t[264] out
    cdef double wait_ms
    cdef int i
    for i in range(b.n):
        serve_plant(s, b, i, b.plants[i].pcs_image.unit, pdu, n, out, now_ns, &wait_ms)
        if not b.plants[i].combined:
            serve_plant(s, b, i, b.plants[i].bat_image.unit, pdu, n, out, now_ns, &wait_ms)


cdef Answer* answer_slot(End* e) noexcept nogil:
    return &e.q[(e.q_head + e.q_n) % QUEUE_MAX]


cdef bint tcp_frame(Server* s, End* e, int64_t now_ns) noexcept nogil:
    """Serve the first frame of e.rx. False: none is complete, or the connection was closed."""
    cdef int n, m
    cdef double wait_ms
    cdef Answer* a
    if e.rx_n < 8:
        return False
    n = (e.rx[4] << 8) | e.rx[5]
    if e.rx[2] != 0 or e.rx[3] != 0 or n < 2 or n > 254:
        end_close(e)
        return False
    if e.rx_n < 6 + n:
        return False
    a = answer_slot(e)
    m = serve(s, e, e.rx[6], e.rx + 7, n - 1, a.data + 7, now_ns, &wait_ms)
    if m < 0:
        a.data[7] = e.rx[7] | 0x80
        a.data[8] = 11
        m = 2
    if m > 0:
        memcpy(a.data, e.rx, 7)
        a.data[4] = <uint8_t>((m + 1) >> 8)
        a.data[5] = <uint8_t>((m + 1) & 0xFF)
        a.n = m + 7
        a.due_ns = now_ns + <int64_t>(wait_ms * 1e6)
        enqueue(s, e, a, 6 + n)
    consume(e, 6 + n)
    return True


cdef void consume(End* e, int n) noexcept nogil:
    e.rx_n -= n
    memmove(e.rx, e.rx + n, e.rx_n)


cdef bint rtu_frame(Server* s, End* e, int64_t now_ns) noexcept nogil:
    """Serve the first frame of e.rx, once its last character would have arrived. False: nothing more to do now."""
    cdef int n = rtu_length(e.rx, e.rx_n)
    cdef bint quiet = now_ns - e.rx_ns >= e.quiet_ns
    if e.rx_n == 0:
        return False
    n = e.rx_n if n == 0 and quiet else n
    if n <= 0 or n > e.rx_n:
        if quiet:
            e.rx_n = 0
        return False
    if e.char_ns > 0 and e.hold_ns == 0:
        e.hold_ns = now_ns + n * e.char_ns
    if now_ns < e.hold_ns:
        return False
    e.hold_ns = 0
    if n < 4 or crc16(e.rx, n) != 0:
        e.rx_n = 0
        return False
    rtu_answer(s, e, n, now_ns)
    consume(e, n)
    return True


cdef void enqueue(Server* s, End* e, Answer* a, int question_n) noexcept nogil:
    """The answer in the next slot is under way, as the line lets it through: so many of a thousand are spoilt, spread evenly and the same
    in every run. What was asked stands at the front of e.rx."""
    cdef Answer* rest
    cdef int first
    e.q_n += 1
    s.noise_at = (s.noise_at + s.noise_per_mille) % 1000
    if s.noise_at >= s.noise_per_mille:
        return
    a.n = spoil(s.spoil, e.kind == END_TCP, e.rx, question_n, a.data, a.n, &first)
    if first == 0:
        a.due_ns += spoil_wait_ns(s.spoil) if a.n > 0 else 0
    elif first < a.n and e.q_n < QUEUE_MAX:
        rest = answer_slot(e)
        rest.n = a.n - first
        memcpy(rest.data, a.data + first, rest.n)
        rest.due_ns = a.due_ns + spoil_wait_ns(s.spoil)
        a.n = first
        e.q_n += 1


cdef void rtu_answer(Server* s, End* e, int n, int64_t now_ns) noexcept nogil:
    cdef Answer* a = answer_slot(e)
    cdef double wait_ms
    cdef int m, crc
    if e.rx[0] == 0:
        broadcast(s, e, e.rx + 1, n - 3, now_ns)
        return
    m = serve(s, e, e.rx[0], e.rx + 1, n - 3, a.data + 1, now_ns, &wait_ms)
    if m <= 0:
        return
    a.data[0] = e.rx[0]
    crc = crc16(a.data, m + 1)
    a.data[m + 1] = <uint8_t>(crc & 0xFF)
    a.data[m + 2] = <uint8_t>(crc >> 8)
    a.n = m + 3
    a.due_ns = now_ns + <int64_t>(wait_ms * 1e6) + (a.n * e.char_ns + e.char_ns * 7 // 2)
    enqueue(s, e, a, n)


cdef void send_due(End* e, int64_t now_ns) noexcept nogil:
    cdef Answer* a
    cdef ssize_t sent
    while e.q_n > 0 and e.q[e.q_head].due_ns <= now_ns:
        a = &e.q[e.q_head]
        if e.kind == END_TCP:
            sent = send(e.fd, a.data, a.n, MSG_NOSIGNAL) if a.n > 0 else 0
            if a.n == 0 or sent != a.n:         # a line that breaks; gone, or a client that does not read: a device would drop it too
                end_close(e)
                return
        else:
            write(e.fd, a.data, a.n)
        e.q_head = (e.q_head + 1) % QUEUE_MAX
        e.q_n -= 1


cdef void work(Server* s, End* e, int64_t now_ns) noexcept nogil:
    """Serve what is complete and send what is due."""
    cdef bint more = True
    while more and e.q_n < QUEUE_MAX and (e.kind == END_TCP or e.kind == END_RTU):
        more = tcp_frame(s, e, now_ns) if e.kind == END_TCP else rtu_frame(s, e, now_ns)
        if e.kind != END_FREE:
            send_due(e, now_ns)


cdef void receive(Server* s, End* e, int64_t now_ns) noexcept nogil:
    cdef ssize_t n
    if e.rx_n == RX_MAX and e.kind == END_TCP:      # a client that asks on and on without waiting for answers
        end_close(e)
        return
    e.rx_n = 0 if e.rx_n == RX_MAX else e.rx_n
    n = recv(e.fd, e.rx + e.rx_n, RX_MAX - e.rx_n, 0) if e.kind == END_TCP else read(e.fd, e.rx + e.rx_n, RX_MAX - e.rx_n)
    if n > 0 and s.deaf:
        e.rx_n = 0
    elif n > 0:
        e.rx_n += <int>n
        e.rx_ns = now_ns
        work(s, e, now_ns)
    elif e.kind == END_TCP and not (n < 0 and (c_errno == EAGAIN or c_errno == EINTR)):
        end_close(e)


# ---- time ------------------------------------------------------------------------------------------------------------------------


cdef void step_plants(Server* s, int64_t now_ns) noexcept nogil:
    cdef int b, i
    cdef double total = 0.0
    for b in range(s.buses):
        for i in range(s.bus[b].n):
            pthread_mutex_lock(s.bus[b].locks[i])
            plant_advance(s.bus[b].plants[i], now_ns - s.bus[b].plants[i].epoch_ns)
            pthread_mutex_unlock(s.bus[b].locks[i])
            total += s.bus[b].plants[i].pcs.w
    if not s.shared_pcc:
        return
    for b in range(s.buses):
        for i in range(s.bus[b].n):
            s.bus[b].plants[i].meter.other_ess_w = total - s.bus[b].plants[i].pcs.w


cdef int64_t next_wake(const Server* s, int64_t now_ns) noexcept nogil:
    cdef int64_t wake = now_ns + NEVER_NS
    cdef int64_t at
    cdef const End* e
    cdef int b, i
    if s.real_time:
        for b in range(s.buses):
            for i in range(s.bus[b].n):
                at = s.bus[b].plants[i].now_ns + s.bus[b].plants[i].grid_ns + s.bus[b].plants[i].epoch_ns
                wake = at if at < wake else wake
    for i in range(ENDS_MAX):
        e = &s.ends[i]
        if e.kind != END_TCP and e.kind != END_RTU:
            continue
        if e.q_n > 0 and e.q[e.q_head].due_ns < wake:
            wake = e.q[e.q_head].due_ns
        if e.kind == END_RTU and e.rx_n > 0:
            at = e.hold_ns if e.hold_ns > 0 else e.rx_ns + e.quiet_ns
            wake = at if at < wake else wake
    return wake


cdef void arm_timer(Server* s, int64_t at_ns) noexcept nogil:
    cdef itimerspec t
    if at_ns == s.armed_ns:
        return
    s.armed_ns = at_ns
    t.it_interval.tv_sec = 0
    t.it_interval.tv_nsec = 0
    t.it_value.tv_sec = at_ns // 1000000000
    t.it_value.tv_nsec = at_ns % 1000000000
    timerfd_settime(s.timer_fd, TFD_TIMER_ABSTIME, &t, NULL)


cdef void event(Server* s, uint32_t tag, int64_t now_ns) noexcept nogil:
    cdef uint64_t count
    cdef int i
    if tag == TAG_TIMER:
        read(s.timer_fd, &count, sizeof(count))
        s.armed_ns = 0
    elif tag == TAG_EVENT:
        read(s.event_fd, &count, sizeof(count))
        if s.drop:
            s.drop = 0
            for i in range(ENDS_MAX):
                if s.ends[i].kind == END_TCP:
                    end_close(&s.ends[i])
    elif s.ends[tag].kind == END_LISTENER:
        accept_one(s, &s.ends[tag])
    elif s.ends[tag].kind != END_FREE:
        receive(s, &s.ends[tag], now_ns)


cdef void server_loop(Server* s) noexcept nogil:
    cdef epoll_event[32] events
    cdef int64_t now_ns
    cdef int n, i
    while not s.stop:
        n = epoll_wait(s.epoll_fd, events, 32, -1)
        now_ns = clock_ns()
        for i in range(n):
            event(s, events[i].data.u32, now_ns)
        if s.real_time:
            step_plants(s, now_ns)
        for i in range(ENDS_MAX):
            if s.ends[i].kind == END_TCP or s.ends[i].kind == END_RTU:
                send_due(&s.ends[i], now_ns)
                work(s, &s.ends[i], now_ns)
        arm_timer(s, next_wake(s, now_ns))
