"""BootNotification and what its answer allows (1.6 4.2; OCPP-4, OCPP-11).

State     entered by                          may be sent                        leaves by
NEW       a station's start, reset, trigger   BootNotification                   sending it
WAITING   BootNotification sent               nothing                            the answer
ACCEPTED  answer Accepted                     everything                         reset
PENDING   answer Pending                      what the CSMS triggered            interval over: NEW
REJECTED  answer Rejected                     nothing; see below                 interval over: NEW

A CSMS that rejected us gets no answer in 1.6, in 2.0.1 a CALLERROR SecurityError; there it may trigger a BootNotification (B03.FR.08).
No answer, an error or a broken link: NEW again, after `RETRY_S` or on the next connection. A reconnect alone sends no
BootNotification (settled question 7). The interval of Accepted is a HeartbeatInterval and is clamped into the site's range
(0 = our choice); that of Pending and Rejected is obeyed as it is (0 = RETRY_S).
"""

from __future__ import annotations

from enum import Enum

from bessctl.protocols.ocpp.messages.records import BootReply
from bessctl.protocols.ocpp.session.clock import NS

RETRY_S = 30


class Boot(Enum):
    NEW = "new"
    WAITING = "waiting"
    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"


NEW, WAITING, ACCEPTED, PENDING, REJECTED = Boot.NEW, Boot.WAITING, Boot.ACCEPTED, Boot.PENDING, Boot.REJECTED
"""By name: a member of an enum costs a look-up each time, and these are asked for at each step of each link."""


class Registration:
    """Where this link's registration stands."""

    def __init__(self) -> None:
        self.state = NEW
        self._not_before_ns = 0

    @property
    def accepted(self) -> bool:
        return self.state is ACCEPTED

    def due(self, mono_ns: int) -> bool:
        """Is it time for a BootNotification?"""
        if self.state in (PENDING, REJECTED) and mono_ns >= self._not_before_ns:
            self.state = NEW
        return self.state is NEW and mono_ns >= self._not_before_ns

    def wake_ns(self) -> int | None:
        """When `due` may turn true by time alone."""
        return None if self.state in (ACCEPTED, WAITING) else self._not_before_ns

    def sent(self) -> None:
        self.state = WAITING

    def answered(self, reply: BootReply, mono_ns: int) -> None:
        """The CSMS's word."""
        self.state = {"Accepted": ACCEPTED, "Pending": PENDING}.get(reply.status, REJECTED)
        wait_s = 0 if self.accepted else max(0, reply.interval_s) or RETRY_S
        self._not_before_ns = mono_ns + wait_s * NS

    def failed(self, mono_ns: int) -> None:
        """An error, or no answer in time."""
        self.state = NEW
        self._not_before_ns = mono_ns + RETRY_S * NS

    def link_broke(self) -> None:
        """An answer that cannot come any more is asked for again; a wait goes on."""
        if self.state is WAITING:
            self.state = NEW
            self._not_before_ns = 0

    def again(self) -> None:
        """The CSMS triggered one."""
        self.state = NEW
        self._not_before_ns = 0


def heartbeat_interval_s(asked_s: int, current_s: int, allowed: tuple[int, int]) -> int:
    """The interval to use after an Accepted: clamped, 0 (or less) = the one we have."""
    return min(max(asked_s, allowed[0]), allowed[1]) if asked_s > 0 else current_s
