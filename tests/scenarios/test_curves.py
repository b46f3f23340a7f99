"""Curves by the loop into a real PCS's models 705, 706 and 712, read back from its registers (SEP2-10)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bessctl.config import profiles
from bessctl.config.seal import seal
from bessctl.devices.address import Address
from bessctl.devices.compiler import Role, compile_device
from bessctl.devices.discovery import FoundDevice, from_json, to_json
from bessctl.devices.sunspec import discover
from bessctl_core import layout as L
from bessctl_core.sim.server import PlantServer
from tests.scenarios.loop_rig import Loop, S, found_devices, loop_process, plant_server, wait_for
from tests.sim.plants import read
from tests.sites import changed_example

K, ST = L.CurveKind, L.CurveState
VOLT_VAR, VOLT_WATT, WATT_VAR = (int(k) for k in (K.CURVE_VOLT_VAR, K.CURVE_VOLT_WATT, K.CURVE_WATT_VAR))
FOREVER = 2**62
SHAPE = ((92.0, 44.0), (98.0, 0.0), (102.0, 0.0), (108.0, -44.0))
# Model -> where its sets begin, where the points begin in a set (SunSpec DER information models)
PLACES = {705: (15, 10), 706: (15, 5), 712: (14, 4)}


def curves_of(server: PlantServer) -> FoundDevice:
    return discover(Address(host="127.0.0.1", port=server.port), 1)


@contextmanager
def running(folder: Path) -> Iterator[tuple[PlantServer, Loop, dict[int, int]]]:
    """A PCS with curves, discovered, sealed, and its loop in RUN; and where each model is."""
    with plant_server(pcs={"curves": True}) as server:
        found = found_devices()
        pcs = curves_of(server)
        loaded = changed_example(("port: 5020", f"port: {server.port}"))
        sealed = folder / "site.sealed"
        sealed.write_bytes(seal(loaded, {**found, "pcs1": pcs}).content)
        with loop_process(folder, sealed) as loop:
            loop.attach()
            loop.until_mode(L.Mode.MODE_RUN)
            yield server, loop, {model.id: model.address for model in pcs.models}


def stands(server: PlantServer, model: int, address: int) -> tuple[bool, int, int, list[int]]:
    """Enabled, points, reference and registers of the curve in force."""
    sets, head = PLACES[model]
    plant = server.plants[0]
    points, reference = read(plant, 1, address + sets, 2)
    raw = read(plant, 1, address + sets + head, 2 * points)
    return read(plant, 1, address + 2)[0] == 1, points, reference, [v - 65536 if v > 32767 else v for v in raw]


def state(loop: Loop, kind: int) -> int:
    return int(loop.now()["unit_curve"][kind])


def until(loop: Loop, kind: int, wanted: int) -> None:
    loop.until(f"curve {kind} is {ST(wanted).name}", lambda s: s["unit_curve"][kind] == wanted)


def step(points: tuple[tuple[float, float], ...] = SHAPE, start_ns: int = 0, end_ns: int = FOREVER, reference: int = 1) -> tuple[Any, ...]:
    return (start_ns, end_ns, reference, 5.0, points)


@pytest.mark.timeout(110)
def test_curves_reach_the_pcs_and_end_with_nobody_there(tmp_path: Path) -> None:
    """All three models; a change; a step that follows another by the loop's clock; off in a gap; what is not ours is left alone."""
    with running(tmp_path) as (server, loop, at):
        reader, port = loop.events_reader(), loop.plans()
        assert [state(loop, kind) for kind in (VOLT_VAR, VOLT_WATT, WATT_VAR)] == [ST.CURVE_IDLE] * 3
        assert port.write_curves({VOLT_VAR: [step()], VOLT_WATT: [step(((106.0, 100.0), (110.0, 0.0)), reference=0)]}) == 0
        until(loop, VOLT_VAR, ST.CURVE_IN_FORCE)
        until(loop, VOLT_WATT, ST.CURVE_IN_FORCE)
        assert stands(server, 705, at[705]) == (True, 4, 1, [920, 440, 980, 0, 1020, 0, 1080, -440])
        assert stands(server, 706, at[706]) == (True, 2, 0, [1060, 1000, 1100, 0])
        assert read(server.plants[0], 1, at[705] + 15 + 7, 2) == [0, 5], "the open-loop response time, in seconds"
        assert not stands(server, 712, at[712])[0]
        assert state(loop, WATT_VAR) == ST.CURVE_IDLE
        # Watt-Var has no response time; Volt-Watt is given up; Volt-Var gets another, then ends by the clock.
        now = time.monotonic_ns()
        other = ((90.0, 30.0), (110.0, -30.0))
        ours = {VOLT_VAR: [step(end_ns=now + S), step(other, now + S, now + 2 * S)], WATT_VAR: [step(((-100.0, 20.0), (100.0, -20.0)))]}
        assert port.write_curves(ours) == 0
        loop.until("the second curve", lambda _: stands(server, 705, at[705])[1] == 2)
        until(loop, VOLT_VAR, ST.CURVE_IN_FORCE)
        assert stands(server, 705, at[705]) == (True, 2, 1, [900, 300, 1100, -300])
        assert stands(server, 712, at[712]) == (True, 2, 1, [-1000, 200, 1000, -200])
        loop.let_go()
        until(loop, VOLT_VAR, ST.CURVE_OFF)
        assert not stands(server, 705, at[705])[0]
        assert state(loop, VOLT_WATT) == ST.CURVE_IDLE
        assert stands(server, 706, at[706])[0], "what is not ours is left alone"
        told = [e["detail"] for e in reader.drain() if e["code"] == L.EventCode.EV_CURVE]
        assert told.count(VOLT_VAR * 8 + ST.CURVE_IN_FORCE) in {2, 3}, "told when it changes"
        # The PCS was away and comes back: everything is told again.
        server.drop()
        server.plants[0].request(1, bytes((16, *(at[712] + 2).to_bytes(2, "big"), 0, 1, 2, 0, 0)))
        loop.until("watt-var again", lambda _: stands(server, 712, at[712])[0])


