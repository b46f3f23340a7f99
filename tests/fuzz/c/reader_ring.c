/* libFuzzer on the rings: requests in memory that the supervisor writes, events in memory that the loop writes; any head, any entries.
 *
 * A request that is taken is the one that was due; the reader's own count never falls and never waits for ever. The C is that of ring.pyx.
 */
#include "ring.c"

#define F(name) __pyx_f_12bessctl_core_4ring_##name
typedef struct __pyx_t_12bessctl_core_4ring_CommandRing CommandRing;
typedef struct __pyx_t_12bessctl_core_4ring_EventRing EventRing;
typedef struct __pyx_t_12bessctl_core_12layout_plans_Command Command;
typedef struct __pyx_t_12bessctl_core_12layout_state_Event Event;

static void demand(int holds)
{
    if (!holds)
        __builtin_trap();
}

/* The input, again and again, over the whole ring: sparse inputs reach every entry. Blocks are made once, each of its own size. */
static void *filled(void **block, size_t bytes, const uint8_t *data, size_t size)
{
    uint8_t *memory = *block ? *block : (*block = aligned_alloc(64, bytes));
    size_t done = size < bytes ? size : bytes, more;
    memset(memory, 0, size ? 0 : bytes);
    memcpy(memory, data, done);
    for (; size && done < bytes; done += more) {
        more = done < bytes - done ? done : bytes - done;
        memcpy(memory + done, memory, more);
    }
    return memory;
}

static void commands(const uint8_t *data, size_t size, uint64_t tail)
{
    static void *block;
    CommandRing *ring = filled(&block, sizeof *ring, data, size);
    Command *command = malloc(sizeof *command);
    int i;
    for (i = 0; i < 70; i++) {
        const uint64_t before = tail;
        const int got = F(command_take)(ring, &tail, command);
        demand(tail >= before || ring->head < before);
        demand(!got || (command->id == tail && tail > before));
    }
    free(command);
}

static void events(const uint8_t *data, size_t size, uint64_t seq)
{
    static void *block;
    EventRing *ring = filled(&block, sizeof *ring, data, size);
    Event *event = malloc(sizeof *event);
    const int got = F(event_read)(ring, seq, event);
    demand(got >= -1 && got <= 1 && (got != 1 || event->seq == seq));
    free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    memcpy(&number, data, size < 8 ? size : 8);
    commands(data, size, number);
    events(data, size, number);
    return 0;
}
