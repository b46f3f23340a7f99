"""Contradictions of digital inputs: one place each, fail-safe, and each with a row that says what it does (R13). Pure."""

from __future__ import annotations

from bessctl.config.catalogue import KINDS
from bessctl.config.explain import nearest
from bessctl.config.inputs import Input
from bessctl.config.places import Findings, Path
from bessctl.config.site import Site
from bessctl.corelink.seal import LIMITS


def inputs(site: Site) -> Findings:
    """All rules of the section."""
    if len(site.inputs) > LIMITS["inputs"]:
        yield ("inputs",), f"{len(site.inputs)} entries; allowed: at most {LIMITS['inputs']}; join contacts in series"
    seen: dict[object, str] = {}
    for index, entry in enumerate(site.inputs):
        at: Path = ("inputs", index)
        if entry.name in [other.name for other in site.inputs[:index]]:
            yield (*at, "name"), f"{entry.name!r} stands twice; give each input its own name"
        if (entry.gpio is None) == (entry.modbus is None):
            yield at, "needs exactly one of gpio and modbus; state where it is connected, once"
            continue
        place = (entry.gpio.chip, entry.gpio.line) if entry.gpio else entry.modbus
        if place in seen:
            yield at, f"lies where {seen[place]!r} lies; each contact has its own place"
        seen.setdefault(place, entry.name)
        for path, message in (*_device(site, entry), *_fail_safe(entry)):
            yield (*at, *path), message
    chips = {entry.gpio.chip for entry in site.inputs if entry.gpio is not None}
    if len(chips) > LIMITS["chips"]:
        yield ("inputs",), f"{len(chips)} GPIO chips; allowed: at most {LIMITS['chips']}"
    yield from _rows(site)


def _device(site: Site, entry: Input) -> Findings:
    if entry.modbus is None:
        return
    device = site.device(entry.modbus.device)
    if device is None:
        known = [d.name for d in site.devices if d.kind == "io"]
        yield ("modbus", "device"), f"there is no device {entry.modbus.device!r}; {nearest(entry.modbus.device, known)}"
    elif device.kind != "io":
        yield ("modbus", "device"), f"device {device.name!r} is a {device.kind}, wanted: an io; name another or correct its kind"


def _fail_safe(entry: Input) -> Findings:
    """A broken wire must read as an open contact."""
    pulled = {"pull_up": 1, "pull_down": 0}.get(entry.gpio.bias) if entry.gpio else None
    if pulled is not None and pulled == entry.closed_is:
        yield (
            ("closed_is",),
            f"{entry.closed_is} with this bias: a broken wire would read as closed; turn one of them",
        )
    if entry.modbus is not None and entry.closed_is == 0 and entry.inverted is None:
        yield (
            ("closed_is",),
            "0: a broken wire usually reads 0, as if closed; set 1, or inverted: the reason why it reads 1 here",
        )


def _rows(site: Site) -> Findings:
    rows = dict(site.protection.rows())
    for kind in KINDS:
        if not kind.input:
            continue
        mine = [index for index, entry in enumerate(site.inputs) if entry.function == kind.input]
        if kind.name in rows and not mine and rows[kind.name].disabled is None:
            yield ("protection", kind.name), f"no input has the function {kind.input}; add it to inputs or take the row out"
        if kind.name not in rows:
            for index in mine:
                yield (
                    ("inputs", index, "function"),
                    f"nothing acts on it; add protection.{kind.name}, or {kind.name}: {{disabled: the reason}}",
                )
