"""A profile in words: what it reads, what it writes and when, for `bessctl profile show`. Pure."""

from __future__ import annotations

from typing import Any

from bessctl.devices.profile import At, FieldRule, PointRule, Profile


def described(profile: Profile) -> dict[str, Any]:
    """Everything, as data."""
    dog = profile.commands.watchdog
    return {
        "device": {
            "profile": profile.profile,
            "description": profile.description,
            "kind": profile.kind,
            "map": profile.map,
            "word order": profile.word_order + (" (the site may say otherwise)" if profile.word_order_is_option else ""),
            **({} if dog is None else {"watchdog": f"{dog.kind}, time-out {dog.timeout_s}"}),
        },
        "points": [_point(point) for point in profile.points],
        "writes": [
            {"for": program, "where": _where(rule), "what": ", ".join(map(_field, rule.fields)), "when": " ".join(rule.when)}
            for program, _, rules in profile.programs()
            for rule in rules
        ],
        "references": [f"{reference.title}, {reference.where}" for reference in profile.references],
    }


def _where(at: At) -> str:
    return str(at.register_) if at.register_ is not None else f"{'/'.join(map(str, at.models()))}+{at.offset}"


def _point(point: PointRule) -> dict[str, str]:
    made = [f"x {point.scale:g}"] if point.scale != 1 else []
    made += [f"x 10^{point.sf}"] if point.sf is not None else []
    made += [f"x {point.factor}"] if point.factor is not None else []
    made += [f"+ {point.add:g}"] if point.add else []
    made += [f"sign by {_where(point.sign)} & {point.sign.mask:#x}"] if point.sign is not None else []
    made += [f"{len(point.codes)} codes"] if point.codes else []
    return {"quantity": point.quantity, "where": _where(point), "type": point.type, "pace": point.pace, "made": " ".join(made)}


def _field(field: FieldRule) -> str:
    name = f"{field.name} = " if field.name else ""
    if field.value == "const":
        return f"{name}{field.number}"
    if field.value == "direction":
        return f"{name}{field.charging}/{field.idle}/{field.discharging} charging/idle/discharging"
    return f"{name}{field.quantity if field.value == 'measured' else field.value}"
