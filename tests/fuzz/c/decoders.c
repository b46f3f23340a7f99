/* libFuzzer on the frame decoders: whatever comes, a value is the right answer by a second reading of the standard, or none.
 *
 * The first byte chooses the question, as in tests/fuzz/targets.py, whose corpus this shares; its bit 7 says that the line is silent. TCP, or
 * with FUZZ_RTU in the environment the serial line. The C of the decoders is what Cython made of core/bessctl_core/frames.pyx.
 */
#include "frames.c"

#define F(name) __pyx_f_12bessctl_core_6frames_##name
#define E(name) __pyx_e_12bessctl_core_6frames_##name
typedef struct __pyx_t_12bessctl_core_6frames_Expect Expect;
typedef struct __pyx_t_12bessctl_core_6frames_Reply Reply;

enum { TID = 0x1234, VALUE = 7 };

static const struct { uint8_t unit, function; uint16_t address, count; } QUESTIONS[] = {
    {1, 3, 100, 2}, {7, 4, 0, 125}, {1, 1, 5, 19}, {2, 2, 0, 2000}, {1, 16, 9, 3}, {1, 6, 9, 1}, {3, 5, 0, 1}, {1, 15, 3, 11},
};

static void demand(int holds)
{
    if (!holds)
        __builtin_trap();
}

static uint16_t word(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

/* Whether a PDU of n bytes is the good answer, by the Application Protocol V1.1b3 alone. */
static int right(const uint8_t *pdu, int n, const Expect *e)
{
    int size = e->function <= 2 ? (e->count + 7) / 8 : 2 * e->count;
    if (e->function <= 4)
        return n == 2 + size && pdu[0] == e->function && pdu[1] == size;
    return n == 5 && pdu[0] == e->function && word(pdu + 1) == e->address
        && word(pdu + 3) == (e->function == 5 ? 0xFF00 : e->function == 6 ? VALUE : e->count);
}

static Expect question(uint8_t first)
{
    const size_t i = first % (sizeof QUESTIONS / sizeof QUESTIONS[0]);
    Expect e = {.address = QUESTIONS[i].address, .count = QUESTIONS[i].count, .unit_id = QUESTIONS[i].unit, .function = QUESTIONS[i].function};
    e.value = e.function == 5 ? 0xFF00 : VALUE;
    return e;
}

static void values(const uint8_t *pdu, const uint16_t *regs, const Expect *e)
{
    int i;
    for (i = 0; e->function > 2 && e->function <= 4 && i < e->count; i++)
        demand(regs[i] == word(pdu + 2 + 2 * i));
}

static void judge_stream(const uint8_t *stream, int n, const Expect *e, uint16_t *regs)
{
    Reply r = {0};
    F(judge_tcp)(stream, n, TID, e, regs, &r);
    demand(r.used >= 0 && r.used <= n);
    if (r.verdict != E(FRAME_OK))
        return;
    demand(word(stream) == TID && word(stream + 2) == 0 && r.used == 6 + word(stream + 4) && stream[6] == e->unit_id);
    demand(right(stream + 7, r.used - 7, e));
    values(stream + 7, regs, e);
}
static uint16_t check_sum(const uint8_t *p, int n)
{
    uint16_t c = 0xFFFF;
    int bit;
    while (n-- > 0)
        for (c ^= *p++, bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xA001 : c >> 1;
    return c;
}

/* Then everything that can be said is said: no byte is judged for ever. */
static void judge_line(const uint8_t *line, int n, const Expect *e, uint16_t *regs, int final)
{
    for (;;) {
        Reply r = {0};
        F(judge_rtu)(line, n, final, e, regs, &r);
        demand(r.used >= 0 && r.used <= n);
        if (r.verdict == E(FRAME_MORE))
            return;
        demand(r.used > 0);
        if (r.verdict == E(FRAME_OK)) {
            demand(line[0] == e->unit_id && right(line + 1, r.used - 3, e));
            demand(check_sum(line, r.used - 2) == (line[r.used - 2] | line[r.used - 1] << 8));
            values(line + 1, regs, e);
        }
        line += r.used;
        n -= r.used;
    }
}

static int serial;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    serial = getenv("FUZZ_RTU") != NULL;
    F(fill_crc_table)();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Expect e = question(size ? data[0] : 0);
    const int n = size ? (int)size - 1 : 0;
    /* Blocks of their own and of the right size: a byte read beyond them is found. */
    uint8_t *stream = malloc((size_t)n + !n);
    uint16_t *regs = calloc(125, sizeof *regs);
    memcpy(stream, data + !!size, (size_t)n);
    if (serial)
        judge_line(stream, n, &e, regs, size && data[0] & 0x80);
    else
        judge_stream(stream, n, &e, regs);
    free(stream);
    free(regs);
    return 0;
}
