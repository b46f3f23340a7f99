"""The offsets of the SunSpec profiles hold against the model definitions of pysunspec2 (the SunSpec Alliance's own)."""

from collections.abc import Iterator

import pytest
from sunspec2.device import get_model_def

from bessctl.config import profiles
from bessctl.devices.profile import At, FactorRule, FieldRule, PointRule, Profile, WriteRule

KINDS = {
    "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32", "uint64": "uint64", "enum16": "enum16",
    "bitfield16": "bits16", "bitfield32": "bits32", "acc32": "uint32", "sunssf": "sunssf",
}  # fmt: skip
SIZES = {"uint16": 1, "enum16": 1}
WRITTEN_AS = {"enum16": "uint16", "bits16": "uint16"}

ALL = [loaded.profile for name in profiles.names() if (loaded := profiles.load(name)).profile.map == "sunspec"]


def flat(model: int) -> dict[str, tuple[int, str, str | None, int]]:
    """name -> offset, type, scale factor's name, size; the first instance of each repeating group as `group.point`."""
    group = get_model_def(model)["group"]
    found, offset = {}, 0
    for prefix, points in (("", group["points"]), *((f"{g['name']}.", g["points"]) for g in group.get("groups", []))):
        for point in points:
            found[prefix + point["name"]] = (offset, point["type"], point.get("sf"), point["size"])
            offset += point["size"]
    return found


def public(at: At) -> list[int]:
    """The models of the standard that something may stand in; a maker's own models are for the image tests."""
    return [model for model in at.models() if model < 64000]


def points() -> Iterator[tuple[Profile, PointRule, int]]:
    for profile in ALL:
        for point in profile.points:
            yield from ((profile, point, model) for model in public(point))


@pytest.mark.parametrize(
    ("profile", "point", "model"), list(points()), ids=lambda v: getattr(v, "name", None) or getattr(v, "profile", str(v))
)
def test_each_point_stands_where_the_standard_puts_it(profile: Profile, point: PointRule, model: int) -> None:
    offset, kind, scale, _ = flat(model)[point.name]
    assert (point.offset, point.type) == (offset, KINDS[kind])
    assert point.sf == (None if scale is None else flat(model)[scale][0])


def written() -> Iterator[tuple[str, WriteRule, FieldRule, int]]:
    for profile in ALL:
        for program, _, rules in profile.programs():
            for rule in rules:
                offset = rule.offset or 0
                for field in rule.fields:
                    offset = offset if field.at is None else (rule.offset or 0) + field.at
                    if public(rule):
                        yield f"{profile.profile}-{program}-{field.name}", rule, field, offset
                    offset += 2 if field.type in {"int32", "uint32", "float32"} else 1


@pytest.mark.parametrize(("rule", "field", "offset"), [pytest.param(*rest, id=name) for name, *rest in written()])
def test_what_is_written_stands_where_the_standard_puts_it(rule: WriteRule, field: FieldRule, offset: int) -> None:
    at, kind, _, _ = flat(public(rule)[0])[field.name]
    assert (offset, field.type) == (at, WRITTEN_AS.get(KINDS[kind], KINDS[kind]))
    assert all(name in flat(public(rule)[0]) for name in rule.needs)


@pytest.mark.parametrize(("name", "factor"), [(name, f) for p in ALL for name, f in p.factors.items() if public(f)])
def test_a_factor_is_the_point_it_is_named_after(name: str, factor: FactorRule) -> None:
    offset, kind, _, _ = flat(public(factor)[0])[name]
    assert (factor.offset, factor.type) == (offset, KINDS[kind])


@pytest.mark.parametrize("profile", ALL, ids=lambda p: p.profile)
def test_a_read_holds_all_its_points_with_their_scale_factors_in_one_request(profile: Profile) -> None:
    for rule in profile.reads:
        for point in (p for p in profile.points if set(p.models()) & set(rule.models())):
            for model in set(public(point)) & set(rule.models()):
                size = flat(model)[point.name][3]
                first = rule.offset or 0
                assert first <= (point.offset or 0) <= first + rule.count - size
                assert point.sf is None or first <= point.sf < first + rule.count


@pytest.mark.parametrize("profile", ALL, ids=lambda p: p.profile)
def test_every_point_is_read_by_some_request(profile: Profile) -> None:
    asked = {model for rule in profile.reads for model in rule.models()}
    assert {model for point in profile.points for model in point.models()} <= asked
