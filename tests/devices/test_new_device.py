"""A device nobody has heard of, added by a YAML file alone: checked, looked at, sealed and driven. No code knows it."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from bessctl.cli.program import run
from bessctl.config import probe, profiles
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.devices.address import Address
from bessctl.errors import BessctlError, ConfigError
from bessctl_core import layout as L
from tests.devices.bench import Bench
from tests.devices.simulated import READ_INPUT, WRITE_ONE, Served, SimulatedDevice, signed
from tests.sites import EXAMPLE, standard_devices

ACME = """\
profile: acme-storage
description: made up for this test; FC04 and FC06 alone, percent of a rating, magnitude and direction apart, low word first
kind: pcs
references: [{title: nothing, where: this test}]
bus: {read: input, write: single, max_read: 10, gap: 2, min_gap_ms: 5, one_session: true}
word_order: low_first
identity:
  - {name: type, register: 900, type: string, length: 4, is: "ACME-7", means: model}
  - {name: serial, register: 904, type: uint32, means: serial}
factors:
  rated_w: {register: 910, type: uint32, scale: 100, least: 1000, most: 1000000}
points:
  - {quantity: pcs_state, register: 1, type: uint16, codes: {10: "off", 20: standby, 30: running, 99: fault}}
  - {quantity: ac_w, register: 2, type: uint32, sign: {register: 5, mask: 0x8000}}
  - {quantity: pcs_temp_c, register: 7, type: uint16, add: -40, absent: 0xFFFF, pace: slow}
  - {quantity: ac_hz, register: 12, type: float32}
commands:
  setpoint:
    count_w: 0.001
    factors: [rated_w]
    writes:
      - {register: 50, fields: [{name: permille, value: magnitude}]}
      - {register: 51, fields: [{name: direction, value: direction, charging: 7, discharging: 9, idle: 0}]}
  watchdog: {kind: keep_alive, timeout_s: reversion, writes: [{register: 60, fields: [{value: toggle, idle: 0xAAAA, discharging: 0x5555}]}]}
  run: [{register: 70, when: ["off", standby], fields: [{value: const, number: 1}]}]
  stop: [{register: 70, when: [running, unknown], fields: [{value: const, number: 2}]}]
