"""The provider's tables in the store, and the sessions' words as statements. All names begin with `oscp_`."""

from __future__ import annotations

from decimal import Decimal
from functools import singledispatch
from typing import Any

import orjson

from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Phase
from bessctl.protocols.oscp.session import kept as k
from bessctl.store import Migration, Statement, Store

NAMESPACE = "oscp"
LADDER = (
    Migration(
        1,
        (
            "CREATE TABLE oscp_peer (peer TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT",
            "CREATE TABLE oscp_series (peer TEXT, grp TEXT, type TEXT, data TEXT NOT NULL, PRIMARY KEY (peer, grp, type)) STRICT",
            "CREATE TABLE oscp_reading (peer TEXT, seq INTEGER, data TEXT NOT NULL, PRIMARY KEY (peer, seq)) STRICT",
        ),
    ),
)


def load(store: Store, peer: str) -> k.Saved:
    """What the store keeps of a peer."""
    at = (peer,)
    records = store.read("SELECT data FROM oscp_peer WHERE peer = ?", at)
    series = store.read("SELECT data FROM oscp_series WHERE peer = ? ORDER BY grp, type", at)
    readings = store.read("SELECT data FROM oscp_reading WHERE peer = ? ORDER BY seq", at)
    return k.Saved(
        k.PeerRecord(**orjson.loads(records[0][0])) if records else k.PeerRecord(),
        [_series(orjson.loads(data)) for (data,) in series],
        [_reading(orjson.loads(data)) for (data,) in readings],
    )


def _series(data: dict[str, Any]) -> k.StoredSeries:
    blocks = tuple(Block(Decimal(c), Phase(p), BlockUnit(u), start, end) for c, p, u, start, end in data["blocks"])
    return k.StoredSeries(data["group"], CapacityForecastType(data["type"]), data["request_id"], data["received_utc_ns"], blocks)


def _reading(data: dict[str, Any]) -> k.Reading:
    meter = data.get("meter")  # a reading of an earlier version has none
    units = tuple(k.UnitReading(**unit) for unit in data["units"])
    return k.Reading(data["seq"], data["role"], data["group"], data["utc_ns"], units, None if meter is None else k.UnitReading(**meter))


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


@singledispatch
def statements(write: object, peer: str) -> list[Statement]:
    """A session's write as statements."""
    raise TypeError(f"no table keeps a {type(write).__name__}")


@statements.register
def _(write: k.PutPeer, peer: str) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO oscp_peer VALUES (?, ?)", (peer, _text(write.record)))]


@statements.register
def _(write: k.PutSeries, peer: str) -> list[Statement]:
    it = write.series
    data = {
        "group": it.group, "type": it.type.value, "request_id": it.request_id, "received_utc_ns": it.received_utc_ns,
        "blocks": [[str(b.capacity), b.phase.value, b.unit.value, b.start_ns, b.end_ns] for b in it.blocks],
    }  # fmt: skip
    return [Statement("INSERT OR REPLACE INTO oscp_series VALUES (?, ?, ?, ?)", (peer, it.group, it.type.value, _text(data)))]


@statements.register
def _(write: k.PutReading, peer: str) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO oscp_reading VALUES (?, ?, ?)", (peer, write.reading.seq, _text(write.reading)))]


@statements.register
def _(write: k.DropReadings, peer: str) -> list[Statement]:
    return [Statement("DELETE FROM oscp_reading WHERE peer = ? AND seq = ?", (peer, seq)) for seq in write.seqs]


@statements.register
def _(write: k.ForgetPeer, peer: str) -> list[Statement]:
    return [Statement(f"DELETE FROM {table} WHERE peer = ?", (peer,)) for table in ("oscp_peer", "oscp_series", "oscp_reading")]
