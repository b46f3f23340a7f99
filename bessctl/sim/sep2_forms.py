"""The XML of controls as the scripted 2030.5 server writes them, element by element. By hand: it shares no code with the client's codec."""

from __future__ import annotations

from typing import Any

AUS = {"import_w": "opModImpLimW", "export_w": "opModExpLimW", "generation_w": "opModGenLimW", "load_w": "opModLoadLimW"}
MODES = (
    "connect", "energize", "fixed_pf_absorb", "fixed_pf_inject", "fixed_var", "fixed_w", "max_lim_w", "target_var", "target_w", "volt_var",
    "volt_watt", "watt_var", "ramp_tms", *AUS,
)  # fmt: skip
"""In schema order."""
DEMANDS = ("load_reduction", "duty_cycle", "load_adjustment", "set_point", "target_w_reduction")
"""What an EndDeviceControl may ask for."""
CURVE_TYPES = {"volt_var": 11, "volt_watt": 12, "watt_pf": 13, "watt_var": 14}


def power(name: str, watts: int) -> str:
    """An ActivePower, with a multiplier where an int16 is too small."""
    exponent = 0
    while abs(watts) > 32767:
        watts, exponent = round(watts / 10), exponent + 1
    return f"<{name}><multiplier>{exponent}</multiplier><value>{watts}</value></{name}>"


FORMS = {
    "connect": "<opModConnect>{0}</opModConnect>",
    "energize": "<opModEnergize>{0}</opModEnergize>",
    "fixed_w": "<opModFixedW>{0}</opModFixedW>",
    "max_lim_w": "<opModMaxLimW>{0}</opModMaxLimW>",
    "volt_var": '<opModVoltVar href="{0}"/>',
    "volt_watt": '<opModVoltWatt href="{0}"/>',
    "watt_var": '<opModWattVar href="{0}"/>',
    "ramp_tms": "<rampTms>{0}</rampTms>",
}


def mode(name: str, value: Any) -> str:
    """One element of a DERControlBase. A pair is [refType, value] of opModFixedVar, [hundredths, absorbing] of a power factor."""
    if name == "target_w" or name in AUS:
        return power(f"csipaus:{AUS[name]}" if name in AUS else "opModTargetW", value)
    if name == "target_var":
        return power("opModTargetVar", value)
    if name == "fixed_var":
        reference, share = value if isinstance(value, list | tuple) else (1, value)
        return f"<opModFixedVar><refType>{reference}</refType><value>{share}</value></opModFixedVar>"
    if name in {"fixed_pf_inject", "fixed_pf_absorb"}:
        factor, absorbing = value if isinstance(value, list | tuple) else (value, False)
        tag = "opModFixedPFInjectW" if name == "fixed_pf_inject" else "opModFixedPFAbsorbW"
        excitation = f"<excitation>{str(bool(absorbing)).lower()}</excitation>"
        return f"<{tag}><displacement>{factor}</displacement>{excitation}<multiplier>-2</multiplier></{tag}>"
    if name in {"connect", "energize"}:
        value = str(bool(value)).lower()
    return FORMS[name].format(value)


def base(modes: dict[str, Any]) -> str:
    """A DERControlBase. Raises ValueError for a mode that has no name here."""
    unknown = modes.keys() - set(MODES)
    if unknown:
        raise ValueError(f"no mode {', '.join(sorted(unknown))}; there are {', '.join(MODES)}")
    return "<DERControlBase>" + "".join(mode(name, modes[name]) for name in MODES if name in modes) + "</DERControlBase>"


def demand(asks: dict[str, Any], category: int) -> str:
    """What stands in an EndDeviceControl behind its randomisation. Raises ValueError."""
    unknown = asks.keys() - set(DEMANDS)
    if unknown:
        raise ValueError(f"no demand {', '.join(sorted(unknown))}; there are {', '.join(DEMANDS)}")
    parts = [f"<deviceCategory>{category:08X}</deviceCategory><drProgramMandatory>true</drProgramMandatory>"]
    if "load_reduction" in asks:
        parts.insert(0, f"<ApplianceLoadReduction><type>{asks['load_reduction']}</type></ApplianceLoadReduction>")
    if "duty_cycle" in asks:
        parts.append(f"<DutyCycle><normalValue>{asks['duty_cycle']}</normalValue></DutyCycle>")
    parts.append("<loadShiftForward>false</loadShiftForward>")
    if "load_adjustment" in asks:
        share = asks["load_adjustment"]
        parts.append(f"<Offset><loadAdjustmentPercentageOffset>{share}</loadAdjustmentPercentageOffset></Offset>")
    if "set_point" in asks:
        parts.append(f"<SetPoint><coolingSetpoint>{asks['set_point']}</coolingSetpoint></SetPoint>")
    if "target_w_reduction" in asks:
        parts.append(f"<TargetReduction><type>2</type><value>{asks['target_w_reduction']}</value></TargetReduction>")
    return "".join(parts)


def curve(place: str, kind: str, points: list[tuple[int, int]], reference: int, open_loop_tms: int | None) -> str:
    """A DERCurve in hundredths of a percent either way."""
    data = "".join(f"<CurveData><xvalue>{x}</xvalue><yvalue>{y}</yvalue></CurveData>" for x, y in points)
    speed = f"<openLoopTms>{open_loop_tms}</openLoopTms>" if open_loop_tms is not None else ""
    mrid = place.encode().hex().upper()[-32:]
    return (
        f'<DERCurve href="{place}"><mRID>{mrid}</mRID><creationTime>1</creationTime>{data}<curveType>{CURVE_TYPES[kind]}</curveType>{speed}'
        f"<xMultiplier>-2</xMultiplier><yMultiplier>-2</yMultiplier><yRefType>{reference}</yRefType></DERCurve>"
    )
