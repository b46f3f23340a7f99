"""The plant that the board in QEMU controls: two simulated batteries on this machine and the site made for them.

One is reached over Modbus TCP through the board's field LAN, one over Modbus RTU through a virtual serial line. The devices are asked less
often and may be silent much longer than on a real site: an emulated board stands still for seconds.
"""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[3]
HOST = "10.0.2.2"
RTU_DEVICE = "/dev/bess/rs485-1"
BAUD = 38400
"""hvc lines have no speed; this is the one they claim to have."""
AGES = {"pcs_data_age", "bms_data_age", "meter_data_age", "pcs_heartbeat_lost", "bms_heartbeat_lost"}


class Plant:
    """One simulated plant in a process of its own, driven by JSON lines."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        yaml = YAML()
        content = yaml.load((ROOT / "examples/plant.yaml").read_text())
        content["plants"][0]["name"] = name
        content["plants"][0]["pcs"]["controller_timeout_s"] = 60
        for device in (content["plants"][0][part]["device"] for part in ("pcs", "battery", "meter")):
            device["serial"] = f"{name}-{device['unit']}"
        file = folder / f"{name}.yaml"
        with file.open("w") as out:
            yaml.dump(content, out)
        command = [sys.executable, "-m", "bessctl.sim.process", str(file), *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / f"{name}.log").open("wb"), text=True
        )
        self.ready = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the simulated plant ended; see its log"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def set(self, **values: Any) -> None:
        self.ask(set=values)

    def power_w(self) -> float:
        """At the PCS's AC terminals, + = discharge."""
        return float(self.ask(get=True)["get"]["ess_w"])

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@dataclass
class Rig:
    """Both plants, and what goes onto the stick."""

    folder: Path
    tcp: Plant
    rtu: Plant

    @property
    def pty(self) -> str:
        return str(self.rtu.ready["pty_paths"][0])

    def stick_files(self) -> dict[str, Path]:
        """site.yaml, what was found with the devices online, and the field LAN's address. The board seals it by itself."""
        site = self.folder / "site.yaml"
        here = {"lan": {"tcp": {"host": "127.0.0.1", "port": self.tcp.ready["ports"][0]}}, "line": rtu(self.pty)}
        board = {"lan": {"tcp": {"host": HOST, "port": self.tcp.ready["ports"][0]}}, "line": rtu(RTU_DEVICE)}
        write_site(site, here)
        bessctl("discover", "--into", str(site))
        move(site, board)
        lan = self.folder / "field-lan"
        lan.write_text("enp0s5 10.0.2.15/24\n")
        return {"site.yaml": site, "site.discovery.json": site.with_suffix(".discovery.json"), "field-lan": lan}

    def data_files(self) -> dict[str, Path]:
        """The same, sealed here, where it is quicker. Who the supervisor is, the board's unit says (--supervisor-uid)."""
        files = self.stick_files()
        site, there = files["site.yaml"], self.folder / "sealing"
        there.mkdir(exist_ok=True)
        (there / "site.yaml").write_text(site.read_text().replace("user: bess-supervisor", f"user: {getpass.getuser()}"))
        shutil.copyfile(files["site.discovery.json"], there / "site.discovery.json")
        bessctl("check", "--seal", str(there / "site.yaml"))
        return {**files, "site.sealed": there / "site.sealed"}

    def end(self) -> None:
        for plant in (self.tcp, self.rtu):
            plant.end()


def rtu(device: str) -> dict[str, Any]:
    return {"rtu": {"device": device, "baud": BAUD, "parity": "none"}}


def write_site(file: Path, buses: dict[str, Any]) -> None:
    """examples/site.yaml with a second unit on a second bus."""
    yaml = YAML()
    site = yaml.load((ROOT / "examples/site.yaml").read_text())
    site["supervisor"] = {"user": "bess-supervisor"}
    site["loop"].update(rate_hz=10, settle_s=2, frozen_s=60, acquire_timeout_s=600, max_uncontrolled_s=60, cpu=1, rt="required")
    site["pcc"].update(meter_hold_s=60)
    site["buses"] = [{"name": name, **bus} for name, bus in buses.items()]
    devices = []
    for number, bus in enumerate(buses, 1):
        for device in site["devices"]:
            if device["kind"] == "meter" and number == 2:
                continue
            name = device["name"].replace("1", str(number))
            devices.append({**device, "name": name, "bus": bus, "timeout_s": 3.0, "poll": {"fast_s": 1.0, "slow_s": 10.0, "state_s": 2.0}})
    site["devices"] = devices
    unit = {**site["units"][0], "reversion_s": 30, "confirm_s": 60, "data_age_s": 60}
    site["units"] = [{**unit, "name": f"unit{n}", "pcs": f"pcs{n}", "bms": f"bms{n}"} for n in (1, 2)]
    for row in AGES:
        for tier, ages in site["protection"].get(row, {}).items():
            ages.update({"pickup_s": 55.0 if tier == "trip" else 40.0, "dropoff_s": 20.0})
    for row in ("charge_current_high", "discharge_current_high"):
        site["protection"][row]["trip"]["act_within_ms"] = 10_000
    site.pop("ocpp", None)
    site["sources"] = [source for source in site["sources"] if source["name"] != "ocpp"]
    with file.open("w") as out:
        yaml.dump(site, out)


def move(file: Path, buses: dict[str, Any]) -> None:
    """The same site with its devices at these addresses: as the board sees them."""
    yaml = YAML()
    site = yaml.load(file.read_text())
    for bus in site["buses"]:
        bus.update(buses[bus["name"]])
    with file.open("w") as out:
        yaml.dump(site, out)


def bessctl(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "bessctl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
