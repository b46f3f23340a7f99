"""Plans: what is refused, which block speaks, and what is left when a lease ends. Blocks, leases and lapses to the nanosecond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bessctl_core import layout as L
from tests.core.rig import PERIOD_NS, PLAN, Rig, S, Slot, config, plan

F = L.PlanFault
RULE = L.LapseRule
NAN, INF = float("nan"), float("inf")


def rig(*slots: Slot) -> Rig:
    return Rig(config(slots=slots or (Slot(),))).run()


def changed(change: Callable[[Any], None], *blocks: dict[str, Any], **words: Any) -> Any:
    """The bytes of a good plan, spoilt in one place."""
    raw = plan(*(blocks or ({"target_w": 50e3, "ess_hi_w": 60e3},)), **words)
    change(raw.view(PLAN)[0])
    return raw


def put(*path: str | int, value: float) -> Callable[[Any], None]:
    """A change of one field: names, then perhaps an index."""

    def change(p: Any) -> None:
        for name in path[:-1]:
            p = p[name]
        p[path[-1]] = value

    return change


WRONG_FIELDS = [
    # count
    ("live one too many", put("live", "count", value=97), F.PLAN_COUNT),
    ("live negative", put("live", "count", value=-1), F.PLAN_COUNT),
    ("fallback too many", put("fallback", "count", value=2**31 - 1), F.PLAN_COUNT),
    # boot
    ("other boot, low half", put("boot_id_lo", value=3), F.PLAN_BOOT),
    ("other boot, high half", put("boot_id_hi", value=0), F.PLAN_BOOT),
    # lease
    ("lease negative", put("lease_until_ns", value=-1), F.PLAN_LEASE),
    ("lease at the end of time", put("lease_until_ns", value=2**63 - 1), F.PLAN_LEASE),
    ("lease most negative", put("lease_until_ns", value=-(2**63)), F.PLAN_LEASE),
    # codes
    ("unknown lapse rule", put("lapse", value=4), F.PLAN_KIND),
    ("negative lapse rule", put("lapse", value=-1), F.PLAN_KIND),
    ("unknown scope of a target", put("live", "target_scope", 0, value=2), F.PLAN_KIND),
    ("unknown kind of reactive power", put("live", "q_kind", 0, value=4), F.PLAN_KIND),
    ("reactive power without the scope", put("live", "q_kind", 0, value=1), F.PLAN_SCOPE),
    # drop
    ("drop where it is not sealed", put("lapse", value=RULE.LAPSE_DROP), F.PLAN_DROP),
]


@pytest.mark.parametrize(("change", "fault"), [row[1:] for row in WRONG_FIELDS], ids=[row[0] for row in WRONG_FIELDS])
def test_a_wrong_field_refuses_the_whole_plan_and_the_last_good_one_runs_on(change: Callable[[Any], None], fault: int) -> None:
    """CARD-1, OCPP-9: a plan that breaks a rule moves nothing."""
    r = rig()
    r.offer(0, {"target_w": 40e3}, serial=5)
    r.tick(5)
    r.h.offer_plan(0, changed(change))
    state = r.tick(5)
    assert r.power_w == 40e3
    assert (state["slot_serial"][0], state["slot_fault"][0], state["slot_state"][0]) == (5, fault, L.SlotState.SLOT_REFUSED)
    assert [event["detail"] for event in r.events(L.EventCode.EV_PLAN_REFUSED)] == [fault]


WRONG_BLOCKS = [
    # numbers
    ("NaN target", ({"target_w": NAN},), F.PLAN_NUMBER),
    ("infinite target", ({"target_w": INF},), F.PLAN_NUMBER),
    ("NaN ess_lo", ({"ess_lo_w": NAN},), F.PLAN_NUMBER),
    ("NaN ess_hi", ({"ess_hi_w": NAN},), F.PLAN_NUMBER),
    ("infinite pcc_lo", ({"pcc_lo_w": -INF},), F.PLAN_NUMBER),
    ("NaN pcc_hi", ({"pcc_hi_w": NAN},), F.PLAN_NUMBER),
    ("NaN rate", ({"target_w": 1.0, "rate_w_per_s": NAN},), F.PLAN_NUMBER),
    # ranges: only targets move power away from zero
    ("ess_lo above 0", ({"ess_lo_w": 0.5},), F.PLAN_RANGE),
    ("ess_hi below 0", ({"ess_hi_w": -0.5},), F.PLAN_RANGE),
    ("pcc turned round", ({"pcc_lo_w": 2.0, "pcc_hi_w": 1.0},), F.PLAN_RANGE),
    ("rate 0", ({"target_w": 1.0, "rate_w_per_s": 0.0},), F.PLAN_RANGE),
    ("rate negative", ({"target_w": 1.0, "rate_w_per_s": -1.0},), F.PLAN_RANGE),
    ("energize 2", ({"energize": 2},), F.PLAN_KIND),
    # order
    ("empty block", ({"target_w": 1.0, "start_ns": 5, "end_ns": 5},), F.PLAN_ORDER),
    ("backward block", ({"target_w": 1.0, "start_ns": 6, "end_ns": 5},), F.PLAN_ORDER),
    ("before time", ({"target_w": 1.0, "start_ns": -1, "end_ns": 5},), F.PLAN_ORDER),
    ("overlap by 1 ns", ({"start_ns": 0, "end_ns": 10}, {"start_ns": 9, "end_ns": 20}), F.PLAN_ORDER),
    ("out of order", ({"start_ns": 20, "end_ns": 30}, {"start_ns": 0, "end_ns": 10}), F.PLAN_ORDER),
]
RIGHT_BLOCKS: list[tuple[str, tuple[dict[str, Any], ...]]] = [
    ("limits at 0", ({"ess_lo_w": 0.0, "ess_hi_w": 0.0},)),
    ("pcc a point", ({"pcc_lo_w": 1.0, "pcc_hi_w": 1.0},)),
    ("pcc away from 0", ({"pcc_lo_w": 5.0, "pcc_hi_w": 9.0},)),
    ("touching blocks", ({"start_ns": 0, "end_ns": 10}, {"start_ns": 10, "end_ns": 20})),
    ("energize both ways", ({"energize": 0, "start_ns": 0, "end_ns": 9}, {"energize": 1, "start_ns": 9, "end_ns": 10})),
    ("nothing stated", ({},)),
    ("96 blocks", tuple({"start_ns": i, "end_ns": i + 1, "target_w": 1.0} for i in range(96))),
]


@pytest.mark.parametrize("series", ["live", "fallback"])
@pytest.mark.parametrize(("blocks", "fault"), [row[1:] for row in WRONG_BLOCKS], ids=[row[0] for row in WRONG_BLOCKS])
def test_a_wrong_block_refuses_the_plan_in_either_series(blocks: tuple[dict[str, Any], ...], fault: int, series: str) -> None:
    """CARD-1, OCPP-9."""
    r = rig()
    if series == "live":
        r.offer(0, *blocks)
    else:
        r.offer(0, {"target_w": 1.0}, fallback=blocks)
    assert r.tick()["slot_fault"][0] == fault


@pytest.mark.parametrize("blocks", [row[1] for row in RIGHT_BLOCKS], ids=[row[0] for row in RIGHT_BLOCKS])
def test_a_block_at_the_edge_of_a_rule_is_taken(blocks: tuple[dict[str, Any], ...]) -> None:
    r = rig()
    r.offer(0, *blocks, fallback=blocks)
    state = r.tick()
    assert (state["slot_fault"][0], state["slot_state"][0]) == (F.PLAN_OK, L.SlotState.SLOT_LIVE)


def test_what_is_not_stated_is_not_read() -> None:
    """None is no statement: NaN in a field whose bit is not set means nothing."""
    r = rig()
    raw = plan({"target_w": 20e3})
    for name in ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w", "rate_w_per_s", "q_value", "q_absorb"):
        raw.view(PLAN)[0]["live"][name][0] = NAN
    raw.view(PLAN)[0]["live"]["energize"][0] = 77
    r.h.offer_plan(0, raw)
    r.tick(10)
    assert r.power_w == 20e3


@pytest.mark.parametrize(
    ("scopes", "block", "fault"),
    [
        (1, {"target_w": 1.0}, F.PLAN_OK),
        (1, {"target_w": 1.0, "target_scope": 1}, F.PLAN_SCOPE),
        (1, {"pcc_hi_w": 1.0}, F.PLAN_SCOPE),
        (2, {"pcc_hi_w": 1.0, "target_w": 1.0, "target_scope": 1}, F.PLAN_OK),
        (2, {"ess_hi_w": 1.0}, F.PLAN_SCOPE),
        (2, {"target_w": 1.0}, F.PLAN_SCOPE),
        (0, {"energize": 0}, F.PLAN_OK),
    ],
)
def test_a_source_speaks_only_of_the_scopes_of_its_slot(scopes: int, block: dict[str, Any], fault: int) -> None:
    r = rig(Slot(scopes=scopes))
    r.offer(0, block)
    assert r.tick()["slot_fault"][0] == fault


@pytest.mark.parametrize(("more_ns", "fault"), [(0, F.PLAN_OK), (1, F.PLAN_LEASE)])
def test_a_lease_is_at_most_what_its_slot_allows(more_ns: int, fault: int) -> None:
    r = rig(Slot(max_lease_s=10))
    r.offer(0, {"target_w": 1.0}, lease_until_ns=r.now_ns + 10 * S + more_ns)
    assert r.tick()["slot_fault"][0] == fault


@pytest.mark.parametrize(
    ("klass", "advisory", "fault"),
    [
        (L.SlotClass.CLASS_MARKET, True, F.PLAN_OK),
        (L.SlotClass.CLASS_MARKET, False, F.PLAN_DROP),
        (L.SlotClass.CLASS_CONTRACT, True, F.PLAN_DROP),
        (L.SlotClass.CLASS_GRID, True, F.PLAN_DROP),
    ],
)
def test_only_an_advisory_market_source_may_drop_its_limits(klass: int, advisory: bool, fault: int) -> None:
    r = rig(Slot(klass=klass, advisory=advisory))
    r.offer(0, {"ess_hi_w": 1.0}, lapse=RULE.LAPSE_DROP)
    assert r.tick()["slot_fault"][0] == fault


def test_a_plan_for_a_slot_that_is_not_there_is_no_plan() -> None:
    r = rig()
    for slot in (-1, 1, 16, 2**31 - 1):
        r.offer(slot, {"target_w": 10e3})
    r.tick(5)
    assert r.power_w == 0


def test_a_plan_with_serial_0_was_never_written() -> None:
    """The supervisor's empty slot must not push the last good plan out (R7)."""
    r = rig()
    r.offer(0, {"target_w": 10e3}, serial=3)
    r.offer(0, {"target_w": 20e3}, serial=0)
    state = r.tick(5)
    assert (r.power_w, state["slot_serial"][0], state["slot_fault"][0]) == (10e3, 3, F.PLAN_OK)


