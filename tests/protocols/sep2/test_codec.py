"""XML both ways: schema order, what is skipped, what is refused; identities. A second reader (PyPI envoy-schema) reads what we write."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessctl.protocols.sep2.messages import codec
from bessctl.protocols.sep2.messages.codec import LAYOUTS, Malformed, decode, encode
from bessctl.protocols.sep2.messages.control import DerControl, DerControlBase, DerControlList, EventStatus, Interval
from bessctl.protocols.sep2.messages.der import DerCapability, DerSettings, DerStatus, Stated
from bessctl.protocols.sep2.messages.identity import lfdi_of, pin_sound, pin_with_check, sfdi_of, sfdi_text
from bessctl.protocols.sep2.messages.resources import Time
from bessctl.protocols.sep2.messages.values import Scaled, scaled
from bessctl.sim.sep2_tree import HOSTILE

NS = "urn:ieee:std:2030.5:ns"
CONTROL = DerControl(
    href="/c/1", reply_to="/r", response_required=3, mrid="0A1B", creation_s=5, status=EventStatus(current=0, at_s=5),
    interval=Interval(duration_s=60, start_s=100), base=DerControlBase(target_w=scaled(-50_000), ramp_tms=500),
)  # fmt: skip


@pytest.mark.parametrize(
    ("lfdi", "sfdi"),
    [
        ("3E4F45AB31EDFE5B67E343E5E4562E31984E23E5", 167261211391),
        ("6FA46EB8F6B5CA7A8037C408A052F9A776AA1E87", 299687555996),
        ("0000000000000000000000000000000000000000", 0),
    ],
)
def test_identities(lfdi: str, sfdi: int) -> None:
    """SEP2-3."""
    assert sfdi_of(lfdi) == sfdi
    assert len(sfdi_text(sfdi)) == 12


def test_an_lfdi_is_the_first_twenty_bytes_of_the_fingerprint() -> None:
    assert lfdi_of(b"abc") == "BA7816BF8F01CFEA414140DE5DAE2223B00361A3"


def test_a_pin_carries_its_check_digit() -> None:
    assert pin_with_check(11111) == 111115
    assert pin_sound(111115)
    assert not pin_sound(111114)
    with pytest.raises(ValueError, match="five digits"):
        pin_with_check(123456)


@given(st.integers(0, 99_999))
def test_a_checked_pin_is_sound_and_its_neighbours_are_not(five: int) -> None:
    pin = pin_with_check(five)
    assert pin_sound(pin)
    assert not any(pin_sound(five * 10 + digit) for digit in range(10) if digit != pin % 10)


@pytest.mark.parametrize(
    ("watts", "value", "multiplier"),
    [(45_678, 4568, 1), (32_767, 32_767, 0), (32_768, 3277, 1), (-200_000, -20_000, 1), (0, 0, 0), (1e9, 10_000, 5), (0.4, 0, 0)],
)
def test_a_power_fits_an_int16_with_a_multiplier(watts: float, value: int, multiplier: int) -> None:
    assert scaled(watts) == Scaled(value=value, multiplier=multiplier)


@given(st.floats(-1e9, 1e9))
def test_a_power_survives_the_wire_to_four_digits(watts: float) -> None:
    wired = scaled(watts)
    assert wired.sound
    assert wired.si == pytest.approx(watts, abs=max(0.5, abs(watts) * 2e-4))


def test_what_is_written_is_read_back() -> None:
    assert decode(encode(CONTROL), DerControl) == CONTROL


def test_elements_stand_in_schema_order() -> None:
    """The schema is a sequence; the order of our fields is the order on the wire."""
    text = encode(CONTROL).decode()
    places = [
        text.index(f"<{tag}>") for tag in ("mRID", "creationTime", "EventStatus", "interval", "DERControlBase", "opModTargetW", "rampTms")
    ]
    assert places == sorted(places)
    assert text.index("<duration>") < text.index("<start>")
    assert text.index("<multiplier>") < text.index("<value>")


def test_the_extension_has_its_own_namespace_and_is_absent_without_need() -> None:
    plain = encode(CONTROL).decode()
    assert "csipaus" not in plain
    limited = encode(control_with(export_limit=scaled(5000))).decode()
    assert 'xmlns:csipaus="https://csipaus.org/ns"' in limited
    assert "<csipaus:opModExpLimW>" in limited


def control_with(**modes: Any) -> DerControl:
    return DerControl(
        mrid="01", creation_s=1, status=EventStatus(current=0), interval=Interval(duration_s=1, start_s=1), base=DerControlBase(**modes)
    )


@pytest.mark.parametrize("version", ["", "/v1.0", "/v1.1", "/v1.2", "/v1.3"])
def test_every_edition_of_the_extension_is_read(version: str) -> None:
    text = encode(control_with(export_limit=scaled(5000))).decode().replace("https://csipaus.org/ns", f"https://csipaus.org/ns{version}")
    assert decode(text.encode(), DerControl).base.export_limit == scaled(5000)


def test_what_is_unknown_is_skipped() -> None:
    text = f"""<Time xmlns="{NS}" xmlns:x="urn:x" href="/tm" x:odd="1" pollRate="60" new="y"><!-- c --><?pi?>
      <x:more><currentTime>9</currentTime></x:more><currentTime> 1000 </currentTime><later><deep/></later><quality>7</quality></Time>"""
    assert decode(text.encode(), Time) == Time(href="/tm", poll_rate_s=60, current_s=1000, quality=7)


def test_an_item_that_cannot_be_read_costs_only_itself() -> None:
    good = encode(CONTROL).decode().split("?>", 1)[1].strip()
    bad = good.replace("<start>100</start>", "<start>soon</start>")
    notes: list[str] = []
    text = f'<DERControlList xmlns="{NS}" all="3" results="3">{good}{bad}{good}</DERControlList>'
    assert len(decode(text.encode(), DerControlList, notes).items) == 2
    assert "'soon' is no whole number" in notes[0]


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_xml_is_refused_at_once(kind: str) -> None:
    """Bombs, external entities, depth, size, half a document, another language: refused in the time of a blink, and nothing is fetched."""
    began = time.process_time()
    with pytest.raises(Malformed):
        decode(HOSTILE[kind], Time)
    assert time.process_time() - began < 5


def test_other_encodings_are_refused() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        decode(f'<Time xmlns="{NS}"><currentTime>1</currentTime></Time>'.encode("utf-16"), Time)


def test_nesting_has_an_end() -> None:
    deep = f'<Time xmlns="{NS}">' + "<a>" * 300 + "</a>" * 300 + "</Time>"
    with pytest.raises(Malformed):
        decode(deep.encode(), Time)


@pytest.mark.parametrize("record", [codec.ROOTS[tag] for tag in sorted(codec.ROOTS)])
def test_every_document_survives_its_own_wire(record: Any) -> None:
    """Each record with every field filled: written, read, equal. A field of the wrong kind or a name written twice would show."""
    value = filled(record)
    assert decode(encode(value), record) == value


def filled(record: Any) -> Any:
    values: dict[str, Any] = {}
    for name, wire in LAYOUTS[record].order:
        kind = wire.kind
        if kind.record is not None:
            value: Any = filled(kind.record)
        else:
            value = {codec.INT: 7, codec.BOOL: True, codec.TEXT: "text", codec.IDENT: "0A"}.get(kind, 5)
        values[name] = (value,) if wire.many else value
    return record(**values)


# --- the second reader ------------------------------------------------------------------------------------------------------------------


def read_by_envoy(body: bytes, model: Any) -> Any:
    """envoy-schema knows one edition of the extension's namespace."""
    return model.from_xml(body.replace(b'"https://csipaus.org/ns"', b'"https://csipaus.org/ns/v1.3"'))


