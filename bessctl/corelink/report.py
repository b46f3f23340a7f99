"""One published state as `bessctl status` and `bessctl limits` show it. Pure: times are ages in seconds against the state's own instant."""

from __future__ import annotations

from typing import Any

from bessctl.corelink import bus_hints, view, words
from bessctl.corelink.why import why
from bessctl.corelink.words import Site
from bessctl.model.snapshot import Binding, Reactive
from bessctl_core import layout, loud

State = dict[str, Any]

GOOD_MODES = {"acquire", "run", "stopping", "stopped", "out_of_service"}
BUS_COUNTERS = ("ok", "timeouts", "late", "bad", "exceptions", "reconnects")
ROUNDING_W = 100.0
"""What whole counts of a PCS's scale may take from a request."""
UNFOLLOWED = {
    int(layout.Flag.FLAG_LOCAL_CONTROL): "a PCS is switched to local control: its power is not ours",
    int(layout.Flag.FLAG_UNCONFIRMED): "a PCS does not confirm its set point; see `bessctl events`",
}


def age_s(state: State, since_ns: int) -> float | None:
    """Seconds since an instant; None = never."""
    return (state["now_ns"] - since_ns) / 1e9 if since_ns > 0 else None


def left_s(state: State, until_ns: int) -> float | None:
    """Seconds until an instant; None = open."""
    return (until_ns - state["now_ns"]) / 1e9 if 0 < until_ns < 2**62 else None


def status_report(site: Site, state: State) -> dict[str, Any]:
    """Plant, units, sources, buses, alarms and loop health. `healthy`: the mode is an ordinary one, no trip stands, no flag is up."""
    snapshot = view.snapshot(site, state)
    troubles = [alarm for alarm in snapshot.alarms if alarm.tier == "trip" or alarm.code in words.FLAGS.values()]
    todo = loud.remedies(state["mode"], state["internal"], state["flags"])
    if any(alarm.tier == "trip" and not alarm.code.startswith("internal_") for alarm in troubles):
        todo.append(loud.ROWS)
    flags = [word for bit, word in words.FLAGS.items() if state["flags"] & bit]
    return {
        "healthy": snapshot.mode in GOOD_MODES and not troubles,
        "plant": {
            "site": site.name,
            "mode": snapshot.mode,
            "power_w": snapshot.ess_w,
            "command_w": snapshot.command_w,
            "target_w": snapshot.target_w,
            "target_source": snapshot.target_source or None,
            "lo_w": snapshot.lo.value_w,
            "lo_by": str(snapshot.lo.binding),
            "hi_w": snapshot.hi.value_w,
            "hi_by": str(snapshot.hi.binding),
            "pcc_w": snapshot.pcc_w,
            **_reactive(snapshot.reactive),
            **({"disconnected_by": snapshot.disconnected_by} if snapshot.disconnected_by else {}),
            **({"load_shed": "on"} if snapshot.shedding else {}),
            "flags": ", ".join(flags) or None,
            **({"remedy": "; ".join(todo)} if todo else {}),
        },
        "units": [_unit(unit) for unit in snapshot.units],
        "sources": [_source(state, slot) for slot in snapshot.slots],
        "buses": [_bus(site, state, index) for index in range(len(site.buses))],
        "alarms": [_alarm(state, alarm) for alarm in snapshot.alarms],
        "loop": _loop(site, state),
    }


def _reactive(reactive: Reactive) -> dict[str, Any]:
    if reactive.kind == "none":
        return {"var": reactive.measured_var}
    return {
        "var": reactive.measured_var,
        "command_var": reactive.command_var,
        "wanted_var": reactive.wanted_var,
        "var_by": f"{reactive.kind} of {reactive.source}",
        "var_why": reactive_why(reactive),
    }


def reactive_why(reactive: Reactive) -> str | None:
    """Why less reactive power is commanded than asked for."""
    if reactive.wanted_var is None or abs(reactive.wanted_var - reactive.command_var) <= max(ROUNDING_W, 0.001 * abs(reactive.wanted_var)):
        return None
    if abs(reactive.wanted_var) > reactive.most_var:
        return f"the units may give {reactive.most_var:.0f} var beside their active power"
    return "on its ramp"


def _unit(unit: Any) -> dict[str, Any]:
    return {
        "unit": unit.name,
        "state": unit.state,
        "command_w": unit.command_w,
        "power_w": unit.ac_w,
        "var": unit.ac_var,
        "soc_pct": unit.soc_pct,
        "cell_v_max": unit.cell_v_max_v,
        "cell_v_min": unit.cell_v_min_v,
        "cell_c_max": unit.cell_temp_max_c,
        "dc_v": unit.dc_v,
        "dc_a": unit.dc_a,
        "contactor": unit.contactor,
    }


def _source(state: State, slot: Any) -> dict[str, Any]:
    return {
        "source": slot.source,
        "state": slot.state,
        "plan": slot.serial,
        "target_w": slot.target_w,
        "lease_left_s": left_s(state, slot.lease_until_ns),
        "reason": slot.reason or None,
    }


def _bus(site: Site, state: State, index: int) -> dict[str, Any]:
    return {
        "bus": site.buses[index],
        **{name: state[f"bus_{name}"][index] for name in BUS_COUNTERS},
        "faults": bus_hints.counters(state, index),
        "hints": bus_hints.hints(state, index),
    }


