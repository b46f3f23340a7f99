"""How a real loop kept its time and its buses, from its published state: what the report prints of a run. Pure."""

from __future__ import annotations

from typing import Any

from bessctl.corelink import names
from bessctl.corelink.health import percentile_us
from bessctl.corelink.rt import bins as wake_bins

ERRORS = ("timeouts", "late", "bad", "exceptions", "reconnects")


def real_time(flags: int) -> str:
    """Under which scheduling it runs."""
    up = {word for bit, word in names.FLAGS.items() if flags & bit}
    if "rt_refused" in up:
        return "refused: SCHED_OTHER"
    return "SCHED_FIFO" if "mlock_refused" in up else "SCHED_FIFO, memory locked"


def health(state: dict[str, Any], buses: int, stolen: str) -> dict[str, Any]:
    """Texts for people; `counts` and `wake_bins` for sums over many runs."""
    errors = {word: sum(state[f"bus_{word}"][:buses]) for word in ERRORS}
    transactions = sum(state["bus_ok"][:buses])
    p50, p99 = (percentile_us(state["wake_bins"], share) for share in (0.5, 0.99))
    return {
        "real time": real_time(state["flags"]),
        "periods": state["periods"],
        "missed periods": f"{state['missed']} ({state['missed_own']} by its own doing)",
        "wake-up": f"p50 {p50:.0f} us, p99 {p99:.0f} us, max {state['wake_max_ns'] / 1e3:.0f} us",
        "stolen by the machine": stolen,
        "bus transactions": transactions,
        "bus errors": ", ".join(f"{word} {count}" for word, count in errors.items()),
        "wake_bins": wake_bins(state["wake_bins"]),
        "counts": {
            "periods": state["periods"],
            "missed": state["missed"],
            "missed_own": state["missed_own"],
            "wake_max_us": state["wake_max_ns"] / 1e3,
            "transactions": transactions,
            **errors,
        },
    }
