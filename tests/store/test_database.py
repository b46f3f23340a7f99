"""The durable store: atomic batches in order, group commit, migrations, and nothing lost to SIGKILL (OCPP-19)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessctl.errors import OperationFailed
from bessctl.store import Migration, Statement, Store, StoreTooNew

LADDER = (Migration(1, ("CREATE TABLE t_row (n INTEGER PRIMARY KEY) STRICT",)),)


def insert(n: int) -> Statement:
    return Statement("INSERT INTO t_row VALUES (?)", (n,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    s = Store(tmp_path / "state.sqlite")
    s.migrate("t", LADDER)
    with contextlib.closing(s):
        yield s


def rows(store: Store) -> list[int]:
    return [r[0] for r in store.read("SELECT n FROM t_row ORDER BY n")]


def test_a_batch_is_readable_once_its_future_is_done(store: Store) -> None:
    store.submit([insert(1), insert(2)]).result(10)
    assert rows(store) == [1, 2]


def test_the_file_is_durable_and_private(store: Store) -> None:
    assert store.read("PRAGMA journal_mode") == [("wal",)]
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_a_refused_batch_fails_alone_and_wholly(store: Store) -> None:
    first = store.submit([insert(1)])
    bad = store.submit([insert(2), insert(1)])
    last = store.submit([insert(3)])
    first.result(10)
    last.result(10)
    with pytest.raises(OperationFailed, match="refused"):
        bad.result(10)
    assert rows(store) == [1, 3]


def test_a_number_that_does_not_fit_fails_its_batch_alone(store: Store) -> None:
    bad, last = store.submit([insert(2**63)]), store.submit([insert(4)])
    last.result(10)
    with pytest.raises(OperationFailed, match="refused"):
        bad.result(10)
    assert rows(store) == [4]


def test_many_batches_share_commits(store: Store) -> None:
    before = store.commits
    done = [store.submit([insert(n)]) for n in range(200)]
    for d in done:
        d.result(10)
    assert rows(store) == list(range(200))
    assert store.commits - before < 50


def test_write_is_awaitable(store: Store) -> None:
    asyncio.run(store.write([insert(7)]))
    assert rows(store) == [7]


def test_close_writes_what_waits_and_then_refuses(tmp_path: Path) -> None:
    s = Store(tmp_path / "s.sqlite", group_s=60)
    s.migrate("t", LADDER)
    s.submit([insert(1)]).result(10)
    waiting = s.submit([insert(2)])
    s.close()
    assert waiting.result(0) is None
    with pytest.raises(OperationFailed, match="closed"):
        s.submit([insert(3)]).result(0)


def test_an_unusable_path_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationFailed, match="cannot open the store"):
        Store(tmp_path / "file" / "s.sqlite")


def test_ladders_are_climbed_once_and_apart(tmp_path: Path) -> None:
    s = Store(tmp_path / "s.sqlite")
    s.migrate("t", LADDER)
    s.migrate("t", LADDER)
    s.migrate("t", (*LADDER, Migration(2, ("ALTER TABLE t_row ADD COLUMN m INTEGER",))))
    s.migrate("u", (Migration(1, ("CREATE TABLE u_row (n INTEGER) STRICT",)),))
    assert s.read("SELECT namespace, version FROM schema_migrations ORDER BY 1") == [("t", 2), ("u", 1)]
    with pytest.raises(StoreTooNew, match="version 2"):
        s.migrate("t", LADDER)
    s.close()


def test_a_broken_step_leaves_the_ladder_where_it_was(store: Store) -> None:
    with pytest.raises(sqlite3.Error):
        store.migrate("t", (*LADDER, Migration(2, ("CREATE TABLE t_more (n INTEGER)", "NOT SQL"))))
    assert store.read("SELECT version FROM schema_migrations") == [(1,)]
    assert store.read("SELECT name FROM sqlite_master WHERE name = 't_more'") == []


CHILD = """
import sys, pathlib
from bessctl.store import Store, Statement, Migration
s = Store(pathlib.Path(sys.argv[1]))
s.migrate("t", (Migration(1, ("CREATE TABLE t_row (n INTEGER PRIMARY KEY) STRICT",)),))
n = int(sys.argv[2])
while True:
    s.submit([Statement("INSERT INTO t_row VALUES (?)", (n,))]).result()
    print(n, flush=True)
    n += 1
"""


def test_whatever_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """OCPP-19: a row whose future was done is there after SIGKILL at any instant."""
    path, acknowledged = tmp_path / "s.sqlite", -1
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(acknowledged + 1)], stdout=subprocess.PIPE, text=True) as p:
            assert p.stdout is not None
            for _ in range(5):
                acknowledged = int(p.stdout.readline())
            p.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *(int(line) for line in p.stdout)])
        with contextlib.closing(sqlite3.connect(path)) as db:
            kept = [r[0] for r in db.execute("SELECT n FROM t_row ORDER BY n")]
        assert kept[: acknowledged + 1] == list(range(acknowledged + 1))
        acknowledged = kept[-1]