def test_the_same_refusal_is_told_once_and_the_next_good_plan_is_told() -> None:
    r = rig()
    for _ in range(3):
        r.offer(0, {"target_w": NAN})
        r.tick()
    r.offer(0, {"target_w": 1e3}, serial=9)
    state = r.tick()
    assert len(r.events(L.EventCode.EV_PLAN_REFUSED)) == 1
    assert [event["detail"] for event in r.events(L.EventCode.EV_PLAN_ACCEPTED)] == [9]
    assert (state["slot_state"][0], state["slot_fault"][0]) == (L.SlotState.SLOT_LIVE, F.PLAN_OK)


# --- which block speaks -------------------------------------------------------------------------------------------------------------------


def at(r: Rig, now_ns: int) -> dict[str, Any]:
    """One tick at exactly this instant."""
    r.tick(1, now_ns - r.now_ns)
    return r.state


@pytest.mark.parametrize(
    ("offset_ns", "target"),
    [
        (-1, NAN),  # before the first block
        (0, 10e3),  # its first ns
        (999, 10e3),  # its last ns
        (1000, 20e3),  # the next one touches it
        (1999, 20e3),
        (2000, NAN),  # a gap
        (2999, NAN),
        (3000, 30e3),
        (3999, 30e3),
        (4000, NAN),  # after the end
    ],
)
def test_a_block_covers_its_start_and_not_its_end(offset_ns: int, target: float) -> None:
    r = rig()
    t = r.now_ns + PERIOD_NS
    blocks = [(0, 1000, 10e3), (1000, 2000, 20e3), (3000, 4000, 30e3)]
    r.offer(0, *({"start_ns": t + a, "end_ns": t + b, "target_w": w} for a, b, w in blocks))
    assert at(r, t + offset_ns)["slot_target_w"][0] == pytest.approx(target, nan_ok=True)


