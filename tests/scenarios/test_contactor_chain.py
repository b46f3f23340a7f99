"""`open contactor` through all of it: rows, step, driver, Modbus, the simulated BMS; and closed again after a reset alone (R13)."""

from __future__ import annotations

import shutil
from pathlib import Path

from bessctl.hil.judge import PASSED
from bessctl.hil.main import dry
from bessctl.hil.runner import read_scenario, run_one

SITES = Path(__file__).parent / "sites"
STANDBY = "trip:   {pickup_c: 58, dropoff_c: 50, pickup_delay_s: 0.2, dropoff_delay_s: 5.0, action: standby, reset: any}"

STORY = """
scenario: A cell far too hot opens the contactors, after power and PCS
why: Contactors that break the full current may weld; and what opened them must not close them by itself.
proves: [R13]
site: site.yaml
lasts: 26 s
steps:
  - at: 0 s
    set: {ocpp: {power: 150 kW}}
    expect:
      - {power: 148 kW to 152 kW, within: 1 s, holding for: 1 s}
  - at: 3 s
    inject: {hottest cell: 59 C}
    expect:
      - {event: row_latched, of: cell_temp_high, within: 500 ms}
      - {command: -1 kW to 1 kW, within: 500 ms}
      - {contactor: closed, holding for: 300 ms}
      - {PCS: 'off', within: 2 s}
      - {contactor: open, within: 3 s, holding for: 8 s}
  - at: 8 s
    inject: {hottest cell: released}
  - at: 16 s
    operator: reset
    expect:
      - {contactor: closed, within: 5 s}
      - {power: 148 kW to 152 kW, within: 9 s, holding for: 500 ms}
"""


def test_open_contactor_reaches_the_bms_last_and_closing_it_comes_first(tmp_path: Path) -> None:
    """R13: 802 SetOp = 2 once the PCS is off and no current flows; SetOp = 1 after the reset; then the PCS starts."""
    site = (SITES / "one.yaml").read_text()
    assert STANDBY in site
    (tmp_path / "site.yaml").write_text(site.replace(STANDBY, STANDBY.replace("action: standby", "action: open_contactor")))
    shutil.copy(SITES / "one.plant.yaml", tmp_path / "site.plant.yaml")
    (tmp_path / "story.yaml").write_text(STORY)
    result = run_one(read_scenario(tmp_path / "story.yaml"), dry, "simulated time", lambda _: None)
    told = "\n".join(f"{f.expectation.text}: {f.verdict}: {f.why}" for f in result.findings if f.verdict != PASSED)
    assert result.verdict == PASSED, f"{result.why}\n{told}"
