"""Why a limit is as it is: behind each binding the values it follows from, in words an operator can act on. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bessctl.corelink import view
from bessctl.corelink.words import PLANT, SLOT_STATES, Site, number
from bessctl_core import layout

State = dict[str, Any]
Q = layout.Quantity
B = layout.BindKind
M = layout.Mode

MODES: dict[int, str] = {
    M.MODE_ACQUIRE: "waits until every required input was valid for settle_s",
    M.MODE_STOPPING: "the loop is stopping",
    M.MODE_STOPPED: "stopped by the operator; `bessctl start` ends it",
    M.MODE_OUT_OF_SERVICE: "out of service by the operator; `bessctl start` ends it",
    M.MODE_TRIPPED: "tripped; when the cause is gone: `bessctl reset`",
    M.MODE_START_FAILED: "inputs are missing; `bessctl status` names the devices",
    M.MODE_STANDBY: "real-time priority is required and was refused",
}
LOCAL_CONTROL = 1


def why(site: Site, state: State, bind: int, ident: int, side: str) -> str | None:
    """The reason behind one side ("lo" or "hi") of an envelope; None where the binding says it all."""
    count, reason = REASONS.get(bind, (None, None))
    if reason is None or (count is not None and not 0 <= ident < count(site)):
        return None
    return reason(site, state, bind, ident, side)


def of_row(site: Site, state: State, _: int, index: int, __: str) -> str:
    """A protection row: what it sees, and whether only a reset ends it."""
    row = site.rows[index]
    value = view.reading(state, row.place, row.quantity, row.max_age_ns)
    seen = f"{number(value)}, pickup {number(row.pickup)}" if value is not None else "no valid value: check the device and its bus"
    if not state["row_latched"][index]:
        return seen
    return f"{seen}; latched, {'not yet back' if state['row_active'][index] else '`bessctl reset` clears it'}"


def of_bms(site: Site, state: State, _: int, unit: int, side: str) -> str:
    """The current the battery allows, as watts at its lowest voltage (R14)."""
    quantity = Q.Q_BMS_DIS_MAX_A if side == "hi" else Q.Q_BMS_CHA_MAX_A
    amps = view.reading(state, unit, quantity, site.unit_data_age_ns[unit])
    return "the BMS states no current limit" if amps is None else f"the BMS allows {amps:g} A, counted at pack_min_v"


def of_device(site: Site, state: State, _: int, unit: int, __: str) -> str:
    """A unit that cannot be driven."""
    if view.reading(state, unit, Q.Q_LOC_REM) == LOCAL_CONTROL:
        return "the PCS is switched to local control: it is not commanded"
    return f"not ready: {view.unit_state(site, state, unit)}"


def of_commission(_: Site, state: State, __: int, unit: int, ___: str) -> str:
    """R16: what was never tried gives little; while one is tried the others give nothing."""
    if state["unit_commissioned"][unit] or state["unit_hi_w"][unit] == state["unit_lo_w"][unit]:
        return "another unit is being tried"
    return "never tried under this configuration: 5 % of its rating at most; `bessctl commission` tries it"


def of_meter(_: Site, state: State, *__: Any) -> str:
    """Beyond the hold the worst load and generation of the site count (R10)."""
    sampled_ns = state["sampled_ns"][PLANT * view.QUANTITIES + Q.Q_PCC_W]
    if sampled_ns <= 0:
        return "the meter was never read: the worst case of the site counts"
    return f"the meter is silent for {(state['now_ns'] - sampled_ns) / 1e9:.0f} s: the worst case of the site counts"


def of_slot(_: Site, state: State, bind: int, slot: int, __: str) -> str:
    """A source: its plan, or what holds without one."""
    if bind == B.BIND_SLOT:
        return f"its plan {state['slot_serial'][slot]}"
    if bind == B.BIND_FALLBACK:
        return "its lease is over: fallback"
    word = SLOT_STATES.get(state["slot_state"][slot], "")
    return {"empty": "it wrote no plan yet: sealed default", "lapsed": "its lease is over: sealed default"}.get(word, "sealed default")


def of_disconnection(site: Site, state: State, bind: int, slot: int, __: str) -> str:
    """A plan says connect 0: contactors open, or the units cease to energise where we drive none."""
    how = "its plan disconnects: " if state["connect_bind"] == B.BIND_SLOT else "its lease is over, and it had disconnected: "
    if bind == B.BIND_CEASE:
        return how + "no contactor here is ours, the unit ceases to energise"
    return how + "0 W, the PCS stops, the contactors open"


def of_reactive(site: Site, state: State, *_: Any) -> str:
    """Where reactive power goes first."""
    return f"reactive power goes first: {number(state['command_var'])} var for {site.source(state['reactive_slot'])} leave so much"


def of_mode(*told: Any) -> str | None:
    """A mode that allows no power."""
    return MODES.get(told[3])


# By binding: how many of what it names there are (None: any number), and its reason.
REASONS: dict[int, tuple[Callable[[Site], int] | None, Callable[..., str | None]]] = {
    B.BIND_ROW: (lambda site: len(site.rows), of_row),
    B.BIND_BMS: (lambda site: len(site.units), of_bms),
    B.BIND_DEVICE: (lambda site: len(site.units), of_device),
    B.BIND_COMMISSION: (lambda site: len(site.units), of_commission),
    B.BIND_METER: (None, of_meter),
    B.BIND_MODE: (None, of_mode),
    B.BIND_REACTIVE: (lambda site: len(site.sources), of_reactive),
    B.BIND_OPEN: (lambda site: len(site.sources), of_disconnection),
    B.BIND_CEASE: (lambda site: len(site.sources), of_disconnection),
    B.BIND_SLOT: (lambda site: len(site.sources), of_slot),
    B.BIND_DEFAULT: (lambda site: len(site.sources), of_slot),
    B.BIND_FALLBACK: (lambda site: len(site.sources), of_slot),
}
