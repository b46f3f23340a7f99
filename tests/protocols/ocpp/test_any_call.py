"""Every CALL a schema allows, made at random, in both versions: answered once, validly, and the station lives on (settled 8).

`sansio.Talk` holds each answer and each message that follows against the package's schemas, and keeps each step's writes in SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.messages.v16.inbound import DECODERS as DECODERS_16
from bessctl.protocols.ocpp.messages.v201.inbound import DECODERS as DECODERS_201
from tests.protocols.ocpp.sansio import LINK, Talk

ROUNDS = 12
NAMES = [
    "OCPPCommCtrlr",
    "DSTO",
    "EVSE",
    "Connector",
    "HeartbeatInterval",
    "SocEffWhPct",
    "Power",
    "AvailabilityState",
    "SecurityCtrlr",
    "T",
    "",
]
TIMES = ["2027-01-15T08:00:00Z", "2027-01-15T09:30:00+01:00", "2030-01-01T00:00:00", "soon"]
FAR: list[Any] = ["0001-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "2554-07-22T00:00:00Z", "9999-12-31T23:59:59Z"]
"""A date that means "for ever" is common in the field; nanoseconds of 64 bits end in 2262, of 64 without sign in 2554."""
URLS = ["http://127.0.0.1/x/", "ftp://h/x", "wss://h/o", "ws://h", "gopher://x", ""]


PLAIN: dict[str, list[Any]] = {
    "integer": [0, 0, 1, 1, 1, 2, 3, -1, 60, 2**31],
    "number": [0, 1, 5.5, 16.0, -10.0, 1e6],
    "boolean": [False, True],
}
HUGE: dict[str, list[Any]] = {
    "integer": [2**31 - 1, 2**31, -(2**31) - 1, 2**62, 2**63, 2**100, 1.0],
    "number": [1e300, -1e300, 2**63, 2**100],
}
Leaf = tuple[dict[str, Any], str, list[Any]]
"""A member of a payload, and what it may be far out."""


class Maker:
    """Random values that a JSON schema allows; `whole`: nothing optional is left out, and `leaves` are its numbers and dates."""

    def __init__(self, folder: str, action: str, seed: int, *, whole: bool = False) -> None:
        self._whole = whole
        self.leaves: list[Leaf] = []
        path = schemas._root() / folder / "schemas" / f"{action}.json"
        path = path if path.exists() else path.with_name(f"{action}Request.json")
        self._root = json.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        self._random = Random(f"{folder}{action}{seed}")

    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = self._make(self._root, "")
        return found

    def _make(self, schema: dict[str, Any], name: str) -> Any:
        if "$ref" in schema:
            return self._make(self._root["definitions"][schema["$ref"].rsplit("/", 1)[-1]], name)
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._object(schema)
            case "array":
                count = self._random.randint(max(1, schema.get("minItems", 0)), min(3, schema.get("maxItems", 3)))
                return [self._make(schema["items"], name) for _ in range(count)]
            case "integer" | "number" | "boolean" as kind:
                return self._random.choice(PLAIN[kind])
        return self._text(schema, name)[: schema.get("maxLength", 100)]

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        required = schema.get("required", ())
        chosen = {n: s for n, s in schema.get("properties", {}).items() if n in required or self._whole or self._random.random() < 0.6}
        made = {n: self._make(s, n) for n, s in chosen.items() if n != "customData"}
        for name in made:
            values = FAR if chosen[name].get("format") == "date-time" else HUGE.get(chosen[name].get("type", ""), [])
            self.leaves += [(made, name, values)] if values else []
        return made

    def _text(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("format") == "date-time":
            return self._random.choice(TIMES)
        if any(word in name.lower() for word in ("url", "location")):
            return self._random.choice(URLS)
        return self._random.choice(NAMES)


@pytest.mark.parametrize(("version", "action"), [("1.6", a) for a in sorted(DECODERS_16)] + [("2.0.1", a) for a in sorted(DECODERS_201)])
def test_any_call_is_answered(version: str, action: str) -> None:
    folder = {"1.6": "v16", "2.0.1": "v201"}[version]
    talk = Talk(replace(LINK, role=Role.OWNER, version=(version,)), version=version).booted()
    talk.hand("swipe", token="T", connectors=(1,))
    for seed in range(ROUNDS):
        payload = Maker(folder, action, seed).payload()
        answer = talk.call(action, payload)
        talk.pass_time(6)
        assert answer is not None or talk.results.get(f"c{talk._calls}") is not None, payload
        if talk.restarts:
            talk = talk.restarted().booted()
    assert talk.call("GetLocalListVersion", {}) is not None


def far_out(maker: Maker) -> Iterator[dict[str, Any]]:
    """The payload with one number or date of it far out, each in turn."""
    payload = maker.payload()
    for holder, name, values in maker.leaves:
        plain = holder[name]
        for holder[name] in values:
            yield payload
        holder[name] = plain


@pytest.mark.parametrize(("version", "action"), [("1.6", a) for a in sorted(DECODERS_16)] + [("2.0.1", a) for a in sorted(DECODERS_201)])
def test_any_number_and_date_may_be_far_out(version: str, action: str) -> None:
    """Whatever the size: answered, and whatever is kept of it is of a kind that SQLite keeps."""
    folder = {"1.6": "v16", "2.0.1": "v201"}[version]
    talk = Talk(replace(LINK, role=Role.OWNER, version=(version,)), version=version).booted()
    for payload in far_out(Maker(folder, action, 0, whole=True)):
        talk.call(action, payload)
        assert talk.results.get(f"c{talk._calls}") is not None, payload
        if talk.restarts:
            talk = talk.restarted().booted()
    talk.pass_time(6)
    assert talk.call("GetLocalListVersion", {}) is not None
