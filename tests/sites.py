"""The example site and devices that answer as the standard describes them, without a device: for tests and benches of everyone."""

import re
from pathlib import Path

from bessctl.config import profiles
from bessctl.config.load import LoadedSite, load_site, site_from_text
from bessctl.config.seal import Sealing, seal
from bessctl.devices.discovery import FoundDevice, FoundModel

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "site.yaml"

# Lengths of the standard's models (without ID and L), with one DC port and one battery string.
LENGTHS = {1: 66, 701: 153, 702: 50, 703: 17, 704: 65, 713: 7, 714: 43, 715: 7, 802: 62, 803: 58, 203: 105}
CHAINS = {"pcs": (1, 701, 702, 703, 704, 713, 714, 715), "bms": (1, 802, 803), "meter": (1, 203)}
WRITTEN = {703: ("ES",), 704: ("WSet", "VarSet"), 715: ("ControllerHb", "OpCtl"), 802: ("CtrlHb", "SetOp")}
RATINGS = {"WMaxRtg": 200000.0, "WChaRteMaxRtg": 200000.0, "WDisChaRteMaxRtg": 200000.0, "VAMaxRtg": 210000.0}


def standard_device(kind: str, modbus_id: int, models: tuple[int, ...] = (), missing: tuple[str, ...] = ()) -> FoundDevice:
    """A device at base 40000 that implements every point we know except `missing`."""
    points = [point for name in profiles.DEFAULTS.values() for point in profiles.load(name).profile.points]
    chain, address = [], 40002
    for model in models or CHAINS[kind]:
        names = [p.name for p in points if model in p.models()] + list(WRITTEN.get(model, ()))
        present = tuple(name for name in dict.fromkeys(names) if name not in missing)
        chain.append(FoundModel(model, address, LENGTHS[model], present, ratings=dict(RATINGS) if model == 702 else {}))
        address += LENGTHS[model] + 2
    serial = (0x534E, 0x3031, 0, *[0] * 13)
    return FoundDevice("tcp://127.0.0.1:5020", modbus_id, 40000, "maker", kind, "1", "SN01", serial, tuple(chain))


def standard_devices(loaded: LoadedSite) -> dict[str, FoundDevice]:
    """One for each device of the site; a PCS that answers for its battery has the battery's models in its chain."""
    batteryless = {unit.pcs for unit in loaded.site.units if unit.bms is None}
    return {
        d.name: standard_device(d.kind, d.modbus_id, CHAINS["pcs"] + (802, 803) if d.name in batteryless else ())
        for d in loaded.site.devices
    }


def example_site() -> LoadedSite:
    """examples/site.yaml."""
    return load_site(EXAMPLE)


def changed_example(*changes: tuple[str, str]) -> LoadedSite:
    """The example with texts replaced; each must occur."""
    text = EXAMPLE.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return site_from_text(text, str(EXAMPLE))


def example_without_row(name: str, reason: str) -> LoadedSite:
    """The example with one row disabled."""
    text, found = re.subn(rf"^  {name}:.*\n(?:    .*\n)*", f"  {name}: {{disabled: {reason}}}\n", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert found == 1, name
    return site_from_text(text, str(EXAMPLE))


def sealed_example(*changes: tuple[str, str]) -> Sealing:
    """The example, sealed: `.content` is the file, `.names` its words."""
    loaded = changed_example(*changes)
    return seal(loaded, standard_devices(loaded))