def test_one_tick_may_leap_over_many_blocks() -> None:
    r = rig()
    t = r.now_ns
    r.offer(0, *({"start_ns": t + i, "end_ns": t + i + 1, "target_w": float(i)} for i in range(96)))
    at(r, t + 1)
    assert at(r, t + 95)["slot_target_w"][0] == 95


def test_a_replaced_plan_is_read_from_its_first_block() -> None:
    """The cursor of the old plan, far on, must not skip the new one's blocks."""
    r = rig()
    t = r.now_ns
    r.offer(0, *({"start_ns": t + i * S, "end_ns": t + (i + 1) * S, "target_w": float(i)} for i in range(4)))
    at(r, t + 3 * S)
    r.offer(0, {"start_ns": t, "end_ns": t + 9 * S, "target_w": 42.0}, fallback=({"ess_hi_w": 5.0},), serial=2)
    assert at(r, t + 3 * S + 1)["slot_target_w"][0] == 42


def test_a_gap_belongs_to_the_sealed_default() -> None:
    r = rig(Slot(default={"ess_hi_w": 7e3}))
    t = r.now_ns + S
    r.offer(0, {"ess_hi_w": 90e3, "end_ns": t}, {"ess_hi_w": 80e3, "start_ns": t + S})
    r.tick()
    assert r.side("hi") == (90e3, L.BindKind.BIND_SLOT, 0)
    assert r.state["hi_until_ns"] == t
    at(r, t)
    assert r.side("hi") == (7e3, L.BindKind.BIND_DEFAULT, 0)
    assert r.state["hi_until_ns"] == t + S
    at(r, t + S)
    assert r.side("hi") == (80e3, L.BindKind.BIND_SLOT, 0)


