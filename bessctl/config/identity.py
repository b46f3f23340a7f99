"""What a sealed configuration configures, whatever layout it is written in (ADR 0066). Sealing alone; pure.

The journal keeps latches and commissioning (R16) under this identity, so two releases whose layouts differ agree on it as long as they make
the same values of a site. It is taken field by field, by name:

- A table's unused end is zeros and does not count, so a larger table is no other configuration; nor does a field count that is zero
  altogether, as one is that a site does not use.
- A field that a release adds and that is not zero at sites that never heard of it stands in AS_BEFORE, with the value that means "as
  before".
- Everything else is another configuration: a value, a field's name, a number of the layout's lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

AS_BEFORE: Mapping[str, list[Any]] = {}
"""Fields added after layout 13: what they hold where the plant is to be as it was without them."""

NAMED = ("site", "units", "slots", "devices", "buses")
"""Of the names beside the structure, those that say what a number means."""


def marks(config: Any, names: Mapping[str, Any], as_before: Mapping[str, list[Any]] = AS_BEFORE) -> dict[str, str]:
    """A mark of each field in use (`config`: a SiteConfig record) and of the names: what differs between two sites shows by name."""
    stated = {name: used(config[name]) for name in config.dtype.names}
    found = {name: values for name, values in stated.items() if values and values != as_before.get(name)}
    return {name: mark(values) for name, values in found.items()} | {"names": mark([names.get(key) for key in NAMED])}


def used(field: Any) -> list[Any]:
    """The values of a field without the zeros at its end; a number alone is a table of one."""
    values = field.tolist() if field.shape else [field.item()]
    end = len(values)
    while end and not values[end - 1]:
        end -= 1
    return [value.hex() if isinstance(value, bytes) else value for value in values[:end]]


def mark(values: list[Any]) -> str:
    """Sixteen hex digits. NaN (no statement) and 0 (an order) differ."""
    return sha256(json.dumps(values).encode()).hexdigest()[:16]


def identity(found: Mapping[str, str]) -> str:
    """Of all marks, 64 hex digits."""
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The fields in which two sites differ, by name."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
