"""What `bessctl oscp` asks the running provider: peers, forecasts, registrations. Answers are plain values for tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from bessctl.errors import Refused, UsageError
from bessctl.protocols.oscp.binding.desk import Desk
from bessctl.protocols.oscp.binding.plans import Voice
from bessctl.protocols.oscp.config import GroupConfig, Scope
from bessctl.protocols.oscp.messages.codec import version_url
from bessctl.protocols.oscp.messages.fields import Fields
from bessctl.protocols.oscp.messages.records import CapacityForecastType
from bessctl.protocols.oscp.messages.wire import Malformed
from bessctl.protocols.oscp.session.adjust import Wish
from bessctl.protocols.oscp.session.clock import FOREVER_NS, Now, seconds
from bessctl.protocols.oscp.session.peer import Peer

STRETCHES = 8
T = CapacityForecastType


class Settles(Protocol):
    """A peer's line, as far as a command needs it."""

    peer: Peer

    def settle(self) -> None: ...

    def woken(self) -> None: ...


class Commands:
    """Answers requests of the operator's socket: {"command": "oscp", "action": ...}. Supervisor thread."""

    def __init__(self, desk: Desk, lines: Mapping[str, Settles]) -> None:
        self._desk, self._lines = desk, lines

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request. Raises UsageError, Refused."""
        match request.get("action"):
            case "peers":
                return {"peers": [self._peer(line.peer) for line in self._lines.values()]}
            case "forecast":
                return {"forecasts": self._forecasts(request.get("group"))}
            case "register":
                return self._register(request)
            case "remove":
                return self._remove(request)
            case "adjust":
                return self._adjust(request)
            case "need":
                return self._need(request)
            case other:
                raise UsageError(f"no action {other!r}; there are peers, forecast, register, remove and adjust")

    def _line(self, request: dict[str, Any]) -> Settles:
        name = request.get("peer")
        if name not in self._lines:
            raise UsageError(f"no peer {name!r} in the site file; it has: {', '.join(self._lines)}")
        return self._lines[str(name)]

    # --- looking ---

    def _peer(self, peer: Peer) -> dict[str, Any]:
        now = self._desk.clock.now()
        return {
            "peer": peer.config.name,
            "roles": "+".join(sorted(role.value for role in peer.config.roles)),
            "state": peer.state,
            "believed_s": _left_s(peer.connection.lease_ns, now) if peer.connection.online else 0.0,
            "groups": len(peer.config.groups),
            "waiting": peer.waiting,
            "endpoint": peer.common.record.base_url or None,
        }

    def _forecasts(self, ident: object) -> list[dict[str, Any]]:
        groups = [group for group in self._desk.config.groups if ident in (None, group.ident)]
        if not groups:
            raise UsageError(f"no group {ident!r}; there are: {', '.join(group.ident for group in self._desk.config.groups)}")
        return [row for group in groups for peer in self._desk.provider.members(group.ident) for row in self._stretches(peer, group)]

    def _stretches(self, peer: Peer, group: GroupConfig) -> list[dict[str, Any]]:
        now, voice = self._desk.clock.now(), self._desk.voices.voice(peer, group)
        if voice is None:
            return []
        online, at_ns = now.mono_ns < voice.lease_ns, now.utc_ns
        rows: list[dict[str, Any]] = []
        while len(rows) < STRETCHES:
            said = voice.says(at_ns, online=online)
            rows.append(self._row(voice, group, at_ns, online=online))
            if said.next_change_ns >= FOREVER_NS or at_ns is None:
                break
            at_ns = said.next_change_ns
        return rows

    def _row(self, voice: Voice, group: GroupConfig, at_ns: int | None, *, online: bool) -> dict[str, Any]:
        said = voice.says(at_ns, online=online)
        return {
            "group": group.ident,
            "peer": voice.peer,
            "rules": "live" if online else "fallback",
            "from": _when(at_ns),
            "until": _when(said.next_change_ns),
            "consumption_w": said.consumption_w if voice.limits else None,
            "generation_w": said.generation_w if voice.limits else None,
            "optimum_w": said.optimum_w,
            "reactive_var": 0.0 if said.no_var and voice.limits else None,
            "slot": group.source,
        }

    # --- changing ---

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        line, url, token = self._line(request), request.get("url"), request.get("token")
        if url is None and token is None:
            made = line.peer.registration.invite()
            line.settle()
            return {"token": made, "base_url": self._desk.config.base_url}
        if not isinstance(url, str) or not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise UsageError("to register at the peer both its URL and its token are needed")
        try:
            version_url(Fields({"version": "2.0", "base_url": url}, "url"))
        except Malformed as e:
            raise UsageError(str(e)) from e
        line.peer.registration.begin(url, token)
        line.settle()
        line.woken()
        return {"registering_at": url}

    def _adjust(self, request: dict[str, Any]) -> dict[str, Any]:
        """More or less is wanted: {"peer", "group", "type", "capacity_w", "in_s", "for_s"}; `group` may be left out where there is one."""
        line, now = self._line(request), self._desk.clock.now()
        if now.utc_ns is None:
            raise Refused("the date is not known; nothing can be asked for a time of day")
        capacity_w, in_s, for_s = (_number(request, key) for key in ("capacity_w", "in_s", "for_s"))
        try:
            kind = T(str(request.get("type")))
        except ValueError as e:
            raise UsageError("type must be CONSUMPTION or GENERATION") from e
        start_ns = now.utc_ns + seconds(in_s)
        wish = Wish(_group(line.peer, request.get("group")), kind, capacity_w, start_ns, start_ns + seconds(for_s))
        peer = line.peer
        peer.adjustments.ask(wish, now, online=peer.connection.online, allowed_w=lambda at_ns: self._allowed_w(peer, wish, at_ns))
        line.settle()
        line.woken()
        return {"asked": peer.config.name}

    def _need(self, request: dict[str, Any]) -> dict[str, Any]:
        """A policy's: {"source", "charging", "ess_w", "pcc_w", "in_s", "for_s"}; every provider of that slot that may be asked is asked."""
        source, kind = request.get("source"), T.CONSUMPTION if request.get("charging") else T.GENERATION
        asked, why = [], f"no provider of source {source!r} is to be asked"
        for group in (group for group in self._desk.config.groups if group.source == source):
            capacity_w = request.get("ess_w" if group.scope is Scope.ESS else "pcc_w")
            for peer in (peer for peer in self._desk.provider.members(group.ident) if peer.config.may_adjust):
                wish = {"peer": peer.config.name, "group": group.ident, "type": kind, "capacity_w": capacity_w}
                try:
                    self._adjust({**request, **wish})
                    asked.append(peer.config.name)
                except Refused as e:
                    why = str(e)
        if not asked:
            raise Refused(why)
        return {"asked": asked}

    def _allowed_w(self, peer: Peer, wish: Wish, at_ns: int) -> float | None:
        voice = self._desk.voices.voice(peer, self._desk.config.group(wish.group))
        if voice is None:
            return None
        said = voice.says(at_ns, online=True)
        return said.consumption_w if wish.type is T.CONSUMPTION else said.generation_w

    def _remove(self, request: dict[str, Any]) -> dict[str, Any]:
        line = self._line(request)
        if line.peer.state == "unregistered" and not line.peer.forecasts.series:
            raise Refused(f"peer {line.peer.config.name!r} is not registered")
        line.peer.remove()
        line.settle()
        line.woken()
        return {"removed": line.peer.config.name}


def _number(request: dict[str, Any], key: str) -> float:
    value = request.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e9:
        raise UsageError(f"{key} must be a number from 0 to 1e9, is {value!r}")
    return float(value)


def _group(peer: Peer, named: object) -> str:
    """The group that is named, or the only one there is."""
    if named is None and len(peer.config.groups) == 1:
        return peer.config.groups[0]
    if not isinstance(named, str):
        raise UsageError(f"peer {peer.config.name!r} has the groups {', '.join(peer.config.groups)}; name one")
    return named


def _left_s(until_ns: int, now: Now) -> float | None:
    return None if until_ns >= FOREVER_NS else max(0.0, (until_ns - now.mono_ns) / 1e9)


def _when(at_ns: int | None) -> str | None:
    if at_ns is None or at_ns >= FOREVER_NS:
        return None
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
