"""A station without a socket: a CSMS of a few lines, time that only moves when told, a disk that is a list of writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.readings import reading_of
from bessctl.protocols.ocpp.binding.secrets import Secrets
from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.messages.dialect import dialect
from bessctl.protocols.ocpp.messages.records import Boot
from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.clock import NS, Now
from bessctl.protocols.ocpp.session.hand import HandOrder
from bessctl.protocols.ocpp.session.jobs import Done, Job
from bessctl.protocols.ocpp.session.ledger import Ledger
from bessctl.protocols.ocpp.session.network import Endpoint
from bessctl.protocols.ocpp.session.station import Station
from bessctl.protocols.ocpp.session.vault import Vault
from tests.protocols.ocpp.fakes import FakePlant

T0 = 1_800_000_000 * NS  # 2027-01-15T08:00:00Z
LINK = LinkConfig("cpo", "wss://example.org/ocpp", "BESS1")

Reply = dict[str, Any] | None


def saved_after(writes: list[w.Write]) -> w.Saved:
    """What a disk would hold after these writes."""
    state: dict[str, str] = {}
    keys: dict[str, str] = {}
    txs: dict[str, w.StoredTx] = {}
    queue: dict[int, w.QueueItem] = {}
    profiles: dict[tuple[int, int], w.Installed] = {}
    docs: dict[str, dict[str, str]] = {}
    for write in writes:
        match write:
            case w.PutState(name, value):
                state[name] = value
            case w.PutKey(key, value):
                keys[key] = value
            case w.PutTx(tx):
                txs[tx.id] = tx
            case w.DropTx(ident):
                del txs[ident]
            case w.Enqueue(item):
                queue[item.seq] = item
            case w.Dequeue(seq) | w.Bury(seq, _):
                queue.pop(seq, None)
            case w.PutProfile(installed):
                profiles[installed.connector, installed.profile.id] = installed
            case w.DropProfile(connector, ident):
                del profiles[connector, ident]
            case w.PutDoc(kind, ident, data):
                docs.setdefault(kind, {})[ident] = data
            case w.DropDoc(kind, None):
                docs.pop(kind, None)
            case w.DropDoc(kind, ident):
                docs.get(kind, {}).pop(ident or "", None)
    return w.Saved(state, keys, list(txs.values()), list(queue.values()), list(profiles.values()), docs)


class Disk:
    """SQLite in memory, with the station's real tables: a step whose writes it refuses would take the link down."""

    SECRETS = Secrets(bytes(32))

    def __init__(self, link: str) -> None:
        self._link = link
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        for step in tables.LADDER:
            for statement in step.statements:
                self._db.execute(statement)

    def keep(self, writes: list[w.Write], now: Now) -> None:
        for write in writes:
            made = (
                tables.audit_statements(self._link, write, now.utc_ns, now.mono_ns)
                if isinstance(write, w.Audit)
                else tables.statements(write, self._link, self.SECRETS)
            )
            for statement in made:
                self._db.execute(statement.sql, statement.values)