@pytest.mark.parametrize("required", [True, False])
def test_R7_default_limits_hold_from_the_first_tick_until_a_plan_comes(required: bool) -> None:
    """CARD-1: before any plan, before the inputs are complete, the sealed default is in force; a plan replaces it, never clears it."""
    r = Rig(config(slots=(Slot(klass=0, required=required, default={"ess_lo_w": -8e3, "ess_hi_w": 9e3}), Slot(priority=9))))
    r.offer(1, {"target_w": 150e3})
    powers = []
    for _ in range(40):
        r.tick()
        powers.append(r.power_w)
    assert max(powers) == 9e3
    assert (r.side("lo"), r.side("hi")) == ((-8e3, L.BindKind.BIND_DEFAULT, 0), (9e3, L.BindKind.BIND_DEFAULT, 0))
    assert r.state["hi_until_ns"] == 0, "open: nobody knows when a plan comes"
    r.offer(0, {"ess_hi_w": 60e3})
    r.tick()
    assert r.side("hi") == (60e3, L.BindKind.BIND_SLOT, 0)


# --- the lease ends -----------------------------------------------------------------------------------------------------------------------

GRID, CONTRACT, MARKET = L.SlotClass.CLASS_GRID, L.SlotClass.CLASS_CONTRACT, L.SlotClass.CLASS_MARKET
WIDE = 200e3  # the device interval of the rig
LAPSES = [
    # rule, class, live, fallback, default -> upper limit after the lease
    # fallback: the fallback block; else the default; else, for those that bind, what bound last
    (RULE.LAPSE_FALLBACK, MARKET, 60e3, 20e3, None, 20e3),
    (RULE.LAPSE_FALLBACK, MARKET, 60e3, 90e3, None, 90e3),
    (RULE.LAPSE_FALLBACK, MARKET, 60e3, None, 30e3, 30e3),
    (RULE.LAPSE_FALLBACK, MARKET, 60e3, None, None, WIDE),
    (RULE.LAPSE_FALLBACK, CONTRACT, 60e3, 20e3, None, 20e3),
    (RULE.LAPSE_FALLBACK, CONTRACT, 60e3, 90e3, None, 60e3),
    (RULE.LAPSE_FALLBACK, GRID, 60e3, 90e3, 100e3, 60e3),
    (RULE.LAPSE_FALLBACK, GRID, 60e3, None, 30e3, 30e3),
    (RULE.LAPSE_FALLBACK, GRID, 60e3, None, 90e3, 60e3),
    (RULE.LAPSE_FALLBACK, GRID, 60e3, None, None, 60e3),
    # hold: the live series
    (RULE.LAPSE_HOLD, MARKET, 60e3, 20e3, 30e3, 60e3),
    (RULE.LAPSE_HOLD, GRID, 60e3, 20e3, 30e3, 60e3),
    # zero
    (RULE.LAPSE_ZERO, MARKET, 60e3, 20e3, 30e3, 0),
    (RULE.LAPSE_ZERO, GRID, 60e3, 20e3, 30e3, 0),
]


