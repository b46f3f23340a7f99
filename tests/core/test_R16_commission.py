"""R16: a unit that was never tried under this configuration gives 5 % of its rating at most; while one is tried the others give nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bessctl_core import layout as L
from tests.core.rig import START_NS, Rig, S, Slot, config

B, C, E, F = L.BindKind, L.CommandCode, L.EventCode, L.Flag
HASH = b"\x07" * 32
CAP_W = 10_000  # 5 % of 200 kW


def plant(units: int = 1, **facts: Any) -> Rig:
    """Running, and wanted to give all it can."""
    rig = Rig(config(units=units, slots=(Slot(),)), config_hash=HASH, **facts)
    rig.offer(0, {"target_w": 1e6}, lease_until_ns=START_NS + 3000 * S)
    return rig.run()


def test_R16_an_untried_unit_gives_5_percent_either_way_and_says_why() -> None:
    rig = plant(commissioned=False)
    rig.tick(50)
    assert (rig.power_w, rig.side("hi")) == (CAP_W, (CAP_W, B.BIND_COMMISSION, 0))
    assert rig.side("lo") == (-CAP_W, B.BIND_COMMISSION, 0)
    assert rig.state["flags"] & F.FLAG_UNCOMMISSIONED
    assert [(event["place"], event["detail"], event["level"]) for event in rig.events(E.EV_COMMISSION)] == [(0, 0, 1)]


def test_R16_a_tried_plant_gives_all_it_can() -> None:
    rig = plant(commissioned=True)
    rig.tick(50)
    assert (rig.power_w, rig.state["flags"] & F.FLAG_UNCOMMISSIONED) == (200_000, 0)


def test_R16_the_cap_goes_when_the_journal_holds_the_proof_and_not_before() -> None:
    rig = plant(commissioned=False)
    rig.local(C.CMD_COMMISSIONED, ident=9, arg=0)
    rig.tick(50)
    assert (rig.power_w, rig.record["commissioned"][0], rig.events(E.EV_COMMAND_DONE)) == (CAP_W, 1, [])
    rig.disk()
    rig.tick(50)
    assert (rig.power_w, rig.state["unit_commissioned"][0]) == (200_000, 1)
    assert [event["value"] for event in rig.events(E.EV_COMMAND_DONE)] == [9]
    assert not rig.state["flags"] & F.FLAG_UNCOMMISSIONED


@pytest.mark.parametrize(("config_hash", "power_w"), [(HASH, 200_000), (b"\x08" * 32, CAP_W)], ids=["the same", "another"])
def test_R16_the_proof_holds_for_the_configuration_it_was_made_under(config_hash: bytes, power_w: float) -> None:
    rig = plant(commissioned=False)
    rig.local(C.CMD_COMMISSIONED, arg=0)
    rig.tick()
    journal = rig.h.journal()
    again = Rig(config(slots=(Slot(),)), config_hash=config_hash, journal=journal, commissioned=False)
    again.offer(0, {"target_w": 1e6}, lease_until_ns=START_NS + 3000 * S)
    again.run().tick(50)
    assert again.power_w == power_w


def test_R16_without_a_readable_journal_nothing_was_tried() -> None:
    rig = Rig(config(), commissioned=False, journal_broken=True)
    rig.tick(50)
    assert rig.state["flags"] & F.FLAG_UNCOMMISSIONED


def test_R16_while_one_unit_is_tried_the_others_give_nothing() -> None:
    rig = plant(units=3, commissioned=False)
    rig.local(C.CMD_TRY, arg=1)
    rig.tick(50)
    assert list(rig.h.out["cmd_w"])[:3] == [0, CAP_W, 0]
    assert (rig.state["unit_hi_bind"][0], rig.state["unit_hi_w"][0]) == (B.BIND_COMMISSION, 0)
    rig.local(C.CMD_TRY, arg=-1)
    rig.tick(50)
    assert list(rig.h.out["cmd_w"])[:3] == [CAP_W] * 3
    assert [event["detail"] for event in rig.events(E.EV_COMMISSION)] == [0, 0, 0, 1, 2]


def test_R16_a_trial_holds_the_others_back_also_when_they_are_commissioned() -> None:
    rig = plant(units=2, commissioned=True)
    rig.local(C.CMD_TRY, arg=0)
    rig.tick(50)
    assert list(rig.h.out["cmd_w"])[:2] == [200_000, 0]


def test_R16_a_trial_nobody_ends_is_over_after_two_minutes() -> None:
    rig = plant(units=2, commissioned=True)
    rig.local(C.CMD_TRY, arg=0)
    rig.tick(119, S)
    assert rig.h.out["cmd_w"][1] == 0
    rig.tick(3, S)
    assert min(rig.h.out["cmd_w"][:2]) > 0, "and no other one begins"
    assert [(event["place"], event["detail"]) for event in rig.events(E.EV_COMMISSION)] == [(0, 1), (0, 2)]


@pytest.mark.parametrize("unit", [0, 1])
def test_R16_another_trial_ends_the_one_before_and_each_has_its_two_minutes(unit: int) -> None:
    rig = plant(units=2, commissioned=True)
    rig.local(C.CMD_TRY, arg=unit)
    rig.tick(100, S)
    rig.local(C.CMD_TRY, arg=1 - unit)
    rig.tick(119, S)
    assert (rig.h.out["cmd_w"][unit], rig.h.out["cmd_w"][1 - unit] > 0) == (0, True)
    told = [(event["place"], event["detail"]) for event in rig.events(E.EV_COMMISSION)]
    assert told == [(unit, 1), (unit, 2), (1 - unit, 1)]
    rig.local(C.CMD_TRY, arg=1 - unit)
    rig.tick(100, S)
    assert told == [(event["place"], event["detail"]) for event in rig.events(E.EV_COMMISSION)], (
        "asked for again it goes on, and is not told"
    )
    assert rig.h.out["cmd_w"][unit] == 0


@pytest.mark.parametrize(("code", "arg"), [(C.CMD_TRY, 0), (C.CMD_COMMISSIONED, 0)])
def test_R16_only_the_operator_at_the_machine_may_ask(code: int, arg: int) -> None:
    rig = plant(commissioned=False)
    rig.remote(code, arg=arg)
    rig.tick()
    rig.disk()
    rig.tick(50)
    assert (rig.power_w, len(rig.events(E.EV_COMMAND_REFUSED))) == (CAP_W, 1)


@pytest.mark.parametrize(("code", "arg"), [(C.CMD_TRY, 1), (C.CMD_TRY, -2), (C.CMD_COMMISSIONED, 1), (C.CMD_COMMISSIONED, -1)])
def test_R16_a_unit_that_does_not_exist_is_refused(code: int, arg: int) -> None:
    rig = plant(commissioned=False)
    rig.local(code, arg=arg)
    rig.tick()
    assert len(rig.events(E.EV_COMMAND_REFUSED)) == 1