def test_a_second_reader_understands_our_reports() -> None:
    """SEP2-6, -7, -8 as PyPI's envoy-schema reads them."""
    from envoy_schema.server.schema.sep2 import der as envoy  # noqa: PLC0415

    capability = DerCapability(
        modes_supported=0x5000CF, max_charge_rate=scaled(160_000), max_discharge_rate=scaled(200_000), max_w=scaled(200_000),
        max_wh=scaled(400_000), type=80, doe_modes_supported=15,
    )  # fmt: skip
    read = read_by_envoy(encode(capability), envoy.DERCapability)
    assert (read.rtgMaxChargeRateW.value, read.rtgMaxChargeRateW.multiplier) == (16_000, 1)
    assert (read.rtgMaxW.value * 10**read.rtgMaxW.multiplier, read.rtgMaxWh.value * 10**read.rtgMaxWh.multiplier) == (200_000, 400_000)
    assert (read.modesSupported, read.type_, read.doeModesSupported) == ("005000CF", 80, "0F")
    settings = DerSettings(
        modes_enabled=0x5000CF, grad_w=0, max_charge_rate=scaled(160_000), max_w=scaled(200_000), updated_s=5, doe_modes_enabled=15
    )
    assert read_by_envoy(encode(settings), envoy.DERSettings).setMaxChargeRateW.value == 16_000
    status = DerStatus(reading_s=1000, soc=Stated(at_s=1000, value=5550))
    read = read_by_envoy(encode(status), envoy.DERStatus)
    assert (read.readingTime, read.stateOfChargeStatus.value) == (1000, 5550)


def test_we_understand_a_second_writer() -> None:
    from envoy_schema.server.schema.sep2 import der as envoy  # noqa: PLC0415

    theirs = envoy.DERControlListResponse.from_xml(
        re.sub(rb"<\?xml.*?\?>\s*", b"", encode(DerControlList(all=1, results=1, items=(CONTROL,)))).replace(
            b"<currentStatus>0</currentStatus><dateTime>5</dateTime>",
            b"<currentStatus>0</currentStatus><dateTime>5</dateTime><potentiallySuperseded>false</potentiallySuperseded>",
        )
    )
    again = theirs.to_xml(skip_empty=True)
    ours = decode(again if isinstance(again, bytes) else again.encode(), DerControlList).items[0]
    assert (ours.mrid, ours.interval, ours.base.target_w, ours.base.ramp_tms) == ("0A1B", CONTROL.interval, scaled(-50_000), 500)
