"""What the shipped scenarios cover: every protection, the fault matrix, both scopes, two units, lapses, start-up, power cut (CARD-6)."""

from pathlib import Path

from bessctl.hil.faults import BMS, METER, PCS, WORDS
from bessctl.hil.runner import read_scenario
from bessctl.hil.sabotage import FUNCTIONS, known
from bessctl.hil.stagefiles import StageFiles, site_words

FOLDER = Path(__file__).parent.parent / "scenarios"
SCENARIOS = [read_scenario(file) for file in sorted(FOLDER.glob("*.yaml"))]
INJECTED = {injection.told for s in SCENARIOS for where in (s.given, *(step.injections for step in s.steps)) for injection in where}


def test_thirty_and_more_are_shipped_and_each_names_what_it_proves() -> None:
    assert len(SCENARIOS) >= 30
    assert all(s.proves and s.why and s.expectations for s in SCENARIOS)
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)


def test_every_row_that_takes_power_away_and_every_other_protection_is_shown() -> None:
    site = site_words(StageFiles.beside(FOLDER / "any", "sites/one.yaml"))
    rows = {f"{row.name}.{row.tier}" for row in site.rows if row.tier != "warn"}
    shown = {row for s in SCENARIOS for row in s.rows}
    assert rows - shown == {"bms_data_age.trip", "pcs_data_age.trip"} - shown
    assert set(FUNCTIONS) - shown == set()
    assert rows <= set(known(site))


def test_the_fault_matrix_is_played() -> None:
    """Silent, frozen, refusing and disobedient devices, late timers, wrong signs, bad links, a supervisor gone wrong, power cuts."""
    wanted = [
        "BMS: silent",
        "BMS: frozen",
        "BMS: exception 6",
        "BMS: open",
        "PCS: silent",
        "PCS: exception 4",
        "PCS of unit1: ignoring set points",
        "PCS: refusing writes",
        "PCS: faulted",
        "PCS: wrong sign",
        "PCS: local",
        "meter: silent",
        "meter: wrong sign",
        "reversion timer: late",
        "line: half open",
        "line: cut",
        "line: noisy",
        "unit ids: swapped",
        "supervisor: killed",
        "supervisor: flooding",
        "wall clock step: 1 h",
        "controller: killed",
        "controller: rebooted",
        "journal: lost",
        "E-stop: pressed",
        "set point by others: 120 kW",
        "load: 160 kW",
    ]
    assert [fault for fault in wanted if fault not in INJECTED] == []
    for name, table in (("PCS", PCS), ("BMS", BMS), ("meter", METER)):
        assert set(WORDS[name][1]) == set(table)


def test_both_scopes_two_units_every_source_and_both_starts() -> None:
    wishes = [wish for s in SCENARIOS for step in s.steps for wish in step.wishes]
    fields = {name for wish in wishes for _, _, block in wish.blocks for name in block}
    assert {"ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w", "target_w", "target_scope", "energize", "rate_w_per_s"} <= fields
    silent = {told.removeprefix("source ").removesuffix(": silent") for told in INJECTED if told.startswith("source ")}
    assert {"ocpp", "oscp", "oscp_co", "sep2", "mqtt", "ems"} <= silent
    assert sum(s.site == "sites/two.yaml" for s in SCENARIOS) >= 3
    assert sum(s.cold for s in SCENARIOS) >= 2
