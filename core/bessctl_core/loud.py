"""What is loud: conditions under which the plant may run, or not, and somebody has to do something. Standard library only.

Loud means: a flag, trip or mode in the published state; an event; exit code 1 of `bessctl status`, with the remedy; a line
in the log, with the remedy. This is the one table of the remedies; tests/core/test_loud.py holds the four together.
"""

from __future__ import annotations

from . import layout
from .layout import Flag, Internal, Mode

RT = "give the process CAP_SYS_NICE (systemd: AmbientCapabilities=CAP_SYS_NICE, or LimitRTPRIO=99; as root: it is there by itself)"
MLOCK = "give the process CAP_IPC_LOCK (systemd: AmbientCapabilities=CAP_IPC_LOCK, or LimitMEMLOCK=infinity)"

FLAGS: dict[int, tuple[str, str]] = {
    Flag.FLAG_RT_REFUSED: ("real-time priority refused, periods may be missed", RT),
    Flag.FLAG_MLOCK_REFUSED: ("memory is not locked, page faults may delay the loop", MLOCK),
    Flag.FLAG_JOURNAL_LATE: (
        "the journal cannot be written: resets and starts wait, a stop acts but is not confirmed",
        "check space and health of the disk",
    ),
    Flag.FLAG_LOCAL_CONTROL: ("a PCS is switched to local control: its power is not ours", "switch it to remote at the PCS"),
    Flag.FLAG_AFFINITY_REFUSED: (
        "the loop may not run on its own processor",
        "name a processor of this machine as loop.cpu, and seal again",
    ),
    Flag.FLAG_UNCONFIRMED: (
        "a PCS does not confirm its set point: our heartbeat to it stops, so that its own watchdog acts",
        "see `bessctl events` for the device, check it, then `bessctl reset`",
    ),
    Flag.FLAG_METER_STALE: ("the meter at the connection is silent: load should be shed", "check its bus and power"),
    Flag.FLAG_SHED: ("a limit stays unmet, or the meter is silent: load should be shed", "see `bessctl limits` for the limit, shed load"),
    Flag.FLAG_SOC_FROZEN: (
        "a SoC does not move with the energy that is counted, and is not believed: rows on SoC hold power at 0",
        "check the BMS; it is believed again as soon as it moves",
    ),
    Flag.FLAG_SETPOINT_HELD: (
        "a set point that wears its memory is held back",
        "see the write budget in the device's profile, and who changes the target so often",
    ),
    Flag.FLAG_CONTACTOR: ("a battery could not be connected", "check the BMS and its contactors, then `bessctl reset`"),
    Flag.FLAG_UNCOMMISSIONED: (
        "a unit was never tried under this configuration and gives 5 % of its rating at most",
        "`bessctl commission` tries each unit (R16)",
    ),
    Flag.FLAG_SHED_UNCONFIRMED: (
        "the load-shed output does not acknowledge what it was told: load may not be shed",
        "check its module, wiring and power; shed load by hand while `bessctl limits` shows a limit unmet",
    ),
    Flag.FLAG_INPUT_LOST: ("a digital input cannot be read and counts as active", "check its module, wiring and power"),
}
"""Flag -> what it means, and what to do."""

TRIPS: dict[int, str] = {
    Internal.TRIP_ASSERTION: "keep the log, report it, then `bessctl reset`",
    Internal.TRIP_JOURNAL: "check the disk, then `bessctl reset` begins a new journal",
    Internal.TRIP_STARTS: "find out why the loop was started three times in ten minutes, then `bessctl reset`",
    Internal.TRIP_OTHER_CONFIG: "see in the log before the change what was latched, then `bessctl reset`",
    Internal.TRIP_METER_SIGN: "turn the current transformer or correct meter_positive, then `bessctl reset`",
}

MODES: dict[int, str] = {
    Mode.MODE_TRIPPED: "find the cause in `bessctl events`; when it is gone: `bessctl reset`",
    Mode.MODE_START_FAILED: "`bessctl status` names the devices and rows without a value; check them and their bus",
    Mode.MODE_STANDBY: RT,
}
"""Modes in which the plant should run and does not."""

ROWS = "find the cause and remove it; latched rows: `bessctl reset`"


def flag_sentence(bit: int, up: bool) -> str:
    """One flag that went up or down."""
    what, remedy = FLAGS.get(bit, (f"flag {bit}", "see the log of the loop"))
    return f"{what}; {remedy}" if up else f"no longer: {what}"


def remedies(mode: int, internal: int, flags: int) -> list[str]:
    """What to do about everything loud in a published state but its rows."""
    found = [MODES[mode]] if mode in MODES and not internal else []
    found += [remedy for bit, remedy in TRIPS.items() if internal & bit]
    found += [remedy for bit, (_, remedy) in FLAGS.items() if flags & bit]
    return list(dict.fromkeys(found))


def known_flags() -> int:
    """All flags of the layout."""
    return sum(int(flag) for flag in layout.Flag)
