"""Quantities that the loop derives, and what from (core/bessctl_core/derive.pxd): sealing refuses a row whose makings nobody measures, and
how old it may be follows from the slowest of them. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

# Each way it can be made: all of it must be measured. The first one of a way is what the quantity is about, the rest is what it is held
# against. The loop takes the first way that is there.
MADE_FROM: dict[str, tuple[tuple[str, ...], ...]] = {
    "cha_a_over": (("pack_a", "bms_cha_max_a"), ("dc_a", "bms_cha_max_a")),
    "dis_a_over": (("pack_a", "bms_dis_max_a"), ("dc_a", "bms_dis_max_a")),
    "cell_v_spread": (("cell_v_max", "cell_v_min"),),
    "cell_temp_spread_c": (("cell_temp_max_c", "cell_temp_min_c"),),
    "contactor_fault": (("bms_state",),),
    "pcs_age_s": (("ac_w",),),
    "bms_age_s": (("pack_v",),),
    "meter_age_s": (("pcc_w",),),
    "pcs_hb_age_s": (("pcs_hb",),),
    "bms_hb_age_s": (("bms_hb",),),
    "astray_pct": (("ac_w",),),
    "follow_error_pct": (("ac_w",),),
    "conflict_pct": (("ac_w", "pack_a", "pack_v"), ("ac_w", "dc_w")),
}

AGES = ("pcs_age_s", "bms_age_s", "meter_age_s")
"""Judged anew in each tick, whatever comes: nobody's poll plan bounds how old they are."""


def makings(quantity: str) -> tuple[tuple[str, ...], ...]:
    """The ways to make a quantity; a measured one is made of itself."""
    return MADE_FROM.get(quantity, ((quantity,),))


def lacking(quantity: str, measured: Collection[str]) -> list[tuple[str, ...]]:
    """What is missing to make a quantity, each with what would do instead; empty = it can be made."""
    ways = [[part for part in way if part not in measured] for way in makings(quantity)]
    if not all(ways):
        return []
    always = [part for part in ways[0] if all(part in way for way in ways)]
    either = tuple(" and ".join(part for part in way if part not in always) for way in ways)
    return [*((part,) for part in always), *((either,) if all(either) else ())]