REFUSED = [
    (L.PlanFault.PLAN_RANGE, {VOLT_VAR: [step(((92.0, 44.0),))]}),
    (L.PlanFault.PLAN_RANGE, {VOLT_VAR: [step(((92.0, 144.0), (100.0, 0.0)))]}),
    (L.PlanFault.PLAN_RANGE, {WATT_VAR: [step(((0.0, 0.0), (101.0, 0.0)))]}),
    (L.PlanFault.PLAN_ORDER, {VOLT_VAR: [step(((100.0, 0.0), (92.0, 44.0)))]}),
    (L.PlanFault.PLAN_ORDER, {VOLT_VAR: [step(end_ns=10), step(start_ns=9)]}),
    (L.PlanFault.PLAN_ORDER, {VOLT_VAR: [step(start_ns=5, end_ns=5)]}),
    (L.PlanFault.PLAN_NUMBER, {VOLT_VAR: [step(((92.0, float("nan")), (100.0, 0.0)))]}),
    (L.PlanFault.PLAN_KIND, {VOLT_WATT: [step(reference=2)]}),
]


@pytest.mark.timeout(110)
def test_what_is_no_curve_is_refused_and_a_pcs_that_errs_is_left_switched_off(tmp_path: Path) -> None:
    """Each rule of a curve plan; then a PCS that refuses, and one whose curve cannot be adopted."""
    with running(tmp_path) as (server, loop, at):
        reader, port = loop.events_reader(), loop.plans()
        for fault, curves in REFUSED:
            assert port.write_curves(curves) == fault, curves
        assert port.write_curves({VOLT_VAR: [step()]}) == 0
        until(loop, VOLT_VAR, ST.CURVE_IN_FORCE)
        server.plants[0].set(curve_refused=1)
        assert port.write_curves({VOLT_VAR: [step(((91.0, 10.0), (109.0, -10.0)))]}) == 0
        until(loop, VOLT_VAR, ST.CURVE_FAILED)
        loop.until("switched off", lambda _: not stands(server, 705, at[705])[0])
        wait_for("the loop tells it", lambda: loop.said("does not take the volt-var curve"))
        told = [e["detail"] for e in reader.drain() if e["code"] == L.EventCode.EV_CURVE]
        assert told.count(VOLT_VAR * 8 + ST.CURVE_FAILED) == 1


NAN = float("nan")
V_HIGH, V_LOW, HZ_HIGH, HZ_LOW, DELAY, RANDOM, RAMP = range(7)
ES_REFUSED = [
    (L.PlanFault.PLAN_ORDER, {V_HIGH: 95.0, V_LOW: 95.0}),
    (L.PlanFault.PLAN_ORDER, {HZ_HIGH: 49.0, HZ_LOW: 50.0}),
    (L.PlanFault.PLAN_RANGE, {V_HIGH: 201.0}),
    (L.PlanFault.PLAN_RANGE, {HZ_LOW: 29.0}),
    (L.PlanFault.PLAN_RANGE, {DELAY: -1.0}),
    (L.PlanFault.PLAN_NUMBER, {RAMP: float("inf")}),
]


