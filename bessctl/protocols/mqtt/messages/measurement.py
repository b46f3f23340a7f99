"""A measurement on the wire (PLV-1): assetId, timestamp, energyValue (Wh), powerValue (W, + charging), currentStateOfCharge (0-100)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Measurement:
    """One asset at one instant. Power is positive when it charges, as the wire has it; SoC is of the operational window."""

    asset_id: str
    utc_ns: int
    energy_wh: float
    charging_w: float
    soc_pct: float | None


def timestamp(utc_ns: int) -> str:
    """ISO 8601 in UTC, to the millisecond: 2024-07-29T15:51:28.071Z."""
    seconds, ms = divmod(utc_ns // NS_PER_MS, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def encode(m: Measurement) -> bytes:
    """JSON as the schema has it. Energy in tenths of a Wh, power in W, SoC in hundredths: more figures are noise."""
    return orjson.dumps(
        {
            "assetId": m.asset_id,
            "timestamp": timestamp(m.utc_ns),
            "energyValue": round(m.energy_wh, 1),
            "powerValue": 0.0 + round(m.charging_w, 1),
            "currentStateOfCharge": None if m.soc_pct is None else round(m.soc_pct, 2),
        }
    )
