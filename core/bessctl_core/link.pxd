"""Links: one non-blocking TCP connection or one serial line, with nothing known about Modbus.

All functions: loop, nogil, one system call or a handful; none waits. Results: >= 0 is success, negative is -errno.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from bessctl_core.posix_io cimport sockaddr_storage

cdef enum LinkKind:
    LINK_TCP
    LINK_RTU

cdef struct Link:
    int fd                      # -1: closed
    uint8_t kind
    # TCP
    int user_timeout_ms
    uint32_t peer_len
    sockaddr_storage peer
    # RTU
    uint32_t baud
    char parity                 # N, E, O
    uint8_t stop_bits           # 1, 2
    uint8_t rs485               # the driver turns the line round
    char path[128]

cdef bint link_init_tcp(Link* k, const char* ip, uint16_t port, int user_timeout_ms) noexcept nogil
cdef bint link_init_rtu(Link* k, const char* path, uint32_t baud, char parity, uint8_t stop_bits, bint rs485) noexcept nogil
cdef int link_open(Link* k) noexcept nogil
cdef int link_check(Link* k) noexcept nogil
cdef int link_send(Link* k, const void* data, int n) noexcept nogil
cdef int link_recv(Link* k, void* data, int n) noexcept nogil
cdef void link_flush(Link* k, bint both) noexcept nogil
cdef void link_close(Link* k, bint abort) noexcept nogil
