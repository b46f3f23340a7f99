"""What `bessctl sep2 status`, `events` and `reserve` are told and do. A client and an instant in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from time import monotonic_ns
from typing import Any

from bessctl.errors import UsageError
from bessctl.protocols.sep2.messages.identity import sfdi_text
from bessctl.protocols.sep2.session.client import Client
from bessctl.protocols.sep2.session.clock import NS
from bessctl.protocols.sep2.session.events import Phase, Run
from bessctl.protocols.sep2.session.flows import Wanted

LONGEST_S = 7 * 86_400.0


def answer(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    """A request of the operator. Raises UsageError."""
    match request.get("action"):
        case "status":
            return {"status": status(client, monotonic_ns())}
        case "events":
            return {"events": events(client)}
        case "reserve":
            return {"request": reserve(client, request, monotonic_ns())}
        case other:
            raise UsageError(f"sep2 has no action {other!r}; there are status, events and reserve")


def reserve(client: Client, words: Mapping[str, Any], now_ns: int) -> str:
    """Ask the utility for energy to be charged between two instants from now. Raises UsageError, Refused."""
    try:
        energy_wh, power_w, from_s, within_s = (float(words[name]) for name in ("energy_wh", "power_w", "from_s", "within_s"))
    except (KeyError, TypeError, ValueError):
        raise UsageError("reserve takes energy_wh, power_w, from_s and within_s") from None
    most_w = client.settings.ratings.charge_w
    if not (0 < energy_wh < inf and 0 < power_w <= most_w and 0 <= from_s < inf and energy_wh / power_w * 3600 <= within_s <= LONGEST_S):
        raise UsageError(
            f"{energy_wh:g} Wh at {power_w:g} W within {within_s:g} s cannot be asked for: power above 0 and at most {most_w:g} W, "
            f"and time enough for the energy at that power, at most {LONGEST_S:g} s"
        )
    start_s = client.clock.server_s(now_ns) + from_s if client.clock.known else 0.0
    return client.reserve(Wanted(energy_wh, power_w, round(start_s), round(start_s + within_s)), now_ns)


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
        "reservations": len(client.flows.asked),
        "reserved_used_wh": {mrid: round(used) for mrid, used in client.flows.used_wh.items()},
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
        "asks": " ".join(f"{channel}={setting.ref or format(setting.value, 'g')}" for channel, setting in sorted(event.settings.items())),
    }
