"""What the fault counters of a bus mean: which happened, how often, and what to look at first. Pure."""

from __future__ import annotations

from typing import Any

State = dict[str, Any]

# Counter of PlantState without its `bus_` -> what to do about it; {n} is the count, {code} the last exception code.
HINTS = {
    "late": "time-out too short: {n} late replies; raise timeout_s of the slowest device on this bus",
    "slow": "{n} answers came in pieces and not to their end in time: raise timeout_s, or look for what holds the line up",
    "timeouts": "{n} questions unanswered: check power, cable, address and, on a serial line, baud rate and parity",
    "crc": "{n} wrong check sums: check termination, shield and earth of the line, and that baud rate and parity fit",
    "wrong_unit": "{n} answers of another unit: two devices with one address, or a gateway that maps wrongly",
    "wrong_function": "{n} answers to another function: two masters on one line, or a gateway that mixes up sessions",
    "wrong_length": "{n} answers of a wrong length: the device does not keep to the standard, or sends less than it was asked for",
    "wrong_echo": "{n} writes confirmed with other values: the device does not take what was written; compare with its manual",
    "wrong_protocol": "{n} frames that are no Modbus/TCP: another service listens on this port, or a gateway lost step",
    "garbage": "{n} bytes that belong to no frame: noise, an undriven line (bias resistors), or a second master",
    "gaps": "{n} answers with a silence inside: tolerated; an adapter or gateway passes frames on in pieces",
    "echoes": "{n} of our questions heard back: tolerated; the adapter's local echo is on",
    "exceptions": "{n} refusals, the last with exception code {code}: {meaning}",
    "refused": "{n} connections could not be had: the device is off, its address is wrong, or it takes one session and somebody has it",
    "half_open": "{n} connections answered nothing any more and were given up: a pulled cable, or a gateway that hangs",
    "closed": "{n} connections ended: a restart of the device, a second client on a device for one, or an idle time-out of its own",
    "queue_full": "{n} questions found no room in the queue of this bus and were not sent: more is asked than it carries; poll less often",
    "bad_request": "{n} questions fit into no frame and were not sent: check the device's profile with `bessctl profile check`",
}  # fmt: skip

# Modbus Application Protocol V1.1b3, 7.
EXCEPTIONS = {
    1: "it does not know the function",
    2: "it does not have these registers; discover and seal again",
    3: "it does not take this value or count",
    4: "it failed while working on it; see the device's own log",
    5: "it needs longer, ask again later",
    6: "it is busy; poll it less often",
    8: "its memory is faulty",
    10: "the gateway has no way to it",
    11: "the gateway got no answer of it; check the line behind the gateway",
}


def counters(state: State, index: int) -> dict[str, int]:
    """Every fault counter of a bus, by its name."""
    return {name: state[f"bus_{name}"][index] for name in HINTS}


def hint(name: str, count: int, code: int) -> str:
    """What one counter means."""
    return HINTS[name].format(n=count, code=code, meaning=EXCEPTIONS.get(code, "a code the standard does not have"))


def hints(state: State, index: int) -> list[str]:
    """A line for each fault that happened; what is explained by a more exact counter is left out."""
    counted = counters(state, index)
    counted["closed"] = max(0, counted["closed"] - counted["half_open"])
    code = state["bus_exception_code"][index]
    return [hint(name, count, code) for name, count in counted.items() if count]
