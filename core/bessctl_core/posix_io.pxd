"""The few calls of Linux that Cython ships no declaration for; what each does stands in posix_io.h. All: any thread, nogil, bounded."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef extern from "posix_io.h" nogil:
    enum:
        POLLIN
        POLLOUT
        POLLERR
        POLLHUP
        POLLRDHUP
        EINPROGRESS
        ETIMEDOUT
        EPROTO
        ESHUTDOWN
        IO_EOF

    ctypedef struct sockaddr_storage "struct sockaddr_storage":
        unsigned short ss_family

    int64_t io_now_ns()
    short io_wait(int fd, short events, int64_t timeout_ns)
    uint32_t io_address(sockaddr_storage* out, const char* ip, uint16_t port)
    int io_tcp_socket(int family, int user_timeout_ms)
    int io_connect(int fd, const sockaddr_storage* to, uint32_t to_len)
    void io_tcp_abort(int fd)
    int io_send(int fd, const void* data, int n)
    int io_recv(int fd, void* data, int n)
    int io_write(int fd, const void* data, int n)
    int io_read(int fd, void* data, int n)
    int io_line_open(const char* path, uint32_t baud, char parity, int stop_bits, int rs485)
    void io_line_close(int fd)
    int io_line_flush(int fd, int both)
    int close(int fd)
