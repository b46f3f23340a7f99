"""What the shipped scenarios cover: every protection, the fault matrix, both scopes, two units, lapses, start-up, power cut (CARD-6)."""

from pathlib import Path

import pytest

from bessctl.config.catalogue import KINDS
from bessctl.errors import ConfigError
from bessctl.hil.faults import WORDS
from bessctl.hil.runner import read_scenario
from bessctl.hil.sabotage import FUNCTIONS, known
from bessctl.hil.stagefiles import StageFiles, site_words

ROOT = Path(__file__).parent.parent.parent
FOLDER, EXAMPLES, PROTOCOLS = ROOT / "tests" / "scenarios", ROOT / "examples", ROOT / "bessctl" / "protocols"
SCENARIOS = [read_scenario(file) for file in sorted(FOLDER.glob("*.yaml"))]
SHOWN = {row for s in SCENARIOS for row in s.rows}
INJECTED = {injection.told for s in SCENARIOS for where in (s.given, *(step.injections for step in s.steps)) for injection in where}


def test_thirty_and_more_are_shipped_and_each_names_what_it_proves() -> None:
    assert len(SCENARIOS) >= 30
    assert all(s.proves and s.why and s.expectations for s in SCENARIOS)
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)


def test_every_row_of_the_shipped_table_is_shown_to_matter() -> None:
    """All tiers of examples/site.yaml; that each scenario fails without its row is seen in test_shipped.py."""
    site = site_words(StageFiles(EXAMPLES / "site.yaml", EXAMPLES / "plant.yaml"))
    assert {f"{row.name}.{row.tier}" for row in site.rows} - SHOWN == set()


def test_every_row_of_the_scenarios_own_sites_and_every_other_protection_is_shown() -> None:
    for name in ("sites/one.yaml", "sites/table.yaml"):
        site = site_words(StageFiles.beside(FOLDER / "any", name))
        rows = {f"{row.name}.{row.tier}" for row in site.rows}
        assert rows - SHOWN == set(), name
        assert rows <= set(known(site))
    assert set(FUNCTIONS) - SHOWN == set()


def test_everything_that_can_be_protected_is_shown() -> None:
    """The catalogue, whole. No SunSpec device measures insulation in ohms: no site here can have that row; its alarm contact is shown."""
    shown = {name.split(".")[0].split(":")[0] for name in SHOWN}
    either_way = {part for kind in KINDS if kind.name in shown for part in kind.parts}
    assert {kind.name for kind in KINDS} - shown - either_way == {"insulation_low"}


def test_every_protocol_and_every_other_source_is_seen_to_lapse() -> None:
    """Each by a scenario of its own that fails when leases do not end."""
    site = site_words(StageFiles.beside(FOLDER / "any", "sites/one.yaml"))
    lapsing = {
        injection.values["silent"]
        for s in SCENARIOS
        if "lease" in s.rows
        for step in s.steps
        for injection in step.injections
        if "silent" in injection.values
    }
    assert set(site.sources) - lapsing == set()
    protocols = {folder.name for folder in PROTOCOLS.iterdir() if (folder / "session").exists()}
    assert protocols <= set(site.sources)


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
    at_the_site = {f"{name}: {word}" for name, (kind, table) in WORDS.items() if kind == "site" for word in table}
    assert at_the_site - INJECTED == set()
    assert {f"line: {word}" for name, (kind, table) in WORDS.items() if kind == "wire" for word in table} - INJECTED == {
        "line: one session"
    }


def test_both_scopes_two_units_every_source_and_both_starts() -> None:
    wishes = [wish for s in SCENARIOS for step in s.steps for wish in step.wishes]
    fields = {name for wish in wishes for _, _, block in wish.blocks for name in block}
    assert {"ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w", "target_w", "target_scope", "energize", "rate_w_per_s"} <= fields
    silent = {told.removeprefix("source ").removesuffix(": silent") for told in INJECTED if told.startswith("source ")}
    assert {"ocpp", "oscp", "oscp_co", "sep2", "mqtt", "ems"} <= silent
    assert sum(s.site == "sites/two.yaml" for s in SCENARIOS) >= 3
    assert sum(s.cold for s in SCENARIOS) >= 2


def test_an_input_on_a_line_of_this_controller_is_refused_where_nobody_could_ever_close_it(tmp_path: Path) -> None:
    """R13: a simulated plant has no wire to it; unread it would count as active, and a scenario would fail for no fault of the site."""
    text = (FOLDER / "sites/table.yaml").read_text()
    site = tmp_path / "site.yaml"
    line = "gpio: {chip: /dev/gpiochip0, line: 4, bias: pull_up}, closed_is: 0}"
    site.write_text(text.replace("modbus: {device: io1, table: holding_register, address: 0, bit: 1}}", line))
    with pytest.raises(ConfigError, match=r"site\.yaml:113:\d+: a simulated plant has no wire to /dev/gpiochip0; give 'smoke' a contact"):
        StageFiles(site, FOLDER / "sites/table.plant.yaml").sealed()
