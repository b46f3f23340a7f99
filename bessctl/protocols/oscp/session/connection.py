"""Handshake, heartbeats and what "offline" means (OSCP 2.0 2.6.2 to 2.6.4, 3.1.2, 3.4.2, 3.4.3).

Rules.
- A handshake that we can accept is answered with 204; then, in this order, our acknowledgement goes out; its 204 completes the
  handshake: online. A handshake of ours is complete when the peer's acknowledgement came and was answered with 204.
- Refused with 400: an empty required_behaviour, heartbeats more often than we can, an unknown configuration (row 3).
- Before that, everything but register and handshake is 403. While online a new handshake changes preferences only once it is complete.
- Online lasts to the lease: acknowledgement + 3 intervals, then the newest offline_mode_at + grace, at most 3 intervals from its
  receipt (rows 7, 22). An offline_mode_at that is past is 400. Without a date of ours: one interval + grace.
- After the lease only a new handshake brings us back (`resume_on: handshake`); heartbeats are 403, and we start a handshake ourselves.
- Towards a CO the handshake is ours to start (4.3.2). Towards a CP it is tried; after 404, 405 or 501 we wait for its own.
- Silence for 3 intervals after the lease is an alarm: no peer strands us in fallback unseen (row 8).
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.oscp.config import K_INTERVALS, ResumeOn, Role
from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import Handshake, Heartbeat, MeasurementConfiguration, RequiredBehaviour
from bessctl.protocols.oscp.session.clock import FOREVER_NS, NS, Now, seconds
from bessctl.protocols.oscp.session.common import Common, Refusal
from bessctl.protocols.oscp.session.outbox import Kind, Message, Outbox

RETRY_FIRST_NS = 5 * NS
RETRY_LONGEST_NS = 300 * NS
ACKNOWLEDGE_WITHIN_NS = 30 * NS
NOT_SERVED = {404, 405, 501}


@dataclass(slots=True)
class _Ours:
    """A handshake that we started: when it was sent, and whether the peer took it."""

    sent_ns: int
    taken: bool = False


class Connection:
    """Of one peer."""

    def __init__(self, common: Common, outbox: Outbox) -> None:
        self._common, self._outbox, self._config = common, outbox, common.config
        self.online = False
        self.lease_ns = 0
        """Monotonic; offline from here on."""
        self.theirs = RequiredBehaviour()
        """What the peer asked of us, as agreed."""
        self._proposed: RequiredBehaviour | None = None
        self._ours: _Ours | None = None
        self._serves_handshake = True
        self._retry_ns = 0
        self._next_try_ns = 0
        self._next_heartbeat_ns = FOREVER_NS
        self._offline_since_ns: int | None = None
        self._alarmed = False

    @property
    def lost(self) -> bool:
        """It was online and no handshake came since."""
        return self._offline_since_ns is not None

    @property
    def interval_ns(self) -> int | None:
        """What we asked for."""
        return None if self._config.heartbeat_s is None else self._config.heartbeat_s * NS

    @property
    def intermittent(self) -> bool:
        """The peer wants measurements with their beginning (5.2.1)."""
        return MeasurementConfiguration.INTERMITTENT in (self.theirs.measurement_configuration or ())

    def _wish(self) -> bytes:
        return codec.to_bytes(Handshake(RequiredBehaviour(self._config.heartbeat_s, ())))

    # --- the peer asks ---

    def handshake(self, body: bytes, request_id: str) -> None:
        """4.3.2."""
        if not self._common.record.registered:
            raise Refusal(403, "register first")
        self._proposed = self._judged(codec.handshake(body))
        self._outbox.put(Message(Kind.ACKNOWLEDGE, self._wish(), self._common.new_id(), request_id))

    def acknowledge(self, body: bytes, now: Now) -> None:
        """4.3.3: the answer to a handshake of ours."""
        if self._ours is None:
            raise Refusal(403, "no handshake of ours waits for an acknowledgement")
        self.theirs = self._judged(codec.handshake(body))
        self._ours = None
        self._go_online(now)

    def _judged(self, asked: Handshake) -> RequiredBehaviour:
        wish = asked.required_behaviour or RequiredBehaviour()
        if wish.heartbeat_interval_s is not None and wish.heartbeat_interval_s < self._config.min_heartbeat_s:
            least = self._config.min_heartbeat_s
            raise Refusal(400, f"a heartbeat each {wish.heartbeat_interval_s} s is not accepted; the shortest interval is {least} s")
        return wish

    def heartbeat(self, body: bytes, now: Now) -> None:
        """4.3.4: the evidence that renews the lease."""
        beat = codec.heartbeat(body, self._config.quirks.naive_time, now.utc_ns)
        if not self.online and self._config.resume_on is ResumeOn.HANDSHAKE:
            raise Refusal(403, "offline: a heartbeat does not end this, only a new handshake does (OSCP 2.0 3.4.3)")
        lease_ns = self._believed(beat, now)
        if not self.online:
            self._go_online(now)
        self.lease_ns = lease_ns
        self._common.moved = True

    def _believed(self, beat: Heartbeat, now: Now) -> int:
        grace_ns, interval_ns = seconds(self._config.grace_s), self.interval_ns
        if now.utc_ns is None:
            return now.mono_ns + (interval_ns or 60 * NS) + grace_ns
        left_ns = beat.offline_mode_at_ns - now.utc_ns + grace_ns
        if left_ns <= 0:
            raise Refusal(400, "offline_mode_at is not in the future; check the clocks of both sides")
        return now.mono_ns + (left_ns if interval_ns is None else min(left_ns, K_INTERVALS * interval_ns))

    # --- what becomes of what we sent ---

    def acknowledged(self, status: int, now: Now) -> None:
        """The peer's answer to our acknowledgement."""
        if status != 204:
            self._proposed = None
            self._common.alarm(f"refused our side of the handshake with {status}; heartbeat_s is what we ask for")
        elif self._proposed is not None:
            self.theirs, self._proposed = self._proposed, None
            self._go_online(now)

    def taken(self, status: int, now: Now) -> None:
        """The peer's answer to our handshake."""
        if self._ours is not None and status == 204:
            self._ours.taken = True
        elif status != 204:
            self._ours = None
            if status in NOT_SERVED and Role.CO not in self._config.roles:
                self._serves_handshake = False
                self._common.info("serves no handshake; waiting for its own")
            elif not self.online:
                self._common.warn(f"answered our handshake with {status}; it is tried again")

    def unknown(self, now: Now) -> None:
        """The peer refuses what we send as if there had been no handshake: it restarted. Shake hands again."""
        self._ask(now)

    # --- states ---

    def _go_online(self, now: Now) -> None:
        if not self.online:
            self._common.info("online")
        self.online, self._offline_since_ns, self._alarmed = True, None, False
        interval_ns = self.interval_ns
        self.lease_ns = FOREVER_NS if interval_ns is None else now.mono_ns + K_INTERVALS * interval_ns
        self._retry_ns = 0
        self._next_heartbeat_ns = now.mono_ns if self.theirs.heartbeat_interval_s is not None else FOREVER_NS
        self._common.moved = True

    def reset(self) -> None:
        """Another registration began: a handshake must follow. The lease runs on to its end (row 24)."""
        self.online, self._ours, self._proposed, self._serves_handshake = False, None, None, True
        self._next_try_ns = self._retry_ns = 0
        self._next_heartbeat_ns = FOREVER_NS

    def end(self) -> None:
        """The registration is over: fallback at once."""
        self.reset()
        self.lease_ns, self._offline_since_ns, self._alarmed = 0, None, False
        self._common.moved = True

    def tick(self, now: Now) -> None:
        """Bring states up to now, and queue what is due."""
        if self.online and now.mono_ns >= self.lease_ns:
            self.online, self._offline_since_ns, self._next_heartbeat_ns = False, now.mono_ns, FOREVER_NS
            self._next_try_ns = now.mono_ns
            self._common.warn("offline: no heartbeat before its offline_mode_at; the fallback capacities rule until a new handshake")
            self._common.moved = True
        if self._offline_since_ns is not None and not self._alarmed and now.mono_ns >= self._offline_since_ns + self._patience_ns():
            self._alarmed = True
            self._common.alarm("still offline, no handshake came; its fallback capacities rule")
        if not self._common.record.registered:
            return
        if self.online and now.mono_ns >= self._next_heartbeat_ns:
            self._beat(now)
        if not self.online:
            self._ask(now)

    def _patience_ns(self) -> int:
        return K_INTERVALS * (self.interval_ns or 60 * NS)

    def _beat(self, now: Now) -> None:
        interval_s = self.theirs.heartbeat_interval_s
        assert interval_s is not None
        self._next_heartbeat_ns = now.mono_ns + interval_s * NS
        if now.utc_ns is not None:  # without a date there is no offline_mode_at to tell
            body = codec.to_bytes(Heartbeat(now.utc_ns + K_INTERVALS * interval_s * NS))
            self._outbox.put(Message(Kind.HEARTBEAT, body, self._common.new_id()))

    def _ask(self, now: Now) -> None:
        """Start a handshake of ours when its time has come."""
        if now.mono_ns < self._due_ns():
            return
        self._retry_ns = min(RETRY_LONGEST_NS, max(RETRY_FIRST_NS, 2 * self._retry_ns))
        self._next_try_ns = now.mono_ns + self._retry_ns
        self._ours = _Ours(now.mono_ns)
        self._outbox.put(Message(Kind.HANDSHAKE, self._wish(), self._common.new_id()))

    def _due_ns(self) -> int:
        """When we start a handshake next."""
        wanted = (self._config.handshake or Role.CO in self._config.roles) and self._serves_handshake and self._common.record.registered
        if not wanted or self._proposed is not None or self._outbox.waits(Kind.HANDSHAKE):
            return FOREVER_NS
        if self._ours is not None and self._ours.taken:
            return max(self._next_try_ns, self._ours.sent_ns + ACKNOWLEDGE_WITHIN_NS)
        return self._next_try_ns

    def wake_ns(self) -> int:
        """When `tick` has something to do."""
        times = [self.lease_ns, self._next_heartbeat_ns] if self.online else [self._due_ns()]
        if self._offline_since_ns is not None and not self._alarmed:
            times.append(self._offline_since_ns + self._patience_ns())
        return min(times)
