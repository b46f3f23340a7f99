"""What `bessctl sep2 status` and `bessctl sep2 events` are told. Pure: a client and an instant in, plain values out."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

from bessctl.errors import UsageError
from bessctl.protocols.sep2.messages.identity import sfdi_text
from bessctl.protocols.sep2.session.client import Client
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.events import Phase, Run


def answer(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    """A request of the operator. Raises UsageError."""
    match request.get("action"):
        case "status":
            return {"status": status(client, monotonic_ns())}
        case "events":
            return {"events": events(client)}
        case other:
            raise UsageError(f"sep2 has no action {other!r}; there are status and events")


def status(client: Client, now_ns: int) -> dict[str, Any]:
    """How far we are let in, and when the utility was last heard."""
    settings = client.settings
    heard = client.evidence_ns
    return {
        "server": settings.url,
        "profile": settings.profile.name,
        "lfdi": settings.identity.lfdi,
        "sfdi": sfdi_text(settings.identity.sfdi),
        "registration": client.discovery.gate.value,
        "device": client.discovery.device_url,
        "programs": len(client.engine.primacy),
        "events": len(client.engine.runs),
        "running": [run.event.mrid for run in client.engine.runs.values() if run.phase is Phase.RUNNING],
        "changed_copies": client.engine.changed_copies,
        "controls_read_s_ago": None if heard is None else round((now_ns - heard) / NS, 1),
        "post_rates_s": {quantity: mirror.post_rate_s for quantity, mirror in client.mirrors.mirrors.items()},
        "waiting_messages": len(client.outbox.entries),
        "server_time_s": round(client.clock.server_s(now_ns), 1) if client.clock.known else None,
    }


def events(client: Client) -> list[dict[str, Any]]:
    """All events that are known, in the order of their start. Times are server seconds."""
    return [_event(run) for run in sorted(client.engine.runs.values(), key=lambda run: (run.event.start_s, run.event.mrid))]


def _event(run: Run) -> dict[str, Any]:
    event = run.event
    return {
        "mrid": event.mrid,
        "primacy": run.primacy,
        "start_s": event.start_s,
        "duration_s": event.duration_s,
        "drawn_s": f"{event.start_draw_s:+d}/{event.duration_draw_s:+d}",
        "phase": run.phase.value,
        "speaks_on": " ".join(sorted(run.holds)),
        "asks": " ".join(f"{channel}={setting.value:g}" for channel, setting in sorted(event.settings.items())),
    }
