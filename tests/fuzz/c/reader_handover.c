/* libFuzzer on the reader of a latest-value buffer in memory that another process writes: any control words, any payload.
 *
 * What is read is one whole slot as it stands there, or nothing; never a byte beside the buffer. (The number of a value is the writer's own
 * word: one that lies about it is at worst not read.) The C is that of core/bessctl_core/handover.pyx.
 */
#include "handover.c"

#define F(name) __pyx_f_12bessctl_core_8handover_##name
typedef struct __pyx_t_12bessctl_core_8handover_Handover Handover;

enum { PAYLOAD = 72 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t bytes = F(handover_bytes)(PAYLOAD);
    const size_t slot = (PAYLOAD + 63) / 64 * 64;
    uint8_t *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    uint8_t *copy = malloc(PAYLOAD);
    uint64_t retries = 0;
    int whole, i, found = 0;
    memset(memory, 0, bytes);
    memcpy(memory, data, size < bytes ? size : bytes);
    whole = F(handover_read)((const Handover *)memory, copy, PAYLOAD, NULL, &retries);
    for (i = 0; i < 4; i++)
        found |= memcmp(copy, memory + sizeof(Handover) + (size_t)i * slot, PAYLOAD) == 0;
    if ((whole && !found) || retries > 4)
        __builtin_trap();
    free(memory);
    free(copy);
    return 0;
}
