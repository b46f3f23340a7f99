"""Real processes: plant, loop, supervisor and the scripted server; a utility's event moves the PCS, also with the supervisor killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.devices.address import Address
from bessctl.devices.sunspec import discover
from bessctl_core import layout as L
from bessctl_core.sim.plant import Plant
from tests.app.test_supervisor import NO_OCPP, Program
from tests.cli.test_commands import ROOT, cli, site_file
from tests.scenarios.loop_rig import Loop, S, found_devices, loop_process, plant_server, wait_for
from tests.sim.plants import read

GRAD_W, RATE_W_PER_S = 1_500, 30_000.0
"""setGradW in hundredths of a percent of setMaxW per second, and what that is for 200 kW."""
SLOT = """  - name: sep2
    class: grid
    priority: 5
    scopes: [ess, reactive]
    lease_max_s: 86400

# What protects"""
SECTION = """sep2:
  url: {url}
  cert_file: {cert_file}
  key_file: {key_file}
  ca_file: {ca_file}
  pin: 111115

"""


class Server:
    """`bessctl sim sep2-server`."""

    def __init__(self, folder: Path) -> None:
        env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
        command = [sys.executable, "-m", "bessctl", "sim", "sep2-server", str(folder / "utility"), "--port", "0", "--pin", "111115"]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hello = self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def do(self, what: str, **words: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **words}) + "\n")
        self.process.stdin.flush()
        return self._line()

    def responses(self) -> list[list[Any]]:
        found: list[list[Any]] = self.do("show")["responses"]
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextmanager
def utility(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()


def sited(folder: Path, server: Server, port: int) -> Path:
    section = SECTION.format(**server.hello)
    return site_file(
        folder,
        NO_OCPP,
        ("port: 5020", f"port: {port}"),
        ("# What protects", SLOT),
        ("# A site with one battery", section + "# A site with one battery"),
    )


def energy_granted_is_charged(loop: Loop, run_dir: Path) -> None:
    """`bessctl sep2 reserve`: what the utility grants is charged (flow reservation)."""

    def asked() -> str:
        done = cli("sep2", "reserve", "--energy-kwh", 5, "--power-kw", 20, "--within-h", 1, "--run-dir", run_dir, "-o", "json")
        return done.stdout if done.returncode == 0 else ""

    assert len(json.loads(wait_for("the utility takes requests", asked))["request"]) == 32
    loop.until("charging", lambda s: abs(s["ess_w"] + 20_000) < 1_000)


def disconnection_opens_the_contactors(server: Server, loop: Loop, plant: Plant) -> None:
    """opModConnect false: the PCS stops, the BMS's contactors open; after the event they close and all is as before."""
    server.do("event", program="demo", mrid="C0", in_s=-1, duration_s=4, connect=False)
    wait_for("the contactors are open", lambda: not plant.get()["contactor"])
    assert abs(plant.get()["order_w"]) < 1
    loop.until("connected, and charging again", lambda s: plant.get()["contactor"] and abs(s["ess_w"] + 20_000) < 1_000)
    wait_for("its responses", lambda: [code for mrid, code in server.responses() if mrid == "C0"] == [1, 2, 3])


def curve_reaches_the_pcs(server: Server, loop: Loop, plant: Plant, at_705: int) -> None:
    """opModVoltVar: the curve of the utility stands in the PCS's model 705, read back from its registers."""
    server.do("curve", program="demo", name="1", kind="volt_var", points=[[9200, 4400], [10800, -4400]])
    server.do("event", program="demo", mrid="CE", in_s=-1, duration_s=3600, volt_var="/derp/demo/dc/1")
    loop.until("the curve is in force", lambda s: s["unit_curve"][0] == L.CurveState.CURVE_IN_FORCE)
    assert read(plant, 1, at_705 + 2) == [1]
    assert read(plant, 1, at_705 + 15, 2) == [2, 1]
    assert read(plant, 1, at_705 + 25, 4) == [920, 440, 1080, 65536 - 440]


def enter_service_reaches_the_pcs(server: Server, plant: Plant, at_703: int) -> None:
    """setES* of the default: in the PCS's model 703, read back from its registers, and in DERSettings."""
    asked = {"es_delay": 12_000, "es_high_volt": 10_540, "es_low_volt": 9_160, "es_high_freq": 5_005, "es_low_freq": 4_990}
    server.do("default", program="demo", **asked, es_ramp_tms=6_000, es_random_delay=500, grad_w=GRAD_W)
    wanted = [1054, 916, 0, 50_050, 0, 49_900, 0, 120, 0, 5, 0, 60]
    wait_for("the PCS's model 703", lambda: read(plant, 1, at_703 + 3, 12) == wanted)


def the_gradient_is_seen(loop: Loop, plant: Plant) -> None:
    """setGradW: on its way to the event's power the PCS's register is never ahead of it. A busy machine can only be behind."""
    seen: list[tuple[float, float, float]] = []

    def there() -> bool:
        before_s = time.monotonic()
        order_w = float(plant.get()["order_w"])
        seen.append((before_s, order_w, time.monotonic()))
        return abs(order_w - 40_000) < 200

    loop.until("the event's power", lambda _: there())
    moving = [one for one in seen if -15_000 < one[1] < 39_000]
    assert len(moving) > 10, "a ramp, not a step"
    (first_s, first_w, _), (_, last_w, last_s) = moving[0], moving[-1]
    assert last_w - first_w < 1.15 * RATE_W_PER_S * (last_s - first_s)


def near_var(plant: Plant, var: float) -> bool:
    return abs(float(plant.get()["order_var"]) - var) < 200


def reactive_power_reaches_the_pcs(server: Server, plant: Plant) -> None:
    """opModFixedVar, then opModFixedPFInjectW and AbsorbW: what the PCS's registers order, at 40 kW of discharge."""
    server.do("event", program="demo", mrid="A1", in_s=-1, duration_s=3600, fixed_var=[1, 1000])
    wait_for("a tenth of setMaxW", lambda: near_var(plant, 20_000))
    server.do("cancel", mrid="A1")
    server.do("event", program="demo", mrid="B1", in_s=-1, duration_s=3600, fixed_pf_inject=[95, False], fixed_pf_absorb=[90, True])
    wait_for("a power factor of 0.95", lambda: near_var(plant, 40_000 * 0.3287))


@pytest.mark.timeout(150)
def test_a_utilitys_event_moves_the_pcs_and_ends_with_the_supervisor_dead(tmp_path: Path) -> None:
    """SEP2-3, -4, -9, -10 over TLS: a reservation, a disconnection, a curve, opModTargetW at the PCS; its end, the supervisor killed."""
    with utility(tmp_path) as server, plant_server(pcs={"curves": True}) as plant:
        site = sited(tmp_path, server, plant.port)
        loaded = load_site(site)
        pcs = discover(Address(host="127.0.0.1", port=plant.port), 1)
        loaded.sealed_file.write_bytes(seal(loaded, {**found_devices(), "pcs1": pcs}).content)
        server.do("grants_at_once", on=True)
        server.do("demand", mrid="D1", in_s=3_000, duration_s=60, duty_cycle=50)
        assert json.loads(cli("sep2", "identity", site, "-o", "json").stdout)["lfdi"] == server.hello["lfdi"]
        assert json.loads(cli("sep2", "register", site, "-o", "json").stdout)["registration"] == "open"
        for resource in ("dcap", "tm", "edev", "rg", "fsa", "derp", "der", "mup"):
            server.do("rate", of=resource, s=1)
        with loop_process(tmp_path, loaded.sealed_file) as loop:
            loop.attach()
            loop.until("power is allowed", lambda s: s["mode"] == L.Mode.MODE_RUN and s["hi_w"] > 150e3)
            program = Program(site)
            try:
                energy_granted_is_charged(loop, loaded.run_dir)
                disconnection_opens_the_contactors(server, loop, plant.plants[0])
                curve_reaches_the_pcs(server, loop, plant.plants[0], next(m.address for m in pcs.models if m.id == 705))
                enter_service_reaches_the_pcs(server, plant.plants[0], next(m.address for m in pcs.models if m.id == 703))
                server.do("event", program="demo", mrid="E1", in_s=-1, duration_s=3600, target_w=40_000)
                the_gradient_is_seen(loop, plant.plants[0])
                server.do("default", program="demo")
                state = loop.until("the event's power", lambda s: abs(s["ess_w"] - 40_000) < 1_000)
                assert state["target_slot"] == loaded.site.sources.index(next(x for x in loaded.site.sources if x.name == "sep2"))
                reactive_power_reaches_the_pcs(server, plant.plants[0])
                wait_for("its responses", lambda: [r for r in server.responses() if r[0] == "E1"] == [["E1", 1], ["E1", 2]])
                told = json.loads(cli("sep2", "status", "--run-dir", loaded.run_dir, "-o", "json").stdout)
                assert (told["registration"], told["programs"]) == ("open", 2)
                assert set(told["running"]) == {"E1", "CE", "F1", "B1"}
                listed = json.loads(cli("sep2", "events", "--run-dir", loaded.run_dir, "-o", "json").stdout)["events"]
                events = {e["mrid"]: e for e in listed}
                running = {"E1": "running", "CE": "running", "F1": "running", "B1": "running"}
                assert {mrid: e["phase"] for mrid, e in events.items()} == {**running, "A1": "over", "C0": "over", "D1": "waiting"}
                assert events["D1"]["asks"] == "demand=5000"
                server.do("event", program="demo", mrid="E2", in_s=5, duration_s=3, target_w=-30_000)
                wait_for("the second event is known", lambda: ["E2", 1] in server.responses())
                sealed_plan = loop.until(
                    "the plan with both", lambda s: s["slot_serial"][state["target_slot"]] > state["slot_serial"][state["target_slot"]]
                )
                program.process.send_signal(signal.SIGKILL)
                program.process.wait(10)
                loop.until("the second event's power, nobody there", lambda s: abs(s["ess_w"] + 30_000) < 1_000)
                wait_for("the power factor for absorbing", lambda: near_var(plant.plants[0], -30_000 * 0.4843))
                after = loop.until("its end, nobody there: the reservation goes on", lambda s: abs(s["ess_w"] + 20_000) < 1_000)
                assert after["now_ns"] > sealed_plan["now_ns"] + S
                assert after["slot_state"][state["target_slot"]] == L.SlotState.SLOT_LIVE
            finally:
                program.end()
