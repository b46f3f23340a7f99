"""Alarms of the plant -> error codes of OCPP 1.6 (OCPP-5).

A code is matched by the first row whose words all occur in it, so that a new protection row finds its error code by its name.
Without a match: OtherError, with our code as vendorErrorCode; a mere warning without a match is not told. Of several alarms the
worst tier speaks, and one with a match before one without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bessctl.protocols.ocpp.session.plant import Trouble

_RANK = {"trip": 0, "derate": 1, "warn": 2}

# Words that must all occur in our code, error code of 7.6.
TABLE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("contactor",), "ConnectorLockFailure"),
    (("insulation",), "GroundFailure"),
    (("ground",), "GroundFailure"),
    (("meter",), "PowerMeterFailure"),
    (("bms", "silent"), "EVCommunicationError"),
    (("bms", "stale"), "EVCommunicationError"),
    (("bms", "age"), "EVCommunicationError"),
    (("bms", "comm"), "EVCommunicationError"),
    (("bms", "lost"), "EVCommunicationError"),
    (("bms", "frozen"), "EVCommunicationError"),
    (("temp", "high"), "HighTemperature"),
    (("pcs",), "PowerSwitchFailure"),
    (("v", "high"), "OverVoltage"),
    (("voltage", "high"), "OverVoltage"),
    (("overvoltage",), "OverVoltage"),
    (("v", "low"), "UnderVoltage"),
    (("voltage", "low"), "UnderVoltage"),
    (("undervoltage",), "UnderVoltage"),
    (("current",), "OverCurrentFailure"),
    (("overcurrent",), "OverCurrentFailure"),
    (("reset",), "ResetFailure"),
    (("internal",), "InternalError"),
    (("overruns",), "InternalError"),
)


@dataclass(frozen=True, slots=True)
class ErrorState:
    """What StatusNotification says: the error code, our own code where it is OtherError, and whether the station is faulted."""

    code: str = "NoError"
    vendor: str = ""
    info: str = ""
    faulted: bool = False


def error_code(code: str) -> str:
    """The standard's error code for one of our alarm codes."""
    words = set(code.lower().replace("-", "_").replace(".", "_").split("_"))
    return next((error for needed, error in TABLE if words.issuperset(needed)), "OtherError")


@lru_cache(maxsize=64)
def error_state(troubles: tuple[Trouble, ...]) -> ErrorState:
    """What the alarms together mean for a connector. Asked by every connector of every link at each step, of the same few alarms."""
    told = [t for t in troubles if t.tier != "warn" or error_code(t.code) != "OtherError"]
    worst = min(told, key=lambda t: (_RANK.get(t.tier, 0), error_code(t.code) == "OtherError"), default=None)
    if worst is None:
        return ErrorState()
    return ErrorState(error_code(worst.code), worst.code, f"{worst.tier}: {worst.code}", worst.tier == "trip")
