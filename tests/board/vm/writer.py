"""Runs on the board while its power is cut again and again: writes, and says what was acknowledged. Standard library and bessctl alone.

    writer.py check AT SIZE   what is on disk: `sqlite N ok`, `loop stopped|run`; AT, SIZE: where a journal record has the operator's mode
    writer.py write           until the power goes: `ack sqlite N` when the store said that N is on disk, `ack loop stopped|run` when the
                              loop did

The loop runs without devices: a stop and a start are acknowledged only once its journal holds them (R6), devices or not.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
from json import dumps, loads
from pathlib import Path
from typing import Any

from bessctl.store.database import Statement, Store
from bessctl_core.journal import Journal

DATABASE = Path("/data/bessctl/supervisor/cut.db")
SOCKET = "/run/bessctl/control.sock"
LOOP = ["/usr/bin/python3.13", "-I", "-S", "/usr/lib/bessctl/bessctl_core/__main__.py", "/data/bessctl/site.sealed"]
STATE = Path("/data/bessctl/cut")
PLACES = ["--run-dir", "/run/bessctl", "--state-dir", str(STATE)]
STOPPED = 3
"""MODE_STOPPED of layout.pxd."""


def ask(command: str) -> dict[str, Any]:
    """The loop's answer; waits for a loop that is still starting."""
    for _ in range(300):
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(SOCKET)
                link.sendall(dumps({"command": command}).encode() + b"\n")
                answer: dict[str, Any] = loads(link.makefile().readline())
                return answer
        except (OSError, ValueError):
            time.sleep(0.2)
    return {"ok": False}


def loop() -> None:
    subprocess.Popen([*LOOP, *PLACES], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def store() -> Store:
    it = Store(DATABASE)
    it._db.execute("CREATE TABLE IF NOT EXISTS cut (n INTEGER PRIMARY KEY, filling BLOB)")
    return it


def wished(at: int, size: int) -> str:
    """What the operator wished, by the loop's own reader. The loop's mode would not tell: so many starts trip it (R6), and hide a stop."""
    STATE.mkdir(exist_ok=True)
    journal = Journal(str(STATE))
    try:
        assert not journal.broken, journal.notes
        record = journal.newest_bytes or b""
    finally:
        journal.close()
    return "stopped" if int.from_bytes(record[at : at + size], "little") == STOPPED else "run"


def check(at: int, size: int) -> None:
    it = store()
    newest = it._db.execute("SELECT coalesce(max(n), 0), count(*) FROM cut").fetchone()
    whole = it._db.execute("PRAGMA integrity_check").fetchone()[0]
    print(f"sqlite {newest[0]} {whole if newest[0] == newest[1] else 'holes'}", flush=True)
    print(f"loop {wished(at, size)}", flush=True)
    loop()


def write() -> None:
    it = store()
    began = it._db.execute("SELECT coalesce(max(n), 0) FROM cut").fetchone()[0]
    for n in itertools.count(began + 1):
        it.submit([Statement("INSERT INTO cut VALUES (?, ?)", (n, bytes(n % 3000)))]).result()
        print(f"ack sqlite {n}", flush=True)
        if n % 10 == 0:
            command = "stop" if n % 20 else "start"
            print(f"try loop {command}", flush=True)
            if ask(command)["ok"]:
                print(f"ack loop {'stopped' if command == 'stop' else 'run'}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", at, size]:
            check(int(at), int(size))
        case _:
            write()
