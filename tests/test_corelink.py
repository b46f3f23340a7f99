"""The supervisor's side of the segments: names, refusals with their rule, events as sentences, and the next loop process."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessctl.corelink import CoreLink, attach
from bessctl.corelink.words import CODES
from bessctl.errors import NotReachable, PlanRefused, Refused, UsageError
from bessctl.model.event import SENTENCES
from bessctl.model.plan import FOREVER_NS, Block, Lapse, Plan, QKind, Scope
from bessctl.model.snapshot import MeterSnapshot
from bessctl_core import layout as L
from bessctl_core import sealed
from bessctl_core.harness import StepHarness
from tests.core.loop_rig import Loop
from tests.core.rig import PLANT, Row, S, Slot, config

NAMES = {
    "units": ["left", "right"],
    "slots": ["ocpp", "ems"],
    "rows": [{"name": "cell_temp_high", "unit": "left", "quantity": "cell_temp_max_c"}],
    "devices": ["pcs1"],
}
STATE = L.dtype("PlantState")
EVENT = {"seq": 0, "at_ns": 5, "value": math.nan, "limit": math.nan, "detail": 0, "place": -1, "row": -1, "slot": -1, "code": 0, "level": 0}


def seal(**site: Any) -> sealed.SealedSite:
    slots = (Slot(scopes=1, max_lease_s=60), Slot(scopes=3, default={"ess_hi_w": 1000.0}), Slot(advisory=True))
    rows = (Row(L.Quantity.Q_CELL_TEMP_MAX_C, 55, 50), Row(L.Quantity.Q_PCC_HZ, 52, 51, tier=L.Tier.TIER_WARN, unit=PLANT))
    array = config(units=2, rows=rows, slots=slots, **site)
    array["unit_wh"][0][:2] = 400_000
    array["unit_bms_device"][0][:2] = [1, -1]
    return sealed.unpack(sealed.pack(array.tobytes(), NAMES))


def start(run_dir: Path, site: sealed.SealedSite | None = None, **hello: Any) -> Loop:
    site = site or seal()
    return Loop(run_dir, 0, sealed.pack(site.config_bytes, site.names), site.digest, **hello)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    served = start(tmp_path)
    yield served
    served.close()


@pytest.fixture
def link(loop: Loop, tmp_path: Path) -> Iterator[CoreLink]:
    with attach(str(tmp_path)) as attached:
        yield attached


def state(**fields: Any) -> bytes:
    """A published state: everything missing unless told."""
    array = np.zeros(1, STATE)
    array["value"], array["wanted_w"], array["ess_w"], array["pcc_w"], array["slot_target_w"] = (math.nan,) * 5
    array["target_slot"], array["now_ns"], array["tick"], array["mode"] = -1, 100 * S, 7, L.Mode.MODE_RUN
    for name, value in fields.items():
        array[name][0] = value
    return array.tobytes()


def measured(values: dict[tuple[int, int], float], sampled_ns: int = 100 * S) -> dict[str, Any]:
    value, sampled = np.full(17 * L.LIMITS["quantities"], math.nan), np.zeros(17 * L.LIMITS["quantities"], np.int64)
    for (place, quantity), v in values.items():
        value[place * L.LIMITS["quantities"] + quantity], sampled[place * L.LIMITS["quantities"] + quantity] = v, sampled_ns
    return {"value": value, "sampled_ns": sampled}


def first(n: int, value: Any, size: int = 16) -> list[Any]:
    return [value] * n + [0] * (size - n)


# --- snapshots --------------------------------------------------------------------------------------------------------------------------


def test_nothing_is_shown_before_the_loop_published(link: CoreLink) -> None:
    assert link.snapshot() is None


def test_a_snapshot_has_the_sites_names(loop: Loop, link: CoreLink) -> None:
    Q = L.Quantity
    seen = measured({(0, Q.Q_AC_W): 5000.0, (0, Q.Q_SOC_PCT): 40.0, (0, Q.Q_PCS_STATE): 3, (1, Q.Q_WH_RATING): 9.0})
    loop.segments.publish(state(
        pcs_state=first(2, L.DeviceState.DEV_UP), bms_state=first(1, L.DeviceState.DEV_UP), unit_command_w=first(2, 4000.0),
        command_w=8000.0, wanted_w=9000.0, target_slot=1, lo_w=-1.0, hi_w=8000.0,
        hi_bind=L.BindKind.BIND_ROW, hi_bind_id=0, hi_since_ns=3, lo_bind=L.BindKind.BIND_SLOT, lo_bind_id=1, lo_until_ns=2**63 - 1, **seen,
    ))  # fmt: skip
    plant = link.snapshot()
    assert plant is not None
    assert (plant.tick, plant.mode, plant.command_w, plant.target_w, plant.target_source) == (7, "run", 8000.0, 9000.0, "ems")
    assert (plant.ess_w, plant.pcc_w) == (None, None)
    assert (str(plant.hi.binding), plant.hi.value_w, plant.hi.binding.since_ns) == ("row:cell_temp_high@left", 8000.0, 3)
    assert (str(plant.lo.binding), plant.lo.binding.until_ns) == ("source:ems", 0)
    left, right = plant.units
    assert (left.name, left.state, left.ac_w, left.soc_pct, left.dc_v, left.capacity_wh) == ("left", "running", 5000.0, 40.0, None, 400_000)
    assert (right.name, right.state, right.capacity_wh) == ("right", "unknown", 9.0)


def test_a_snapshot_says_who_cannot_have_what_it_asks_for_and_what_the_meter_measures(loop: Loop, link: CoreLink) -> None:
    """R3; OSCP-6, OSCP-7: unmet power with its source, phase voltages and the meter's energies."""
    Q, place = L.Quantity, L.LIMITS["plant"]
    seen = measured({(place, Q.Q_PCC_L1_V): 231.0, (place, Q.Q_PCC_L2_V): 229.0, (place, Q.Q_IMPORT_WH): 5.0, (place, Q.Q_EXPORT_WH): 7.0})
    for fields, unmet, meter in (
        ({"pcc_w": 1.0, "pcc_unmet_w": -3000.0, "unmet_slot": 1}, (-3000.0, "ems"), MeterSnapshot((231.0, 229.0, None), 5.0, 7.0)),
        ({"pcc_w": 1.0, "pcc_unmet_w": 3000.0, "unmet_slot": place}, (3000.0, "connection"), MeterSnapshot((231.0, 229.0, None), 5.0, 7.0)),
        ({"pcc_unmet_w": 0.0, "unmet_slot": 255}, (0.0, ""), MeterSnapshot()),
    ):
        loop.segments.publish(state(**fields, **seen))
        plant = link.snapshot()
        assert plant is not None
        assert ((plant.unmet_w, plant.unmet_source), plant.meter) == (unmet, meter)


