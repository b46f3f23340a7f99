"""A provider without sockets, in invented time: what a peer says is a dict, what we say is a list of messages."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bessctl.protocols.oscp.binding.plans import Calendar, plan_of
from bessctl.protocols.oscp.binding.voices import Measured, Voices
from bessctl.protocols.oscp.config import GroupConfig, Listen, PeerConfig, ProviderConfig, Role, Scope
from bessctl.protocols.oscp.messages.headers import Headers, Segment
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl.protocols.oscp.session.kept import Saved
from bessctl.protocols.oscp.session.outbox import Message
from bessctl.protocols.oscp.session.peer import Request
from bessctl.protocols.oscp.session.provider import Provider

START_UTC_S = 1_800_000_000
START = Now(1_000 * NS, START_UTC_S * NS)
CP = PeerConfig("dso", frozenset({Role.CP}), ("feeder-7",))
GROUP = GroupConfig("feeder-7", "oscp", Scope.PCC)
LISTEN = Listen("127.0.0.1", 0, Path("cert"), Path("key"))
PEER_URL = "https://cp.example/oscp/cp/2.0"


def time_text(at_s: float) -> str:
    """UTC with milliseconds."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Talk:
    """One peer talking with the provider. `now` is the time of both, `skew_s` how far the peer's clock is ahead."""

    def __init__(
        self, *peers: PeerConfig, groups: tuple[GroupConfig, ...] = (GROUP,), saved: dict[str, Saved] | None = None, **site: Any
    ) -> None:
        peers = peers or (CP,)
        self.site = ProviderConfig("https://us/oscp/fp/2.0", LISTEN, groups, peers, **site)
        self._random = itertools.count(1)
        self.now = START
        self.provider = Provider(self.site, saved or {}, self.now, lambda size: next(self._random).to_bytes(size, "big"))
        self.name = peers[0].name
        self._ids = itertools.count(1)
        self.sent: list[Message] = []
        self.skew_s = 0.0
        self.token = ""
        self.voices = Voices(self.site, self.provider, Measured(230.0))

    @property
    def peer(self) -> Any:
        return self.provider.peers[self.name]

    def as_(self, name: str) -> Talk:
        """Speak as another peer from here on."""
        self.name = name
        return self

    def post(
        self, endpoint: str, body: Any, *, method: str = "POST", ident: str = "", kind: str = "c", correlation: str | None = None,
        segment: tuple[int, int] | None = None,
    ) -> int:  # fmt: skip
        """One request; the status of its answer."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = Headers(ident or f"p{next(self._ids)}", correlation, Segment(*segment) if segment else None)
        self.peer.arrived(self.now)
        answer = self.peer.receive(Request(endpoint, method, headers, data, tokens.Kind(kind)), self.now)
        self.said = answer.message
        self.provider.settle()
        self.peer.answered()
        return int(answer.status)

    def next(self, status: int | None = 204) -> Message | None:
        """Take our next message to this peer and answer it."""
        self.peer.tick(self.now)
        message: Message | None = self.peer.outgoing(self.now)
        if message is not None:
            self.sent.append(message)
            self.peer.delivered(message, status, self.now)
            self.provider.settle()
        return message

    def drain(self, status: int | None = 204) -> list[Message]:
        """All that is due now."""
        found = []
        while (message := self.next(status)) is not None:
            found.append(message)
            assert len(found) < 100
        return found

    def later(self, seconds: float) -> Talk:
        """Let time pass."""
        self.now = self.now.later(seconds)
        self.peer.tick(self.now)
        return self

    def at(self, in_s: float) -> str:
        """A date-time of the peer's clock."""
        assert self.now.utc_ns is not None
        return time_text(self.now.utc_ns / NS + self.skew_s + in_s)

    def register(self) -> Talk:
        self.peer.registration.invite()
        assert self.post("register", registration(), kind="a") == 204
        assert self.next() is not None
        return self

    def shake(self, heartbeat_s: int | None = None) -> Talk:
        wish: dict[str, Any] = {"measurement_configuration": []} | ({"heartbeat_interval": heartbeat_s} if heartbeat_s else {})
        if Role.CP in self.peer.config.roles:
            assert self.post("handshake", {"required_behaviour": wish}) == 204
        else:
            assert self.next() is not None
            assert self.post("handshake_acknowledge", {"required_behaviour": wish}) == 204
        self.drain()
        assert self.peer.connection.online
        return self

    def online(self, heartbeat_s: int | None = None) -> Talk:
        return self.register().shake(heartbeat_s)

    def beat(self, offline_in_s: float) -> int:
        return self.post("heartbeat", {"offline_mode_at": self.at(offline_in_s)})

    def forecast(self, kind: str, *blocks: tuple[float, float, float], group: str = "feeder-7", **more: Any) -> int:
        return self.post("update_group_capacity_forecast", self.forecast_body(kind, *blocks, group=group, **more))

    def forecast_body(
        self, kind: str, *blocks: tuple[float, float, float], group: str = "feeder-7", unit: str = "W", phase: str = "UNKNOWN"
    ) -> dict[str, Any]:
        rows = [
            {"capacity": c, "phase": phase, "unit": unit, "start_time": self.at(start), "end_time": self.at(end)}
            for c, start, end in blocks
        ]
        return {"group_id": group, "type": kind, "forecasted_blocks": rows}

    def plan(self, source: str = "oscp") -> Any:
        """The plan of a slot, as it would be written now."""
        offset = None if self.now.utc_ns is None else self.now.utc_ns - self.now.mono_ns
        return plan_of(self.voices.of(source), Calendar(offset), self.now.mono_ns, 10**15)

    def restarted(self) -> Talk:
        """The same peers after a restart, from what was kept."""
        saved = {name: saved_of(peer) for name, peer in self.provider.peers.items()}
        again = Talk(*self.site.peers, groups=self.site.groups, saved=saved)
        again.now, again.name = self.now, self.name
        again.provider = Provider(self.site, saved, self.now, lambda size: (10**6 + next(self._random)).to_bytes(size, "big"))
        again.voices = Voices(self.site, again.provider, Measured(230.0))
        return again


def saved_of(peer: Any) -> Saved:
    return Saved(peer.common.record, list(peer.forecasts.series.values()), list(peer.metering.waiting))


def registration(token: str = "token-b", version: str = "2.0", url: str = PEER_URL) -> dict[str, Any]:
    return {"token": token, "version_url": [{"version": version, "base_url": url}]}


def body(message: Message) -> Any:
    return json.loads(message.body) if message.body else None


def quirky(**quirks: Any) -> PeerConfig:
    """The provider with quirks."""
    return replace(CP, quirks=replace(CP.quirks, **quirks))
