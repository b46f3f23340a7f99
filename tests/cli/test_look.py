"""`status`, `limits` and `events` on a published state: who limits me, and why, always has an answer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bessctl.cli.program import run
from bessctl_core import layout as L
from tests.core.loop_rig import Loop
from tests.sites import sealed_example
from tests.test_corelink import EVENT, measured, state

S = 1_000_000_000


def row_of(names: dict[str, Any], name: str, tier: str) -> int:
    return next(i for i, row in enumerate(names["rows"]) if (row["name"], row["tier"]) == (name, tier))


SEALING = sealed_example()
ROW = row_of(SEALING.names, "cell_temp_high", "derate")
Q = L.Quantity

DERATED: dict[str, Any] = {
    "wanted_w": 150_000.0,
    "target_slot": 2,
    "connect_slot": -1,
    "slot_target_w": [20_000.0, float("nan"), 150_000.0] + [float("nan")] * 13,
    "slot_state": [L.SlotState.SLOT_LIVE, 0, L.SlotState.SLOT_LIVE] + [0] * 13,
    "lo_w": -200_000.0,
    "hi_w": 100_000.0,
    "device_lo_w": -200_000.0,
    "device_hi_w": 100_000.0,
    "hi_bind": L.BindKind.BIND_ROW,
    "hi_bind_id": ROW,
    "hi_since_ns": 90 * S,
    "lo_bind": L.BindKind.BIND_RATING,
    "command_w": 100_000.0,
    "ess_w": 99_000.0,
    "row_active": [int(i == ROW) for i in range(768)],
    "pcs_state": [L.DeviceState.DEV_UP] + [0] * 15,
    "bms_state": [L.DeviceState.DEV_UP] + [0] * 15,
    **measured({(0, Q.Q_AC_W): 99_000.0, (0, Q.Q_SOC_PCT): 61.0, (0, Q.Q_PCS_STATE): 3, (0, Q.Q_CELL_TEMP_MAX_C): 50.0}),
}


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    running = Loop(tmp_path, os.getuid(), SEALING.content, SEALING.digest)
    yield running
    running.close()


def look(command: str, run_dir: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = run([command, "--run-dir", str(run_dir), *more])
    said = capsys.readouterr()
    assert said.err == ""
    return code, said.out


def test_limits_answers_from_the_request_over_each_clamp_to_what_was_applied(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.segments.publish(state(**DERATED))
    _, out = look("limits", tmp_path, capsys, "-o", "json")
    lines = {line["step"]: line for line in json.loads(out)["limits"]}
    assert (lines["requested"]["value_w"], lines["requested"]["by"]) == (150_000.0, "source:ocpp")
    assert (lines["others"]["value_w"], lines["others"]["by"]) == (20_000.0, "source:manual")
    hi = lines["plant hi"]
    assert (hi["value_w"], hi["by"], hi["since_s"], hi["until_s"]) == (100_000.0, "row:cell_temp_high@unit1", 10.0, None)
    assert hi["effect"] == "clamps the request"
    assert lines["plant lo"]["effect"] is None
    assert (lines["applied"]["value_w"], lines["measured"]["value_w"]) == (100_000.0, 99_000.0)
    _, out = look("limits", tmp_path, capsys)
    assert next(line for line in out.splitlines() if line.startswith("plant hi")).split()[2:4] == ["100000", "row:cell_temp_high@unit1"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),  # a derating is ordinary business
        ({"mode": L.Mode.MODE_STOPPED}, 0),  # so is what the operator ordered
        ({"mode": L.Mode.MODE_TRIPPED}, 1),
        ({"mode": L.Mode.MODE_START_FAILED}, 1),
        ({"flags": L.Flag.FLAG_RT_REFUSED}, 1),
        ({"internal": L.Internal.TRIP_JOURNAL}, 1),
        ({"row_latched": [int(i == row_of(SEALING.names, "cell_v_high", "trip")) for i in range(768)]}, 1),
    ],
)
def test_the_exit_code_of_status_says_whether_all_is_well(
    fields: dict[str, Any], code: int, loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.segments.publish(state(**(DERATED | fields)))
    returned, out = look("status", tmp_path, capsys, "-o", "json")
    report = json.loads(out)
    assert (returned, report["healthy"]) == (code, code == 0)
    assert ("CAP_SYS_NICE" in report["plant"].get("remedy", "")) == (fields.get("flags") is not None)


def test_status_shows_the_plant_at_a_glance(loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop.segments.publish(state(**DERATED))
    _, out = look("status", tmp_path, capsys)
    for words in ("mode           run", "hi_by          row:cell_temp_high@unit1", "target_source  ocpp", "unit1  running"):
        assert words in out
    assert any(line.startswith("cell_temp_high") and "derate" in line for line in out.splitlines())


OCPP = 2  # its slot in the example
DISCONNECTED: dict[str, Any] = DERATED | {
    "connect_slot": OCPP, "connect_bind": L.BindKind.BIND_SLOT, "connect_since_ns": 90 * S, "connect_until_ns": 160 * S,
    "lo_w": 0.0, "hi_w": 0.0, "command_w": 0.0, "ess_w": 0.0, "lo_bind": L.BindKind.BIND_OPEN, "hi_bind": L.BindKind.BIND_OPEN,
    "lo_bind_id": OCPP, "hi_bind_id": OCPP, "hi_since_ns": 90 * S, "hi_until_ns": 160 * S,
    "unit_disconnect": [L.BindKind.BIND_OPEN] + [0] * 15, "row_active": [0] * 768,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ("open:ocpp", "its plan disconnects: 0 W, the PCS stops, the contactors open")),
        (
            {"hi_bind": L.BindKind.BIND_CEASE, "lo_bind": L.BindKind.BIND_CEASE},
            ("cease:ocpp", "its plan disconnects: no contactor here is ours, the unit ceases to energise"),
        ),
        (
            {"connect_bind": L.BindKind.BIND_FALLBACK},
            ("open:ocpp", "its lease is over, and it had disconnected: 0 W, the PCS stops, the contactors open"),
        ),
    ],
    ids=["contactors open", "ceases to energise", "in its fallback"],
)
def test_SEP2_10_a_plan_that_disconnects_is_named_by_status_and_limits(
    fields: dict[str, Any], said: tuple[str, str], loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """opModConnect: who disconnects the plant, how, since when and until when; a plant that obeys is a healthy one."""
    by, why = said
    loop.segments.publish(state(**(DISCONNECTED | fields)))
    code, out = look("status", tmp_path, capsys)
    told = dict(line.split(None, 1) for line in out.splitlines() if len(line.split(None, 1)) == 2)
    assert (code, told["disconnected_by"], told["hi_by"], told["lo_by"]) == (0, "ocpp", by, by)
    _, out = look("limits", tmp_path, capsys, "-o", "json")
    hi = {line["step"]: line for line in json.loads(out)["limits"]}["plant hi"]
    assert (hi["value_w"], hi["by"], hi["since_s"], hi["until_s"], hi["effect"]) == (0.0, by, 10.0, 60.0, "clamps the request")
    assert hi["why"] == why
    _, out = look("limits", tmp_path, capsys)
    assert next(line for line in out.splitlines() if line.startswith("plant hi")).endswith(why)


def test_status_names_nobody_where_nobody_disconnects(loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop.segments.publish(state(**DERATED))
    assert "disconnected_by" not in look("status", tmp_path, capsys)[1]


def test_events_are_told_from_where_one_left(loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop.segments.publish(
        state(), [EVENT | {"code": L.EventCode.EV_STARTED}, EVENT | {"code": L.EventCode.EV_ROW_PICKUP, "row": ROW, "place": 0}]
    )
    _, out = look("events", tmp_path, capsys, "-o", "json")
    told = [json.loads(line) for line in out.splitlines()]
    assert [event["code"] for event in told] == ["started", "row_pickup"]
    _, out = look("events", tmp_path, capsys, "--since", str(told[1]["seq"]))
    assert "cell_temp_high of unit1 picked up" in out
    assert "the loop started" not in out


def test_a_loop_that_publishes_nothing_is_named(
    loop: Loop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessctl.cli.look.FIRST_STATE_S", 0.05)
    assert run(["status", "--run-dir", str(tmp_path)]) == 3
    assert "publishes no state" in capsys.readouterr().err
