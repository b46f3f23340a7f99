"""The sealed file and the layout's numbers, for those who seal, check and read; the only way there beside the segments. Any thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessctl.errors import ConfigError, NotReachable
from bessctl_core import layout, sealed

LIMITS = dict(layout.LIMITS)
"""The layout's maxima: units, slots, rows, devices, buses, reads, points, checks, ..."""

PLANT = layout.LIMITS["plant"]

LAYOUT = layout.VERSION
"""The one layout that this release's loop runs from."""

_ENUMS = {
    "Q": layout.Quantity, "TIER": layout.Tier, "ACT": layout.Action, "DIR": layout.Direction, "RESET": layout.ResetRule,
    "CLASS": layout.SlotClass, "SCOPE": layout.ScopeKind, "HAS": layout.Stated, "DEV": layout.DeviceKind, "PT": layout.PointType,
    "BUS": layout.BusKind, "PR": layout.Program, "SRC": layout.FieldSource, "ABSENT": layout.Absent, "WF": layout.WriteFlag,
    "BLIND": layout.BlindRule, "TEST": layout.RowTest, "CURVE": layout.CurveKind,
}  # fmt: skip


def number(family: str, name: str) -> int:
    """The layout's number for a word: number("Q", "cell_v_max"), number("TIER", "trip")."""
    if family == "Q" and name.startswith("input_") and name.removeprefix("input_").isdigit():
        return int(layout.Quantity.Q_INPUT_0) + int(name.removeprefix("input_"))
    return int(_ENUMS[family][f"{family}_{name.upper()}"])


def new_config() -> Any:
    """One zeroed SiteConfig as a numpy record array of length 1; numpy is imported here, by sealing alone."""
    import numpy as np  # noqa: PLC0415

    return np.zeros(1, dtype=layout.dtype("SiteConfig"))


def read_config(data: bytes) -> Any:
    """A SiteConfig structure as numpy record (sealing and tests)."""
    import numpy as np  # noqa: PLC0415

    return np.frombuffer(data, dtype=layout.dtype("SiteConfig"))[0]


def pack(config_bytes: bytes, names: dict[str, Any]) -> bytes:
    """The sealed file's content."""
    return sealed.pack(config_bytes, names)


def store(path: str, data: bytes) -> None:
    """Put the sealed file in place, whole and synced."""
    sealed.store(path, data)


def load(path: str) -> sealed.SealedSite:
    """Read and check a sealed file. Raises NotReachable when there is none, ConfigError when this build cannot run it."""
    try:
        return sealed.load(path)
    except OSError as e:
        raise NotReachable(f"{path}: {e.strerror or e}; seal the site first: bessctl check --seal SITE") from e
    except sealed.SealError as e:
        raise ConfigError(path, str(e).removeprefix(f"{path}: ")) from e


def unpack(data: bytes) -> sealed.SealedSite:
    """The same for a file's content."""
    return sealed.unpack(data)


def look(data: bytes, place: str = "sealed configuration") -> tuple[int, dict[str, Any]]:
    """(layout, names) of a sealed file's content, of whatever layout. Raises ConfigError for what is no whole sealed file."""
    try:
        return sealed.look(data, place)
    except sealed.SealError as e:
        raise ConfigError(place, str(e).removeprefix(f"{place}: ")) from e


def runs(data: bytes) -> bool:
    """Can this build's loop run it?"""
    try:
        sealed.unpack(data)
    except sealed.SealError:
        return False
    return True


def words(family: str) -> list[str]:
    """All words of a family, as the site and profiles write them."""
    return [name.removeprefix(f"{family}_").lower() for name in _ENUMS[family].__members__]


def known(family: str, name: str) -> bool:
    """Is there such a word?"""
    return f"{family}_{name.upper()}" in _ENUMS[family].__members__


def decode(config_bytes: bytes, read: int, registers: list[int], factors: Sequence[float] = ()) -> dict[str, float]:
    """Quantity -> value of one read's registers, as the tick decodes them; NaN = not there."""
    from bessctl_core import probe  # noqa: PLC0415 - only for those who look at devices

    names = {int(number): name.removeprefix("Q_").lower() for name, number in layout.Quantity.__members__.items()}
    values = probe.decode(sealed.unpack(sealed.pack(config_bytes, {})), read, registers, factors)
    return {names[quantity]: value for (_, quantity), value in values.items()}
