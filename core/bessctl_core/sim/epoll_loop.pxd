from libc.stdint cimport int64_t, uint8_t, uint32_t

from bessctl_core.sim.plant cimport pthread_mutex_t
from bessctl_core.sim.spoil cimport FRAME_ROOM
from bessctl_core.sim.types cimport SimPlant

cdef enum:
    PLANTS_MAX = 64
    ENDS_MAX = 256           # listeners, connections and serial lines
    QUEUE_MAX = 16           # answers under way on one connection
    RX_MAX = 1024

cdef enum:                   # epoll tags beside the index of an end
    TAG_TIMER = 1000000
    TAG_EVENT = 1000001

cdef enum EndKind:
    END_FREE = 0
    END_LISTENER = 1
    END_TCP = 2
    END_RTU = 3

cdef struct Answer:
    int64_t due_ns
    int n
    uint8_t data[FRAME_ROOM]

cdef struct Bus:             # the plants one listener or serial line reaches, told apart by unit id
    int n
    SimPlant* plants[PLANTS_MAX]
    pthread_mutex_t* locks[PLANTS_MAX]

cdef struct End:
    int kind
    int fd
    int bus
    int rx_n
    int64_t rx_ns            # when the last bytes came
    int64_t hold_ns          # paced serial line: when the request's last character would have come; 0 = none waits
    int64_t char_ns          # time of one character on the wire, 0 = as fast as the pty
    int64_t quiet_ns         # silence that ends a frame whose length its function code does not tell
    int q_head
    int q_n
    Answer q[QUEUE_MAX]
    uint8_t rx[RX_MAX]

cdef struct Server:
    int epoll_fd
    int timer_fd
    int event_fd
    int real_time
    int shared_pcc
    int single_session
    int stop                 # written by another thread, then event_fd
    int drop
    int deaf                 # a test: what arrives is thrown away, connections stay; the far side of a half-open link
    int noise_per_mille      # a test: so many answers of a thousand arrive spoilt
    int spoil                # and how: Spoil
    int noise_at             # which answer comes next, in a fixed sequence
    int64_t armed_ns
    int64_t accepted
    int buses
    Bus bus[PLANTS_MAX]
    End ends[ENDS_MAX]

cdef int64_t clock_ns() noexcept nogil
cdef int watch(Server* s, int fd, uint32_t tag) noexcept nogil
cdef int end_add(Server* s, int kind, int fd, int bus) noexcept nogil
cdef void end_close(End* e) noexcept nogil
cdef void arm_timer(Server* s, int64_t at_ns) noexcept nogil
cdef void step_plants(Server* s, int64_t now_ns) noexcept nogil
cdef void receive(Server* s, End* e, int64_t now_ns) noexcept nogil
cdef void work(Server* s, End* e, int64_t now_ns) noexcept nogil
cdef void server_loop(Server* s) noexcept nogil