def test_a_name_list_that_is_short_is_no_trouble(loop: Loop, link: CoreLink) -> None:
    loop.segments.publish(state(row_active=first(2, 1, 768), target_slot=2))
    plant = link.snapshot()
    assert plant is not None
    assert plant.target_source == "source 2"
    assert [alarm.code for alarm in plant.alarms] == ["cell_temp_high", "row 1"]


def test_what_is_older_than_the_units_data_age_is_missing(loop: Loop, link: CoreLink) -> None:
    seen = measured({(0, L.Quantity.Q_AC_W): 1.0, (0, L.Quantity.Q_SOH_PCT): 99.0}, sampled_ns=99 * S - 1)
    loop.segments.publish(state(**seen))
    plant = link.snapshot()
    assert plant is not None
    assert (plant.units[0].ac_w, plant.units[0].soh_pct) == (None, 99.0)


@pytest.mark.parametrize(
    ("pcs", "bms", "told"),
    [
        (L.DeviceState.DEV_DOWN, L.DeviceState.DEV_UP, "pcs down"),
        (L.DeviceState.DEV_REFUSED, L.DeviceState.DEV_UP, "pcs refused"),
        (L.DeviceState.DEV_UP, L.DeviceState.DEV_FROZEN, "bms frozen"),
        (L.DeviceState.DEV_UP, L.DeviceState.DEV_UP, "unknown"),
    ],
)
def test_a_unit_tells_what_hinders_it(loop: Loop, link: CoreLink, pcs: int, bms: int, told: str) -> None:
    loop.segments.publish(state(pcs_state=first(1, pcs), bms_state=first(1, bms)))
    plant = link.snapshot()
    assert plant is not None
    assert plant.units[0].state == told


