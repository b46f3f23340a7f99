"""Device profiles by name or path: a YAML file becomes a Profile, or every error in it is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath

from pydantic import ValidationError

from bessctl.config import explain
from bessctl.config.alarms import BMS_BITS, PCS_BITS
from bessctl.config.places import Finding, Path, Tree, parse, read
from bessctl.corelink.seal import known
from bessctl.devices import profiles as shipped_folder
from bessctl.devices.plan import REGISTERS
from bessctl.devices.profile import At, FieldRule, PointRule, Profile, WriteRule
from bessctl.errors import ConfigError, ConfigErrors, UsageError

SHIPPED = FilePath(shipped_folder.__file__).parent
DEFAULTS = {"pcs": "sunspec-7xx", "bms": "sunspec-802", "meter": "sunspec-meter"}
PARTS = 3
"""A third of a watchdog's time-out is the longest we leave it alone."""


@dataclass(frozen=True)
class LoadedProfile:
    """A profile and where each of its keys stands."""

    file: FilePath
    profile: Profile
    tree: Tree

    def error(self, path: Path, message: str) -> ConfigError:
        """An error at a key of this file."""
        return ConfigError(self.tree.place(path), f"{explain.dotted(path)}: {message}")


def names() -> list[str]:
    """The profiles that come with bessctl."""
    return sorted(path.stem for path in SHIPPED.glob("[a-z]*.yaml"))


def find(name: str, beside: FilePath | None = None) -> FilePath:
    """The file of a shipped profile, or of one named by its path (relative to the site file). Raises UsageError."""
    if name.endswith((".yaml", ".yml")):
        return (beside or FilePath()) / name
    if name not in names():
        raise UsageError(
            f"there is no profile {name!r}; {explain.nearest(name, names())}; a file of your own is named by its path, ./NAME.yaml"
        )
    return SHIPPED / f"{name}.yaml"


def load(name: str, beside: FilePath | None = None) -> LoadedProfile:
    """Read, check and return a profile. Raises ConfigError (all of them in one ConfigErrors), UsageError or NotReachable."""
    return _shipped(name) if "/" not in name and not name.endswith((".yaml", ".yml")) else from_tree(find(name, beside))


@lru_cache(maxsize=32)
def _shipped(name: str) -> LoadedProfile:
    return from_tree(find(name))


def from_text(text: str, file: str = "profile.yaml") -> LoadedProfile:
    """The same for text that is in no file."""
    return from_tree(FilePath(file), parse(text, file))


def from_tree(file: FilePath, tree: Tree | None = None) -> LoadedProfile:
    """The same for a file, parsed or not."""
    tree = read(file) if tree is None else tree
    if not isinstance(tree.value, dict):
        raise ConfigError(tree.place(()), "the file is empty or no set of keys; start from _blueprint.yaml")
    try:
        profile = Profile.model_validate(tree.value)
    except ValidationError as e:
        raise _together(tree, [explain.sentence(Profile, error) for error in e.errors(include_url=False)]) from None
    loaded = LoadedProfile(file, profile, tree)
    found = list(findings(profile))
    if found:
        raise _together(tree, found)
    return loaded


def _together(tree: Tree, found: list[Finding]) -> ConfigError:
    errors = [ConfigError(tree.place(path), f"{explain.dotted(path)}: {message}") for path, message in found]
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


# --- what each key alone allows and the whole cannot -----------------------------------------------------------------------------------


def findings(profile: Profile) -> Iterator[Finding]:
    """Everything in a profile that contradicts itself or what the loop can do."""
    yield from _points(profile)
    for program, path, rules in profile.programs():
        for index, rule in enumerate(rules):
            yield from _write(profile, program, (*path, index), rule)
    for name, factor in profile.factors.items():
        yield from _at(profile, ("factors", name), factor)
    yield from _alarms(profile)
    yield from _commands(profile)


def _alarms(profile: Profile) -> Iterator[Finding]:
    """The maker's bits stand for alarms that exist."""
    standard = {"pcs": PCS_BITS, "bms": BMS_BITS}.get(profile.kind, ())
    names = {bit.name for bit in standard}
    if profile.alarms and not any(point.quantity == f"{profile.kind}_alarm" for point in profile.points):
        yield ("alarms",), f"no point brings them; add one of quantity {profile.kind}_alarm"
    for bit, name in profile.alarms.items():
        if name not in names:
            yield ("alarms", bit), f"{name!r} is no alarm of a {profile.kind}; {explain.nearest(name, names)}"


def _at(profile: Profile, path: Path, at: At) -> Iterator[Finding]:
    if profile.map == "registers" and (at.register_ is None or at.model is not None):
        yield path, "states no register; this map counts registers: write register: ADDRESS, as on the wire from 0"
    if profile.map == "sunspec" and (at.model is None or at.offset is None or at.register_ is not None):
        yield path, "states no model and offset; this map is SunSpec: write model: ID and offset:, counted from the model's ID register"


def _points(profile: Profile) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, point in enumerate(profile.points):
        path: Path = ("points", index)
        yield from _at(profile, path, point)
        yield from _known(profile, path, point)
        if profile.map == "registers":
            if point.quantity in seen:
                yield (
                    (*path, "quantity"),
                    f"{point.quantity} is points[{seen[point.quantity]}] already; a device with a fixed map reads it once",
                )
            if point.sf is not None:
                yield (*path, "sf"), "a scale factor in the same block is SunSpec's; name a factor instead, which is read at each connect"
            seen.setdefault(point.quantity, index)
        elif not point.name:
            yield path, "needs the point's name in the standard: it is read only where the device implements it"
        if any(isinstance(value, str) for value in point.codes.values()) and point.quantity != "pcs_state":
            yield (*path, "codes"), "names of states belong to pcs_state; write numbers here"


