/* libmodbus as a slave, for the tests of our master: over TCP, or on a serial line.
 *
 *   libmodbus_slave tcp                          listens on 127.0.0.1, any port, and says which
 *   libmodbus_slave rtu PATH BAUD PARITY STOP    unit 1 on that line
 *
 * 200 holding and input registers, 64 coils and discrete inputs, as tests/core/test_bus_oracle.py names them. A number written to holding
 * register ARM spoils the answer to the next read, once: see spoilt(). Ends with its standard input.
 */
#include <modbus/modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

enum { REGISTERS = 200, BITS = 64, ARM = 199, LATE_US = 450000, BYTE_US = 40000 };
enum { NOTHING = 1, LATE, BUSY, ANOTHER_UNIT, ANOTHER_FUNCTION, ANOTHER_COUNT, BYTE_BY_BYTE };

static modbus_mapping_t *registers(void)
{
    modbus_mapping_t *map = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    int i;
    for (i = 0; i < REGISTERS; i++) {
        map->tab_registers[i] = (uint16_t)(1000 + i);
        map->tab_input_registers[i] = (uint16_t)(5000 + i);
    }
    for (i = 0; i < BITS; i++) {
        map->tab_bits[i] = i % 3 == 0;
        map->tab_input_bits[i] = i % 5 == 0;
    }
    return map;
}

/* A frame of libmodbus's own making (header, check sum) that is no right answer; forged registers of 0x5A5A. */
static void forged(modbus_t *slave, int unit, int function, int count)
{
    uint8_t raw[3 + 2 * 125];
    raw[0] = (uint8_t)unit;
    raw[1] = (uint8_t)function;
    raw[2] = (uint8_t)(2 * count);
    memset(raw + 3, 0x5A, (size_t)(2 * count));
    modbus_send_raw_request(slave, raw, 3 + 2 * count);
}

/* The right answer, one byte at a time, for longer than the master waits. libmodbus composes it into a socket of ours. */
static void trickle(modbus_t *slave, modbus_mapping_t *map, const uint8_t *query, int got)
{
    uint8_t answer[MODBUS_TCP_MAX_ADU_LENGTH];
    const int line = modbus_get_socket(slave);
    int pair[2], i, size;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return;
    modbus_set_socket(slave, pair[0]);
    modbus_reply(slave, query, got, map);
    modbus_set_socket(slave, line);
    size = (int)read(pair[1], answer, sizeof answer);
    for (i = 0; i < size; i++) {
        if (write(line, answer + i, 1) != 1)
            break;
        usleep(BYTE_US);
    }
    close(pair[0]);
    close(pair[1]);
}

/* 1: there is nothing more to answer. */
static int spoilt(modbus_t *slave, modbus_mapping_t *map, const uint8_t *query, int got, int at)
{
    const int how = map->tab_registers[ARM] - (1000 + ARM);
    const int count = query[at + 3] << 8 | query[at + 4];
    if (query[at] != MODBUS_FC_READ_HOLDING_REGISTERS || how <= 0)
        return 0;
    map->tab_registers[ARM] = 1000 + ARM;
    switch (how) {
    case LATE:
        usleep(LATE_US);
        return 0;
    case BYTE_BY_BYTE:
        trickle(slave, map, query, got);
        return 1;
    case BUSY:
        modbus_reply_exception(slave, query, MODBUS_EXCEPTION_SLAVE_OR_SERVER_BUSY);
        return 1;
    case ANOTHER_UNIT:
        forged(slave, 9, query[at], count);
        return 1;
    case ANOTHER_FUNCTION:
        forged(slave, 1, MODBUS_FC_READ_INPUT_REGISTERS, count);
        return 1;
    case ANOTHER_COUNT:
        forged(slave, 1, query[at], count - 1);
        return 1;
    default:
        return 1;
    }
}

static int serve(modbus_t *slave, modbus_mapping_t *map)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    const int at = modbus_get_header_length(slave);
    struct pollfd wait[2] = {{.fd = modbus_get_socket(slave), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    while (poll(wait, 2, -1) > 0 && !wait[1].revents) {
        int got = modbus_receive(slave, query);
        if (got < 0)
            return 1;
        if (got > 0 && !spoilt(slave, map, query, got, at))
            modbus_reply(slave, query, got, map);
    }
    return 0;
}

static int over_tcp(modbus_mapping_t *map)
{
    modbus_t *slave = modbus_new_tcp("127.0.0.1", 0);
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    int listening = modbus_tcp_listen(slave, 1);
    if (listening < 0 || getsockname(listening, (struct sockaddr *)&here, &size))
        return 1;
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd wait[2] = {{.fd = listening, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        if (poll(wait, 2, -1) < 0 || wait[1].revents)
            return 0;
        modbus_tcp_accept(slave, &listening);
        if (!serve(slave, map))
            return 0;
        modbus_close(slave);
    }
}

static int over_rtu(modbus_mapping_t *map, char **words)
{
    modbus_t *slave = modbus_new_rtu(words[0], atoi(words[1]), words[2][0], 8, atoi(words[3]));
    if (!slave || modbus_set_slave(slave, 1) || modbus_connect(slave))
        return 1;
    printf("0\n");
    fflush(stdout);
    while (serve(slave, map))
        modbus_flush(slave);
    return 0;
}

int main(int n, char **words)
{
    modbus_mapping_t *map = registers();
    if (n == 2 && strcmp(words[1], "tcp") == 0)
        return over_tcp(map);
    if (n == 6 && strcmp(words[1], "rtu") == 0)
        return over_rtu(map, words + 2);
    return 2;
}
