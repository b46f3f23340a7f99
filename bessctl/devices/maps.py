"""SunSpec points as flat tables: which register of which model is which quantity of the loop.

Offsets count from a model's ID register, as in the standard's tables; a test holds them against the definitions of pysunspec2. The order
is the preference: of several points for one quantity, the first that the device implements is read.

Signs, decided once. 701 W > 0 = generation = toward the grid (its own description). 714 DCA, DCW and 802 A name no direction; their
energies are called injected and absorbed as in 701, so positive = discharge, and a device that counts otherwise says `dc_positive:
charge`. 802 AChaMax and ADisChaMax are magnitudes. 201-204 name no direction either; a meter counts imported power positive unless the
device says `meter_positive: export`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pace = Literal["fast", "slow", "state"]
Turn = Literal["never", "dc", "meter"]


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One point. `sf`: offset of its scale factor, None = fixed 1. `turn`: which option of the device may turn its sign."""

    quantity: str
    model: int
    name: str
    offset: int
    kind: str
    sf: int | None = None
    turn: Turn = "never"
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class MapRead:
    """One request per model: registers `offset` to `offset + count - 1`."""

    model: int
    offset: int
    count: int
    pace: Pace


METERS = (201, 202, 203, 204)

# One FC03 of at most 125 registers each. 701's last 32 registers are a text.
READS = (
    MapRead(701, 0, 123, "fast"),
    MapRead(714, 0, 45, "fast"),
    MapRead(802, 0, 64, "fast"),
    MapRead(803, 0, 28, "fast"),
    *(MapRead(meter, 0, 55, "fast") for meter in METERS),
    MapRead(702, 0, 52, "slow"),
    MapRead(713, 0, 9, "slow"),
    MapRead(715, 0, 9, "state"),
)

PCS_POINTS = (
    MapPoint("ac_w", 701, "W", 10, "int16", 116),
    MapPoint("ac_va", 701, "VA", 11, "int16", 118),
    MapPoint("ac_var", 701, "Var", 12, "int16", 119),
    MapPoint("ac_a", 701, "A", 14, "int16", 113),
    MapPoint("ac_v", 701, "LNV", 16, "uint16", 114),
    MapPoint("ac_v", 701, "VL1", 47, "uint16", 114),
    MapPoint("ac_v", 701, "LLV", 15, "uint16", 114, factor=3**-0.5),
    MapPoint("ac_hz", 701, "Hz", 17, "uint32", 115),
    MapPoint("pcs_state", 701, "InvSt", 4, "enum16"),
    MapPoint("pcs_conn", 701, "ConnSt", 5, "enum16"),
    MapPoint("pcs_alarm", 701, "Alrm", 6, "bits32"),
    MapPoint("pcs_temp_c", 701, "TmpSnk", 37, "int16", 122),
    MapPoint("pcs_temp_c", 701, "TmpSw", 39, "int16", 122),
    MapPoint("pcs_temp_c", 701, "TmpCab", 36, "int16", 122),
    MapPoint("export_wh", 701, "TotWhInj", 19, "uint64", 120),
    MapPoint("import_wh", 701, "TotWhAbs", 23, "uint64", 120),
    MapPoint("w_max_dis", 702, "WDisChaRteMax", 35, "uint16", 45),
    MapPoint("w_max_dis", 702, "WMax", 26, "uint16", 45),
    MapPoint("w_max_cha", 702, "WChaRteMax", 34, "uint16", 45),
    MapPoint("w_max_cha", 702, "WMax", 26, "uint16", 45),
    MapPoint("dc_a", 714, "DCA", 5, "int16", 15, "dc"),
    MapPoint("dc_w", 714, "DCW", 6, "int16", 17, "dc"),
    MapPoint("dc_v", 714, "Prt.DCV", 31, "uint16", 16),
    MapPoint("wh_rating", 713, "WHRtg", 2, "uint16", 7),
    MapPoint("wh_available", 713, "WHAvail", 3, "uint16", 7),
    MapPoint("loc_rem", 715, "LocRemCtl", 2, "enum16"),
    MapPoint("pcs_hb", 715, "DERHb", 3, "uint32"),
)

