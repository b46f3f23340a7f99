"""`bessctl sep2 register`: goes as far into the server as it lets us, and says how far. Tells nothing of the plant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import SystemRandom
from time import monotonic_ns

from bessctl.errors import NotReachable
from bessctl.protocols.sep2.binding.client import settings_of
from bessctl.protocols.sep2.config import Sep2Config
from bessctl.protocols.sep2.messages.wire import NoReply
from bessctl.protocols.sep2.session.client import Client
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.discovery import Gate
from bessctl.protocols.sep2.transport.http import Http


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the server says of us."""

    state: str
    device: str
    notes: tuple[str, ...]


async def enrol(config: Sep2Config, timeout_s: float) -> Enrolment:
    """Ask until it is clear whether we are registered. In-band profiles put themselves on the list. Raises NotReachable, UsageError."""
    client = Client(settings_of(config), SystemRandom())
    notes: list[str] = []
    async with Http(config) as http:
        until_ns = monotonic_ns() + round(timeout_s * NS)
        while monotonic_ns() < until_ns and not _clear(client):
            request = client.request(monotonic_ns())
            if request is None:
                await asyncio.sleep(min(1.0, max(0.01, (client.wake_ns(monotonic_ns()) - monotonic_ns()) / NS)))
            while request is not None:
                reply = await http.ask(request)
                if isinstance(reply, NoReply):
                    raise NotReachable(f"{request.url}: {reply.reason}")
                request = client.answered(request, reply, monotonic_ns())
            notes += client.take_changes().notes
    return Enrolment(client.discovery.gate.value, client.discovery.device_url, tuple(notes))


def _clear(client: Client) -> bool:
    gate = client.discovery.gate
    if gate is Gate.UNREGISTERED:
        return not client.outbox.entries and client.counts.get("requests", 0) > 0 and client.settings.profile.registration != "in_band"
    return gate in {Gate.OPEN, Gate.PIN_WRONG}
