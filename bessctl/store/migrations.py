"""The schema grows by numbered steps, one ladder per namespace.

A namespace is a protocol's name ("ocpp") and the prefix of all its tables ("ocpp_queue"), so that protocols share a file and
never a table. `schema_migrations(namespace, version)` says how far each ladder was climbed; a step and the mark that it was
climbed are one transaction, so that a power cut leaves either both or neither.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bessctl.errors import OperationFailed

_MARKS = "CREATE TABLE IF NOT EXISTS schema_migrations (namespace TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"


class StoreTooNew(OperationFailed):
    """The file was written by a newer version of the product; going on would lose what it keeps there."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: the statements that lead from `version - 1` to `version` (the first is 1)."""

    version: int
    statements: tuple[str, ...]


def climbed(db: sqlite3.Connection, namespace: str) -> int:
    """How far the namespace's ladder was climbed; 0 = not at all."""
    row = db.execute("SELECT version FROM schema_migrations WHERE namespace = ?", (namespace,)).fetchone()
    return int(row[0]) if row else 0


def migrate(db: sqlite3.Connection, namespace: str, ladder: Sequence[Migration]) -> None:
    """Bring the namespace to the top of its ladder. `db` is in autocommit mode.

    Raises StoreTooNew when the file stands above the ladder.
    """
    db.execute(_MARKS)
    done = climbed(db, namespace)
    top = ladder[-1].version if ladder else 0
    if done > top:
        raise StoreTooNew(f"the store's {namespace} tables are of version {done}, this program knows {top}: install the newer version")
    for step in ladder:
        if step.version > done:
            _climb(db, namespace, step)


def _climb(db: sqlite3.Connection, namespace: str, step: Migration) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in step.statements:
            db.execute(statement)
        db.execute("INSERT OR REPLACE INTO schema_migrations VALUES (?, ?)", (namespace, step.version))
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
