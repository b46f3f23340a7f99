"""Snapshot -> reading: the sign is turned once, nothing is made up; alarms -> error codes (OCPP-5, OCPP-14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bessctl.model.snapshot import Binding, Limit
from bessctl.protocols.ocpp.binding.readings import reading_of
from bessctl.protocols.ocpp.session.alarms import error_code, error_state
from bessctl.protocols.ocpp.session.plant import Trouble
from tests.protocols.ocpp.fakes import SNAPSHOT, UNIT


@pytest.mark.parametrize(("ess_w", "out", "into"), [(70.0, 70.0, 0.0), (-70.0, 0.0, 70.0), (0.0, 0.0, 0.0), (None, None, None)])
def test_power_has_two_directions(ess_w: float | None, out: float | None, into: float | None) -> None:
    reading = reading_of(replace(SNAPSHOT, ess_w=ess_w), "ocpp")
    assert (reading.discharge.power_w, reading.charge.power_w) == (out, into)


def test_envelope_and_registers() -> None:
    unit = replace(UNIT, import_wh=1.5, export_wh=2.25)
    snapshot = replace(SNAPSHOT, lo=Limit(-80.0, Binding("bms", "u1")), hi=Limit(0.0, Binding("source", "ocpp")), units=(unit, unit))
    reading = reading_of(snapshot, "ocpp")
    assert (reading.charge.offered_w, reading.charge.bound_by, reading.charge.ours) == (80.0, "bms:u1", False)
    assert (reading.discharge.offered_w, reading.discharge.ours) == (0.0, True)
    assert (reading.discharge.register_mwh, reading.charge.register_mwh) == (4500, 3000)


def test_what_is_missing_stays_missing() -> None:
    bare = replace(UNIT, ac_v=None, ac_hz=None, soc_pct=None, soh_pct=None, cell_temp_max_c=None)
    reading = reading_of(replace(SNAPSHOT, units=(bare, UNIT), ess_w=None), "ocpp")
    assert (reading.soc_pct, reading.current_a) == (None, None)
    none = reading_of(replace(SNAPSHOT, units=(bare,)), "ocpp")
    assert (none.voltage_v, none.frequency_hz, none.temperature_c, none.soh_pct, none.current_a) == (None,) * 5


def test_state_of_charge_is_weighed_by_capacity() -> None:
    units = (replace(UNIT, soc_pct=10.0, capacity_wh=300.0), replace(UNIT, soc_pct=50.0, capacity_wh=100.0))
    assert reading_of(replace(SNAPSHOT, units=units), "ocpp").soc_pct == 20.0


@pytest.mark.parametrize("mode", ["stopped", "stopping", "out_of_service", "tripped", "standby", "acquire", "start_failed"])
def test_modes_that_take_no_command(mode: str) -> None:
    assert not reading_of(replace(SNAPSHOT, mode=mode), "ocpp").running


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("pcs_temp_high.warn", "HighTemperature"),
        ("internal_assertion", "InternalError"),
        ("overruns", "InternalError"),
        ("contactor_open", "ConnectorLockFailure"),
        ("contactor_welded", "ConnectorLockFailure"),
        ("bms_silent", "EVCommunicationError"),
        ("bms_age", "EVCommunicationError"),
        ("pcs_fault", "PowerSwitchFailure"),
        ("insulation_low", "GroundFailure"),
        ("cell_temp_high", "HighTemperature"),
        ("cell_v_high", "OverVoltage"),
        ("pack_v_low", "UnderVoltage"),
        ("charge_current_high", "OverCurrentFailure"),
        ("meter_stale", "PowerMeterFailure"),
        ("reset_failed", "ResetFailure"),
        ("internal", "InternalError"),
        ("soc_low", "OtherError"),
        ("cell_temp_low", "OtherError"),
    ],
)
def test_error_codes(code: str, error: str) -> None:
    """OCPP-5."""
    assert error_code(code) == error


def test_the_worst_alarm_speaks() -> None:
    state = error_state(
        (
            Trouble("soc_low", "warn"),
            Trouble("cell_temp_high", "trip"),
            Trouble("pcs_fault", "derate"),
        )
    )
    assert (state.code, state.vendor, state.faulted) == ("HighTemperature", "cell_temp_high", True)
    assert error_state(()).code == "NoError"
    assert error_state((Trouble("soc_low", "warn"),)).code == "NoError"
    assert error_state((Trouble("soc_low", "derate"),)).vendor == "soc_low"
    assert not error_state((Trouble("cell_temp_high", "derate"),)).faulted
