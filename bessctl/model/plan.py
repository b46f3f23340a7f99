"""What a source wants, over time: the supervisor's side of a plan slot.

A plan says nothing about who may ask for what: class, priority, scopes and maximum lease of a slot are sealed with the
configuration and the loop alone applies them. Sign everywhere: positive power flows toward the grid (discharge, export).
`None` is no statement; zero is an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

MAX_BLOCKS = 96
FOREVER_NS = 2**63 - 1


class Lapse(IntEnum):
    """What becomes of a plan's limits once its lease is over. The target is always dropped."""

    FALLBACK = 0
    """The fallback series rules; after its end, and in its gaps, the slot's sealed default."""
    HOLD = 1
    """The limits of the live series stay until their blocks end."""
    ZERO = 2
    """ess limits [0, 0]."""
    DROP = 3
    """No limit at all; only a slot sealed as advisory may ask for it."""


class Scope(IntEnum):
    """Where a power is counted."""

    ESS = 0
    """At the PCS's AC terminals, all units together."""
    PCC = 1
    """At the point of common coupling."""


class QKind(IntEnum):
    """What `q_value` means."""

    NONE = 0
    VAR = 1
    """Reactive power in var, positive = injected (over-excited), as in IEEE 1547."""
    PF = 2
    """Power factor, -1 to 1 without 0. Its sign is the excitation, whichever way active power flows: positive = injecting (over-excited),
    negative = absorbing (under-excited)."""
    AVAILABLE = 3
    """Share of the reactive power that active power leaves, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Block:
    """One stretch of time, [start_ns, end_ns) on CLOCK_MONOTONIC.

    ess limits obey lo <= 0 <= hi: only a target moves power away from zero. Reactive power is for all units together and a wish like a
    target: it ends with the lease, but for what the fallback series itself asks for. `q_value` is what `q_kind` says; of a power factor it
    holds while active power flows toward the grid, `q_absorb` while it flows from the grid, None = unity.
    """

    start_ns: int
    end_ns: int
    ess_lo_w: float | None = None
    ess_hi_w: float | None = None
    pcc_lo_w: float | None = None
    pcc_hi_w: float | None = None
    target_w: float | None = None
    target_scope: Scope = Scope.ESS
    q_kind: QKind = QKind.NONE
    q_value: float | None = 0.0
    q_absorb: float | None = None
    energize: bool | None = None
    rate_w_per_s: float | None = None
    connect: bool | None = None
    """False = disconnect the batteries galvanically: 0 W, the PCS stops, the contactors open (2030.5 opModConnect)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """At most MAX_BLOCKS live and as many fallback blocks, ordered, not overlapping.

    `lease_until_ns` is absolute and valid in this boot only.
    """

    lease_until_ns: int
    blocks: tuple[Block, ...] = ()
    fallback: tuple[Block, ...] = ()
    lapse: Lapse = Lapse.FALLBACK
    dated: bool = True
    """Its instants were read off this machine's time of day: while nobody trusts that, only the most restrictive value rules (R8).
    False: they are durations from now, come from a peer's own clock, or the source has seen to R8 itself."""


class PlanWriter(Protocol):
    """A binding's way to its own slot. Supervisor thread."""

    def write(self, plan: Plan) -> int:
        """Hand the plan over, replacing the whole slot; returns its serial. The loop follows it from its next tick on.

        Raises PlanRefused, with the rule, for a plan that the loop would refuse.
        """

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, the only clock plans are written in."""
