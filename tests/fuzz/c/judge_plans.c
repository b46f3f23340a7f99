/* libFuzzer on the judge of plans: any bytes as a plan in a slot of each class; what is taken asks within its rules at every instant.
 *
 * The first byte, as in tests/fuzz/targets.py: bit 0 makes serial, boot and lease valid, bits 1 and 2 are the slot, bit 3 makes the lease short; the
 * rest is the plan. The C is that of core/bessctl_core/plans.pyx.
 */
#include "plans.c"

#define F(name) __pyx_f_12bessctl_core_5plans_##name
typedef struct __pyx_t_12bessctl_core_11layout_site_SiteConfig SiteConfig;
typedef struct __pyx_t_12bessctl_core_12layout_plans_Plan Plan;
typedef struct __pyx_t_12bessctl_core_5plans_SlotTable SlotTable;
typedef struct __pyx_t_12bessctl_core_6events_EventSink EventSink;

enum { SLOTS = 4 };
static const int64_t S = 1000000000;

static void told(EventSink *sink, int64_t at, int code, int level, int place, int row, int slot, int32_t detail, double value, double limit)
{
    (void)sink, (void)at, (void)code, (void)level, (void)place, (void)row, (void)slot, (void)detail, (void)value, (void)limit;
}

static void demand(int holds)
{
    if (!holds)
        __builtin_trap();
}

static void slots_of(SiteConfig *c)
{
    int slot;
    c->n_slots = SLOTS;
    for (slot = 0; slot < SLOTS; slot++) {
        c->slot_class[slot] = (uint8_t)(slot < 3 ? slot : 2);
        c->slot_scopes[slot] = slot == 3 ? 7 : 3;
        c->slot_max_lease_ns[slot] = 900 * S;
        c->slot_advisory[slot] = slot == 3;
        c->slot_may_force[slot] = 3;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    __pyx_f_12bessctl_core_6events_emit = told;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static SiteConfig *c;
    static SlotTable *t;
    Plan *plan = calloc(1, sizeof *plan);
    const int slot = size ? data[0] >> 1 & (SLOTS - 1) : 0;
    int64_t now_ns = 1000 * S;
    int i;
    if (!c) {
        c = calloc(1, sizeof *c);
        t = calloc(1, sizeof *t);
        slots_of(c);
    }
    F(slots_init)(c, t, now_ns);
    if (size > 1)
        memcpy(plan, data + 1, size - 1 < sizeof *plan ? size - 1 : sizeof *plan);
    if (size && data[0] & 1) {
        plan->boot_id_hi = 1, plan->boot_id_lo = 2, plan->serial = 1 + data[0];
        plan->lease_until_ns = now_ns + (data[0] & 8 ? 5 * S : 900 * S);
    }
    if (F(plan_fault)(c, slot, plan, 1, 2, now_ns) == 0)
        F(slot_take)(c, t, slot, plan, now_ns);
    for (i = 0; i < 40; i++, now_ns += S / 4) {
        F(slots_update)(c, t, NULL, now_ns);
        demand(t->ask[slot].ess_lo_w <= 0 && t->ask[slot].ess_hi_w >= 0);
        demand(t->ask[slot].pcc_lo_w == t->ask[slot].pcc_lo_w && t->ask[slot].pcc_hi_w == t->ask[slot].pcc_hi_w);
        demand(!t->ask[slot].has_target || isfinite(t->ask[slot].target_w));
        demand(t->live_at[slot] >= 0 && t->fallback_at[slot] >= 0);
    }
    free(plan);
    return 0;
}