def test_alarms_are_rows_then_trips_then_flags(loop: Loop, link: CoreLink) -> None:
    seen = measured({(0, L.Quantity.Q_CELL_TEMP_MAX_C): 56.5})
    loop.segments.publish(state(
        row_latched=first(1, 1, 768), internal=L.Internal.TRIP_JOURNAL | L.Internal.TRIP_STARTS, flags=L.Flag.FLAG_RT_REFUSED, **seen
    ))  # fmt: skip
    plant = link.snapshot()
    assert plant is not None
    row = plant.alarms[0]
    assert (row.code, row.tier, row.unit, row.active, row.latched, row.value, row.threshold) == (
        "cell_temp_high", "trip", "left", False, True, 56.5, 55.0,
    )  # fmt: skip
    assert [(a.code, a.tier) for a in plant.alarms[1:]] == [
        ("internal_journal", "trip"), ("internal_starts", "trip"), ("rt_refused", "warn"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bind", "ident", "told"),
    [
        (L.BindKind.BIND_NONE, -1, "none"),
        (L.BindKind.BIND_RATING, 1, "rating:right"),
        (L.BindKind.BIND_RATING, PLANT, "rating:connection"),
        (L.BindKind.BIND_BMS, 0, "bms:left"),
        (L.BindKind.BIND_ROW, 1, "row:row 1"),
        (L.BindKind.BIND_DEFAULT, 0, "default:ocpp"),
        (L.BindKind.BIND_FALLBACK, 1, "fallback:ems"),
        (L.BindKind.BIND_MODE, L.Mode.MODE_TRIPPED, "mode:tripped"),
        (L.BindKind.BIND_METER, PLANT, "meter:connection"),
        (L.BindKind.BIND_DEVICE, 1, "device:right"),
        (200, 3, "kind 200"),
    ],
)
def test_who_limits_me_always_has_an_answer(loop: Loop, link: CoreLink, bind: int, ident: int, told: str) -> None:
    loop.segments.publish(state(lo_bind=bind, lo_bind_id=ident))
    plant = link.snapshot()
    assert plant is not None
    assert str(plant.lo.binding) == told


def test_a_refused_slot_says_why(loop: Loop, link: CoreLink) -> None:
    loop.segments.publish(state(slot_state=first(1, L.SlotState.SLOT_REFUSED), slot_fault=first(1, L.PlanFault.PLAN_LEASE)))
    plant = link.snapshot()
    assert plant is not None
    assert (plant.slots[0].source, plant.slots[0].state, plant.slots[0].reason) == (
        "ocpp", "refused", "its lease is longer than the slot's maximum",
    )  # fmt: skip
    assert (plant.slots[1].state, plant.slots[1].reason) == ("empty", "")


# --- plans ------------------------------------------------------------------------------------------------------------------------------


def soon(seconds: float = 10) -> int:
    return time.monotonic_ns() + int(seconds * S)


def test_a_plan_reaches_the_step_through_the_segment(loop: Loop, link: CoreLink) -> None:
    """From the writer through the slot into the step of the loop, which takes it."""
    writer = link.writer("ems")
    serial = writer.write(Plan(soon(), (Block(0, FOREVER_NS, ess_hi_w=500.0, target_w=300.0),)))
    data = loop.segments.take_plan(1)
    assert data is not None
    high, low = np.frombuffer(data[:16], np.uint64).tolist()
    step = StepHarness(seal().config_bytes, now_ns=writer.now_ns(), boot_id=(high, low))
    step.offer_plan(1, data)
    step.tick(writer.now_ns())
    assert step.state["slot_serial"][1] == serial == 1
    assert step.state["slot_target_w"][1] == 300.0


BAD_BLOCKS = [
    (Block(5, 5), "blocks overlap, run backwards or are empty"),
    (Block(-1, 5), "blocks overlap, run backwards or are empty"),
    (Block(0, 5, ess_lo_w=math.nan), "no finite number"),
    (Block(0, 5, ess_hi_w=math.inf), "no finite number"),
    (Block(0, 5, target_w=math.nan), "no finite number"),
    (Block(0, 5, ess_lo_w=1.0), r"out of range: ess limits hold lo <= 0 <= hi"),
    (Block(0, 5, ess_hi_w=-1.0), r"out of range: ess limits hold lo <= 0 <= hi"),
    (Block(0, 5, rate_w_per_s=0.0), "a rate is above 0"),
    (Block(0, 5, pcc_hi_w=1.0), "a scope its slot may not use"),
    (Block(0, 5, target_w=1.0, target_scope=Scope.PCC), "a scope its slot may not use"),
    (Block(0, 5, q_kind=QKind.VAR), "a scope its slot may not use"),
]


@pytest.mark.parametrize(("bad", "rule"), BAD_BLOCKS)
@pytest.mark.parametrize("series", ["blocks", "fallback"])
@pytest.mark.parametrize("filling", [0, 120], ids=["short", "to be merged"])
def test_a_bad_block_is_refused_by_number_and_rule(loop: Loop, link: CoreLink, *, bad: Block, rule: str, series: str, filling: int) -> None:
    """Merging must not hide it."""
    good = tuple(Block(10 + t, 11 + t, ess_hi_w=float(t)) for t in range(filling))
    blocks = (bad, *good)
    plan = Plan(soon(), blocks) if series == "blocks" else Plan(soon(), (), blocks)
    name = "block" if series == "blocks" else "fallback block"
    with pytest.raises(PlanRefused, match=rf"^ocpp: {name} 1 of {len(blocks)}: .*{rule}"):
        link.writer("ocpp").write(plan)
    assert loop.segments.take_plan(0) is None


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (Plan(soon(1000)), r"lease is longer than the slot's maximum \(\d+\.?\d* s from now, at most 60 s\)"),
        (Plan(-1), "lease"),
        (Plan(1, (), (), Lapse.DROP), "lapse rule drop is for advisory sources only"),
        (Plan(1, (Block(0, 2), Block(1, 3))), "block 2 of 2 begins before 1 ends"),
        (Plan(1, (Block(0, 2), Block(4, 5), Block(2, 3))), "block 3 of 3 begins before 2 ends"),
        (Plan(2**70), "cannot carry"),
        (Plan(1, (Block(0, 2**64),)), "cannot carry"),
        (Plan(1, (Block(0, 2, ess_hi_w="much"),)), "cannot carry"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_plan_is_refused_with_its_rule(loop: Loop, link: CoreLink, plan: Plan, rule: str) -> None:
    with pytest.raises(PlanRefused, match=f"^ocpp: .*{rule}"):
        link.writer("ocpp").write(plan)
    assert loop.segments.take_plan(0) is None


def test_a_series_too_long_is_merged_with_the_slots_default_in_its_gaps(loop: Loop, link: CoreLink) -> None:
    """Slot ems has a sealed default of ess_hi 1000 W; blocks of 5 kW with gaps between them may not lift it there."""
    link.writer("ems").write(Plan(soon(), tuple(Block(10 * t, 10 * t + 5, ess_hi_w=5000.0) for t in range(97))))
    data = loop.segments.take_plan(1)
    assert data is not None
    live = np.frombuffer(data, L.dtype("Plan"))[0]["live"]
    assert live["count"] == 96
    assert (live["end_ns"][95], live["ess_hi_w"][94], live["ess_hi_w"][95]) == (965, 5000.0, 1000.0)


def test_a_source_that_is_not_sealed_is_refused_with_those_that_are(link: CoreLink) -> None:
    with pytest.raises(UsageError, match="no source 'oscp' in the sealed configuration; it has: ocpp, ems, source 2"):
        link.writer("oscp")


# --- commands and events ----------------------------------------------------------------------------------------------------------------


def test_commands_go_down_by_name(loop: Loop, link: CoreLink) -> None:
    assert (link.send("reset"), link.send("release", 1)) == (1, 2)
    taken = [loop.segments.take_command(), loop.segments.take_command()]
    assert [c and (c["code"], c["arg"]) for c in taken] == [(L.CommandCode.CMD_RESET, 0), (L.CommandCode.CMD_RELEASE, 1)]
    with pytest.raises(UsageError, match="no command 'explode'; there are: stop, start, out_of_service, reset, release"):
        link.send("explode")


def test_commands_that_nobody_takes_are_refused(link: CoreLink) -> None:
    for _ in range(64):
        link.send("reset")
    with pytest.raises(Refused, match="the loop takes no commands"):
        link.send("reset")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"code": L.EventCode.EV_MODE, "detail": 5, "level": 2}, "the plant is now in mode tripped"),
        (
            {"code": L.EventCode.EV_ROW_LATCHED, "place": 0, "row": 0, "value": 56.25, "limit": 55.0},
            "cell_temp_high of left latched at 56.25 (pickup 55); it stays until it is reset",
        ),
        ({"code": L.EventCode.EV_PLAN_REFUSED, "slot": 1, "detail": 1}, "ems: plan refused, it has more blocks than a slot holds"),
        (
            {"code": L.EventCode.EV_PLAN_LAPSED, "slot": 0, "detail": 2},
            "ocpp: the lease of its plan is over, its limits follow the rule zero",
        ),
        (
            {"code": L.EventCode.EV_TARGET_CLAMPED, "slot": 0, "row": L.BindKind.BIND_ROW, "place": 0, "detail": L.BindKind.BIND_ROW,
             "value": 150000.0, "limit": 60000.0},
            "ocpp: wanted 150000 W, given 60000 W because of row:cell_temp_high@left",
        ),
        ({"code": L.EventCode.EV_DEVICE_DOWN, "row": 0, "place": 0, "detail": 3}, "pcs1 does not answer: a wrong check sum"),
        ({"code": L.EventCode.EV_INTERNAL, "detail": 2}, "internal trip: journal"),
        ({"code": 250, "detail": 9}, "code 250 (detail 9)"),
    ],
)  # fmt: skip
def test_events_come_up_as_sentences(loop: Loop, link: CoreLink, fields: dict[str, Any], text: str) -> None:
    loop.segments.publish(state(), [{**EVENT, **fields}])
    (event,) = link.events()
    assert event.text == text
    assert (event.seq, event.at_ns, event.level) == (1, 5, ("info", "warning", "alarm")[fields.get("level", 0)])