def _alarm(state: State, alarm: Any) -> dict[str, Any]:
    return {
        "alarm": alarm.code,
        "unit": alarm.unit or None,
        "tier": alarm.tier,
        "active": alarm.active,
        "latched": alarm.latched,
        "which": alarm.which or None,
        "value": alarm.value,
        "threshold": alarm.threshold,
        "since_s": age_s(state, alarm.since_ns),
    }


def _loop(site: Site, state: State) -> dict[str, Any]:
    return {
        "rate_hz": site.rate_hz,
        "tick": state["tick"],
        "periods": state["periods"],
        "missed": state["missed"],
        "missed_own": state["missed_own"],
        "wake_max_us": state["wake_max_ns"] / 1e3,
        "step_max_us": state["step_max_ns"] / 1e3,
        "config": site.config.digest.hex(),
    }


def limit_stack(site: Site, state: State) -> list[dict[str, Any]]:
    """From what was asked for to what was sent: requested, each clamp with its binding, applied, measured."""
    wanted = words.present(state["wanted_w"])
    source = site.source(state["target_slot"]) or "nobody"
    lines = [_line("requested", wanted, Binding("source", source), why=None if wanted is not None else _no_target(site, state))]
    lines += [_line("others", slot.target_w, Binding("source", slot.source)) for slot in _waiting(site, state, source)]
    for index, unit in enumerate(site.units):
        for side in ("lo", "hi"):
            by = words.binding(site, state[f"unit_{side}_bind"][index], state[f"unit_{side}_bind_id"][index])
            because = why(site, state, state[f"unit_{side}_bind"][index], state[f"unit_{side}_bind_id"][index], side)
            lines.append(_line(f"{unit} {side}", state[f"unit_{side}_w"][index], by, why=because))
    for side in ("lo", "hi"):
        limit = view.limit(site, state, side)
        clamps = wanted is not None and (limit.value_w > wanted if side == "lo" else limit.value_w < wanted)
        because = why(site, state, state[f"{side}_bind"], state[f"{side}_bind_id"], side)
        lines.append(
            _line(f"plant {side}", limit.value_w, limit.binding, state, effect="clamps the request" if clamps else None, why=because)
        )
    mode = Binding("mode", words.MODES.get(state["mode"], str(state["mode"])))
    lines.append(_line("applied", state["command_w"], mode, why=_on_the_way(state, wanted)))
    lines.append(_line("measured", words.present(state["ess_w"]), Binding("none", ""), why=_not_followed(state)))
    reactive = view.reactive(site, state)
    if reactive.kind != "none":
        by = Binding("source", reactive.source)
        asked = f"{reactive.kind} {_asked(state, reactive)}".strip()
        lines.append({**_line("requested var", None, by), "value_var": reactive.wanted_var, "why": asked})
        lines.append({**_line("applied var", None, mode), "value_var": reactive.command_var, "why": reactive_why(reactive)})
        lines.append({**_line("measured var", None, Binding("none", "")), "value_var": reactive.measured_var})
    return lines


def _asked(state: State, reactive: Reactive) -> str:
    value = words.present(state["slot_q_value"][state["reactive_slot"]])
    return "" if value is None or reactive.kind == "var" else f"{value:g}"


def verdict(site: Site, state: State, source: str) -> dict[str, Any]:
    """What becomes of a source's target now: nothing to say, who overrules it, or who limits it to what, and why."""
    ruling = site.source(state["target_slot"])
    if ruling != source:
        return {"overruled_by": ruling or "nobody: it has no target any more"}
    side = "hi" if state["wanted_w"] > state["hi_w"] else "lo" if state["wanted_w"] < state["lo_w"] else ""
    if not side:
        return {}
    limit = view.limit(site, state, side)
    because = why(site, state, state[f"{side}_bind"], state[f"{side}_bind_id"], side)
    return {"limited_to_w": limit.value_w, "limited_by": str(limit.binding), "why": because}


def _no_target(site: Site, state: State) -> str:
    lapsed = [slot.source for slot in view.snapshot(site, state).slots if slot.state == "lapsed"]
    return "no source has a target" + (f"; the lease of {', '.join(lapsed)} is over" if lapsed else "")


def _on_the_way(state: State, wanted: float | None) -> str | None:
    """What is sent is not yet what is asked for within the limits."""
    given = min(max(wanted or 0.0, state["lo_w"]), state["hi_w"])
    near = abs(state["command_w"] - given) <= max(ROUNDING_W, 0.001 * abs(given))
    return None if near else "on its ramp, resting at 0 before a reversal, or below min_power_w"


def _not_followed(state: State) -> str | None:
    return next((word for bit, word in UNFOLLOWED.items() if state["flags"] & bit), None)


def _waiting(site: Site, state: State, ruling: str) -> list[Any]:
    """Sources with a target that another one overrules."""
    slots = view.snapshot(site, state).slots
    return [slot for slot in slots if slot.target_w is not None and slot.source != ruling]


def _line(
    step: str, value_w: float | None, by: Binding, state: State | None = None, *, effect: str | None = None, why: str | None = None
) -> dict[str, Any]:
    return {
        "step": step,
        "value_w": value_w,
        "by": str(by) if by.kind != "none" else None,
        "since_s": age_s(state, by.since_ns) if state is not None else None,
        "until_s": left_s(state, by.until_ns) if state is not None else None,
        "effect": effect,
        "why": why,
    }
