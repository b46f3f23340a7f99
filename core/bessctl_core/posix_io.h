/* The few calls of Linux that Cython ships no .pxd for: sockets with their time-outs, serial lines, ppoll with an absolute deadline.
 *
 * Every function is bounded and never sleeps except io_wait. A failure is returned as -errno, never left in errno.
 * Serial lines use the kernel's termios2 (any baud rate by BOTHER), therefore <termios.h> must not be included beside this file.
 */
#ifndef BESSCTL_POSIX_IO_H
#define BESSCTL_POSIX_IO_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* The peer closed in an orderly way: told apart from "nothing to read" (0) and from every other errno a read can give. */
#define IO_EOF (-ESHUTDOWN)

/* CLOCK_MONOTONIC in ns; a vDSO call, no system call. */
static inline int64_t io_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Sleeps until fd (-1: none) is ready for `events` or `timeout_ns` has passed; returns revents, 0 at the time-out, after a signal, or up to
 * a millisecond before a long time-out: the caller looks at its clock and waits for the rest. (Unlike ppoll, poll hands back no remaining
 * time, which is 0.5 us a question less.) */
static inline short io_wait(int fd, short events, int64_t timeout_ns)
{
    struct pollfd p = {.fd = fd, .events = events, .revents = 0};
    struct timespec ts;
    if (timeout_ns < 0)
        timeout_ns = 0;
    if (timeout_ns >= 2000000 && timeout_ns < INT64_C(1000000) * INT32_MAX)
        return poll(&p, 1, (int)(timeout_ns / 1000000)) > 0 ? p.revents : 0;
    ts.tv_sec = timeout_ns / 1000000000;
    ts.tv_nsec = timeout_ns % 1000000000;
    return ppoll(&p, 1, &ts, NULL) > 0 ? p.revents : 0;
}

/* Fills `out` from a numeric IPv4 or IPv6 address; returns its length, 0 when the text is neither. Names are never looked up. */
static inline uint32_t io_address(struct sockaddr_storage *out, const char *ip, uint16_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, ip, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        return sizeof *six;
    }
    return 0;
}

static inline int io_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) ? -errno : 0;
}

/* A non-blocking TCP socket. Data unacknowledged for user_timeout_ms ends the connection (a pulled cable), probes find it when idle. */
static inline int io_tcp_socket(int family, int user_timeout_ms)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int rc = 0;
    if (fd < 0)
        return -errno;
    rc |= io_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    rc |= io_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
    rc |= io_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    rc |= io_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
    rc |= io_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    if (rc == 0)
        return fd;
    close(fd);
    return -ENOPROTOOPT;
}

/* Linux may connect a socket to itself when nobody listens on a port of the ephemeral range: every write would then "succeed". */
static inline int io_is_self(int fd)
{
    struct sockaddr_storage here, there;
    socklen_t n = sizeof here, m = sizeof there;
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    if (getsockname(fd, (struct sockaddr *)&here, &n) || getpeername(fd, (struct sockaddr *)&there, &m))
        return 0;
    return n == m && memcmp(&here, &there, n) == 0;
}

/* Starts a connection, or asks how it goes on when called again: 0 connected, -EINPROGRESS under way, else why it failed.
 * (SO_ERROR alone reads 0 both when connected and while connecting.) */
static inline int io_connect(int fd, const struct sockaddr_storage *to, uint32_t to_len)
{
    if (connect(fd, (const struct sockaddr *)to, to_len) == 0 || errno == EISCONN)
        return io_is_self(fd) ? -ECONNREFUSED : 0;
    return errno == EALREADY || errno == EINTR ? -EINPROGRESS : -errno;
}

/* Ends a connection with RST: nothing that was not delivered yet ever will be. After a plain close() the kernel goes on delivering, and
 * an old command could reach the device behind a newer one on the next connection. */