# The battery speaks for itself where it can; 713 is the PCS's word about it. 802 has no cell temperature: 803 is where SunSpec puts it,
# as the hottest and coldest module.
BMS_POINTS = (
    MapPoint("soc_pct", 802, "SoC", 11, "uint16", 56),
    MapPoint("soh_pct", 802, "SoH", 13, "uint16", 58),
    MapPoint("bms_hb", 802, "Hb", 18, "uint16"),
    MapPoint("bms_state", 802, "State", 22, "enum16"),
    MapPoint("bms_alarm", 802, "Evt1", 26, "bits32"),
    MapPoint("pack_v", 802, "V", 34, "uint16", 59),
    MapPoint("cell_v_max", 802, "CellVMax", 37, "uint16", 60),
    MapPoint("cell_v_min", 802, "CellVMin", 40, "uint16", 60),
    MapPoint("pack_a", 802, "A", 44, "int16", 61, "dc"),
    MapPoint("bms_cha_max_a", 802, "AChaMax", 45, "uint16", 62),
    MapPoint("bms_dis_max_a", 802, "ADisChaMax", 46, "uint16", 62),
    MapPoint("cell_temp_max_c", 803, "ModTmpMax", 4, "int16", 23),
    MapPoint("cell_temp_min_c", 803, "ModTmpMin", 7, "int16", 23),
)

STORAGE_POINTS = (
    MapPoint("soc_pct", 713, "SoC", 4, "uint16", 8),
    MapPoint("soh_pct", 713, "SoH", 5, "uint16", 8),
)


def meter_points(model: int) -> tuple[MapPoint, ...]:
    """Points of one of the integer meters; they share their offsets."""
    return (
        MapPoint("pcc_w", model, "W", 18, "int16", 22, "meter"),
        MapPoint("pcc_l1_a", model, "AphA", 3, "int16", 6, "meter"),
        MapPoint("pcc_l2_a", model, "AphB", 4, "int16", 6, "meter"),
        MapPoint("pcc_l3_a", model, "AphC", 5, "int16", 6, "meter"),
        MapPoint("pcc_l1_w", model, "WphA", 19, "int16", 22, "meter"),
        MapPoint("pcc_l2_w", model, "WphB", 20, "int16", 22, "meter"),
        MapPoint("pcc_l3_w", model, "WphC", 21, "int16", 22, "meter"),
        MapPoint("pcc_l1_v", model, "PhVphA", 8, "int16", 15),
        MapPoint("pcc_l2_v", model, "PhVphB", 9, "int16", 15),
        MapPoint("pcc_l3_v", model, "PhVphC", 10, "int16", 15),
        MapPoint("pcc_hz", model, "Hz", 16, "int16", 17),
        MapPoint("export_wh", model, "TotWhExp", 38, "uint32", 54),
        MapPoint("import_wh", model, "TotWhImp", 46, "uint32", 54),
    )


# Where we write. 704: eleven registers from WSetEna arm set point and reversion in one FC16; the loop reads them back with the two of
# WSetRvrtRem behind them, after each write and once a second.
WSET_FIRST = 22
WSET_COUNT = 11
WSET_READ_BACK = 13
READ_BACK_S = 1.0
WSET_SF = 55
# Twelve registers from VarSetEna, read back with the two of VarSetRvrtRem.
VARSET_FIRST = 35
VARSET_COUNT = 12
VARSET_READ_BACK = 14
VARSET_SF = 57
ES = 2
SERIAL = 50
CONTROLLER_HB = 5
OP_CTL = 8
BMS_CTRL_HB = 19
BMS_SET_OP = 50


@dataclass(frozen=True, slots=True)
class CurveMap:
    """A curve model. Offsets from its ID register: NPt, NCrv and the scale factors, which the loop verifies at each connect."""

    kind: str
    model: int
    x_sf: tuple[str, int]
    y_sf: tuple[str, int]
    s_sf: tuple[str, int] | None


CURVE_POINTS, CURVE_SETS = 5, 6
CURVES = (
    CurveMap("volt_var", 705, ("V_SF", 12), ("DeptRef_SF", 13), ("RspTms_SF", 14)),
    CurveMap("volt_watt", 706, ("V_SF", 12), ("DeptRef_SF", 13), ("RspTms_SF", 14)),
    CurveMap("watt_var", 712, ("W_SF", 12), ("DeptRef_SF", 13), None),
)

# Models without which a device of that kind is none.
NEEDED_MODELS = {"pcs": (1, 701, 704), "bms": (1, 802, 803), "meter": (1,)}
