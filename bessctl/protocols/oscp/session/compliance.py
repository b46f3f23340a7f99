"""GroupCapacityComplianceError (OSCP 2.0 3.4.1, 4.4.3): when a provider must hear that we do not comply, and when not.

Rules.
- What is wrong must stand for compliance_s before it counts; then the provider is told at once (FR.04.01, FR.04.02).
- Told again on each new forecast that is still not met (FR.04.03); silence after a forecast means that we comply (FR.04.04). When it
  is over nothing is sent. The same forecast is not complained about twice within AGAIN_NS.
- The error names the forecast by its X-Request-ID and holds the blocks that are not met; without blocks the field is left out (row 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import Block, CapacityForecastType, ComplianceError
from bessctl.protocols.oscp.session.clock import NS, Now
from bessctl.protocols.oscp.session.common import Common
from bessctl.protocols.oscp.session.forecasts import Forecasts
from bessctl.protocols.oscp.session.outbox import Kind, Message, Outbox

AGAIN_NS = 60 * NS


@dataclass(frozen=True, slots=True)
class Failure:
    """What is not met: the capacity's type, and why."""

    type: CapacityForecastType
    reason: str


class Compliance:
    """Of one peer."""

    def __init__(self, common: Common, outbox: Outbox, forecasts: Forecasts) -> None:
        self._common, self._outbox, self._forecasts = common, outbox, forecasts
        self._since_ns: dict[str, int] = {}
        self._told: dict[str, tuple[str, int]] = {}

    def judge(self, group: str, failure: Failure | None, now: Now, patience_ns: int) -> bool:
        """What the plant does about a group now; True when the provider is to be told."""
        if failure is None:
            self._since_ns.pop(group, None)
            return False
        since_ns = self._since_ns.setdefault(group, now.mono_ns)
        if now.mono_ns - since_ns < patience_ns:
            return False
        stored = self._forecasts.series.get((group, failure.type))
        if stored is None:
            return False
        told_id, told_ns = self._told.get(group, ("", 0))
        if told_id == stored.request_id and (now.mono_ns - told_ns < AGAIN_NS or since_ns <= told_ns):
            return False
        self._told[group] = (stored.request_id, now.mono_ns)
        blocks = self._forecasts.mirrored(failure.type, _covering(stored.blocks, now.utc_ns))
        body = codec.to_bytes(ComplianceError(f"group {group}, {failure.type}: {failure.reason}", blocks))
        self._outbox.put(Message(Kind.COMPLIANCE, body, self._common.new_id(), stored.request_id, key=group))
        self._common.alarm(f"told that group {group} does not comply with {failure.type}: {failure.reason}")
        return True


def _covering(blocks: tuple[Block, ...], utc_ns: int | None) -> tuple[Block, ...]:
    return () if utc_ns is None else tuple(b for b in blocks if b.start_ns <= utc_ns < b.end_ns)
