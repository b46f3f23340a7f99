"""Simulated time: the real step, drivers and buses, the simulated devices, and a clock that runs as fast as the processor can."""

from __future__ import annotations

from typing import Any

from bessctl.corelink.dry import DryPlant, S
from bessctl.hil.faults import Injection
from bessctl.hil.place import CannotPlay, Evidence
from bessctl.hil.record import Recording
from bessctl.hil.signals import INVERTER, Column
from bessctl.hil.stagefiles import StageFiles
from bessctl.model.plan import Plan

READY_S = 60
REST_NS = S // 2
LATE_PER_S = 5.0
WARM_GAP_NS = 2 * S


class DryPlace:
    """bessctl.hil.place.Place in simulated time."""

    name = "simulated time"
    lease_most_s = 3600.0
    stolen_ms = 0.0

    def __init__(self, files: StageFiles, sabotage: str = "") -> None:
        self.server = files.server()
        content = files.sealed(sabotage)
        buses = len(self.server.plants)
        self.dry = DryPlant(content, self.server, [0] if self._one_bus(files) else list(range(buses)))
        self.site = self.dry.site
        self.loop = self.dry.loop
        self._killed_ns = 0
        self._journal_lost = False
        self._logged = [0] * len(self.server.plants)
        self.facts: dict[str, Any] = {
            "config hash": self.dry.digest.hex(),
            "clock": "invented",
            "real time": "not applicable: time is invented",
        }

    @staticmethod
    def _one_bus(files: StageFiles) -> bool:
        config = files.simulated()
        return config.server.shared_bus or len(config.plants) == 1

    @property
    def now_ns(self) -> int:
        return self.loop.now_ns

    def begin(self, columns: tuple[Column, ...], cold: bool) -> int:
        self.loop.watch(list(columns))
        self.loop.start()
        until_ns = self.now_ns + READY_S * S
        while not cold and self.loop.state["mode"] != 1:
            if self.now_ns >= until_ns:
                raise CannotPlay(f"the loop did not come to mode run within {READY_S} s")
            self.loop.run(self.now_ns + S // 10)
        if not cold:
            self.loop.run(self.now_ns + 3 * S)
        return self.now_ns

    def advance(self, until_ns: int) -> str:
        self.loop.run(until_ns)
        return ""

    def write(self, source: str, plan: Plan, old_boot: bool) -> str:
        return self.dry.write(source, plan, old_boot=old_boot) if self.loop.running else ""

    def command(self, word: str, local: bool, source: str = "") -> None:
        self.dry.command(word, local=local, source=source)

    def plays(self, injection: Injection) -> None:
        """Nobody else is needed."""

    def plant(self, unit: int, values: dict[str, Any]) -> None:
        self.server.plants[unit].set(**values)

    def truth(self, unit: int) -> dict[str, Any]:
        found: dict[str, Any] = self.server.plants[unit].get()
        return found

    def wire(self, values: dict[str, Any]) -> None:
        self.server.disturb(
            deaf=values.get("deaf"),
            noise_per_mille=values.get("noise"),
            spoil=values.get("spoil"),
            single_session=values.get("one_session"),
        )
        if "cut" in values:
            for bus in range(len(self.site.buses)):
                self.loop.cut(bus, values["cut"])

    def foreign(self, unit: int, power_w: float) -> None:
        foreign_write(self.server.plants[unit], power_w)

    def controller(self, what: str) -> None:
        if what == "stop":
            self.loop.ask_stop()
        elif what == "killed":
            self.loop.kill()
            self._killed_ns = self.now_ns
        elif what in {"late", "in time"}:
            self.loop.overrun_per_s = LATE_PER_S if what == "late" else 0.0
        else:
            if self.loop.running:
                self.loop.kill()
                self._killed_ns = self.now_ns
            reboot = what == "rebooted"
            self.loop.start(warm=not reboot and self.now_ns - self._killed_ns < WARM_GAP_NS, journal_lost=self._journal_lost, reboot=reboot)

    def journal(self, what: str) -> None:
        self._journal_lost = what == "lost"
        self.loop.disk_broken = what == "broken"

    def take(self, record: Recording, zero_ns: int) -> None:
        shift_s = (zero_ns - 1000 * S) / S
        begin = len(record.rows)
        record.rows.frombytes(self.loop.recorded())
        for i in range(begin, len(record.rows), record.width):
            record.rows[i] -= shift_s
        record.events += [((event.at_ns - zero_ns) / S, event) for event in self.dry.events()]
        for unit, plant in enumerate(self.server.plants):
            for number, ns, kind, value in plant.command_log(self._logged[unit]):
                record.commands.append(((ns - zero_ns) / S, unit, kind, value))
                self._logged[unit] = number + 1

    def finish(self) -> Evidence:
        """SIGTERM, then what the devices say. A loop that is dead at the end is not started again: the PCS must have stopped by itself."""
        proved = False
        if self.loop.running:
            self.loop.ask_stop()
            until_ns = self.now_ns + 5 * S
            while not (proved := self.loop.stopped) and self.now_ns < until_ns:
                self.loop.run(self.now_ns + S // 10)
            self.loop.run(self.now_ns + REST_NS)
        return evidence([plant.get() for plant in self.server.plants], self.site.units, proved)

    def close(self) -> None:
        if self.loop.running:
            self.loop.kill()


def evidence(plants: list[dict[str, Any]], units: list[str], proved: bool) -> Evidence:
    """What simulated devices say about themselves."""
    devices = {}
    for unit, plant in zip(units, plants, strict=False):
        devices[f"PCS of {unit}"] = f"{INVERTER[plant['inv_state']]}, set point {plant['wset_w']:.0f} W"
        devices[f"contactor of {unit}"] = "closed" if plant["contactor"] else "open"
    return Evidence(proved, sum(plant["ess_w"] for plant in plants), devices)


def foreign_write(plant: Any, power_w: float) -> None:
    """FC16 into 704 WSet of the simulated PCS, as another tool at the same bus would."""
    unit, address = plant.place_of_wset()
    raw = round(power_w) & 0xFFFFFFFF
    plant.request(unit, bytes([16]) + address.to_bytes(2, "big") + bytes([0, 2, 4]) + raw.to_bytes(4, "big"))
