"""The station's tables in the store, and the session's words as statements. All names begin with `ocpp_`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from bessctl.protocols.ocpp.messages.stored import from_text, to_text, tx_record
from bessctl.protocols.ocpp.session import writes as w
from bessctl.store import Migration, Statement, Store

NAMESPACE = "ocpp"
LADDER = (
    Migration(
        1,
        (
            "CREATE TABLE ocpp_state (link TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (link, name)) STRICT",
            "CREATE TABLE ocpp_key (link TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (link, name)) STRICT",
            "CREATE TABLE ocpp_tx (link TEXT, id TEXT, data TEXT NOT NULL, PRIMARY KEY (link, id)) STRICT",
            "CREATE TABLE ocpp_profile (link TEXT, connector INTEGER, id INTEGER, data TEXT NOT NULL,"
            " PRIMARY KEY (link, connector, id)) STRICT",
            "CREATE TABLE ocpp_queue (link TEXT, seq INTEGER, kind TEXT NOT NULL, data TEXT NOT NULL,"
            " attempts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (link, seq)) STRICT",
            # Messages given up after their last attempt: nothing that happened is ever lost from the record.
            "CREATE TABLE ocpp_buried (link TEXT, seq INTEGER, kind TEXT NOT NULL, data TEXT NOT NULL, reason TEXT NOT NULL) STRICT",
            "CREATE TABLE ocpp_account (direction TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT",
            "CREATE TABLE ocpp_audit (id INTEGER PRIMARY KEY, link TEXT NOT NULL, utc_ns INTEGER, mono_ns INTEGER NOT NULL,"
            " kind TEXT NOT NULL, connector INTEGER, detail TEXT NOT NULL) STRICT",
        ),
    ),
)
AUDIT_KEPT = 10_000


def load(store: Store, link: str) -> w.Saved:
    """What the store keeps of a link."""
    at = (link,)
    return w.Saved(
        state=dict(store.read("SELECT name, value FROM ocpp_state WHERE link = ?", at)),
        keys=dict(store.read("SELECT name, value FROM ocpp_key WHERE link = ?", at)),
        transactions=[from_text(w.StoredTx, data) for (data,) in store.read("SELECT data FROM ocpp_tx WHERE link = ?", at)],
        queue=[
            w.QueueItem(seq, tx_record(kind, data), attempts)
            for seq, kind, data, attempts in store.read("SELECT seq, kind, data, attempts FROM ocpp_queue WHERE link = ? ORDER BY seq", at)
        ],
        profiles=[from_text(w.Installed, data) for (data,) in store.read("SELECT data FROM ocpp_profile WHERE link = ?", at)],
    )


def load_accounts(store: Store) -> list[w.Account]:
    """The ledger's totals."""
    return [from_text(w.Account, data) for (data,) in store.read("SELECT data FROM ocpp_account")]


def account_statements(accounts: Iterable[w.Account]) -> list[Statement]:
    """Keep the ledger's totals."""
    return [Statement("INSERT OR REPLACE INTO ocpp_account VALUES (?, ?)", (a.direction.value, to_text(a))) for a in accounts]


def audit_statements(link: str, audit: w.Audit, utc_ns: int | None, mono_ns: int) -> list[Statement]:
    """Keep an audit record, and no more than AUDIT_KEPT of them."""
    sql = "INSERT INTO ocpp_audit (link, utc_ns, mono_ns, kind, connector, detail) VALUES (?, ?, ?, ?, ?, ?)"
    return [
        Statement(sql, (link, utc_ns, mono_ns, audit.kind, audit.connector, audit.detail)),
        Statement("DELETE FROM ocpp_audit WHERE id <= (SELECT max(id) FROM ocpp_audit) - ?", (AUDIT_KEPT,)),
    ]


@singledispatch
def statements(write: object, link: str) -> list[Statement]:
    """A session's write as statements."""
    raise TypeError(f"no table keeps a {type(write).__name__}")


@statements.register
def _(write: w.PutTx, link: str) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_tx VALUES (?, ?, ?)", (link, write.tx.id, to_text(write.tx)))]


@statements.register
def _(write: w.DropTx, link: str) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_tx WHERE link = ? AND id = ?", (link, write.id))]


@statements.register
def _(write: w.Enqueue, link: str) -> list[Statement]:
    item = write.item
    sql = "INSERT OR REPLACE INTO ocpp_queue (link, seq, kind, data, attempts) VALUES (?, ?, ?, ?, ?)"
    return [Statement(sql, (link, item.seq, type(item.record).__name__, to_text(item.record), item.attempts))]


@statements.register
def _(write: w.Dequeue, link: str) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_queue WHERE link = ? AND seq = ?", (link, write.seq))]


@statements.register
def _(write: w.Bury, link: str) -> list[Statement]:
    copy = "INSERT INTO ocpp_buried SELECT link, seq, kind, data, ? FROM ocpp_queue WHERE link = ? AND seq = ?"
    return [Statement(copy, (write.reason, link, write.seq)), *statements(w.Dequeue(write.seq), link)]


@statements.register
def _(write: w.PutKey, link: str) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_key VALUES (?, ?, ?)", (link, write.key, write.value))]


@statements.register
def _(write: w.PutProfile, link: str) -> list[Statement]:
    installed = write.installed
    values = (link, installed.connector, installed.profile.id, to_text(installed))
    return [Statement("INSERT OR REPLACE INTO ocpp_profile VALUES (?, ?, ?, ?)", values)]


@statements.register
def _(write: w.DropProfile, link: str) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_profile WHERE link = ? AND connector = ? AND id = ?", (link, write.connector, write.id))]


@statements.register
def _(write: w.PutState, link: str) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_state VALUES (?, ?, ?)", (link, write.name, write.value))]
