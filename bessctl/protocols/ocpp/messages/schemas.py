"""JSON schemas of the installed `ocpp` package, compiled by jsonschema-rs, one at a time when an action is first met.

The package's folder is found without importing it: its modules cost 0.24-0.71 s of CPU and bring a slow validator along, its
data files are all that is needed. Date-times are left to `timestamps` (peers in the field leave the zone away).

The schemas leave an integer's size open. Here it has 32 bits, and the names that a CSMS gives to its own 64 (some number transactions by
milliseconds): nothing larger comes to where it is kept or reckoned with. 1.0 is no integer, as in the drafts of JSON schema up to 4.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from bessctl.errors import OperationFailed

PEERS_NAMES = frozenset({"transactionId"})


@dataclass(frozen=True, slots=True)
class Violation:
    """The first thing a schema finds wrong: `field` as a dotted path, `rule` is the schema's word (type, required, enum ...).

    The reason never quotes the peer's value: it may be a token.
    """

    field: str
    rule: str
    reason: str


@lru_cache(maxsize=1)
def _root() -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise OperationFailed("the Python package `ocpp` is not installed; its message schemas are needed: pip install 'ocpp>=2.1,<2.2'")
    return Path(spec.submodule_search_locations[0])


@lru_cache(maxsize=8)
def actions(folder: str) -> frozenset[str]:
    """Every action of a version; `folder` is the package's name of it ("v16", "v201")."""
    stems = (p.stem for p in (_root() / folder / "schemas").glob("*.json"))
    return frozenset(stem.removesuffix("Request") for stem in stems if not stem.endswith("Response"))


@lru_cache(maxsize=512)
def _validator(folder: str, name: str) -> Any:
    path = _root() / folder / "schemas" / f"{name}.json"
    # From 2.0 on the package's file of a CALL is called ...Request.
    raw = (path if path.exists() else path.with_name(f"{name}Request.json")).read_bytes().removeprefix(b"\xef\xbb\xbf")
    return jsonschema_rs.Draft4Validator(_bounded(orjson.loads(raw)), validate_formats=False)


def _bounded(schema: Any, name: str = "") -> Any:
    """The schema with an end to each integer that has none."""
    if isinstance(schema, list):
        return [_bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {key: _bounded(value, key) for key, value in schema.items()}
    if bounded.get("type") != "integer":
        return bounded
    bits = 63 if name in PEERS_NAMES else 31
    return {"minimum": -(1 << bits), "maximum": (1 << bits) - 1, **bounded}


def violation(folder: str, name: str, payload: dict[str, Any]) -> Violation | None:
    """What is wrong with a payload, or None. `name` is the action, with `Response` appended for an answer."""
    validator = _validator(folder, name)
    if validator.is_valid(payload):
        return None
    error = next(iter(validator.iter_errors(payload)))
    field = ".".join(str(step) for step in error.instance_path)
    return Violation(field, error.kind.name, _reason(error.kind))


def _reason(kind: Any) -> str:
    """In the schema's words. Names of unexpected members are the peer's: cut, they may be long."""
    told = {name: value for name, value in kind.as_dict().items() if name not in {"instance", "instance_path"}}
    return f"{kind.name} {' '.join(f'{name}={value}' for name, value in told.items())}"[:120].rstrip()
