"""An outcome -> the plan of the policy's slot. Pure.

A step in which power is planned is a target. Where nothing is planned there is no target: a source of lower rank may have the battery.
Holding is a target of 0 W; self-consumption a target of 0 W at the connection point. Limits only narrow: no discharge while the battery is
at its reserve or below, and with peak shaving the import limit at the connection point. When the lease is over the targets are gone and the
limits stay to the end of their blocks. A reserve that nobody watches any more must hold as well: from the instant at which full power could
have reached it, and the lease is over, nothing is discharged. With a supervisor that lives this instant moves ahead and is never reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bessctl.model.plan import MAX_BLOCKS, Block, Lapse, Plan, Scope
from bessctl.plan.shorten import joined, shortened
from bessctl.policy.config import PolicyConfig
from bessctl.policy.problem import Done, Kind, Outcome
from bessctl.policy.situation import Now

NS = 1_000_000_000
WRITTEN_NS = 24 * 3600 * NS
CLOSE_W = 1.0


def plan_of(config: PolicyConfig, outcome: Outcome | None, guard: bool, now: Now) -> Plan:
    """The slot's plan. `guard`: the reserve is reached, or the SoC is unknown: nothing is discharged. No outcome: the limits alone."""
    lease = now.mono_ns + round(config.lease_s * NS)
    until = now.mono_ns + WRITTEN_NS
    if outcome is None:
        return Plan(lease, tuple(b for b in [_limits(config, now.mono_ns, until, guard)] if _says(b)), lapse=Lapse.HOLD)
    blocks = (_block(config, done, guard, now) for done in outcome.steps)
    watched = [part for block in _until(blocks, until) for part in _unwatched(block, _watched_to_ns(config, outcome, now))]
    near = [block for block in watched if _says(block)]
    return Plan(lease, shortened(joined(near), MAX_BLOCKS), lapse=Lapse.HOLD)


def _until(blocks: Iterable[Block], until_ns: int) -> Iterable[Block]:
    for block in blocks:
        if block.start_ns >= until_ns:
            return
        yield block


def _watched_to_ns(config: PolicyConfig, outcome: Outcome, now: Now) -> int:
    """Until when the reserve cannot be passed, whatever is done: the lease, and the time that full power takes down to it."""
    if config.reserve_pct <= 0:
        return now.mono_ns + 2 * WRITTEN_NS
    above_wh = max(0.0, outcome.energy_wh - config.reserve_pct / 100 * outcome.capacity_wh)
    hours = above_wh * config.battery.discharge_efficiency / config.battery.discharge_max_w
    return now.mono_ns + round(max(config.lease_s, hours * 3600) * NS)


def _unwatched(block: Block, from_ns: int) -> Iterable[Block]:
    """The block, and from an instant on without discharge."""
    if block.end_ns <= from_ns:
        return [block]
    target = None if block.target_w is None or (block.target_scope is Scope.ESS and block.target_w > 0) else block.target_w
    rest = replace(block, start_ns=max(block.start_ns, from_ns), ess_hi_w=0.0, target_w=target)
    return [rest] if block.start_ns >= from_ns else [replace(block, end_ns=from_ns), rest]


def _says(block: Block) -> bool:
    return any(v is not None for v in (block.target_w, block.ess_lo_w, block.ess_hi_w, block.pcc_lo_w, block.pcc_hi_w))


def _limits(config: PolicyConfig, start_ns: int, end_ns: int, guard: bool) -> Block:
    shaving = config.peak_shaving.import_max_w if config.peak_shaving is not None and config.pcc else None
    return Block(start_ns, end_ns, ess_hi_w=0.0 if guard else None, pcc_lo_w=None if shaving is None else -shaving)


def _block(config: PolicyConfig, done: Done, guard: bool, now: Now) -> Block:
    start, end = (at - now.utc_ns + now.mono_ns for at in (done.step.start_ns, done.step.end_ns))
    bare = _limits(config, start, end, guard)
    target, scope = _target(config, done)
    if guard and target is not None and scope is Scope.ESS and target > 0:
        target = None
    return Block(start, end, ess_hi_w=bare.ess_hi_w, pcc_lo_w=bare.pcc_lo_w, target_w=target, target_scope=scope)


def _target(config: PolicyConfig, done: Done) -> tuple[float | None, Scope]:
    wish, power = done.step.wish, done.power_w
    if wish is not None and wish.kind is Kind.OTHER:
        return None, Scope.ESS
    if wish is not None and wish.kind is Kind.HOLD:
        return 0.0, Scope.ESS
    if wish is not None and wish.kind is Kind.SELF and config.pcc and abs(power - wish.power_w) <= CLOSE_W:
        return 0.0, Scope.PCC
    return (round(power, 1), Scope.ESS) if abs(power) >= config.minimum_w else (None, Scope.ESS)
