"""Links: opening, closing and moving bytes, over TCP or a serial line. See link.pxd; the system calls are in posix_io.h."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset, strlen

from bessctl_core.posix_io cimport (
    EINPROGRESS, close, io_address, io_connect, io_line_close, io_line_flush, io_line_open, io_read, io_recv, io_send, io_tcp_abort,
    io_tcp_socket, io_write,
)


cdef bint link_init_tcp(Link* k, const char* ip, uint16_t port, int user_timeout_ms) noexcept nogil:
    """`ip` is numeric (v4 or v6): a name server must never stand between the loop and a device. False when it is not."""
    memset(k, 0, sizeof(Link))
    k.fd = -1
    k.kind = LINK_TCP
    k.user_timeout_ms = user_timeout_ms
    k.peer_len = io_address(&k.peer, ip, port)
    return k.peer_len > 0


cdef bint link_init_rtu(Link* k, const char* path, uint32_t baud, char parity, uint8_t stop_bits, bint rs485) noexcept nogil:
    """Parity N, E or O; 1 or 2 stop bits; 1200 to 921600 baud. False when something is outside that."""
    cdef size_t n = strlen(path)
    memset(k, 0, sizeof(Link))
    k.fd = -1
    k.kind = LINK_RTU
    k.baud = baud
    k.parity = parity
    k.stop_bits = stop_bits
    k.rs485 = rs485
    if n < 1 or n >= sizeof(k.path) or baud < 1200 or baud > 921600 or stop_bits < 1 or stop_bits > 2:
        return False
    memcpy(k.path, path, n)
    return parity == c'N' or parity == c'E' or parity == c'O'


cdef int link_open(Link* k) noexcept nogil:
    """0 open, -EINPROGRESS (TCP: ask link_check when writable), else why not."""
    if k.kind == LINK_RTU:
        k.fd = io_line_open(k.path, k.baud, k.parity, k.stop_bits, k.rs485)
    else:
        k.fd = io_tcp_socket(k.peer.ss_family, k.user_timeout_ms)
    if k.fd < 0:
        return forget(k)
    return link_check(k)


cdef int forget(Link* k) noexcept nogil:
    cdef int error = k.fd
    k.fd = -1
    return error


cdef int link_check(Link* k) noexcept nogil:
    """How a connection under way stands: as link_open; after a failure the link is closed."""
    cdef int rc = 0
    if k.kind == LINK_TCP:
        rc = io_connect(k.fd, &k.peer, k.peer_len)
    if rc < 0 and rc != -EINPROGRESS:
        link_close(k, False)
    return rc


cdef int link_send(Link* k, const void* data, int n) noexcept nogil:
    """Bytes taken, 0 when none can be now, else -errno."""
    return io_send(k.fd, data, n) if k.kind == LINK_TCP else io_write(k.fd, data, n)


cdef int link_recv(Link* k, void* data, int n) noexcept nogil:
    """Bytes read, 0 when there are none, IO_EOF at the end of the connection, else -errno."""
    return io_recv(k.fd, data, n) if k.kind == LINK_TCP else io_read(k.fd, data, n)


cdef void link_flush(Link* k, bint both) noexcept nogil:
    """RTU: drops what was received and not read; `both`: and what waits to be sent."""
    if k.kind == LINK_RTU and k.fd >= 0:
        io_line_flush(k.fd, both)


cdef void link_close(Link* k, bint abort) noexcept nogil:
    """`abort`: what is on its way is taken back as far as possible (a serial line always does). Idempotent."""
    if k.fd >= 0 and k.kind == LINK_TCP and abort:
        io_tcp_abort(k.fd)
    elif k.fd >= 0 and k.kind == LINK_TCP:
        close(k.fd)
    elif k.fd >= 0:
        io_line_close(k.fd)
    k.fd = -1
