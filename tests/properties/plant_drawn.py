"""What hypothesis draws for a plant's story: measurements, and plans good, odd and torn."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.core.rig import PLAN, S, plan
from tests.properties.plant_tables import CELLS, INF, NAN, PLACED, VALUES


def numbers(quantity: int) -> st.SearchStrategy[float]:
    return st.one_of(st.sampled_from(VALUES[quantity]), st.sampled_from((NAN, INF, -INF)), st.floats(-1e4, 1e4))


# Healthy values come often, so that stories get somewhere.
MEASUREMENTS = st.one_of(st.sampled_from(CELLS), st.sampled_from(PLACED)).flatmap(
    lambda at: st.tuples(st.just(at), st.one_of(st.just(float(VALUES[at[1]][0])), numbers(at[1])))
)
WATTS = st.sampled_from((0.0, 1.0, 30e3, 99_999.9, 150e3, 400e3, 1e9))
SIGNED = st.builds(lambda w, sign: w * sign, WATTS, st.sampled_from((1, -1)))
GAPS = st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.2, 100.0))
LENGTHS = st.sampled_from((100.0, 1.0, 0.2, 0.1, 0.0))
LEASES = st.sampled_from((100.0, 100.0, 1.0, 0.1, 0.0, 1e6))
REACTIVE: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"q_kind": st.just(1), "q_value": SIGNED, "target_w": SIGNED}),
    st.fixed_dictionaries({"q_kind": st.just(2), "q_value": st.sampled_from((0.8, -1.0, NAN)), "q_absorb": st.sampled_from((0.9, -0.5))}),
    st.fixed_dictionaries({"q_kind": st.just(3), "q_value": st.sampled_from((0.5, -1.0))}),
)


def block() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly right: targets of the ess, limits around 0."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "ess_hi_w": WATTS, "ess_lo_w": WATTS.map(lambda w: -w), "pcc_hi_w": SIGNED, "pcc_lo_w": SIGNED,
        "energize": st.sampled_from((1, 1, 1, 0)), "connect": st.sampled_from((1, 1, 1, 0)),
        "rate_w_per_s": st.sampled_from((1e3, 1e5, 1e9)),
    }  # fmt: skip
    wish = st.fixed_dictionaries({"target_w": SIGNED}, optional={"target_scope": st.sampled_from((0, 0, 1))})
    limits = st.fixed_dictionaries({}, optional=optional)
    return st.one_of(wish, limits, st.builds(lambda a, b: a | b, wish, limits), REACTIVE)


PLANS = st.tuples(
    st.lists(st.tuples(GAPS, LENGTHS, block()), min_size=1, max_size=3),
    st.lists(st.tuples(GAPS, LENGTHS, block()), max_size=2),
    LEASES,
    st.sampled_from((0, 0, 1, 2, 3)),
)


def timed(blocks: list[tuple[float, float, dict[str, Any]]], now_ns: int) -> list[dict[str, Any]]:
    """Blocks one after the other, from a little before now on."""
    at, found = now_ns - S // 20, []
    for gap, length, words in blocks:
        start = at + int(gap * S)
        at = start + int(length * S) + 1
        found.append(words | {"start_ns": start, "end_ns": at})
    return found


def as_plan(drawn: tuple[Any, Any, float, int], now_ns: int, serial: int = 1) -> Any:
    live, fallback, lease_s, lapse = drawn
    return plan(
        *timed(live, now_ns),
        fallback=tuple(timed(fallback, now_ns)),
        lease_until_ns=now_ns + int(lease_s * S),
        lapse=lapse,
        serial=serial,
    )


def garbage(seed: int, whole: bool, now_ns: int) -> Any:
    """Bytes of a plan: all of them random but the boot, or a good plan with a few fields overwritten."""
    random = np.random.default_rng(seed)
    good = plan({"target_w": 50e3}, {"start_ns": now_ns, "end_ns": now_ns + S}, lease_until_ns=now_ns + S)
    raw = random.integers(0, 256, len(good), np.uint8) if whole else good.copy()
    p = raw.view(PLAN)[0]
    if not whole:
        for at in random.integers(0, len(raw), 12):
            raw[at] = random.integers(0, 256)
    p["boot_id_hi"], p["boot_id_lo"] = 1, 2
    if random.integers(0, 2):
        p["lease_until_ns"], p["lapse"] = now_ns + S, random.integers(0, 4)
        p["live"]["count"], p["fallback"]["count"] = random.integers(0, 4, 2)
    return raw