static inline void io_tcp_abort(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static inline int io_again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Bytes handed to the kernel; 0 when it takes none now; else -errno. No SIGPIPE. */
static inline int io_send(int fd, const void *data, int n)
{
    ssize_t k = send(fd, data, (size_t)n, MSG_NOSIGNAL);
    return k >= 0 ? (int)k : io_again() ? 0 : -errno;
}

/* Bytes read; 0 when there are none now; IO_EOF when the peer closed; else -errno. */
static inline int io_recv(int fd, void *data, int n)
{
    ssize_t k = recv(fd, data, (size_t)n, 0);
    return k > 0 ? (int)k : k == 0 ? IO_EOF : io_again() ? 0 : -errno;
}

static inline int io_write(int fd, const void *data, int n)
{
    ssize_t k = write(fd, data, (size_t)n);
    return k >= 0 ? (int)k : io_again() ? 0 : -errno;
}

static inline int io_read(int fd, void *data, int n)
{
    ssize_t k = read(fd, data, (size_t)n);
    return k > 0 ? (int)k : k == 0 ? IO_EOF : io_again() ? 0 : -errno;
}

/* Raw 8-bit line, no flow control. VMIN 1: a non-blocking read of an idle line says EAGAIN, so that 0 can only mean hang-up. */
static inline void io_line_fill(struct termios2 *t, uint32_t baud, char parity, int stop_bits)
{
    memset(t, 0, sizeof *t);
    t->c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
    t->c_cflag |= parity == 'E' ? PARENB : parity == 'O' ? PARENB | PARODD : 0;
    t->c_cflag |= stop_bits == 2 ? CSTOPB : 0;
    t->c_iflag = parity == 'N' ? 0 : INPCK;
    t->c_ispeed = t->c_ospeed = baud;
    t->c_cc[VMIN] = 1;
}

/* Did the driver take what was asked? A pseudo-terminal has no parity, every other line must show it; 3 % of baud is within tolerance. */
static inline int io_line_holds(int fd, const struct termios2 *want)
{
    const tcflag_t bits = PARENB | PARODD | CSTOPB | CSIZE;
    struct termios2 have;
    struct stat st;
    int64_t off;
    if (fstat(fd, &st) || ioctl(fd, TCGETS2, &have))
        return 0;
    off = ((int64_t)have.c_ospeed - want->c_ospeed) * 100;
    if (off > 3 * (int64_t)want->c_ospeed || off < -3 * (int64_t)want->c_ospeed)
        return 0;
    return (major(st.st_rdev) >= 136 && major(st.st_rdev) <= 143) || (have.c_cflag & bits) == (want->c_cflag & bits);
}

/* RS-485 direction by the driver itself: user space would turn the line round 75-115 us late. -EOPNOTSUPP whatever the driver says instead
 * (ENOTTY, EINVAL), so that it is not taken for a line that is none. */
static inline int io_line_rs485(int fd)
{
    struct serial_rs485 r;
    memset(&r, 0, sizeof r);
    r.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND;
    return ioctl(fd, TIOCSRS485, &r) ? -EOPNOTSUPP : 0;
}

static inline int io_line_setup(int fd, uint32_t baud, char parity, int stop_bits, int rs485)
{
    struct termios2 want;
    int rc = 0;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return -EBUSY;
    if (ioctl(fd, TIOCEXCL))
        return -errno;
    io_line_fill(&want, baud, parity, stop_bits);
    if (ioctl(fd, TCSETS2, &want))
        return -errno;
    if (!io_line_holds(fd, &want))
        return -EINVAL;
    if (rs485)
        rc = io_line_rs485(fd);
    if (rc == 0 && ioctl(fd, TCFLSH, TCIOFLUSH))
        rc = -errno;
    return rc;
}

/* Throws away what waits to be sent first: close() of a serial line would otherwise wait for it, up to 30 s. */
static inline void io_line_close(int fd)
{
    ioctl(fd, TCFLSH, TCIOFLUSH);
    ioctl(fd, TIOCNXCL);
    close(fd);
}

/* Opens a serial line for us alone (TIOCEXCL, and flock against root); returns the descriptor or -errno (-EBUSY: someone has it,
 * -EINVAL: the driver cannot do this baud rate or parity, -ENOTTY: no serial line, -EOPNOTSUPP: no RS-485 direction by the driver). */
static inline int io_line_open(const char *path, uint32_t baud, char parity, int stop_bits, int rs485)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int rc;
    if (fd < 0)
        return -errno;
    rc = io_line_setup(fd, baud, parity, stop_bits, rs485);
    if (rc == 0)
        return fd;
    if (rc == -EBUSY)
        close(fd); /* the line is someone else's: leave its bytes and its flags alone */
    else
        io_line_close(fd);
    return rc;
}

static inline int io_line_flush(int fd, int both)
{
    return ioctl(fd, TCFLSH, both ? TCIOFLUSH : TCIFLUSH) ? -errno : 0;
}

#endif
