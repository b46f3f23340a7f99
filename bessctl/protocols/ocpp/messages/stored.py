"""Records as JSON text for the store, and back. A record knows its fields; the store knows its name.

Unknown names and fields raise ValueError: a store of a newer version is refused by its migrations, so this is damage.
"""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from bessctl.protocols.ocpp.messages.records import SecurityEvent, TxEnded, TxHealth, TxMetered, TxRecord, TxStarted

T = TypeVar("T")

TX_RECORDS: dict[str, type[TxStarted] | type[TxMetered] | type[TxEnded] | type[TxHealth] | type[SecurityEvent]] = {
    c.__name__: c for c in (TxStarted, TxMetered, TxEnded, TxHealth, SecurityEvent)
}


def to_text(record: object) -> str:
    """A dataclass as compact JSON."""
    return orjson.dumps(record).decode()


def from_text(cls: type[T], text: str | bytes) -> T:
    """The dataclass `cls` from its JSON."""
    built: T = _build(cls, orjson.loads(text))
    return built


def tx_record(name: str, text: str | bytes) -> TxRecord:
    """A transaction record by its class name."""
    if name not in TX_RECORDS:
        raise ValueError(f"no transaction record is called {name!r}")
    return from_text(TX_RECORDS[name], text)


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(hint: Any, data: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return None if data is None else _build(inner[0], data)
    if origin is tuple:
        return tuple(_build(typing.get_args(hint)[0], item) for item in data)
    if is_dataclass(hint) and isinstance(hint, type):
        known = {f.name for f in fields(hint)}
        if not isinstance(data, dict) or not data.keys() <= known:
            raise ValueError(f"this is not a {hint.__name__}: {data!r}")
        return hint(**{name: _build(_hints(hint)[name], value) for name, value in data.items()})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return data
