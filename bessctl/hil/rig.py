"""The rig file: which devices are real, on which bus, who plays which fault, and the limits at which a run is over.

The abort limits are not kept here but in the loop: each must be sealed in the rig's own site, as a rating or as a trip row that is at least
as strict. What is not sealed so is told with its place in the rig file, and nothing is commanded. docs/howto/hil.md builds one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bessctl.config.load import LoadedSite, load_site
from bessctl.config.places import Tree, read
from bessctl.corelink import seal
from bessctl.corelink.words import Site
from bessctl.errors import ConfigError, ConfigErrors
from bessctl.hil.quantity import BadValue, quantity

LEASE_MOST_S = 2.0
"""The runner holds plans this long at most: its death is 0 W by the loop."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RigDevice(_Strict):
    """One device as it stands on the bench. `bus` is one of the site's."""

    kind: Literal["real", "simulated"]
    bus: str
    what: str = ""


class Fault(_Strict):
    """Who plays a fault: an operator, who is told what to do and confirms, or a relay, driven by a command.

    {value} is what is wanted. For a value that moves slowly {over} is in how many seconds; the relay's command then begins to move it and
    ends.
    """

    operator: str | None = None
    relay: Annotated[list[str], Field(min_length=1)] | None = None
    well: list[str] | None = None
    """The relay's command that ends the fault; run also after an abort."""


class RigFile(_Strict):
    """The file."""

    rig: str
    site: str
    run_dir: str | None = None
    devices: dict[str, RigDevice]
    faults: dict[str, Fault] = {}
    abort: Annotated[dict[str, str], Field(min_length=1)]
    operator_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """How long an operator is waited for."""


# Abort limit -> dimension, and the quantity of trip rows (above or below) that keep it; power is kept by the units' ratings.
ABORT = {
    "power": ("W", "", True),
    "hottest cell": ("C", "cell_temp_high", True),
    "coldest cell": ("C", "cell_temp_low", False),
    "highest cell": ("V", "cell_v_high", True),
    "lowest cell": ("V", "cell_v_low", False),
    "battery voltage": ("V", "pack_v_high", True),
    "heat sink": ("C", "pcs_temp_high", True),
}


@dataclass(frozen=True)
class Rig:
    """A rig whose file and sealed site agree."""

    file: RigFile
    loaded: LoadedSite
    site: Site
    digest: str
    abort: dict[str, float] = field(default_factory=dict)

    @property
    def run_dir(self) -> Path:
        return self.loaded.run_dir if self.file.run_dir is None else self.loaded.file.parent / self.file.run_dir


def load_rig(path: Path) -> Rig:
    """Read, check against the sealed site, return. Raises ConfigError(s), NotReachable (not sealed yet)."""
    tree = read(path)
    try:
        file = RigFile.model_validate(tree.value)
    except ValidationError as e:
        raise _together([_wrong(tree, error["loc"], error["msg"]) for error in e.errors()]) from None
    loaded = load_site(path.parent / file.site)
    sealed = seal.load(str(loaded.sealed_file))
    site, errors, abort = Site(sealed), [], {}
    for name, device in file.devices.items():
        known = loaded.site.device(name)
        if known is None or known.bus != device.bus:
            has = ", ".join(f"{d.name} on {d.bus}" for d in loaded.site.devices)
            errors.append(_wrong(tree, ("devices", name), f"the site has no {name!r} on bus {device.bus!r}; it has {has}"))
    for fault, by in file.faults.items():
        if (by.operator is None) == (by.relay is None):
            errors.append(_wrong(tree, ("faults", fault), "is played by exactly one of operator and relay"))
    for name, text in file.abort.items():
        try:
            abort[name] = _sealed_limit(name, text, loaded, site)
        except BadValue as e:
            errors.append(_wrong(tree, ("abort", name), str(e)))
    if errors:
        raise _together(errors)
    return Rig(file, loaded, site, sealed.digest.hex(), abort)


def _wrong(tree: Tree, path: tuple[Any, ...], message: str) -> ConfigError:
    return ConfigError(tree.place(path), f"{'.'.join(map(str, path))}: {message}")


def _together(errors: list[ConfigError]) -> ConfigError:
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _sealed_limit(name: str, text: str, loaded: LoadedSite, site: Site) -> float:
    """The limit's value, when the sealed site keeps it. Raises BadValue."""
    if name not in ABORT:
        raise BadValue(f"no such abort limit; there are {', '.join(ABORT)}")
    dimension, row, above = ABORT[name]
    value = quantity(text, dimension)
    if not row:
        rated = sum(max(unit.discharge_max_w, unit.charge_max_w) for unit in loaded.site.units)
        if rated > value:
            raise BadValue(f"the sealed units may give {rated:g} W, beyond {text}; lower their ratings and seal again")
        return value
    kept = [r.pickup for r in site.rows if r.name == row and r.tier == "trip"]
    if len(kept) < len(site.units) or any((pickup > value) if above else (pickup < value) for pickup in kept):
        told = ", ".join(f"{pickup:g}" for pickup in kept) or "none"
        raise BadValue(f"the sealed trip of {row} ({told}) does not keep {text}; correct the site and seal again")
    return value
