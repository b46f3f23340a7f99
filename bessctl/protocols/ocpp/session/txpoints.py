"""Where a transaction begins and ends (2.0.1 E01, E06: TxStartPoint, TxStopPoint), for connectors that stand for a battery's directions.

    Authorized        begins when somebody is authorised, plugged in or not; ends when that is taken back
    EVConnected       begins when the hand plugs in, whoever it is; ends when it plugs out. Where no hand plugs, a plant is always connected
    PowerPathClosed   begins when both are so; ends when either is not. 1.6 knows this one alone
Of several, the first that is reached begins the transaction, and the first that is lost ends it. The others of the standard make no sense
for a battery: `refused` says why, and the CSMS is told.
"""

from __future__ import annotations

from collections.abc import Callable

from bessctl.protocols.ocpp.config import LinkConfig

AUTHORIZED, CONNECTED, CLOSED = "Authorized", "EVConnected", "PowerPathClosed"
START, STOP = "TxCtrlr.TxStartPoint", "TxCtrlr.TxStopPoint"
NEVER = {
    "ParkingBayOccupancy": "a battery plant has no parking bay",
    "DataSigned": "no meter here signs its values",
}
ENERGY = {
    START: "a battery gives and takes energy by the plan of a transaction alone: none could begin by it",
    STOP: "a transaction that is paused by the envelope or a profile would end, and could never get its power back",
}
ALWAYS = "nobody plugs here: a plant is always connected"


def refused(name: str, link: LinkConfig, value: str) -> str | None:
    """Why a list of points cannot be had, or None."""
    words = [w.strip() for w in value.split(",") if w.strip()]
    reasons = {**NEVER, "EnergyTransfer": ENERGY[name], **({} if link.armed_by_hand else {CONNECTED: ALWAYS})}
    why = next((reasons[w] for w in words if w in reasons), None)
    if why is None and (not words or len(set(words)) != len(words)):
        why = "a transaction must begin and end somewhere, and each point is named once"
    unknown = [w for w in words if w not in {AUTHORIZED, CONNECTED, CLOSED}]
    return why or (f"{unknown[0][:30]} is no point of the standard" if unknown else None)


def check(name: str, link: LinkConfig) -> Callable[[str], str | None]:
    """A setting's check."""
    return lambda value: None if refused(name, link, value) else ",".join(w.strip() for w in value.split(",") if w.strip())
