/* The limit: a control cycle over plain blocking calls, two round trips, nothing checked beyond lengths, ids and the serial line's CRC.
 *
 * There is no deadline here and no way to recover: what it costs to have both is what the bench shows.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "modbus_crc.h"

enum { FRAME_MAX = 260 };

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void put(uint8_t *at, int value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

int bare_open_tcp(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int bare_open_rtu(const char *path)
{
    struct termios line;
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || tcgetattr(fd, &line))
        return -1;
    cfmakeraw(&line);
    cfsetspeed(&line, B115200);
    line.c_cflag |= CLOCAL | CREAD;
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    return tcsetattr(fd, TCSANOW, &line) ? -1 : fd;
}

void bare_close(int fd) { close(fd); }

static int read_all(int fd, uint8_t *to, int n)
{
    int filled = 0;
    while (filled < n) {
        ssize_t got = read(fd, to + filled, (size_t)(n - filled));
        if (got <= 0)
            return -1;
        filled += (int)got;
    }
    return 0;
}

/* One request of `n` PDU bytes standing at frame + 7; its answer has `want` PDU bytes and lands at the same place. */
static int trip_tcp(int fd, uint8_t *frame, int n, int want)
{
    static uint16_t id;
    uint8_t reply[FRAME_MAX];
    put(frame, ++id);
    put(frame + 2, 0);
    put(frame + 4, n + 1);
    frame[6] = 1;
    if (send(fd, frame, (size_t)(7 + n), MSG_NOSIGNAL) != 7 + n || read_all(fd, reply, 7 + want))
        return -1;
    if (memcmp(reply, frame, 2) || reply[7] != frame[7])
        return -1;
    memcpy(frame + 7, reply + 7, (size_t)want);
    return 0;
}

static int trip_rtu(int fd, uint8_t *frame, int n, int want)
{
    uint8_t reply[FRAME_MAX], *start = frame + 6;
    unsigned crc;
    start[0] = 1;
    crc = modbus_crc(start, 1 + n);
    start[1 + n] = (uint8_t)crc;
    start[2 + n] = (uint8_t)(crc >> 8);
    if (write(fd, start, (size_t)(3 + n)) != 3 + n || read_all(fd, reply, 3 + want))
        return -1;
    if (reply[1] != start[1] || modbus_crc(reply, 1 + want) != (unsigned)(reply[1 + want] | reply[2 + want] << 8))
        return -1;
    memcpy(frame + 7, reply + 1, (size_t)want);
    return 0;
}

/* `cycles` times: FC03 of `reads` registers, then FC16 of `writes`; what each took goes to took_ns. Returns 0, -1 at the first failure. */
int bare_cycles(int fd, int serial, int cycles, int reads, int writes, int64_t *took_ns)
{
    int (*trip)(int, uint8_t *, int, int) = serial ? trip_rtu : trip_tcp;
    uint8_t frame[FRAME_MAX];
    uint16_t values[125];
    for (int i = 0; i < cycles; i++) {
        int64_t start_ns = now_ns();
        frame[7] = 3;
        put(frame + 8, 100);
        put(frame + 10, reads);
        if (trip(fd, frame, 5, 2 + 2 * reads))
            return -1;
        for (int k = 0; k < reads; k++)
            values[k] = (uint16_t)(frame[9 + 2 * k] << 8 | frame[10 + 2 * k]);
        frame[7] = 16;
        put(frame + 8, 200);
        put(frame + 10, writes);
        frame[12] = (uint8_t)(2 * writes);
        for (int k = 0; k < writes; k++)
            put(frame + 13 + 2 * k, values[k]);
        if (trip(fd, frame, 6 + 2 * writes, 5))
            return -1;
        took_ns[i] = now_ns() - start_ns;
    }
    return 0;
}
