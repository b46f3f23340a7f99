"""One source's way to its slot: refuses, with the rule, what the loop would refuse, before the loop sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

from bessctl.corelink.words import FAULTS, Site
from bessctl.errors import PlanRefused
from bessctl.model.plan import MAX_BLOCKS, Block, Plan
from bessctl.plan.shorten import shortened
from bessctl.plan.undated import undated
from bessctl_core import layout
from bessctl_core.ports import PlanPort

PLAUSIBLE_NS = 1_735_689_600 * 10**9
"""2025-01-01: a wall clock before this was never set."""

Fields = tuple[
    int, int, float | None, float | None, float | None, float | None, float | None,
    int, int, float | None, float | None, bool | None, float | None, bool | None,
]  # fmt: skip


def fields(block: Block) -> Fields:
    """A block in the order in which the core takes it."""
    return (
        block.start_ns, block.end_ns, block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w, block.target_w,
        int(block.target_scope), int(block.q_kind), block.q_value, block.q_absorb, block.energize, block.rate_w_per_s,
        block.connect,
    )  # fmt: skip


def told(fault: int) -> str:
    """The rule behind a PlanFault."""
    return FAULTS.get(fault, f"fault {fault}")


class Slot:
    """A slot of the loop that is attached now: the rules it was sealed with, and the port into it."""

    def __init__(self, source: str, index: int, site: Site, port: PlanPort) -> None:
        self.source, self.index, self._site, self._port = source, index, site, port
        ess_lo_w, ess_hi_w, pcc_lo_w, pcc_hi_w = site.defaults[index]
        self.default = Block(0, 0, ess_lo_w=ess_lo_w, ess_hi_w=ess_hi_w, pcc_lo_w=pcc_lo_w, pcc_hi_w=pcc_hi_w)

    def write(self, plan: Plan, now_ns: int) -> int:
        """Check, write, return the serial. Raises PlanRefused."""
        live, fallback = plan.blocks, plan.fallback
        if max(len(live), len(fallback)) > MAX_BLOCKS:
            live, fallback = self._fitting("block", live, plan, now_ns), self._fitting("fallback block", fallback, plan, now_ns)
        fault = self._fault(plan, live, fallback, now_ns)
        if fault != layout.PlanFault.PLAN_OK:
            self._refuse_block("block", live, plan, now_ns)
            self._refuse_block("fallback block", fallback, plan, now_ns)
            raise PlanRefused(f"{self.source}: {told(fault)}{self._hint(fault, plan, now_ns)}")
        return self._port.write(self.index, plan.lease_until_ns, int(plan.lapse), [fields(b) for b in live], [fields(b) for b in fallback])

    def _fitting(self, what: str, blocks: tuple[Block, ...], plan: Plan, now_ns: int) -> tuple[Block, ...]:
        """The series, shortened where it is too long. What breaks a rule is refused before merging could hide it."""
        self._refuse_block(what, blocks, plan, now_ns)
        try:
            return shortened(blocks, MAX_BLOCKS, self.default)
        except PlanRefused as error:
            raise PlanRefused(f"{self.source}: {error}") from error

    def _refuse_block(self, what: str, blocks: tuple[Block, ...], plan: Plan, now_ns: int) -> None:
        """Raise PlanRefused naming the first block that breaks a rule; return when the fault is one of the whole plan, or there is none."""
        if self._fault(plan, (), (), now_ns) != layout.PlanFault.PLAN_OK:
            return
        for at, block in enumerate(blocks, 1):
            fault = self._fault(plan, (block,), (), now_ns)
            if fault != layout.PlanFault.PLAN_OK:
                raise PlanRefused(f"{self.source}: {what} {at} of {len(blocks)}: {told(fault)}")
        for at, (a, b) in enumerate(pairwise(blocks), 1):
            if b.start_ns < a.end_ns:
                order = told(layout.PlanFault.PLAN_ORDER)
                raise PlanRefused(f"{self.source}: {what} {at + 1} of {len(blocks)} begins before {at} ends: {order}")

    def _fault(self, plan: Plan, live: tuple[Block, ...], fallback: tuple[Block, ...], now_ns: int) -> int:
        try:
            return self._port.fault(
                self._site.config, self.index, now_ns, plan.lease_until_ns, int(plan.lapse),
                [fields(b) for b in live], [fields(b) for b in fallback],
            )  # fmt: skip
        except (TypeError, ValueError, OverflowError) as error:
            raise PlanRefused(f"{self.source}: the plan holds what a plan cannot carry: {error}") from error

    def _hint(self, fault: int, plan: Plan, now_ns: int) -> str:
        if fault != layout.PlanFault.PLAN_LEASE:
            return ""
        most_s = self._site.max_lease_ns[self.index] / 1e9
        return f" ({(plan.lease_until_ns - now_ns) / 1e9:g} s from now, at most {most_s:g} s)"


def wall_clock_set() -> bool:
    """The machine's wall clock shows a time that can be."""
    return time.time_ns() >= PLAUSIBLE_NS


class SourceWriter:
    """bessctl.model.plan.PlanWriter of one source. Supervisor thread. Outlives the loop: `slot` finds that of the loop of the moment."""

    def __init__(self, source: str, slot: Callable[[], Slot], trusted: Callable[[], bool] = wall_clock_set) -> None:
        """`trusted`: the time of day may be believed."""
        self.source, self._slot, self._trusted = source, slot, trusted
        self.last: Plan | None = None
        self.serial = 0

    def write(self, plan: Plan) -> int:
        """Replace the slot's plan; returns its serial. Raises PlanRefused with the rule, NotReachable while no loop is attached."""
        slot, now_ns = self._slot(), self.now_ns()
        self.serial = slot.write(undated(plan, slot.default, now_ns) if plan.dated and not self._trusted() else plan, now_ns)
        self.last = plan
        return self.serial

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()