def es(values: dict[int, float]) -> list[float]:
    """In the order of ServiceValue."""
    return [values.get(value, NAN) for value in range(7)]


def registers(server: PlantServer, address: int) -> list[int]:
    """ESVHi, ESVLo, ESHzHi, ESHzLo, ESDlyTms, ESRndTms, ESRmpTms as they stand."""
    raw = read(server.plants[0], 1, address + 3, 12)
    return [*raw[:2], *(raw[at] << 16 | raw[at + 1] for at in range(2, 12, 2))]


@pytest.mark.timeout(110)
def test_enter_service_reaches_the_pcs_beside_the_curves(tmp_path: Path) -> None:
    """setES* in model 703 (SEP2-4): rounded into the narrower window, what is not stated stays, told again to a device that was away."""
    with running(tmp_path) as (server, loop, at):
        reader, port, before = loop.events_reader(), loop.plans(), registers(server, at[703])

        told: list[int] = []

        def stands(wanted: list[int], times: int) -> None:
            def proved() -> bool:
                told.extend(e["detail"] for e in reader.drain() if e["code"] == L.EventCode.EV_CURVE)
                return told.count(3 * 8 + ST.CURVE_IN_FORCE) == times

            loop.until(f"703 says {wanted}", lambda _: proved() and registers(server, at[703]) == wanted)

        for fault, values in ES_REFUSED:
            assert port.write_curves({}, es(values)) == fault, values
        shape = {VOLT_VAR: [step()]}
        assert port.write_curves(shape, es({V_HIGH: 105.58, V_LOW: 91.72, DELAY: 299.5})) == 0
        stands([1055, 918, before[2], before[3], 300, before[5], before[6]], 1)
        until(loop, VOLT_VAR, ST.CURVE_IN_FORCE)
        assert port.write_curves(shape, es({HZ_HIGH: 50.1004, HZ_LOW: 49.8996, RANDOM: 10.0, RAMP: 60.0})) == 0
        stands([1055, 918, 50_100, 49_900, 300, 10, 60], 2)
        loop.let_go()
        server.drop()
        server.plants[0].request(1, bytes((16, *(at[703] + 13).to_bytes(2, "big"), 0, 2, 4, 0, 0, 0, 5)))
        stands([1055, 918, 50_100, 49_900, 300, 10, 60], 3)
        assert 3 * 8 + ST.CURVE_FAILED not in told


@pytest.mark.timeout(110)
def test_a_pcs_that_refuses_enter_service_is_told_of_once(tmp_path: Path) -> None:
    """And a curve in its place beside it is no plan."""
    with running(tmp_path) as (server, loop, at):
        reader, port = loop.events_reader(), loop.plans()
        now = time.monotonic_ns()
        four = [step(((-100.0, 20.0), (100.0, -20.0)), now + i * S, now + (i + 1) * S) for i in range(4)]
        with pytest.raises(ValueError, match="in its place"):
            port.write_curves({WATT_VAR: four}, es({DELAY: 1.0}))
        server.plants[0].set(pcs_write_exception=4)
        assert port.write_curves({}, es({DELAY: 77.0})) == 0
        wait_for("the loop tells it", lambda: loop.said("does not take the enter service"))
        assert registers(server, at[703])[4] != 77
        assert [e["detail"] for e in reader.drain() if e["code"] == L.EventCode.EV_CURVE] == [3 * 8 + ST.CURVE_FAILED]


def test_discovery_and_sealing_know_the_curves() -> None:
    """Counts and scale factors are found, kept in the discovery file, and verified at each connect."""
    with plant_server(pcs={"curves": True}) as server:
        pcs = curves_of(server)
    assert from_json(to_json({"pcs1": pcs}), "x")["pcs1"] == pcs
    plan = compile_device(profiles.load("sunspec-7xx").profile, Role("pcs"), pcs)
    assert [(c.kind, c.points, c.x_scale, c.y_scale, c.s_scale) for c in plan.curves] == [
        ("volt_var", 10, 0.1, 0.1, 1.0), ("volt_watt", 10, 0.1, 0.1, 1.0), ("watt_var", 10, 0.1, 0.1, 0.0),
    ]  # fmt: skip
    address = next(m.address for m in pcs.models if m.id == 705)
    assert {(address, 705), (address + 5, 10), (address + 6, 2), (address + 12, 0xFFFF), (address + 14, 0)} <= set(plan.checks)
    one_set = [dataclasses.replace(m, counts={**m.counts, "NCrv": 1}) for m in pcs.models]
    assert compile_device(profiles.load("sunspec-7xx").profile, Role("pcs"), dataclasses.replace(pcs, models=tuple(one_set))).curves == ()