class Talk:
    """One link and its CSMS. `sent` = every CALL of the station as (action, payload); `answers` = its answers by id."""

    def __init__(
        self,
        link: LinkConfig = LINK,
        saved: w.Saved | None = None,
        *,
        trusted: bool = True,
        ledger: Ledger | None = None,
        version: str = "1.6",
        vault: Vault | None = None,
    ) -> None:
        self.version, self.vault = version, vault
        self.jobs: list[Job] = []
        self.redials: list[str] = []
        self.goods = 0
        self._asked: dict[str, str] = {}
        self.plant = FakePlant()
        self.ledger = ledger or Ledger()
        self.ledger.observe(self.reading)
        self.now = Now(1000 * NS, T0 if trusted else None)
        self.writes: list[w.Write] = []
        self.disk = Disk(link.name)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.results: dict[str, Any] = {}
        self.restarts: list[str] = []
        self.auto = True
        self.replies: dict[str, Callable[[dict[str, Any]], Reply]] = {"BootNotification": lambda p: boot()}
        self.transaction = 40
        self._calls = 0
        self.link = link
        self.station = Station(
            link,
            Boot("bessctl", "BESS"),
            saved or w.Saved(),
            ledger=self.ledger,
            rng=Random(1),
            boot="boot-1",
            spoken=dialect(version),
            vault=vault,
        )

    @property
    def reading(self) -> Any:
        return reading_of(self.plant.state, "ocpp") if self.plant.state else None

    def take(self, out: w.Output) -> w.Output:
        """Carry a step's output out, and answer CALLs at once where `auto` is set."""
        self.writes += out.writes
        self.disk.keep(out.writes, self.now)
        self.goods += out.good
        self.restarts += [out.restart] if out.restart else []
        self.redials += [out.redial] if out.redial else []
        self.jobs += out.jobs
        for text in out.frames:
            frame = json.loads(text)
            self._valid(frame)
            if frame[0] == 2:
                self.sent.append((frame[2], frame[3]))
                self.ids.append(frame[1])
                if self.auto:
                    self.reply(frame[1], frame[2], frame[3])
            else:
                self.results[frame[1]] = frame[2:] if frame[0] == 4 else frame[2]
        return out

    def _valid(self, frame: list[Any]) -> None:
        """Everything the station says is valid under the package's schemas."""
        folder = {"1.6": "v16", "2.0.1": "v201"}[self.station.spoken.traits.version]
        name = frame[2] if frame[0] == 2 else self._asked.get(frame[1], "") + "Response"
        if frame[0] != 4 and name != "Response":
            assert schemas.violation(folder, name, frame[-1]) is None, (name, frame[-1], schemas.violation(folder, name, frame[-1]))

    def reply(self, ident: str, action: str, payload: dict[str, Any]) -> None:
        """What the CSMS answers; None = an error."""
        answer = self.replies.get(action, self._default(action))(payload)
        frame: list[Any] = [4, ident, "InternalError", "", {}] if answer is None else [3, ident, answer]
        self.take(self.station.received(json.dumps(frame), self.now))

    def _default(self, action: str) -> Callable[[dict[str, Any]], Reply]:
        if action in {"Authorize", "SignCertificate"} and self.version == "2.0.1":
            return lambda p: {"status": "Accepted"} if action == "SignCertificate" else {"idTokenInfo": {"status": "Accepted"}}
        if action == "SignCertificate":
            return lambda p: {"status": "Accepted"}
        if action == "DataTransfer":
            return lambda p: {"status": "Accepted"}
        if action == "StartTransaction":
            self.transaction += 1
            return lambda p: {"transactionId": self.transaction, "idTagInfo": {"status": "Accepted"}}
        if action == "Heartbeat":
            return lambda p: {"currentTime": "2027-01-15T08:00:00Z"}
        return lambda p: {"idTagInfo": {"status": "Accepted"}} if action == "Authorize" else {}

    def connect(self, endpoint: Endpoint | None = None) -> None:
        self.take(self.station.connected(self.now, self.reading, None, endpoint))

    def disconnect(self) -> None:
        self.take(self.station.disconnected(self.now))

    def booted(self) -> Talk:
        self.connect()
        assert self.station.accepted
        return self

    def call(self, action: str, payload: dict[str, Any]) -> Any:
        """The CSMS asks; returns the answer's payload, or [code, description, details] of a CALLERROR."""
        self._calls += 1
        ident = f"c{self._calls}"
        self._asked[ident] = action
        self.take(self.station.received(json.dumps([2, ident, action, payload]), self.now))
        return self.results.get(ident)

    def raw(self, text: str) -> w.Output:
        return self.take(self.station.received(text, self.now))

    def pass_time(self, seconds: float) -> None:
        """Let time go by, waking the station whenever it asked for it."""
        end = self.now.later(seconds)
        while (wake := self.station.wake_ns()) is not None and wake <= end.mono_ns:
            step = max(0, wake - self.now.mono_ns)
            self.now = Now(self.now.mono_ns + step, None if self.now.utc_ns is None else self.now.utc_ns + step)
            before = len(self.sent), len(self.writes)
            if self.auto:
                self.take(self.station.pong(self.now))
            self.take(self.station.tick(self.now))
            assert step or before != (len(self.sent), len(self.writes)) or self.station.wake_ns() != wake, "asked to be woken for nothing"
        self.now = end
        self.take(self.station.tick(self.now))

    def look(self) -> None:
        """The plant was read again."""
        self.ledger.observe(self.reading)
        self.take(self.station.plant(self.reading, self.now))

    def hand(self, cmd: str, **fields: Any) -> str | None:
        """The hand at the station."""
        why, out = self.station.by_hand(HandOrder(cmd, **fields), self.now)
        self.take(out)
        return why

    def done(self, job: Job, ok: bool = True, detail: str = "") -> None:
        """A job came to its end."""
        self.take(self.station.job_done(Done(job, ok, detail), self.now))

    def done_again(self, job: Job) -> None:
        """A job whose beginning must be asked for again."""
        self.take(self.station.job_done(Done(job, False, "not yet", again=True), self.now))

    def actions(self) -> list[str]:
        return [action for action, _ in self.sent]

    def of(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.sent if name == action]

    def restarted(self) -> Talk:
        """The supervisor is killed and comes back: a new station over the same disk and a ledger of its own."""
        other = Talk(self.link, saved_after(self.writes), version=self.version, vault=self.vault)
        other.now, other.plant, other.transaction = self.now, self.plant, self.transaction
        other.writes = list(self.writes)
        other.ledger.observe(self.reading)
        return other


def boot(status: str = "Accepted", interval: int = 300, time: str = "2027-01-15T08:00:00Z") -> dict[str, Any]:
    return {"currentTime": time, "interval": interval, "status": status}


def with_keys(**keys: str) -> LinkConfig:
    return replace(LINK, keys=keys)


def profile(limits: list[tuple[int, float]], **changes: Any) -> dict[str, Any]:
    """A charging profile of the wire, absolute from T0."""
    schedule = {
        "chargingRateUnit": changes.pop("unit", "W"),
        "chargingSchedulePeriod": [{"startPeriod": s, "limit": v} for s, v in limits],
        "startSchedule": changes.pop("start", "2027-01-15T08:00:00Z"),
    }
    if "duration" in changes:
        schedule["duration"] = changes.pop("duration")
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
        **changes,
    }
