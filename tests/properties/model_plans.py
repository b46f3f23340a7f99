"""What each source asks for at an instant, and what is left of the plant's interval: plans, leases, lapse and classes a second time.

Written from the design (plan, lease, lapse, scope; R3, R7), ADR 0005, 0016, 0030 and 0050. Standard library only.
Classes: 0 grid, 1 contract, 2 market; the lower binds first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite, isnan

BLOCKS_MAX = 96
GRID, CONTRACT, MARKET = 0, 1, 2


@dataclass(frozen=True)
class SlotRule:
    """One source as it is sealed; a default that is not stated is None."""

    klass: int
    priority: int
    scopes: tuple[str, ...]
    max_lease_ns: int
    default: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    """ess lo, ess hi, pcc lo, pcc hi."""
    required: bool = False
    advisory: bool = False
    may_force: tuple[str, ...] = ()
    operator: bool = False

    @property
    def binds(self) -> bool:
        """Grid and contract limits never widen by lapsing."""
        return self.klass <= CONTRACT


@dataclass(frozen=True)
class Block:
    """[start, end) with what it states; None is no statement, zero is an order."""

    start_ns: int
    end_ns: int
    limits: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    target_w: float | None = None
    target_scope: int = 0
    rate: float | None = None
    energize: int | None = None
    connect: int | None = None
    q_kind: int = 0
    q_value: float = 0.0
    q_absorb: float = inf

    def faulty(self, rule: SlotRule) -> bool:
        """It breaks a rule, or asks for what its slot may not."""
        ess_lo, ess_hi, pcc_lo, pcc_hi = self.limits
        if any(w is not None and not isfinite(w) for w in (*self.limits, self.target_w, self.rate)):
            return True
        if (ess_lo or 0) > 0 or (ess_hi or 0) < 0 or (pcc_lo is not None and pcc_hi is not None and pcc_lo > pcc_hi):
            return True
        if (self.rate is not None and self.rate <= 0) or (self.energize or 0) > 1 or (self.connect or 0) > 1:
            return True
        if self.target_w is not None and (self.target_scope > 1 or ("ess", "pcc")[self.target_scope] not in rule.scopes):
            return True
        said = {"ess": (ess_lo, ess_hi), "pcc": (pcc_lo, pcc_hi)}
        if any(limits != (None, None) and scope not in rule.scopes for scope, limits in said.items()):
            return True
        return self._reactive_faulty(rule)

    def _reactive_faulty(self, rule: SlotRule) -> bool:
        if self.q_kind == 0:
            return False
        if self.q_kind > 3 or "reactive" not in rule.scopes:
            return True
        if self.q_kind == 2:
            factors = [pf for pf in (self.q_value, self.q_absorb) if not isnan(pf)]
            return not factors or any(pf == 0 or abs(pf) > 1 for pf in factors)
        return not isfinite(self.q_value) or (self.q_kind == 3 and abs(self.q_value) > 1)


@dataclass(frozen=True)
class Plan:
    """As it was written. A series of None is one whose count no series can have."""

    boot: tuple[int, int]
    serial: int
    lease_until_ns: int
    lapse: str | None
    """fallback, hold, zero, drop; None: an unknown word."""
    live: tuple[Block, ...] | None
    fallback: tuple[Block, ...] | None

    def faulty(self, rule: SlotRule, boot: tuple[int, int], now_ns: int) -> bool:
        if self.boot != boot or self.lapse is None or self.live is None or self.fallback is None:
            return True
        if self.lease_until_ns < 0 or self.lease_until_ns - now_ns > rule.max_lease_ns:
            return True
        if self.lapse == "drop" and (not rule.advisory or rule.binds):
            return True
        return any(_out_of_order(series) or any(block.faulty(rule) for block in series) for series in (self.live, self.fallback))


def _out_of_order(series: tuple[Block, ...]) -> bool:
    """More than fit, empty, backwards or overlapping."""
    last = 0
    for block in series:
        if block.start_ns < last or block.end_ns <= block.start_ns:
            return True
        last = block.end_ns
    return len(series) > BLOCKS_MAX


def at(series: tuple[Block, ...] | None, now_ns: int) -> Block | None:
    """The block that covers now."""
    return next((block for block in series or () if block.start_ns <= now_ns < block.end_ns), None)


@dataclass(frozen=True)
class Ask:
    """What one source asks now; a limit that is not stated is infinite."""

    limits: tuple[float, float, float, float] = (-inf, inf, -inf, inf)
    target_w: float | None = None
    target_scope: int = 0
    energize: int | None = None
    connect: int | None = None

    def narrowed(self, limits: tuple[float | None, float | None, float | None, float | None]) -> Ask:
        mine = self.limits
        lo = [mine[i] if w is None else max(mine[i], w) for i, w in ((0, limits[0]), (2, limits[2]))]
        hi = [mine[i] if w is None else min(mine[i], w) for i, w in ((1, limits[1]), (3, limits[3]))]
        return replace(self, limits=(lo[0], hi[0], lo[1], hi[1]))

    def under(self, block: Block) -> Ask:
        """Narrowed by a block; ceasing to energise and disconnecting are limits too."""
        return replace(
            self.narrowed(block.limits), energize=_lesser(self.energize, block.energize), connect=_lesser(self.connect, block.connect)
        )

    @property
    def of_pcc(self) -> bool:
        return isfinite(self.limits[2]) or isfinite(self.limits[3])


def _lesser(one: int | None, other: int | None) -> int | None:
    stated = [value for value in (one, other) if value is not None]
    return min(stated) if stated else None


NOTHING = Ask()


@dataclass
class Slot:
    """One source between ticks: the last plan that was accepted rules."""

    rule: SlotRule
    plan: Plan | None = None
    refused: bool = False
    lapsed: bool = False
    ask: Ask = NOTHING

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing was written: the sealed default."""
        self.plan, self.refused, self.lapsed, self.ask = None, False, False, NOTHING.narrowed(self.rule.default)

    def offer(self, plan: Plan, boot: tuple[int, int], now_ns: int, shut: bool) -> None:
        """A plan arrived: taken whole or refused whole. `shut`: the operator's wish while the plant is stopped or tripped."""
        if plan.serial == 0:
            return
        self.refused = plan.faulty(self.rule, boot, now_ns) or (shut and self.rule.operator)
        if not self.refused:
            self.plan, self.lapsed = plan, self.lapsed and now_ns >= plan.lease_until_ns

    def update(self, now_ns: int) -> None:
        if self.plan is None:
            return
        if now_ns < self.plan.lease_until_ns:
            self.ask = self._live(self.plan, now_ns)
        else:
            self.lapsed, self.ask = True, self._after_lease(self.plan, now_ns)

    def _live(self, plan: Plan, now_ns: int) -> Ask:
        block, default = at(plan.live, now_ns), self.rule.default
        if block is None:
            return NOTHING.narrowed(default)
        ask = NOTHING.under(block)
        if self.rule.required:  # ADR 0030: no statement takes no default away
            ask = ask.narrowed(tuple(None if said is not None else w for said, w in zip(block.limits, default, strict=True)))  # type: ignore[arg-type]
        return replace(ask, target_w=block.target_w, target_scope=block.target_scope)

    def _after_lease(self, plan: Plan, now_ns: int) -> Ask:
        """The target is gone; limits by the lapse rule, and in a slot that binds never wider than the live series says for now."""
        live, fallback, before = at(plan.live, now_ns), at(plan.fallback, now_ns), self.ask
        if plan.lapse == "drop":
            return NOTHING
        ask, spoken = NOTHING, False
        if plan.lapse == "zero":
            ask, spoken = ask.narrowed((0.0, 0.0, None, None)), True
        if plan.lapse == "fallback" and fallback is not None:
            ask, spoken = ask.under(fallback), True
        if live is not None and (plan.lapse == "hold" or self.rule.binds):
            ask, spoken = ask.under(live), spoken or plan.lapse == "hold"
        if not spoken:
            ask, spoken = ask.narrowed(self.rule.default), any(w is not None for w in self.rule.default)
        if not spoken and self.rule.binds:  # ADR 0005: the last limits stay
            ask = ask.narrowed(before.limits)
            ask = replace(ask, energize=_lesser(ask.energize, before.energize), connect=_lesser(ask.connect, before.connect))
        return ask