@pytest.mark.parametrize("case", LAPSES)
def test_when_the_lease_ends_the_target_goes_and_the_limits_follow_the_rule(
    case: tuple[int, int, float, float | None, float | None, float],
) -> None:
    """CARD-1: in the tick whose time is the lease's end, neither one ns before nor one tick later."""
    rule, klass, live, fallback, default, after = case
    r = rig(Slot(klass=klass, default={} if default is None else {"ess_hi_w": default}), Slot(priority=9))
    end = r.now_ns + S
    r.offer(1, {"target_w": 150e3})
    series = () if fallback is None else ({"ess_hi_w": fallback},)
    r.offer(0, {"target_w": 50e3, "ess_hi_w": live}, fallback=series, lapse=rule, lease_until_ns=end)
    r.tick(5)
    at(r, end - 1)
    assert (r.state["target_slot"], r.side("hi")) == (0, (live, L.BindKind.BIND_SLOT, 0))
    assert r.state["hi_until_ns"] == end
    assert not r.events(L.EventCode.EV_PLAN_LAPSED)
    at(r, end)
    assert (r.state["target_slot"], r.state["hi_w"]) == (1, after)
    assert r.power_w <= after
    assert (r.state["slot_state"][0], len(r.events(L.EventCode.EV_PLAN_LAPSED))) == (L.SlotState.SLOT_LAPSED, 1)
    r.tick(20)
    assert len(r.events(L.EventCode.EV_PLAN_LAPSED)) == 1
    assert r.power_w == min(after, 150e3)


@pytest.mark.parametrize("case", LAPSES)
@pytest.mark.parametrize(("key", "side", "sign"), [("ess_lo_w", "lo", -1), ("pcc_lo_w", "lo", -1), ("pcc_hi_w", "hi", 1)])
def test_every_limit_lapses_as_that_of_discharge_does(
    key: str, side: str, sign: int, case: tuple[int, int, float, float | None, float | None, float]
) -> None:
    """Charging, import and export; nothing else flows at the connection. What is left of a limit of 0 is the fallback's."""
    rule, klass, live, fallback, default, after = case
    r = Rig(config(slots=(Slot(klass=klass, default={} if default is None else {key: sign * default}),), has_meter=1))
    r.meter(0.0)
    r.run()
    end = r.now_ns + S
    series = () if fallback is None else ({key: sign * fallback},)
    r.offer(0, {key: sign * live}, fallback=series, lapse=rule, lease_until_ns=end)
    at(r, end - 1)
    assert r.state[f"{side}_w"] == sign * live
    at(r, end)
    assert r.state[f"{side}_w"] == sign * after
    if rule == RULE.LAPSE_ZERO:
        assert r.side(side) == (0, L.BindKind.BIND_FALLBACK, 0)


@pytest.mark.parametrize(
    ("key", "side", "sign"), [("ess_lo_w", "lo", -1), ("ess_hi_w", "hi", 1), ("pcc_lo_w", "lo", -1), ("pcc_hi_w", "hi", 1)]
)
def test_what_bound_last_goes_on_binding_when_nothing_speaks_for_a_binding_source(key: str, side: str, sign: int) -> None:
    r = Rig(config(slots=(Slot(klass=CONTRACT),), has_meter=1))
    r.meter(0.0)
    r.run()
    end = r.now_ns + S
    r.offer(0, {key: sign * 60e3, "end_ns": end}, lease_until_ns=end)
    r.tick(5)
    at(r, end)
    r.tick(5)
    assert r.side(side) == (sign * 60e3, L.BindKind.BIND_FALLBACK, 0)


STOPS = [
    # class, what live and fallback state, which end with the lease or not -> are they stopped after it?
    (GRID, (0, True), None, True),  # what bound last goes on
    (GRID, (1, True), None, False),
    (MARKET, (0, True), None, False),
    (GRID, (0, False), (1, False), True),
    (GRID, (1, False), (0, False), True),
    (GRID, (0, False), (0, False), True),
    (GRID, (1, False), (1, False), False),
    (MARKET, (0, False), (1, False), False),
    (MARKET, (1, False), (0, False), True),
]


