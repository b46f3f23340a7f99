"""The client's tables in the store. All names begin with `sep2_`.

sep2_event: each event's first copy, its draws and how far it came. sep2_response: what is owed, and what was answered (not repeated after a
restart). sep2_state: the server's clock in this boot, and what `bessctl sep2 status` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from bessctl.protocols.sep2.session.engine import Said
from bessctl.protocols.sep2.session.events import Run, from_json, to_json
from bessctl.store import Migration, Statement, Store

NAMESPACE = "sep2"
LADDER = (
    Migration(
        1,
        (
            "CREATE TABLE sep2_event (mrid TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT",
            "CREATE TABLE sep2_response (mrid TEXT, status INTEGER, created_s REAL NOT NULL, reply_to TEXT NOT NULL,"
            " done INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (mrid, status)) STRICT",
            "CREATE TABLE sep2_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
        ),
    ),
)
RESPONSES_KEPT_S = 30 * 86_400


def load_events(store: Store) -> list[Run]:
    """All events that were kept."""
    return [from_json(orjson.loads(data)) for (data,) in store.read("SELECT data FROM sep2_event")]


def load_responses(store: Store) -> tuple[list[Said], set[tuple[str, int]]]:
    """What is owed, oldest first, and what was said at all."""
    rows = store.read("SELECT mrid, status, created_s, reply_to, done FROM sep2_response ORDER BY created_s, status")
    owed = [Said(mrid, status, created_s, reply_to) for mrid, status, created_s, reply_to, done in rows if not done]
    return owed, {(mrid, status) for mrid, status, *_ in rows}


def load_state(store: Store) -> dict[str, Any]:
    """The small things."""
    return {name: orjson.loads(value) for name, value in store.read("SELECT name, value FROM sep2_state")}


def event_statements(runs: Mapping[str, Run], changed: Iterable[str]) -> list[Statement]:
    """Keep what changed; forget what is gone."""
    out = []
    for mrid in sorted(changed):
        run = runs.get(mrid)
        if run is None:
            out.append(Statement("DELETE FROM sep2_event WHERE mrid = ?", (mrid,)))
        else:
            out.append(Statement("INSERT OR REPLACE INTO sep2_event VALUES (?, ?)", (mrid, orjson.dumps(to_json(run)).decode())))
    return out


def owe_statements(responses: Iterable[Said]) -> list[Statement]:
    """A response is owed from now on."""
    sql = "INSERT OR IGNORE INTO sep2_response (mrid, status, created_s, reply_to) VALUES (?, ?, ?, ?)"
    return [Statement(sql, (said.mrid, said.status, said.created_s, said.reply_to)) for said in responses]


def done_statements(done: Iterable[tuple[str, int]], now_s: float) -> list[Statement]:
    """It was delivered or refused; those of last month are forgotten."""
    out = [Statement("UPDATE sep2_response SET done = 1 WHERE mrid = ? AND status = ?", pair) for pair in done]
    if out:
        out.append(Statement("DELETE FROM sep2_response WHERE done = 1 AND created_s < ?", (now_s - RESPONSES_KEPT_S,)))
    return out


def state_statement(name: str, value: Any) -> Statement:
    """A small thing."""
    return Statement("INSERT OR REPLACE INTO sep2_state VALUES (?, ?)", (name, orjson.dumps(value).decode()))
