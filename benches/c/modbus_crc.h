/* CRC-16 of Modbus RTU (Serial Line V1.02, 6.2.2), one table, for the bench's server and its bare client alike. */
#ifndef BENCH_MODBUS_CRC_H
#define BENCH_MODBUS_CRC_H

#include <stdint.h>

static uint16_t crc_table[256];

__attribute__((constructor)) static void crc_fill(void)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xA001 : value >> 1;
        crc_table[i] = (uint16_t)value;
    }
}

static unsigned modbus_crc(const uint8_t *at, int n)
{
    unsigned crc = 0xFFFF;
    while (n-- > 0)
        crc = crc >> 8 ^ crc_table[(crc ^ *at++) & 0xFF];
    return crc;
}

#endif