@pytest.mark.parametrize(("klass", "live", "fallback", "stopped"), STOPS)
@pytest.mark.parametrize("key", ["energize", "connect"])
def test_what_ceases_or_disconnects_lapses_as_a_limit_does(
    key: str, klass: int, live: tuple[int, bool], fallback: tuple[int, bool] | None, stopped: bool
) -> None:
    r = rig(Slot(klass=klass))
    end = r.now_ns + S
    series = () if fallback is None else ({key: fallback[0]},)
    r.offer(0, {key: live[0]} | ({"end_ns": end} if live[1] else {}), fallback=series, lease_until_ns=end)
    at(r, end - 1)
    assert (r.state["hi_w"] == 0) == (live[0] == 0)
    at(r, end)
    assert ((r.state["lo_w"], r.state["hi_w"]) == (0, 0)) == stopped


def test_a_plan_after_a_lapse_is_live_and_lapses_anew_but_not_one_that_comes_too_late() -> None:
    r = rig()
    r.offer(0, {"target_w": 5e3}, lease_until_ns=r.now_ns)
    r.tick(3)
    r.offer(0, {"target_w": 6e3}, lease_until_ns=r.now_ns, serial=2)
    r.tick(3)
    assert (r.state["slot_state"][0], len(r.events(L.EventCode.EV_PLAN_LAPSED))) == (L.SlotState.SLOT_LAPSED, 1)
    r.offer(0, {"target_w": 7e3}, lease_until_ns=r.now_ns + S, serial=3)
    r.tick(3)
    assert (r.state["slot_state"][0], r.power_w) == (L.SlotState.SLOT_LIVE, 7e3)
    r.tick(100)
    assert (r.state["slot_state"][0], len(r.events(L.EventCode.EV_PLAN_LAPSED))) == (L.SlotState.SLOT_LAPSED, 2)


def test_a_lapsed_fallback_ends_in_the_sealed_default() -> None:
    r = rig(Slot(klass=GRID, default={"ess_hi_w": 5e3}))
    end = r.now_ns + S
    r.offer(0, {"ess_hi_w": 60e3, "end_ns": end}, fallback=({"ess_hi_w": 40e3, "end_ns": end + S},), lease_until_ns=end)
    at(r, end)
    assert r.side("hi") == (40e3, L.BindKind.BIND_FALLBACK, 0)
    at(r, end + S - 1)
    assert r.side("hi") == (40e3, L.BindKind.BIND_FALLBACK, 0)
    at(r, end + S)
    assert r.side("hi") == (5e3, L.BindKind.BIND_DEFAULT, 0)


def test_hold_ends_with_the_plans_blocks() -> None:
    r = rig(Slot(klass=MARKET, default={"ess_hi_w": 5e3}))
    end = r.now_ns + S
    r.offer(0, {"ess_hi_w": 60e3, "end_ns": end + S}, lapse=RULE.LAPSE_HOLD, lease_until_ns=end)
    at(r, end + S - 1)
    assert r.side("hi")[0] == 60e3
    at(r, end + S)
    assert r.side("hi") == (5e3, L.BindKind.BIND_DEFAULT, 0)


def test_lapsing_never_widens_a_later_block_of_the_live_series_still_narrows() -> None:
    """A grid plan without fallback and default: what bound last stays, and what the series says for later instants comes on top."""
    r = rig(Slot(klass=GRID))
    t = r.now_ns + S
    r.offer(0, {"ess_hi_w": 50e3, "end_ns": t + S}, {"ess_hi_w": 20e3, "start_ns": t + S, "end_ns": t + 2 * S}, lease_until_ns=t)
    at(r, t)
    assert r.state["hi_w"] == 50e3
    at(r, t + S)
    assert r.state["hi_w"] == 20e3
    at(r, t + 3 * S)
    assert r.state["hi_w"] == 20e3, "the series is over; the last limit stays"


@pytest.mark.parametrize("rule", [RULE.LAPSE_FALLBACK, RULE.LAPSE_HOLD, RULE.LAPSE_ZERO])
def test_lapsing_does_not_energise_again_what_the_grid_had_stopped(rule: int) -> None:
    r = rig(Slot(klass=GRID))
    end = r.now_ns + S
    r.offer(0, {"energize": 0}, lapse=rule, lease_until_ns=end, fallback=({"ess_hi_w": 100e3},))
    at(r, end)
    assert (r.state["hi_w"], r.h.out["cmd_run"][0]) == (0, 2)


