"""The files behind a scenario: its site, the simulated plant beside it, and the sealed configuration made of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bessctl.config import seal as sealing
from bessctl.config.load import LoadedSite, load_site
from bessctl.corelink import seal as core_seal
from bessctl.corelink.seal import unpack
from bessctl.corelink.words import Site
from bessctl.devices.discovery import FoundDevice
from bessctl.devices.sunspec import discover_by
from bessctl.errors import ConfigError
from bessctl.hil.sabotage import sabotaged
from bessctl.sim import config as sim_config
from bessctl.sim.run import make_server

UNIT_OF = {"pcs": "pcs", "bms": "battery", "meter": "meter"}


@dataclass(frozen=True)
class StageFiles:
    """`site` and `plant`: the two YAML files. The plants' order is that of the site's buses."""

    site: Path
    plant: Path

    @staticmethod
    def beside(scenario: Path, site: str, plant: str = "") -> StageFiles:
        """The site a scenario names, and the plant it names or `NAME.plant.yaml` next to the site."""
        path = scenario.parent / site
        return StageFiles(path, scenario.parent / plant if plant else path.with_name(f"{path.stem}.plant.yaml"))

    def server(self, **overrides: Any) -> Any:
        """The plants behind a server that was not started. Raises ConfigError."""
        return make_server(self.simulated(), self.plant.parent, **overrides)

    def simulated(self) -> sim_config.SimConfig:
        """The plant file. Raises ConfigError."""
        return _simulated(self.plant)

    def found(self, loaded: LoadedSite) -> dict[str, FoundDevice]:
        """The simulated devices as discovery finds them; another process that serves them has the same ones."""
        return found_in_process(loaded, self.server())

    @staticmethod
    def words(content: bytes) -> Site:
        """Names and rows of a sealed file."""
        return Site(unpack(content))

    def sealed(self, sabotage: str = "") -> bytes:
        """The site sealed against the simulated devices, asked in process. Raises ConfigError, UsageError."""
        content = _sealed(self)
        return sabotaged(content, sabotage) if sabotage else content


@cache
def _simulated(plant: Path) -> sim_config.SimConfig:
    return sim_config.load(plant)


@cache
def site_words(files: StageFiles) -> Site:
    """Names and rows of a site as it is sealed against its simulated plant. Raises ConfigError(s)."""
    return files.words(_sealed(files))


def serial(site: Site) -> bool:
    """Its devices are on RS-485 lines."""
    c = core_seal.read_config(site.config.config_bytes)
    return bool((c["bus_kind"][: int(c["n_buses"])] == core_seal.number("BUS", "rtu")).any())


@cache
def _sealed(files: StageFiles) -> bytes:
    loaded = load_site(files.site)
    _inputs_on_a_bus(loaded)
    return sealing.seal(loaded, found_in_process(loaded, files.server())).content


def _inputs_on_a_bus(loaded: LoadedSite) -> None:
    """A line of this controller itself would never be heard here, and count as active (R13)."""
    for index, entry in enumerate(loaded.site.inputs):
        if entry.gpio is not None:
            raise ConfigError(
                loaded.tree.place(("inputs", index, "gpio")),
                f"a simulated plant has no wire to {entry.gpio.chip}; give {entry.name!r} a contact of its input module (modbus), "
                "or play the scenario on a rig",
            )


def found_in_process(loaded: LoadedSite, server: Any) -> dict[str, FoundDevice]:
    """Discovery of simulated devices without a socket: bus i of the site ends at the server's bus i."""
    buses = [bus.name for bus in loaded.site.buses]
    shared = len(buses) == 1
    found = {}
    for device in loaded.site.devices:
        if device.kind == "io":
            continue
        plants = server.plants if shared else [server.plants[buses.index(device.bus)]]
        plant = next((p for p in plants if p.request(device.modbus_id, bytes([3, 0, 0, 0, 1])) is not None), None)
        if plant is None:
            raise ConfigError(str(loaded.file), f"no simulated device answers for {device.name!r}, id {device.modbus_id} on {device.bus!r}")
        found[device.name] = discover_by(_reader(plant, device.modbus_id), f"simulated {device.name}", device.modbus_id)
    return found


def _reader(plant: Any, unit: int) -> Any:
    def read(address: float, registers: float) -> bytes:
        """pysunspec2 counts registers in floats."""
        address, count, data = int(address), int(registers), b""
        for at in range(address, address + count, 125):
            n = min(125, address + count - at)
            answer = plant.request(unit, bytes([3]) + at.to_bytes(2, "big") + n.to_bytes(2, "big"))
            if answer is None or answer[0] != 3:
                return b""
            data += answer[2:]
        return data

    return read
