"""A scenario file becomes a Scenario, or every error in it is told with file:line:column. docs/howto/hil.md shows the language.

Times in `at` count from the scenario's beginning, in order. An expectation counts from its step: it must come true `within` that time (at
once when nothing is said) and then go on `holding for` its own; what stands under `never` must not be seen once until the end, or `for` so
long. Nothing here touches a plant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bessctl.config.places import Path as Place
from bessctl.config.places import Tree, read
from bessctl.corelink import names as words
from bessctl.corelink.words import Site
from bessctl.errors import ConfigError, ConfigErrors
from bessctl.hil.faults import Injection, injection
from bessctl.hil.quantity import BadValue, Condition, condition, quantity, word_condition
from bessctl.hil.signals import Signal, Signals, UnknownSignal
from bessctl.hil.wishes import Wish, wish

LONGEST_S = 24 * 3600.0
TOP = {"scenario", "proves", "why", "site", "plant", "row", "given", "begin", "lasts", "steps", "places"}
STEP = {"at", "say", "set", "inject", "operator", "remote", "expect"}
OPERATOR = ("stop", "start", "out of service", "reset")
PLACES = ("simulated time", "real time", "rig")
_ID = re.compile(r"[A-Z][A-Z0-9]*-?\d+")


@dataclass(frozen=True)
class Expectation:
    """What must be seen from `from_s` on. `signal` None: an event `code`, of `about` (row, device or source) if that is not empty."""

    place: str
    text: str
    from_s: float
    within_s: float = 0.0
    holding_s: float = 0.0
    never: bool = False
    until_s: float = 0.0
    signal: Signal | None = None
    condition: Condition = field(default_factory=lambda: Condition(""))
    code: str = ""
    about: str = ""

    @property
    def needs_until_s(self) -> float:
        """The record must reach so far for a verdict, at worst."""
        return self.until_s if self.never else self.from_s + self.within_s + self.holding_s


@dataclass(frozen=True)
class Step:
    """What is done at one instant, in the order of the fields."""

    at_s: float
    place: str
    say: str = ""
    wishes: tuple[Wish, ...] = ()
    injections: tuple[Injection, ...] = ()
    operator: str = ""
    remote: str = ""


@dataclass(frozen=True)
class Head:
    """What a scenario says before its site is known."""

    file: Path
    tree: Tree
    name: str
    site: str
    plant: str = ""


@dataclass(frozen=True)
class Scenario:
    """One scenario, ready to be played at its site."""

    name: str
    file: Path
    proves: tuple[str, ...]
    why: str
    site: str
    rows: tuple[str, ...]
    """The protections it shows: without any one of them it must fail."""
    given: tuple[Injection, ...]
    cold: bool
    lasts_s: float
    steps: tuple[Step, ...]
    expectations: tuple[Expectation, ...]
    places: tuple[str, ...]
    begins_at: str = ""
    """Where the file says how it begins."""
    plant: str = ""
    """The simulated plant, where it is not the one beside the site."""


class _Reader:
    """Collects errors so that one look shows all of them."""

    def __init__(self, head: Head, site: Site, truth: bool) -> None:
        self.tree, self.site = head.tree, site
        self.signals = Signals(site, truth)
        self.errors: list[ConfigError] = []

    def wrong(self, path: Place, message: str) -> None:
        self.errors.append(ConfigError(self.tree.place(path), message))

    def seconds(self, path: Place, value: object, least: float = 0.0) -> float:
        try:
            seconds = quantity(value, "s")
        except BadValue as e:
            self.wrong(path, str(e))
            return least
        if not least <= seconds <= LONGEST_S:
            self.wrong(path, f"{value!r} is no possible time here; allowed: {least:g} s to {LONGEST_S:g} s")
            return least
        return seconds

    def mapping(self, path: Place, value: object) -> dict[str, Any]:
        if isinstance(value, dict) and value:
            return {str(key): entry for key, entry in value.items()}
        self.wrong(path, "needs `name: value` entries here")
        return {}

    def unknown(self, path: Place, keys: dict[str, Any], allowed: set[str]) -> None:
        for key in keys:
            if key not in allowed:
                self.wrong((*path, key), f"no such key {key!r}; allowed: {', '.join(sorted(allowed))}")


def head(file: Path, tree: Tree | None = None) -> Head:
    """Name and site of a scenario file. Raises NotReachable, ConfigError."""
    tree = tree or read(file)
    if not isinstance(tree.value, dict):
        raise ConfigError(tree.place(()), "the file is empty or no set of keys; see docs/howto/hil.md")
    for key in ("scenario", "proves", "site", "lasts", "steps"):
        if key not in tree.value:
            raise ConfigError(tree.place(()), f"the key {key!r} is missing; see docs/howto/hil.md")
    return Head(file, tree, str(tree.value["scenario"]), str(tree.value["site"]), str(tree.value.get("plant", "")))


def load(start: Head, site: Site, truth: bool = True) -> Scenario:
    """The whole scenario at its site. Raises ConfigError, all of them in one."""
    r = _Reader(start, site, truth)
    top = start.tree.value
    r.unknown((), top, TOP)
    lasts_s = r.seconds(("lasts",), top["lasts"], 0.1)
    if r.errors:
        lasts_s = LONGEST_S
    steps, expectations = _steps(r, top["steps"], lasts_s)
    scenario = Scenario(
        name=start.name,
        file=start.file,
        proves=_proves(r, top["proves"]),
        why=str(top.get("why", "")).strip(),
        site=start.site,
        plant=start.plant,
        rows=_rows(r, top.get("row")),
        given=_given(r, top.get("given")),
        cold=_one_of(r, ("begin",), top.get("begin", "running"), ("running", "cold")) == "cold",
        lasts_s=lasts_s,
        steps=steps,
        expectations=expectations,
        places=tuple(_one_of(r, ("places", i), place, PLACES) for i, place in enumerate(top.get("places", PLACES))),
        begins_at=r.tree.place(("begin",)),
    )
    if not expectations:
        r.wrong(("steps",), "nothing is expected: a scenario that cannot fail proves nothing")
    if r.errors:
        raise r.errors[0] if len(r.errors) == 1 else ConfigErrors(r.errors)
    return scenario


def _one_of(r: _Reader, path: Place, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        r.wrong(path, f"{value!r} is none of {', '.join(allowed)}")
        return allowed[0]
    return str(value)


def _proves(r: _Reader, value: object) -> tuple[str, ...]:
    ids = [str(entry) for entry in value] if isinstance(value, list) else [str(value)]
    for i, ident in enumerate(ids):
        if not _ID.fullmatch(ident):
            r.wrong(("proves", i), f"{ident!r} names no requirement; write one like CARD-1 or R10")
    return tuple(ids)


def _rows(r: _Reader, value: object) -> tuple[str, ...]:
    from bessctl.hil.sabotage import known  # noqa: PLC0415 (sabotage reads scenarios' rows)

    if value is None:
        return ()
    listed = isinstance(value, list)
    named = [str(entry) for entry in value] if isinstance(value, list) else [str(value)]
    for i, name in enumerate(named):
        if name not in known(r.site):
            near = get_close_matches(name, known(r.site), 3, 0.4) or known(r.site)
            r.wrong(("row", i) if listed else ("row",), f"{name!r} is no row of this site; near: {', '.join(near)}")
    return tuple(named)


def _given(r: _Reader, value: object) -> tuple[Injection, ...]:
    return () if value is None else _injections(r, ("given",), value)


def _injections(r: _Reader, path: Place, value: object) -> tuple[Injection, ...]:
    entries = r.mapping(path, value)
    over_s = r.seconds((*path, "over"), entries.pop("over")) if "over" in entries else 0.0
    found = []
    for name, what in entries.items():
        try:
            found.append(replace(injection(name, what, over_s, r.site.units, r.site.sources), place=r.tree.place((*path, name))))
        except (UnknownSignal, BadValue) as e:
            r.wrong((*path, name), str(e))
    return tuple(found)


def _steps(r: _Reader, value: object, lasts_s: float) -> tuple[tuple[Step, ...], tuple[Expectation, ...]]:
    steps, expectations, before_s = [], [], 0.0
    if not isinstance(value, list):
        r.wrong(("steps",), "needs a list of steps, each with its `at`")
        return (), ()
    for i, entry in enumerate(value):
        path: Place = ("steps", i)
        keys = r.mapping(path, entry)
        r.unknown(path, keys, STEP)
        at_s = r.seconds((*path, "at"), keys["at"]) if "at" in keys else before_s
        if "at" not in keys and i == 0:
            r.wrong(path, "the first step needs its `at`")
        if not before_s <= at_s <= lasts_s:
            limits = f"the step before is at {before_s:g} s, the scenario lasts {lasts_s:g} s"
            r.wrong((*path, "at"), f"{keys.get('at')!r} is no possible time here: {limits}")
            at_s = before_s
        before_s = at_s
        steps.append(_step(r, path, keys, at_s))
        expectations += _expectations(r, (*path, "expect"), keys.get("expect"), at_s, lasts_s)
    return tuple(steps), tuple(expectations)


def _step(r: _Reader, path: Place, keys: dict[str, Any], at_s: float) -> Step:
    wishes = []
    for source, stated in (r.mapping((*path, "set"), keys["set"]) if "set" in keys else {}).items():
        try:
            wishes.append(replace(wish(source, stated, r.site.sources), place=r.tree.place((*path, "set", source))))
        except (UnknownSignal, BadValue) as e:
            r.wrong((*path, "set", source), str(e))
    return Step(
        at_s,
        r.tree.place(path),
        str(keys.get("say", "")),
        tuple(wishes),
        _injections(r, (*path, "inject"), keys["inject"]) if "inject" in keys else (),
        _one_of(r, (*path, "operator"), keys["operator"], OPERATOR) if "operator" in keys else "",
        _one_of(r, (*path, "remote"), keys["remote"], ("reset",)) if "remote" in keys else "",
    )


def _expectations(r: _Reader, path: Place, value: object, at_s: float, lasts_s: float) -> list[Expectation]:
    if value is None:
        return []
    if not isinstance(value, list):
        r.wrong(path, "needs a list of expectations")
        return []
    return [found for i, entry in enumerate(value) if (found := _expectation(r, (*path, i), entry, at_s, lasts_s)) is not None]


def _expectation(r: _Reader, path: Place, value: object, at_s: float, lasts_s: float) -> Expectation | None:
    keys = r.mapping(path, value)
    timing: dict[str, Any] = {"from_s": at_s, "until_s": lasts_s}
    if "never" in keys:
        below = (*path, "never")
        seen = r.mapping(below, keys.pop("never"))
        if "for" in keys:
            timing["until_s"] = at_s + r.seconds((*path, "for"), keys.pop("for"))
        r.unknown(path, keys, set())
        return _finish(r, below, seen, {**timing, "never": True}, lasts_s)
    for key, name in (("within", "within_s"), ("holding for", "holding_s")):
        if key in keys:
            timing[name] = r.seconds((*path, key), keys.pop(key))
    return _finish(r, path, keys, timing, lasts_s)


def _finish(r: _Reader, path: Place, keys: dict[str, Any], timing: dict[str, Any], lasts_s: float) -> Expectation | None:
    place = r.tree.place(path)
    if "event" in keys:
        r.unknown(path, keys, {"event", "of"})
        if keys["event"] not in words.EVENTS:
            r.wrong((*path, "event"), f"no event {keys['event']!r}; there are {', '.join(words.EVENTS[1:])}")
            return None
        text = f"event {keys['event']}" + (f" of {keys['of']}" if "of" in keys else "")
        found = Expectation(place, text, code=str(keys["event"]), about=str(keys.get("of", "")), **timing)
    elif len(keys) != 1:
        r.wrong(path, "needs exactly one `signal: condition`, beside within, holding for, never")
        return None
    else:
        ((name, stated),) = keys.items()
        try:
            signal = r.signals.find(name)
            rule = word_condition(stated, signal.words) if signal.words else condition(stated, signal.dimension)
        except (UnknownSignal, BadValue) as e:
            r.wrong((*path, name), str(e))
            return None
        found = Expectation(place, f"{name}: {stated}", signal=signal, condition=rule, **timing)
    if found.needs_until_s > lasts_s + 1e-9:
        r.wrong(path, f"cannot be judged: it needs {found.needs_until_s:g} s and the scenario lasts {lasts_s:g} s")
    return found
