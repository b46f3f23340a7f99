/* The other end of the Modbus bench: a server that does as little as a device can, so that clients are measured and not this.
 *
 * modbus_server CPU PRIORITY LINES
 *
 * Serves Modbus TCP on an ephemeral port of the loopback and Modbus RTU on LINES pseudo-terminals, FC03 and FC16 alone, for any unit,
 * from one table of registers. Prints one line, "PORT PATH PATH ...", and ends with its parent. A frame may come in pieces and several may
 * come at once; anything else than FC03 and FC16 ends the connection. CPU or PRIORITY below 0: left alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "modbus_crc.h"

enum { PEERS = 64, FRAME_MAX = 260, BUFFER = 1024 };

struct peer {
    int fd;
    int serial;
    int filled;
    uint8_t buffer[BUFFER];
};

static struct peer peers[PEERS];
static uint16_t registers[65536];

static int word(const uint8_t *at) { return at[0] << 8 | at[1]; }

static void put(uint8_t *at, int value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Length of the request PDU that starts at `pdu`, 0 = not known yet, -1 = not ours. */
static int request_length(const uint8_t *pdu, int n)
{
    if (n < 1)
        return 0;
    if (pdu[0] == 3)
        return 5;
    if (pdu[0] == 16)
        return n < 6 ? 0 : 6 + pdu[5];
    return -1;
}

/* Writes the answer's PDU, returns its length. */
static int answer(const uint8_t *pdu, uint8_t *out)
{
    int address = word(pdu + 1), count = word(pdu + 3), i;
    out[0] = pdu[0];
    if (pdu[0] == 3) {
        out[1] = (uint8_t)(2 * count);
        for (i = 0; i < count; i++)
            put(out + 2 + 2 * i, registers[(uint16_t)(address + i)]);
        return 2 + 2 * count;
    }
    for (i = 0; i < count; i++)
        registers[(uint16_t)(address + i)] = (uint16_t)word(pdu + 6 + 2 * i);
    memcpy(out + 1, pdu + 1, 4);
    return 5;
}

/* Answers the frame at the front of the buffer; bytes used, 0 = more must come, -1 = out of step. */
static int serve_one(struct peer *p, const uint8_t *at, int n)
{
    uint8_t out[FRAME_MAX];
    int head = p->serial ? 1 : 7, tail = p->serial ? 2 : 0, length, answered;
    if (n < head + 1)
        return 0;
    length = request_length(at + head, n - head);
    if (length < 0 || (length > 0 && length > FRAME_MAX - head - tail))
        return -1;
    if (length == 0 || n < head + length + tail)
        return 0;
    if (p->serial && modbus_crc(at, head + length) != (unsigned)(at[head + length] | at[head + length + 1] << 8))
        return -1;
    answered = answer(at + head, out + head);
    if (p->serial) {
        unsigned crc;
        out[0] = at[0];
        crc = modbus_crc(out, head + answered);
        out[head + answered] = (uint8_t)crc;
        out[head + answered + 1] = (uint8_t)(crc >> 8);
    } else {
        memcpy(out, at, 7);
        put(out + 4, answered + 1);
    }
    return write(p->fd, out, (size_t)(head + answered + tail)) < 0 ? -1 : head + length + tail;
}

static void hear(struct peer *p)
{
    ssize_t got = read(p->fd, p->buffer + p->filled, (size_t)(BUFFER - p->filled));
    int used = 0, step = 0;
    if (got > 0) {
        p->filled += (int)got;
        while ((step = serve_one(p, p->buffer + used, p->filled - used)) > 0)
            used += step;
        p->filled -= used;
        memmove(p->buffer, p->buffer + used, (size_t)p->filled);
    }
    if (p->serial && step < 0) {
        p->filled = 0; /* a line has no end; the next silence is the next frame */
    } else if (!p->serial && (got <= 0 || step < 0)) {
        close(p->fd);
        p->fd = -1;
        p->filled = 0;
    }
}

static struct peer *seat(int epoll, int fd, int serial)
{
    struct epoll_event event = {.events = EPOLLIN};
    for (int i = 0; i < PEERS; i++) {
        if (peers[i].fd < 0) {
            peers[i] = (struct peer){.fd = fd, .serial = serial};
            event.data.ptr = &peers[i];
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            return &peers[i];
        }
    }
    close(fd);
    return NULL;
}

static int listen_any(int *port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 16) || getsockname(fd, (struct sockaddr *)&here, &size))
        exit(1);
    *port = ntohs(here.sin_port);
    return fd;
}

static void accept_one(int epoll, int listener)
{
    int one = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    seat(epoll, fd, 0);
}

static void open_line(int epoll)
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || grantpt(fd) || unlockpt(fd) || tcgetattr(fd, &raw))
        exit(1);
    cfmakeraw(&raw);
    tcsetattr(fd, TCSANOW, &raw);
    /* Our own descriptor of the far end keeps the line up while no client has it. */
    if (open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC) < 0 || !seat(epoll, fd, 1))
        exit(1);
    printf(" %s", ptsname(fd));
}

static void settle_in(int cpu, int priority)
{
    cpu_set_t set;
    struct sched_param param = {.sched_priority = priority};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    if (priority > 0)
        sched_setscheduler(0, SCHED_FIFO, &param);
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[16];
    int epoll = epoll_create1(EPOLL_CLOEXEC), port, listener, i, n;
    if (argc != 4)
        return 2;
    settle_in(atoi(argv[1]), atoi(argv[2]));
    for (i = 0; i < PEERS; i++)
        peers[i].fd = -1;
    for (i = 0; i < 65536; i++)
        registers[i] = (uint16_t)(i * 7919);
    listener = listen_any(&port);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    printf("%d", port);
    for (i = 0; i < atoi(argv[3]); i++)
        open_line(epoll);
    printf("\n");
    fflush(stdout);
    for (;;) {
        n = epoll_wait(epoll, ready, 16, -1);
        for (i = 0; i < n; i++) {
            if (ready[i].data.ptr)
                hear(ready[i].data.ptr);
            else
                accept_one(epoll, listener);
        }
    }
}
