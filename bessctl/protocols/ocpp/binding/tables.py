"""The station's tables in the store, and the session's words as statements. All names begin with `ocpp_`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatch

from bessctl.protocols.ocpp.binding.secrets import Secrets
from bessctl.protocols.ocpp.messages.records import TxEnded, TxMetered, TxRecord, TxStarted
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
    Migration(
        2,
        (
            # Small records of a kind: tokens, reservations, monitors, displays, network profiles, a firmware update.
            "CREATE TABLE ocpp_doc (link TEXT, kind TEXT, id TEXT, data TEXT NOT NULL, PRIMARY KEY (link, kind, id)) STRICT",
            # A transaction's token is kept as its digest from now on; of one that runs it is forgotten.
            "UPDATE ocpp_tx SET data = json_set(json_remove(data, '$.id_token'), '$.token', '')",
            "ALTER TABLE ocpp_buried ADD COLUMN utc_ns INTEGER",
        ),
    ),
    Migration(
        3,
        (
            # Each link has an audit and a security log of its own, with its own numbers: a noisy CSMS drives out nothing but its noise.
            "ALTER TABLE ocpp_audit ADD COLUMN log TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE ocpp_audit ADD COLUMN number INTEGER NOT NULL DEFAULT 0",
            "UPDATE ocpp_audit SET log = iif(kind = 'security', 'security', ''), number = id",
            "CREATE INDEX ocpp_audit_number ON ocpp_audit (link, log, number)",
        ),
    ),
)
SECURITY = "security"
KEPT = {"": 5_000, SECURITY: 1_000}
"""Records of each log, of each link."""
LOST = "unknown"


def load(store: Store, link: str, secrets: Secrets) -> w.Saved:
    """What the store keeps of a link."""
    at = (link,)
    docs: dict[str, dict[str, str]] = {}
    for kind, ident, data in store.read("SELECT kind, id, data FROM ocpp_doc WHERE link = ?", at):
        docs.setdefault(kind, {})[ident] = data
    return w.Saved(
        state=dict(store.read("SELECT name, value FROM ocpp_state WHERE link = ?", at)),
        keys=dict(store.read("SELECT name, value FROM ocpp_key WHERE link = ?", at)),
        transactions=[from_text(w.StoredTx, data) for (data,) in store.read("SELECT data FROM ocpp_tx WHERE link = ?", at)],
        queue=[
            w.QueueItem(seq, _opened(tx_record(kind, data), secrets), attempts)
            for seq, kind, data, attempts in store.read("SELECT seq, kind, data, attempts FROM ocpp_queue WHERE link = ? ORDER BY seq", at)
        ],
        profiles=[from_text(w.Installed, data) for (data,) in store.read("SELECT data FROM ocpp_profile WHERE link = ?", at)],
        docs=docs,
    )


def _opened(record: TxRecord, secrets: Secrets) -> TxRecord:
    """A message with its token in clear, as it is sent. One sealed with another key has lost it: the CSMS judges the rest."""
    if not isinstance(record, TxStarted | TxMetered | TxEnded) or record.id_token is None:
        return record
    opened = secrets.open(record.id_token)
    return replace(record, id_token=LOST if opened is None else opened)


def _sealed(record: TxRecord, secrets: Secrets) -> TxRecord:
    if not isinstance(record, TxStarted | TxMetered | TxEnded) or record.id_token is None:
        return record
    return replace(record, id_token=secrets.seal(record.id_token))


def retention_statements(utc_ns: int, days: float) -> list[Statement]:
    """Forget what is older than the site keeps it (OCPP-18). What has no date yet gets this one: the earliest that we can vouch for."""
    before, tables = utc_ns - round(days * 86_400e9), ("ocpp_audit", "ocpp_buried")
    dated = [Statement(f"UPDATE {table} SET utc_ns = ? WHERE utc_ns IS NULL", (utc_ns,)) for table in tables]
    return [*dated, *(Statement(f"DELETE FROM {table} WHERE utc_ns < ?", (before,)) for table in tables)]


def load_accounts(store: Store) -> list[w.Account]:
    """The ledger's totals."""
    return [from_text(w.Account, data) for (data,) in store.read("SELECT data FROM ocpp_account")]


