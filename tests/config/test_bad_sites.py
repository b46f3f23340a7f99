"""A wrong site file is told with file:line:column, the key, what is wrong, what is allowed and what to do; all of it at once."""

import pytest

from bessctl.config.load import load_site, site_from_text
from bessctl.errors import BessctlError, ConfigError
from tests.sites import EXAMPLE, changed_example

TEXT = EXAMPLE.read_text()


def line_of(text: str) -> int:
    """Line of the first occurrence in the example."""
    return TEXT[: TEXT.index(text)].count("\n") + 1


def told(*changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        changed_example(*changes)
    return str(caught.value)


# (what is changed, into what, column of the complaint, key, words)
ONE_KEY = [
    # unknown, missing, misspelt
    ("  rate_hz: 100 ", "  rate_hx: 100 ", 3, "loop.rate_hx", "unknown key; did you mean 'rate_hz'?"),
    ("    class: contract\n", "    clas: contract\n", 5, "sources[1].clas", "did you mean 'class'?"),
    ("{host: 127.0.0.1, port", "{hots: 127.0.0.1, port", 11, "buses[0].tcp.hots", "did you mean 'host'?"),
    ("  pack_v_high:\n", "  pack_v_hihg:\n", 3, "protection.pack_v_hihg", "did you mean 'pack_v_high'?"),
    ("    trip:   {pickup_v: 3.65,", "    trip:   {pickup: 3.65,", 14, "protection.cell_v_high.trip.pickup", "did you mean 'pickup_v'?"),
    ("    kind: pcs ", "    kind: psc ", 5, "devices[0].kind", "'psc' is not one of pcs, bms, meter, io; did you mean 'pcs'?"),
    # types and ranges
    ("  rate_hz: 100 ", "  rate_hz: 5000 ", 3, "loop.rate_hz", "5000 is too large; allowed: a number from 10 to 1000"),
    ("  rate_hz: 100 ", "  rate_hz: fast ", 3, "loop.rate_hz", "'fast' is not a number; allowed: a number from 10 to 1000"),
    ("  rate_hz: 100 ", "  rate_hz: .nan ", 3, "loop.rate_hz", "is not a finite number"),
    ("    modbus_id: 1\n", "    modbus_id: 300\n", 5, "devices[0].modbus_id", "allowed: a whole number from 1 to 247"),
    ("    modbus_id: 1\n", "    modbus_id: 1.5\n", 5, "devices[0].modbus_id", "is not a whole number"),
    ("    reversion_s: 5 ", "    reversion_s: 5.5 ", 5, "units[0].reversion_s", "is not a whole number"),
    ("    required: true ", "    required: 'yes' ", 5, "sources[1].required", "is neither true nor false"),
    ("site: demo ", "site: Demo ", 1, "site", "is not in the form expected"),
    # ours among themselves
    ("    bus: lan\n    modbus_id: 1", "    bus: lam\n    modbus_id: 1", 5, "devices[0].bus", "there is no bus 'lam'; did you mean 'lan'?"),
    ("    pcs: pcs1\n", "    pcs: bms1\n", 5, "units[0].pcs", "device 'bms1' is a bms, wanted: a pcs"),
    ("    modbus_id: 3\n", "    modbus_id: 2\n", 5, "devices[2].modbus_id", "is 'bms1' already"),
    ("  - name: ocpp  ", "  - name: ems  ", 5, "sources[2].name", "'ems' stands already in sources[1]"),
    ("    priority: 30\n", "    priority: 20\n", 5, "sources[2].priority", "'priority 20' stands already in sources[1]"),
    ("    tcp: {host", "    rtu: {device: /dev/ttyS0, baud: 9600}\n    tcp: {host", 5, "buses[0]", "needs exactly one of tcp and rtu"),
    ("    lease_s: 60 ", "    lease_s: 600 ", 7, "ocpp.links[0].lease_s", "is above lease_max_s 300 of source 'ocpp'"),
    ("      allow_plain: true ", "      allow_plain: false ", 7, "ocpp.links[0].url", "is not encrypted; use wss://"),
    ("      remote_start_w: 150000 ", "      remote_start_w: 900000 ", 7, "ocpp.links[0].remote_start_w", "is beyond the units' 200000 W"),
    ("  source: ocpp  ", "  source: ocp  ", 3, "ocpp.source", "there is no source 'ocp'; did you mean 'ocpp'?"),
    # ratings and rules
    ("    charge_max_w: 200000\n", "    charge_max_w: 220000\n", 5, "units[0].charge_max_w", "is beyond apparent_max_va 210000"),
    ("    reversion_s: 5 ", "    reversion_s: 7 ", 5, "units[0].reversion_s", "runs on for 11 s (1.5 x reversion_s + ramp_to_zero_s)"),
    ("    data_age_s: 0.5 ", "    data_age_s: 0.1 ", 5, "units[0].data_age_s", "is below 3 refresh times of 'pcs1'"),
    ("    confirm_s: 2 ", "    confirm_s: 1 ", 5, "units[0].confirm_s", "leaves no time for a read-back of 'pcs1'"),
    ("    pack_min_v: 650 ", "    pack_min_v: 700 ", 5, "units[0].pack_min_v", "is above the trip of protection.pack_v_low at 655"),
    # the connection
    ("  meter_hold_s: 5 ", "  meter_data_age_s: 0.1\n  meter_hold_s: 5 ", 3, "pcc.meter_data_age_s", "below 3 refresh times of 'meter1'"),
    ("  meter_hold_s: 5 ", "  meter_data_age_s: 6\n  meter_hold_s: 5 ", 3, "pcc.meter_data_age_s", "is above meter_hold_s 5"),
    ("  meter_hold_s: 5 ", "  phase_max_a: 0\n  meter_hold_s: 5 ", 3, "pcc.phase_max_a", "0 is too small"),
    ("  meter_hold_s: 5 ", "  meter_delay_s: 6\n  meter_hold_s: 5 ", 3, "pcc.meter_delay_s", "6 is too large"),
    # sources
    (
        "    default_limits: {pcc_lo_w: -250000, pcc_hi_w: 250000}\n", "", 5, "sources[1].required",
        "a required source needs default_limits for the time before its first plan (R7)",
    ),
    (
        "pcc_lo_w: -250000, pcc_hi_w: 250000", "pcc_lo_w: 250000, pcc_hi_w: -1", 22,
        "sources[1].default_limits.pcc_lo_w", "is above pcc_hi_w",
    ),
    ("pcc_lo_w: -250000, pcc_hi_w: 250000", "ess_hi_w: 300000", 22, "sources[1].default_limits.ess_hi_w", "beyond the units' 200000 W"),
    ("pcc_lo_w: -250000, pcc_hi_w: 250000", "ess_hi_w: -1", 22, "sources[1].default_limits.ess_hi_w", "allowed: a number from 0"),
    (
        "    lease_max_s: 300\n", "    lease_max_s: 300\n    may_force: both\n", 5,
        "sources[2].may_force", "only a pcc limit can force power",
    ),
    ("    required: true  ", "    advisory: true  ", 5, "sources[1].advisory", "only class market may be advisory"),
    # rows
    (
        "dropoff_v: 3.45, pickup_delay_s: 0.2", "dropoff_v: 3.70, pickup_delay_s: 0.2", 30,
        "protection.cell_v_high.trip.dropoff_v", "not below pickup 3.65",
    ),
    ("dropoff_v: 2.95, ", "dropoff_v: 2.60, ", 30, "protection.cell_v_low.trip.dropoff_v", "is not above pickup 2.7"),
    (
        "    trip:   {pickup_c: 58,", "    trip:   {pickup_c: 44,", 5,
        "protection.cell_temp_high.trip", "picks up at 44, derate at 45; allowed: warn, derate, trip in this order",
    ),
    ("[50, 0.5], [55, 0.0]", "[50, 0.5], [59, 0.0]", 14, "protection.cell_temp_high.derate.curve", "ends at 59, beyond the trip at 58"),
    ("[50, 0.5], [55, 0.0]", "[50, 0.5], [55, 0.6]", 14, "protection.cell_temp_high.derate.curve", "more power where it is more dangerous"),
    ("[50, 0.5], [55, 0.0]", "[56, 0.5], [55, 0.0]", 14, "protection.cell_temp_high.derate.curve", "do not rise"),
    ("[50, 0.5], [55, 0.0]", "[50, 1.5], [55, 0.0]", 14, "protection.cell_temp_high.derate.curve", "leave 0 to 1"),
    (
        "{pickup_pct: 95, dropoff_pct: 93, action: block, ", "{pickup_pct: 95, dropoff_pct: 93, ", 5,
        "protection.soc_high.derate", "needs action: block",
    ),
    ("trip:   {pickup_v: 3.65", "trip:   {pickup_v: 36.5", 14, "protection.cell_v_high.trip.pickup_v", "allowed: from 0.5 to 6"),
    ("trip:   {pickup_s: 1.0", "trip:   {pickup_s: 0.12", 5, "protection.pcs_data_age.trip", "picks up at 0.12, warn at 0.3"),
    (
        "warn:   {pickup_s: 0.3, dropoff_s: 0.2,", "warn:   {pickup_s: 0.1, dropoff_s: 0.05,", 14,
        "protection.pcs_data_age.warn.pickup_s", "below 3 refresh times of 'pcs1'",
    ),
    ("soc_low:\n", "soc_low:\n    disabled: none needed\n", 5, "protection.soc_low.disabled", "a disabled row has no tiers"),
    (
        "    derate: {pickup_pct: 5, ", "    # {pickup_pct: 5, ", 3,
        "protection.soc_low", "needs a tier derate or trip: a warning alone protects nothing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "column", "key", "words"), ONE_KEY, ids=[f"{row[3]}-{n}" for n, row in enumerate(ONE_KEY)])
def test_one_wrong_key_is_told_with_its_place(old: str, new: str, column: int, key: str, words: str) -> None:
    message = next((line for line in told((old, new)).splitlines() if f" {key}: " in line), "")
    place, _, sentence = message.partition(f" {key}: ")
    assert words in sentence, told((old, new))
    file, line, at = place.rstrip(":").rsplit(":", 2)
    assert (file, int(at)) == (str(EXAMPLE), column), message
    changed = TEXT.replace(old, new).splitlines()
    last = key.rsplit(".", 1)[-1].partition("[")[0]
    assert last in changed[int(line) - 1] or key.endswith("]"), message


@pytest.mark.parametrize("row", ["cell_v_high", "cell_v_low", "pack_v_high", "pack_v_low", "cell_temp_high", "cell_temp_low",
                                 "charge_current_high", "discharge_current_high", "soc_high", "soc_low", "pcs_data_age", "bms_data_age",
                                 "meter_data_age"])  # fmt: skip
def test_a_row_that_depends_on_the_pack_has_no_default(row: str) -> None:
    """R14: without it the site is refused, with the row's name; disabling it needs a reason."""
    import re  # noqa: PLC0415

    text, found = re.subn(rf"^  {row}:.*\n(?:    .*\n)*", "", TEXT, flags=re.MULTILINE)
    assert found == 1
    with pytest.raises(ConfigError) as caught:
        site_from_text(text)
    assert f"row {row} is missing" in str(caught.value)
    assert str(caught.value).startswith(f"site.yaml:{line_of('protection:')}:1: protection: ")
    with pytest.raises(ConfigError, match=rf"{row}.disabled: None? ?|disabled"):
        site_from_text(text.replace("protection:\n", f"protection:\n  {row}: {{disabled: ''}}\n"))
    site_from_text(text.replace("protection:\n", f"protection:\n  {row}: {{disabled: monitored by the rack}}\n"))


def test_all_errors_are_told_at_once_in_the_order_of_the_file() -> None:
    message = told(
        ("  rate_hz: 100 ", "  rate_hz: 5 "),
        ("    modbus_id: 2\n", "    modbus_id: 0\n"),
        ("    class: contract\n", "    class: contrac\n"),
    )
    keys = [line.split(" ")[1].rstrip(":") for line in message.splitlines()]
    assert keys == ["loop.rate_hz", "devices[1].modbus_id", "sources[1].class"]


def test_contradictions_are_told_at_once_too() -> None:
    message = told(
        ("    reversion_s: 5 ", "    reversion_s: 9 "), ("    modbus_id: 3\n", "    modbus_id: 2\n"), ("  source: ocpp  ", "  source: x  ")
    )
    assert [line.split(" ")[1].rstrip(":") for line in message.splitlines()] == [
        "devices[2].modbus_id",
        "units[0].reversion_s",
        "ocpp.source",
    ]


def test_without_a_meter_nothing_is_said_about_the_connection_point() -> None:
    message = told(("  meter: meter1\n", ""))
    assert "pcc.import_max_w: a limit at the connection needs its meter" in message
    assert "sources[1].scopes: scope pcc needs a meter" in message
    assert "devices[2].name: nothing uses device 'meter1'" in message


def test_more_units_than_the_layout_holds_are_refused() -> None:
    units = "".join(
        f"  - {{name: u{n}, pcs: pcs1, discharge_max_w: 1000, charge_max_w: 1000, apparent_max_va: 1000, capacity_wh: 1000,\n"
        "     pack_min_v: 50, efficiency: 0.9, reversion_s: 5, ramp_to_zero_s: 0, data_age_s: 1}\n"
        for n in range(16)
    )
    assert "units: 17 entries; allowed: at most 16" in told(("units:     ", f"units:\n{units}  #"))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "the file is empty"),
        ("- a\n- b\n", "1:1", "no set of keys"),
        ("site: demo\nsite: other\n", "2:1", "correct the YAML here"),  # a key twice
        ("site: [demo\n", "2:1", "correct the YAML here"),
        ("site:\tdemo\n\t- x\n", "1:6", "correct the YAML here"),
        ("site: \x00\n", "1:1", ""),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_from_text(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"site.yaml:{place}:")


def test_a_file_that_is_not_there_is_not_reachable() -> None:
    with pytest.raises(BessctlError) as caught:
        load_site(EXAMPLE.with_name("none.yaml"))
    assert caught.value.exit_code == 3


def test_a_slow_line_is_judged_by_the_time_it_needs() -> None:
    """R4: at 9600 baud one pass over PCS, BMS and meter takes more than a second."""
    message = told(("    tcp: {host: 127.0.0.1, port: 5020}\n", "    rtu: {device: /dev/ttyS1, baud: 9600}\n"))
    assert "units[0].data_age_s: 0.5 is below 3 refresh times of 'pcs1'" in message
    assert "protection.bms_data_age.warn.pickup_s: 0.3 is below 3 refresh times" in message


# --- the protection table and the inputs -------------------------------------------------------------------------------------------------

INPUT = "\ninputs:\n  - {name: estop, function: estop, modbus: {device: io1, address: 0}}\nprotection:\n"
IO = "devices:                        # what\n"
ESTOP = "  estop:\n    trip: {action: standby, reset: local}\n"


def with_inputs(*changes: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The example with an io device and an emergency stop on it."""
    head = next(line for line in TEXT.splitlines() if line.startswith("devices:")) + "\n"
    device = "  - {name: io1, kind: io, bus: lan, modbus_id: 9}\n"
    return ((head, head + device), ("\nprotection:\n", INPUT + ESTOP), *changes)


def test_a_site_with_inputs_is_accepted() -> None:
    changed_example(*with_inputs())


TRIP_LOW = "dropoff_v: 2.95, pickup_delay_s: 0.2, dropoff_delay_s: 5.0, action: block, recovery_share: 0.1, reset: any"
NOT_FOLLOWING = "pickup_delay_s: 3.0, dropoff_delay_s: 5.0, action: standby, reset: any"
HOT = "pickup_c: 58, dropoff_c: 50, pickup_delay_s: 0.2, dropoff_delay_s: 5.0, action: standby, reset: any"

CONTRADICTIONS = [
    # a row that could never be left again
    ((TRIP_LOW, TRIP_LOW.replace("block, recovery_share: 0.1", "standby")),
     "protection.cell_v_low.trip.action: standby forbids the charging that alone brings cell_v_low back; use block"),
    # actions against themselves
    ((HOT, HOT.replace("standby", "open_contactor").replace("any", "auto")),
     "protection.cell_temp_high.trip.reset: auto: a release would restart the plant by itself (R13)"),
    ((HOT, HOT + ", direction: charge"), "protection.cell_temp_high.trip.direction: standby takes power away in both directions"),
    ((HOT, HOT + ", recovery_share: 0.1"), "protection.cell_temp_high.trip.recovery_share: only a block of one direction leaves something"),
    ((HOT, HOT.replace("standby", "block") + ", recovery_share: 0.1"), "recovery_share: only a block of one direction"),
    ((HOT, HOT.replace("standby", "block") + ", recovery_share: 1.5"), "1.5 is too large"),
    # R12, R10
    ((NOT_FOLLOWING, NOT_FOLLOWING.replace("pickup_delay_s: 3.0", "pickup_delay_s: 0.1")),
     "protection.not_following.trip.pickup_delay_s: 0.1 is shorter than the ramp of unit1 (ramp_to_zero_s 0.5)"),
    (("    warn:   {pickup_w: 255000, dropoff_w: 250000,", "    trip:   {action: zero, reset: any, pickup_w: 240000, dropoff_w: 230000,"),
     "protection.pcc_import_high.trip: picks up at 240000, within pcc.import_max_w 250000"),
    (("  following_error:              # % of the rating beside its command\n    warn:",
      "  following_error:              # % of the rating beside its command\n    trip:"), "is nothing for this row: it may only warn"),
    # what is so or not has no threshold to write
    (("    trip:   {pickup_delay_s: 5.0, action: standby, reset: any}", "    trip:   {pickup: 3, action: standby, reset: any}"),
     "protection.contactor_fault.trip.pickup"),
    # alarms
    (("\nprotection:\n", "\nprotection:\n  bms_alarms: {over_tmp_alarm: {action: zero}}\n"), "did you mean 'over_temp_alarm'?"),
    (("\nprotection:\n", "\nprotection:\n  bms_alarms: {over_temp_alarm: {action: explode}}\n"), "'explode' is not one of warn"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CONTRADICTIONS, ids=[f"{n}-{row[1][:48]}" for n, row in enumerate(CONTRADICTIONS)])
def test_a_protection_table_that_contradicts_itself_is_told_with_its_place(change: tuple[str, str], words: str) -> None:
    message = told(change)
    assert words in message
    line = next(line for line in message.splitlines() if words in line)
    place, column = line.split(": ", 1)[0].rsplit(":", 2)[-2:]
    assert int(place) > 0 < int(column)


BAD_INPUTS = [
    (("estop, modbus: {device: io1, address: 0}", "estop, modbus: {device: io2, address: 0}"), "there is no device 'io2'"),
    (("estop, modbus: {device: io1, address: 0}", "estop, modbus: {device: pcs1, address: 0}"), "device 'pcs1' is a pcs, wanted: an io"),
    (("estop, modbus: {device: io1, address: 0}", "estop"), "needs exactly one of gpio and modbus"),
    (
        ("modbus: {device: io1, address: 0}}", "modbus: {device: io1, address: 0}, closed_is: 0}"),
        "a broken wire usually reads 0, as if closed",
    ),
    (("modbus: {device: io1, address: 0}}", "gpio: {chip: /dev/gpiochip0, line: 4, bias: pull_up}}"), "a broken wire would read as closed"),
    ((ESTOP, ""), "inputs[0].function: nothing acts on it; add protection.estop"),
    (("reset: local}\n", "reset: auto}\n"), "protection.estop.trip.reset: auto: a release would restart the plant by itself (R13)"),
    (("function: estop", "function: fire"), "protection.estop: no input has the function estop"),
    (("address: 0}}\n", "address: 0}}\n  - {name: two, function: estop, modbus: {device: io1, address: 0}}\n"), "lies where 'estop' lies"),
]


@pytest.mark.parametrize(("change", "words"), BAD_INPUTS, ids=[f"{n}-{row[1][:40]}" for n, row in enumerate(BAD_INPUTS)])
def test_an_input_that_is_not_fail_safe_or_does_nothing_is_refused(change: tuple[str, str], words: str) -> None:
    """R13."""
    assert words in told(*with_inputs(change))