def _known(profile: Profile, path: Path, point: PointRule) -> Iterator[Finding]:
    if not known("Q", point.quantity) or point.quantity == "none":
        yield (*path, "quantity"), f"{point.quantity!r} is nothing the loop measures; {explain.nearest(point.quantity, _quantities())}"
    if point.factor is not None and point.factor not in profile.factors:
        yield (*path, "factor"), f"there is no factor {point.factor!r}; {explain.nearest(point.factor, profile.factors)}"


def _quantities() -> list[str]:
    from bessctl.corelink.seal import words  # noqa: PLC0415 - only on the way to an error

    return words("Q")


def _write(profile: Profile, program: str, path: Path, rule: WriteRule) -> Iterator[Finding]:
    yield from _at(profile, path, rule)
    function = rule.function or (6 if profile.bus.write == "single" else 16)
    count = 0
    for index, field in enumerate(rule.fields):
        at = (*path, "fields", index)
        count = (count if field.at is None else field.at) + REGISTERS[field.type]
        yield from _field(profile, program, at, field)
        if function == 6 and REGISTERS[field.type] > 1:
            yield at, f"{field.type} needs two requests with FC06, and between them half of it stands; use a type of one register, or FC16"
    if count > profile.bus.max_write:
        yield path, f"{count} registers; at most {profile.bus.max_write} go into one request here"
    if rule.once and program not in {"run", "standby", "stop"}:
        yield (*path, "once"), "only orders (run, standby, stop) know once"


def _field(profile: Profile, program: str, path: Path, field: FieldRule) -> Iterator[Finding]:
    counts = {"setpoint", "magnitude", "charge", "discharge", "direction"}
    if field.value in counts and program not in {"setpoint", "var"}:
        yield (*path, "value"), f"{field.value} is known to the set points alone; write const or measured here"
    if field.value in {"enable", "priority"} and program != "var":
        yield (*path, "value"), f"{field.value} is known to reactive power alone"
    if field.value in {"beat", "toggle"} and program != "beat":
        yield (*path, "value"), f"{field.value} is known to the watchdog alone"
    if field.value == "measured" and not known("Q", field.quantity):
        yield (*path, "quantity"), f"{field.quantity!r} is nothing the loop measures; {explain.nearest(field.quantity, _quantities())}"
    if field.scale == 0:
        yield (*path, "scale"), "0 is no unit; write what one count is worth"
    if field.factor is not None and field.factor not in profile.factors:
        yield (*path, "factor"), f"there is no factor {field.factor!r}; {explain.nearest(field.factor, profile.factors)}"


def _commands(profile: Profile) -> Iterator[Finding]:
    commands, setpoint, dog = profile.commands, profile.commands.setpoint, profile.commands.watchdog
    if profile.kind == "meter" and any(rules for _, _, rules in profile.programs()):
        yield ("commands",), "a meter is only read; take the commands out"
    if profile.kind == "pcs" and setpoint is None:
        yield ("commands",), "a PCS without a set point cannot be driven; add commands.setpoint"
    if profile.kind == "pcs" and (dog is None or dog.kind == "none"):
        yield ("commands",), "nothing takes the PCS to 0 when the loop is dead (R11); state its watchdog, or do not use this device"
    if setpoint is not None:
        yield from _setpoint(profile)
    if dog is not None and dog.kind in {"timeout_rewritten", "counter", "countdown", "keep_alive"} and not dog.writes:
        yield ("commands", "watchdog"), f"a watchdog of kind {dog.kind} is fed by writing; add writes"
    if dog is not None and dog.period_s is not None and not isinstance(dog.timeout_s, str) and dog.period_s * PARTS > dog.timeout_s + 1e-9:
        yield (
            ("commands", "watchdog", "period_s"),
            f"{dog.period_s:g} s is more than a third of the time-out {dog.timeout_s:g} s; feed it oftener",
        )
    if commands.close and not commands.open:
        yield ("commands", "close"), "what can be closed must open too; add commands.open"


def _setpoint(profile: Profile) -> Iterator[Finding]:
    setpoint, dog = profile.commands.setpoint, profile.commands.watchdog
    assert setpoint is not None
    path: Path = ("commands", "setpoint")
    for name in setpoint.factors:
        if name not in profile.factors:
            yield (*path, "factors"), f"there is no factor {name!r}; {explain.nearest(name, profile.factors)}"
    counts = {"setpoint", "magnitude", "charge", "discharge"}
    if not any(field.value in counts for rule in setpoint.writes for field in rule.fields):
        yield (*path, "writes"), "no field carries the power; use setpoint, or magnitude with direction"
    if setpoint.confirm == "read_back" and not any(rule.read_back for rule in setpoint.writes):
        yield (*path, "confirm"), "nothing is read back; let one request be, or write confirm: acknowledged"
    if setpoint.confirm == "acknowledged" and (dog is None or dog.kind != "resend"):
        yield (*path, "confirm"), "an acknowledgement proves the moment only: it needs a watchdog of kind resend"
    if setpoint.wears is not None and dog is not None and dog.kind == "resend":
        yield (*path, "wears"), "a set point that must be sent again wears its memory out; this device needs another watchdog"