"""


class Acme(SimulatedDevice):
    functions = frozenset({3, READ_INPUT, WRITE_ONE})
    max_read = 10
    one_session = True

    def build(self) -> None:
        self.text(self.input, 900, "ACME-7", 4)
        self.put(self.input, 904, 123456789, 2, low_first=True)
        self.put(self.input, 910, 1500, 2, low_first=True)
        self.input |= dict.fromkeys([1, 2, 3, 4, 5, 6, 7], 0) | {7: 65, 12: 0x0000, 13: 0x4248}  # 50.0, low word first
        self.holding |= {50: 0, 51: 0, 60: 0, 70: 2}
        self.fed_s = 0.0
        self.behave(0)

    def behave(self, dt_s: float) -> None:
        on = self.holding[70] == 1 and self.now_s - self.fed_s < 5
        sign = {7: -1, 9: 1}.get(self.holding[51], 0)
        self.w = sign * self.holding[50] * 150.0 if on else 0
        self.input[1] = 30 if on else 10
        self.input[5] = 0x8000 if self.w < 0 else 0
        self.put(self.input, 2, int(abs(self.w)), 2, low_first=True)

    def on_write(self, address: int, values: list[int]) -> None:
        if address == 60:
            self.fed_s = self.now_s
        self.behave(0)


def site_text(port: int) -> str:
    text = EXAMPLE.read_text()
    for old, new in (
        ("  rate_hz: 100 ", "  rate_hz: 20 "),
        ("act_within_ms: 500", "act_within_ms: 700"),
        ("  # - name: rs485\n", f"  - name: acme\n    tcp: {{host: 127.0.0.1, port: {port}}}\n  # - name: rs485\n"),
        ("    kind: pcs                   # SunSpec models 1, 701 to 704, 713 to 715\n    bus: lan\n",
         "    kind: pcs\n    profile: ./acme.yaml\n    heartbeat: none\n    bus: acme\n"),
    ):  # fmt: skip
        assert old in text, old
        text = text.replace(old, new)
    for row in ("ac_v_high", "ac_v_low", "pcs_alarms", "pcs_heartbeat_lost"):
        text, found = re.subn(
            rf"^  {row}:.*\n(?:    .*\n)*", f"  {row}: {{disabled: this PCS does not tell it}}\n", text, flags=re.MULTILINE
        )
        if not found:
            text = text.replace("protection:", f"protection:\n  {row}: {{disabled: this PCS does not tell it}}", 1)
    return text


def test_a_made_up_device_is_added_by_yaml_and_driven(tmp_path: Path) -> None:
    """CARD-1: profile, site, discovery, sealing, drive: a new device needs no code."""
    device = Acme()
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "site.yaml").write_text(site_text(device.port))
    loaded = load_site(tmp_path / "site.yaml")
    found = standard_devices(loaded)
    with Served(device):
        found["pcs1"] = probe.discover(profiles.load("./acme.yaml", tmp_path).profile, Address("127.0.0.1", device.port), 1)
    device.hang_up()
    assert (found["pcs1"].model, found["pcs1"].serial, found["pcs1"].missing) == ("ACME-7", "123456789", ())
    sealing = seal(loaded, found)
    with Bench.sealed(sealing.content, {1: device}) as bench:
        bench.order(0.0).run(5.0)
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_UP
        assert bench.unit["count_w"] == pytest.approx(150.0)
        for wanted, given in ((40_000.0, 39_900.0), (-40_000.0, -39_900.0), (0.0, 0.0)):
            bench.order(wanted).run(3.0)
            assert device.w == given
            assert bench.value("ac_w") == given
            assert bench.h.setpoint(0)["held"]
        assert bench.value("pcs_temp_c") == 25
        assert bench.value("ac_hz") == 50.0
        assert signed(device.holding[60]) in {signed(0xAAAA), 0x5555}
        assert {function for function, _, _ in device.writes} == {WRITE_ONE}


def test_another_device_at_that_address_is_refused_at_connect_and_at_discovery(tmp_path: Path) -> None:
    device = Acme()
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "site.yaml").write_text(site_text(device.port))
    loaded, found = load_site(tmp_path / "site.yaml"), {}
    profile = profiles.load("./acme.yaml", tmp_path).profile
    with Served(device):
        found = {**standard_devices(loaded), "pcs1": probe.discover(profile, Address("127.0.0.1", device.port), 1)}
        device.text(device.input, 900, "ACME-8", 4)
        with pytest.raises(BessctlError, match=r"its type is 'ACME-8', that of acme-storage is 'ACME-7'"):
            probe.discover(profile, Address("127.0.0.1", device.port), 1)
    device.hang_up()
    with Bench.sealed(seal(loaded, found).content, {1: device}) as bench:
        bench.run(2.0)
        assert bench.unit["pcs_state"] == L.DeviceState.DEV_REFUSED
        assert device.writes == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("quantity: ac_w", "quantity: ac_x", 14, "points[1].quantity: 'ac_x' is nothing the loop measures; did you mean"),
        ("type: uint16, codes", "type: uint17, codes", 13, "points[0].type: 'uint17' is not one of"),
        ("factors: [rated_w]", "factors: [rated]", 20, "there is no factor 'rated'; did you mean 'rated_w'?"),
        ("value: magnitude}", "value: magnitude, type: uint32}", 22, "needs two requests with FC06"),
        ("kind: keep_alive, timeout_s: reversion, writes", "kind: none, timeout_s: reversion, writes", 17, "nothing takes the PCS to 0"),
        ("max_read: 10", "max_read: 200", 5, "bus.max_read: 200 is too large; allowed: a whole number from 1 to 125"),
        ("register: 2, type", "model: 701, offset: 2, type", 14, "states no register; this map counts registers"),
        ("timeout_s: reversion, writes", "timeout_s: 9, period_s: 4, writes", 24, "more than a third of the time-out 9 s"),
    ],
)  # fmt: skip
def test_an_error_in_a_profile_is_told_with_file_line_and_column(old: str, new: str, line: int, said: str) -> None:
    assert old in ACME
    with pytest.raises(ConfigError) as caught:
        profiles.from_text(ACME.replace(old, new), "acme.yaml")
    assert f"acme.yaml:{line}:" in str(caught.value)
    assert said in str(caught.value)


def test_the_command_line_checks_and_shows_profiles(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "bad.yaml").write_text(ACME.replace("ac_hz", "ac_herz"))
    assert run(["profile", "check", str(tmp_path / "acme.yaml"), "sungrow-sh"]) == 0
    assert run(["profile", "show", str(tmp_path / "acme.yaml")]) == 0
    assert "permille = magnitude" in capsys.readouterr().out
    assert run(["profile", "check", str(tmp_path / "bad.yaml")]) == 2
    assert "bad.yaml:16:" in capsys.readouterr().err
    assert run(["profile", "show", "sungrow"]) == 2
    assert "did you mean 'sungrow-sh'?" in capsys.readouterr().err


def test_a_device_of_one_session_is_not_looked_at_while_the_loop_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    site = tmp_path / "site.yaml"
    site.write_text(site_text(1).replace("run_dir: /run/bessctl ", "run_dir: run "))
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as loop:
        loop.bind(str(tmp_path / "run" / "state.sock"))
        loop.listen()
        assert run(["discover", "--into", str(site)]) == 2
    assert "pcs1 take one connection, and the running loop holds it" in capsys.readouterr().err


def test_the_command_line_dumps_a_device(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    device = Acme()
    device.one_session = False
    with Served(device):
        assert run(["profile", "dump", f"tcp://127.0.0.1:{device.port}", "--profile", str(tmp_path / "acme.yaml"), "-o", "json"]) == 0
    device.close()
    out = capsys.readouterr().out
    assert "input 12: 0000 4248" in out
    assert '"ac_hz": 50.0' in out


def test_the_schema_beside_the_profiles_is_that_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "schema"]) == 0
    assert capsys.readouterr().out == (profiles.SHIPPED / "profile.schema.json").read_text()


def test_the_blueprint_is_a_profile() -> None:
    assert profiles.from_tree(profiles.SHIPPED / "_blueprint.yaml").profile.kind == "pcs"
