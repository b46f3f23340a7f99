"""An outcome as data for people and programs: who moves the battery, who limits it, what is met and what is not. Pure."""

from __future__ import annotations

from typing import Any

from bessctl.policy.config import PolicyConfig
from bessctl.policy.problem import Done, Kind, Outcome, Step, Target, Unmet
from bessctl.policy.zones import local, zone

NS = 1_000_000_000
CLOSE_W = 1.0
HORIZON_H = 24.0


def report(outcome: Outcome, config: PolicyConfig, hours: float = HORIZON_H) -> dict[str, Any]:
    """The coming hours. Times are those of `policy.time_zone`, with their offset; SoC at the end of each step."""
    tz = zone(config.time_zone)

    def told(at_ns: int) -> str:
        return local(at_ns / NS, tz).isoformat(timespec="seconds")

    cap, until = outcome.capacity_wh, outcome.now_ns + round(hours * 3600 * NS)

    def pct(energy_wh: float) -> float:
        return round(100 * energy_wh / cap, 2)

    def step(d: Done) -> dict[str, Any]:
        power = {"power_w": round(d.power_w), "soc_pct": pct(d.energy_wh), "lo_w": round(d.step.lo_w), "hi_w": round(d.step.hi_w)}
        return {"start": told(d.step.start_ns), "end": told(d.step.end_ns), **power, "who": who(d)}

    def met(t: Target, energy_wh: float) -> dict[str, Any]:
        return {"policy": t.name, "at": told(t.at_ns), "soc_pct": pct(energy_wh), "minimum_pct": pct(t.lo_wh), "maximum_pct": pct(t.hi_wh)}

    def unmet(u: Unmet) -> dict[str, Any]:
        wanted = {"minimum_pct": round(u.wanted_pct[0], 2), "maximum_pct": round(u.wanted_pct[1], 2)}
        return {"policy": u.name, "at": told(u.at_ns), "reachable_pct": round(u.reachable_pct, 2), **wanted, "because": u.because}

    return {
        "planned_at": told(outcome.now_ns),
        "time_zone": config.time_zone,
        "soc_pct": pct(outcome.energy_wh),
        "reserve_pct": config.reserve_pct,
        "capacity_wh": cap,
        "cost": round(outcome.cost, 4),
        "margin_used": outcome.margin_used,
        "steps": [step(d) for d in outcome.steps if d.step.start_ns < until],
        "targets": [met(t, energy_wh) for t, energy_wh in outcome.met],
        "unreachable": [unmet(u) for u in outcome.unmet],
    }


def who(done: Done) -> str:
    """Who sets a step's power: whoever's limit it touches, else whose wish it is, else the plan itself."""
    step, power = done.step, done.power_w
    if step.wish is not None and step.wish.kind is not Kind.SELF and abs(power - step.wish.power_w) <= CLOSE_W:
        return step.wish.who
    if power < -CLOSE_W and power - step.lo_w <= CLOSE_W:
        return step.lo_who
    if power > CLOSE_W and step.hi_w - power <= CLOSE_W:
        return step.hi_who
    if step.wish is not None and abs(power - step.wish.power_w) <= CLOSE_W:
        return step.wish.who
    return _narrowest(step) if abs(power) <= CLOSE_W else "policy"


def _narrowest(step: Step) -> str:
    """At rest: whoever leaves no power at all, else nobody."""
    names = {step.lo_who} if step.lo_w > -CLOSE_W else set()
    names |= {step.hi_who} if step.hi_w < CLOSE_W else set()
    return ", ".join(sorted(names))
