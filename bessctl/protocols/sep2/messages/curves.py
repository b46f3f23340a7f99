"""DERCurve: what opModVoltVar, opModVoltWatt and opModWattVar refer to."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import BOOL, IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.resources import Listing


@record()
class CurveData:
    """One point, in units of 10^xMultiplier and 10^yMultiplier. `excitation` belongs to power-factor curves."""

    excitation: bool | None = el("excitation", BOOL, default=None)
    x: int = el("xvalue", INT)
    y: int = el("yvalue", INT)


@record("DERCurve")
class DerCurve:
    """curveType 11 Volt-Var, 12 Volt-Watt, 14 Watt-Var; openLoopTms in hundredths of a second. yRefType: see REFERENCES of modes."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str | None = el("mRID", IDENT, default=None)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    auto_vref: bool | None = el("autonomousVRefEnable", BOOL, default=None)
    auto_vref_tms: int | None = el("autonomousVRefTimeConstant", INT, default=None)
    creation_s: int | None = el("creationTime", INT, default=None)
    points: tuple[CurveData, ...] = el("CurveData", of(CurveData), many=True, default=())
    curve_type: int = el("curveType", INT)
    open_loop_tms: int | None = el("openLoopTms", INT, default=None)
    ramp_dec_tms: int | None = el("rampDecTms", INT, default=None)
    ramp_inc_tms: int | None = el("rampIncTms", INT, default=None)
    ramp_pt1_tms: int | None = el("rampPT1Tms", INT, default=None)
    vref: int | None = el("vRef", INT, default=None)
    x_multiplier: int = el("xMultiplier", INT)
    y_multiplier: int = el("yMultiplier", INT)
    y_ref_type: int = el("yRefType", INT)


@record("DERCurveList")
class DerCurveList(Listing):
    """A program's curves. Has no pollRate: it is polled at that of its DERProgramList."""

    items: tuple[DerCurve, ...] = el("DERCurve", of(DerCurve), many=True, default=())