def test_drop_leaves_nothing_behind() -> None:
    r = rig(Slot(advisory=True, default={"ess_hi_w": 5e3}))
    end = r.now_ns + S
    r.offer(0, {"ess_hi_w": 60e3}, lapse=RULE.LAPSE_DROP, lease_until_ns=end, fallback=({"ess_hi_w": 1e3},))
    at(r, end)
    assert r.side("hi") == (WIDE, L.BindKind.BIND_RATING, 0)


def test_a_renewed_lease_never_lapses() -> None:
    r = rig()
    for serial in range(1, 30):
        r.offer(0, {"target_w": 30e3}, lease_until_ns=r.now_ns + 5 * PERIOD_NS, serial=serial)
        r.tick(4)
    assert r.power_w == 30e3
    assert not r.events(L.EventCode.EV_PLAN_LAPSED)


def test_a_plan_that_comes_too_late_lapses_at_once() -> None:
    r = rig()
    r.offer(0, {"target_w": 30e3}, lease_until_ns=r.now_ns)
    r.tick(5)
    assert (r.power_w, r.state["slot_state"][0]) == (0, L.SlotState.SLOT_LAPSED)


def test_a_lapsed_plan_that_is_then_refused_stays_lapsed_with_the_reason() -> None:
    r = rig()
    r.offer(0, {"target_w": 30e3}, lease_until_ns=r.now_ns)
    r.tick()
    r.offer(0, {"target_w": NAN})
    state = r.tick()
    assert (state["slot_state"][0], state["slot_fault"][0]) == (L.SlotState.SLOT_LAPSED, F.PLAN_NUMBER)


def test_the_operator_removes_a_source_and_its_default_returns() -> None:
    r = rig(Slot(klass=GRID, default={"ess_hi_w": 5e3}))
    r.offer(0, {"ess_hi_w": 90e3, "target_w": 50e3})
    r.tick()
    r.offer(0, {"target_w": NAN})
    r.tick()
    r.local(L.CommandCode.CMD_RELEASE, 11, arg=0)
    state = r.tick(3)
    assert (state["slot_state"][0], state["slot_serial"][0], state["slot_fault"][0]) == (L.SlotState.SLOT_EMPTY, 0, F.PLAN_OK)
    assert r.side("hi") == (5e3, L.BindKind.BIND_DEFAULT, 0)
    assert r.power_w == 0
    assert [event["value"] for event in r.events(L.EventCode.EV_COMMAND_DONE)] == [11]
    r.offer(0, {"ess_hi_w": 90e3, "target_w": 50e3}, serial=2)
    r.tick(5)
    assert r.power_w == 50e3, "the slot takes plans again"


@pytest.mark.parametrize("arg", [-1, 1, 16])
def test_a_slot_that_is_not_there_cannot_be_released(arg: int) -> None:
    r = rig()
    r.local(L.CommandCode.CMD_RELEASE, 11, arg=arg)
    r.tick()
    assert len(r.events(L.EventCode.EV_COMMAND_REFUSED)) == 1


# --- whose target -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priorities", "targets", "slot"),
    [
        ((5, 4), (10e3, 20e3), 1),  # the lower number first
        ((4, 5), (10e3, 20e3), 0),
        ((5, 5), (10e3, 20e3), 0),  # equal: the lower index
        ((4, 5), (0.0, 20e3), 0),  # zero is an order
        ((4, 5), (None, 20e3), 1),  # none is no statement
    ],
)
def test_the_target_of_the_best_source_rules(priorities: tuple[int, int], targets: tuple[float | None, float], slot: int) -> None:
    r = rig(*(Slot(priority=p) for p in priorities))
    for index, target in enumerate(targets):
        r.offer(index, {} if target is None else {"target_w": target})
    state = r.tick(10)
    assert (state["target_slot"], r.power_w) == (slot, targets[slot])


def test_a_good_plan_is_copied_not_kept_by_reference() -> None:
    """What the writer does to its buffer afterwards changes nothing."""
    r = rig()
    raw = plan({"target_w": 30e3})
    r.h.offer_plan(0, raw)
    raw[:] = np.frombuffer(b"\xff" * len(raw), np.uint8)
    r.tick(5)
    assert r.power_w == 30e3
