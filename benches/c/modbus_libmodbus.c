/* The same control cycle by libmodbus, the C library most programs use. Built where its headers are installed. */
#include <errno.h>
#include <modbus.h>
#include <stdint.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void *ready(modbus_t *it)
{
    if (it && !modbus_set_slave(it, 1) && !modbus_connect(it))
        return it;
    if (it)
        modbus_free(it);
    return 0;
}

void *peer_open_tcp(int port) { return ready(modbus_new_tcp("127.0.0.1", port)); }

void *peer_open_rtu(const char *path) { return ready(modbus_new_rtu(path, 115200, 'N', 8, 1)); }

const char *peer_version(void) { return LIBMODBUS_VERSION_STRING; }

void peer_close(void *it)
{
    modbus_close(it);
    modbus_free(it);
}

int peer_cycles(void *it, int cycles, int reads, int writes, int64_t *took_ns)
{
    uint16_t values[125];
    for (int i = 0; i < cycles; i++) {
        int64_t start_ns = now_ns();
        if (modbus_read_registers(it, 100, reads, values) != reads || modbus_write_registers(it, 200, writes, values) != writes)
            return -1;
        took_ns[i] = now_ns() - start_ns;
    }
    return 0;
}
