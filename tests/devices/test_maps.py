"""The flat offsets hold against the model definitions of pysunspec2 (the SunSpec Alliance's own)."""

import pytest
from sunspec2.device import get_model_def

from bessctl.devices import maps
from bessctl.devices.maps import MapPoint

KINDS = {
    "int16": "int16", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "enum16": "enum16", "bitfield32": "bits32",
    "acc32": "uint32",
}  # fmt: skip

ALL = [*maps.PCS_POINTS, *maps.BMS_POINTS, *maps.STORAGE_POINTS, *(p for model in maps.METERS for p in maps.meter_points(model))]


def flat(model: int) -> dict[str, tuple[int, str, str | None, int]]:
    """name -> offset, type, scale factor's name, size; the first instance of each repeating group as `group.point`."""
    group = get_model_def(model)["group"]
    found, offset = {}, 0
    for prefix, points in (("", group["points"]), *((f"{g['name']}.", g["points"]) for g in group.get("groups", []))):
        for point in points:
            found[prefix + point["name"]] = (offset, point["type"], point.get("sf"), point["size"])
            offset += point["size"]
    return found


@pytest.mark.parametrize("point", ALL, ids=lambda p: f"{p.model}-{p.name}")
def test_each_point_stands_where_the_standard_puts_it(point: MapPoint) -> None:
    offset, kind, scale, _ = flat(point.model)[point.name]
    assert (point.offset, point.kind) == (offset, KINDS[kind])
    assert point.sf == (None if scale is None else flat(point.model)[scale][0])


@pytest.mark.parametrize(
    ("model", "name", "offset"),
    [
        (704, "WSetEna", maps.WSET_FIRST), (704, "WSetRvrtTms", maps.WSET_FIRST + maps.WSET_COUNT - 2),
        (704, "WSetRvrtRem", maps.WSET_FIRST + maps.WSET_COUNT), (704, "WSet_SF", maps.WSET_SF), (704, "VarSetEna", maps.VARSET_FIRST),
        (704, "VarSetRvrtTms", maps.VARSET_FIRST + maps.VARSET_COUNT - 2), (704, "VarSetRvrtRem", maps.VARSET_FIRST + maps.VARSET_COUNT),
        (704, "VarSet_SF", maps.VARSET_SF), (703, "ES", maps.ES),
        (715, "ControllerHb", maps.CONTROLLER_HB), (715, "OpCtl", maps.OP_CTL), (802, "CtrlHb", maps.BMS_CTRL_HB),
        (802, "SetOp", maps.BMS_SET_OP), (1, "SN", maps.SERIAL),
    ],
)  # fmt: skip
def test_what_is_written_stands_where_the_standard_puts_it(model: int, name: str, offset: int) -> None:
    assert flat(model)[name][0] == offset


@pytest.mark.parametrize("read", maps.READS, ids=lambda r: str(r.model))
def test_a_read_holds_all_its_points_with_their_scale_factors_in_one_request(read: maps.MapRead) -> None:
    assert read.count <= 125
    for point in (p for p in ALL if p.model == read.model):
        _, _, _, size = flat(point.model)[point.name]
        assert read.offset <= point.offset <= read.offset + read.count - size
        assert point.sf is None or read.offset <= point.sf < read.offset + read.count