def test_every_code_has_a_sentence_and_every_sentence_a_code() -> None:
    assert set(SENTENCES) == {*CODES.values(), "events_lost"}


@pytest.mark.parametrize("code", sorted(int(c) for c in L.EventCode))
@pytest.mark.parametrize("numbers", [-1, 0, 3, 255], ids=str)
def test_no_event_breaks_the_table(loop: Loop, link: CoreLink, code: int, numbers: int) -> None:
    loop.segments.publish(state(), [{**EVENT, "code": code, "place": numbers, "row": numbers, "slot": numbers, "detail": numbers}])
    (event,) = link.events()
    assert event.text
    assert "{" not in event.text


def test_events_lost_are_an_event(loop: Loop, link: CoreLink) -> None:
    for _ in range(40):
        loop.segments.publish(state(), [EVENT] * 32)
    lost, *rest = link.events()
    assert (lost.code, lost.detail, lost.text) == ("events_lost", 256, "256 events were overwritten before they were read")
    assert (len(rest), rest[0].seq) == (1024, 257)
    assert link.events() == []


# --- who may, and the next loop ---------------------------------------------------------------------------------------------------------


def test_nobody_there_is_not_reachable(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="start it with `bessctl run`"):
        attach(str(tmp_path))
    with pytest.raises(NotReachable, match="start it with `bessctl run`"):
        attach(str(tmp_path / "nowhere"))


