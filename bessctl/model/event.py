"""What the loop has to tell: one thing that happened, and the one table that makes a sentence of each."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `code` and `level` (info, warning, alarm) are stable words; `text` is for people.

    `seq` counts from 1 within one loop process; `at_ns` is CLOCK_MONOTONIC. Empty strings where an event concerns no unit, row, device
    or source. What `detail`, `value` and `limit` mean stands with the code in SENTENCES.
    """

    seq: int
    at_ns: int
    code: str
    level: str
    text: str = field(compare=False)
    unit: str = ""
    row: str = ""
    device: str = ""
    source: str = ""
    detail: int = 0
    value: float | None = None
    limit: float | None = None


SENTENCES = {
    "none": "nothing",
    "started": "the loop started",
    "mode": "the plant is now in mode {word}",
    "row_pickup": "{row}{at_unit} picked up at {value} (pickup {limit})",
    "row_dropoff": "{row}{at_unit} dropped off at {value}",
    "row_latched": "{row}{at_unit} latched at {value} (pickup {limit}); it stays until it is reset",
    "reset_done": "reset: {detail} latched rows cleared",
    "reset_refused": "reset refused: {row_or_machine} still stands or may only be reset at the machine",
    "plan_accepted": "{source}: plan {detail} accepted",
    "plan_refused": "{source}: plan refused, {word}",
    "plan_lapsed": "{source}: the lease of its plan is over, its limits follow the rule {word}",
    "target_clamped": "{source}: wanted {value} W, given {limit} W because of {word}",
    "limits_disjoint": "{source}: its limit cannot be met, {value} W stay unmet",
    "internal": "internal trip: {word}",
    "device_up": "{device} is up",
    "device_down": "{device} does not answer: {word}",
    "device_refused": "{device} is not the device that was sealed: register {detail} holds {value}, expected {limit}",
    "setpoint_foreign": "{device}: somebody else changed the set point to {value} (ours: {limit}); asserted again, try {detail}",
    "reactive_foreign": "{device}: somebody else changed the reactive set point to {value} var (ours: {limit}), change {detail}",
    "reactive_unconfirmed": "{device} does not confirm its reactive set point of {value} var",
    "energy": "energy counter{at_unit}: {word} (it says {value} Wh, expected {limit} Wh)",
    "unconfirmed": "{device} does not confirm its set point of {value} W: {word}",
    "rt_refused": "real-time priority was refused; give the loop CAP_SYS_NICE or an rtprio limit",
    "command_done": "command {detail} done",
    "command_refused": "command {detail} refused",
    "periods_missed": "{detail} periods missed",
    "stopped": "the loop stopped after {value} s: {word}",
    "acquired": "all required inputs are valid after {value} s",
    "device_frozen": "{device} answers, but its heartbeat stands still",
    "journal": "{word}",
    "curve": "{device}: {word}",
    "meter": "the meter at the connection: {word}",
    "flag": "{word}{at_unit}",
    "setpoint_held": "{device}: a set point that wears is held back, {value} W stand, {limit} W are wanted: {word}",
    "reversion_foreign": "{device} had a reversion timer of {value} s that is not ours, now {limit} s",
    "setting_foreign": "{device}: register {detail} held {value}, written {limit}",
    "order_late": "{device} does not obey the order to {word} within {limit} s, its state is {value}",
    "start_given_up": "{device} did not start in {detail} tries; it waits for a start or reset of the operator",
    "contactor": "battery{at_unit}: {word}",
    "connect": "{source}: {word}; {value} of {limit} units have contactors that are ours, the others cease to energise",
    "shed": "the load-shed output goes {word}",
    "commission": "{unit}: {word}",
    "events_lost": "{detail} events were overwritten before they were read",
}
"""Words they may use: unit, at_unit, row, row_or_machine, device, source, detail, value, limit and `word`, what `detail` is called."""


def sentence(code: str, words: dict[str, object]) -> str:
    """The sentence for a code; an unknown code is told as it stands."""
    return SENTENCES.get(code, code + " (detail {detail})").format(**words)
