"""What discovery found, as data: written by `bessctl discover`, kept beside the site file, read again when the site is sealed offline."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bessctl.errors import ConfigError, NotReachable

FORMAT = 2


@dataclass(frozen=True)
class FoundModel:
    """One model of a device's chain. `address` is that of its ID register; `present` names the points that are implemented."""

    id: int
    address: int
    length: int
    present: tuple[str, ...] = ()
    scale_factors: dict[str, int] = field(default_factory=dict)
    ratings: dict[str, float] = field(default_factory=dict)
    """Nameplate points in SI units."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many curves a curve model has, and of how many points: NCrv, NPt."""
    known: bool = True
    """False: a model of the maker's own, without a public definition; what is implemented is for its profile to know."""


@dataclass(frozen=True)
class FoundDevice:
    """One SunSpec device."""

    where: str
    modbus_id: int
    base: int
    manufacturer: str
    model: str
    version: str
    serial: str
    serial_registers: tuple[int, ...]
    models: tuple[FoundModel, ...]
    profile: str = ""
    """What it was looked at with; empty = a SunSpec scan alone."""
    missing: tuple[str, ...] = ()
    """Quantities of the profile that the device does not give."""
    checks: tuple[tuple[int, int], ...] = ()
    """Registers of the identity and what stands there."""

    @staticmethod
    def blank() -> FoundDevice:
        """A device nobody looked at: what a profile that states registers needs for estimates."""
        return FoundDevice("", 0, 0, "", "", "", "", (), ())

    def find(self, *ids: int) -> FoundModel | None:
        """The first model of the chain with one of these ids."""
        return next((found for found in self.models if found.id in ids), None)


def to_json(devices: dict[str, FoundDevice]) -> str:
    """The file's text."""
    return json.dumps({"format": FORMAT, "devices": {name: asdict(found) for name, found in devices.items()}}, indent=1) + "\n"


def from_json(text: str, place: str) -> dict[str, FoundDevice]:
    """The devices of a stored discovery. Raises ConfigError for anything else."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ConfigError(f"{place}:1:1", f"format {data['format']} of a discovery file, this version reads {FORMAT}; discover again")
        return {str(name): _device(found) for name, found in data["devices"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        why = f"no discovery file ({type(e).__name__}: {e}); write one with `bessctl discover --into SITE`"
        raise ConfigError(f"{place}:1:1", why) from e


def load(path: Path) -> dict[str, FoundDevice]:
    """Read a stored discovery; none stored = empty."""
    try:
        return from_json(path.read_text(), str(path))
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise NotReachable(f"{path}: {e.strerror or e}") from e


def store(path: Path, devices: dict[str, FoundDevice]) -> None:
    """Replace the file at once."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(to_json(devices))
    os.replace(beside, path)


def _device(data: dict[str, Any]) -> FoundDevice:
    models = tuple(
        FoundModel(
            int(m["id"]),
            int(m["address"]),
            int(m["length"]),
            tuple(map(str, m["present"])),
            {str(k): int(v) for k, v in m["scale_factors"].items()},
            {str(k): float(v) for k, v in m["ratings"].items()},
            {str(k): int(v) for k, v in m.get("counts", {}).items()},
            bool(m.get("known", True)),
        )
        for m in data["models"]
    )
    return FoundDevice(
        where=str(data["where"]),
        modbus_id=int(data["modbus_id"]),
        base=int(data["base"]),
        manufacturer=str(data["manufacturer"]),
        model=str(data["model"]),
        version=str(data["version"]),
        serial=str(data["serial"]),
        serial_registers=tuple(int(register) for register in data["serial_registers"]),
        models=models,
        profile=str(data["profile"]),
        missing=tuple(map(str, data["missing"])),
        checks=tuple((int(address), int(value)) for address, value in data["checks"]),
    )