class Sources:
    """All slots of a plant."""

    def __init__(self, rules: tuple[SlotRule, ...]) -> None:
        self.slots = [Slot(rule) for rule in rules]

    def update(self, now_ns: int) -> None:
        for slot in self.slots:
            slot.update(now_ns)

    @property
    def disconnects(self) -> bool:
        """ADR 0050: some source wants the plant off the grid."""
        return any(slot.ask.connect == 0 for slot in self.slots)

    @property
    def ruling(self) -> int | None:
        """Whose target it is: the lowest priority number, then the first."""
        wishes = [(slot.rule.priority, i) for i, slot in enumerate(self.slots) if slot.ask.target_w is not None]
        return min(wishes)[1] if wishes else None

    def narrow(self, lo: float, hi: float) -> tuple[float, float, str]:
        """The interval that is left, class by class, and how far this model knows it: "exact"; "within" (a limit at the connection, which
        follows the meter, may narrow it further); "forced" (such a limit may also move it away from 0)."""
        known = "exact"
        for klass in (GRID, CONTRACT, MARKET):
            slots = [slot for slot in self.slots if slot.rule.klass == klass]
            for slot in slots:
                if slot.ask.energize == 0:
                    lo, hi = 0.0, 0.0
                lo, hi = max(lo, slot.ask.limits[0]), min(hi, slot.ask.limits[1])
                known = "within" if slot.ask.of_pcc else known
            if any(self._forces(slot) for slot in slots):
                return lo, hi, "forced"
        return lo, hi, known

    @staticmethod
    def _forces(slot: Slot) -> bool:
        _, _, lo, hi = slot.ask.limits
        return (isfinite(lo) and "discharge" in slot.rule.may_force) or (isfinite(hi) and "charge" in slot.rule.may_force)