def account_statements(accounts: Iterable[w.Account]) -> list[Statement]:
    """Keep the ledger's totals."""
    return [Statement("INSERT OR REPLACE INTO ocpp_account VALUES (?, ?)", (a.direction.value, to_text(a))) for a in accounts]


def audit_statements(link: str, audit: w.Audit, utc_ns: int | None, mono_ns: int) -> list[Statement]:
    """Keep an audit record, and no more than KEPT of its log."""
    log = SECURITY if audit.kind == SECURITY else ""
    newest = "SELECT max(number) FROM ocpp_audit WHERE link = ? AND log = ?"
    columns = "link, log, number, utc_ns, mono_ns, kind, connector, detail"
    put = f"INSERT INTO ocpp_audit ({columns}) VALUES (?, ?, ifnull(({newest}), 0) + 1, ?, ?, ?, ?, ?)"
    return [
        Statement(put, (link, log, link, log, utc_ns, mono_ns, audit.kind, audit.connector, audit.detail)),
        Statement(f"DELETE FROM ocpp_audit WHERE link = ? AND log = ? AND number <= ({newest}) - ?", (link, log, link, log, KEPT[log])),
    ]


@singledispatch
def statements(write: object, link: str, secrets: Secrets) -> list[Statement]:
    """A session's write as statements."""
    raise TypeError(f"no table keeps a {type(write).__name__}")


@statements.register
def _(write: w.PutTx, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_tx VALUES (?, ?, ?)", (link, write.tx.id, to_text(write.tx)))]


@statements.register
def _(write: w.DropTx, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_tx WHERE link = ? AND id = ?", (link, write.id))]


@statements.register
def _(write: w.Enqueue, link: str, secrets: Secrets) -> list[Statement]:
    item = write.item
    sql = "INSERT OR REPLACE INTO ocpp_queue (link, seq, kind, data, attempts) VALUES (?, ?, ?, ?, ?)"
    return [Statement(sql, (link, item.seq, type(item.record).__name__, to_text(_sealed(item.record, secrets)), item.attempts))]


@statements.register
def _(write: w.Dequeue, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_queue WHERE link = ? AND seq = ?", (link, write.seq))]


@statements.register
def _(write: w.Bury, link: str, secrets: Secrets) -> list[Statement]:
    # Nobody will be told any more: the token goes.
    copy = (
        "INSERT INTO ocpp_buried SELECT link, seq, kind, json_remove(data, '$.id_token'), ?, NULL"
        " FROM ocpp_queue WHERE link = ? AND seq = ?"
    )
    return [Statement(copy, (write.reason, link, write.seq)), *statements(w.Dequeue(write.seq), link, secrets)]


@statements.register
def _(write: w.PutKey, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_key VALUES (?, ?, ?)", (link, write.key, write.value))]


@statements.register
def _(write: w.PutProfile, link: str, secrets: Secrets) -> list[Statement]:
    installed = write.installed
    values = (link, installed.connector, installed.profile.id, to_text(installed))
    return [Statement("INSERT OR REPLACE INTO ocpp_profile VALUES (?, ?, ?, ?)", values)]


@statements.register
def _(write: w.DropProfile, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("DELETE FROM ocpp_profile WHERE link = ? AND connector = ? AND id = ?", (link, write.connector, write.id))]


@statements.register
def _(write: w.PutState, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_state VALUES (?, ?, ?)", (link, write.name, write.value))]


@statements.register
def _(write: w.PutDoc, link: str, secrets: Secrets) -> list[Statement]:
    return [Statement("INSERT OR REPLACE INTO ocpp_doc VALUES (?, ?, ?, ?)", (link, write.kind, write.id, write.data))]


@statements.register
def _(write: w.DropDoc, link: str, secrets: Secrets) -> list[Statement]:
    if write.id is None:
        return [Statement("DELETE FROM ocpp_doc WHERE link = ? AND kind = ?", (link, write.kind))]
    return [Statement("DELETE FROM ocpp_doc WHERE link = ? AND kind = ? AND id = ?", (link, write.kind, write.id))]