def test_a_second_writer_is_refused_and_any_number_may_look(loop: Loop, link: CoreLink, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="writes the plans of this loop"):
        attach(str(tmp_path))
    with attach(str(tmp_path), writes=False) as watcher:
        loop.segments.publish(state())
        assert watcher.snapshot() is not None
        with pytest.raises(UsageError, match="reads only"):
            watcher.writer("ems").write(Plan(soon()))
        with pytest.raises(UsageError, match="reads only"):
            watcher.send("reset")


def eventually_attached(link: CoreLink) -> None:
    deadline = time.monotonic() + 10
    while not link.attached:
        assert time.monotonic() < deadline, link.trouble


def test_the_next_loop_gets_the_plans_whose_leases_still_run(tmp_path: Path) -> None:
    """R7: a restart of the loop does not clear a source; what the operator removed stays removed."""
    first_loop = start(tmp_path)
    with attach(str(tmp_path)) as link:
        link.writer("ems").write(Plan(soon(100), (Block(0, FOREVER_NS, target_w=5.0),)))
        link.writer("ocpp").write(Plan(soon(50)))
        link.writer("source 2").write(Plan(time.monotonic_ns()))
        first_loop.segments.publish(state(slot_state=[0, 1, 2] + [0] * 13), [EVENT])
        first_loop.close()
        assert not link.attached
        assert link.snapshot() is None
        with pytest.raises(NotReachable):
            link.writer("ems").write(Plan(soon()))
        second_loop = start(tmp_path)
        eventually_attached(link)
        assert link.generation == 2
        taken = [second_loop.segments.take_plan(slot) for slot in range(3)]
        assert [data is not None for data in taken] == [False, True, False]
        assert [event.seq for event in link.events()] == [1]
        second_loop.segments.publish(state())
        assert link.snapshot() is not None
        second_loop.close()


def test_a_loop_that_takes_leave_is_left(tmp_path: Path) -> None:
    first_loop = start(tmp_path)
    with attach(str(tmp_path)) as link:
        first_loop.segments.retire()
        assert not link.attached
        first_loop.close()
        second_loop = start(tmp_path)
        eventually_attached(link)
        second_loop.close()


def test_another_configuration_gives_its_own_names_to_the_next_loop(tmp_path: Path) -> None:
    first_loop = start(tmp_path)
    with attach(str(tmp_path)) as link:
        writer = link.writer("ems")
        first_loop.close()
        other = seal()
        array = np.frombuffer(other.config_bytes, L.dtype("SiteConfig")).copy()
        array["n_slots"] = 1
        second_loop = start(tmp_path, sealed.unpack(sealed.pack(array.tobytes(), NAMES)))
        eventually_attached(link)
        assert link.site.sources == ["ocpp"]
        with pytest.raises(PlanRefused, match="the loop runs a configuration without this source"):
            writer.write(Plan(soon()))
        second_loop.close()


def test_a_closed_link_stays_closed(loop: Loop, tmp_path: Path) -> None:
    link = attach(str(tmp_path))
    link.close()
    assert not link.attached
    assert link.snapshot() is None
