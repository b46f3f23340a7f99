"""R14: what depends on chemistry and pack has no default, and amps become watts on the safe side.

Scenario it was written for: a site file copied from an NMC rack to an LFP one; and a BMS that allows 100 A, at whatever voltage the pack
happens to have.
"""

from __future__ import annotations

import re

import pytest

from bessctl.config.catalogue import KINDS
from bessctl.config.load import site_from_text
from bessctl.errors import ConfigError
from tests.core.rig import Q, Rig, Slot, config
from tests.sites import EXAMPLE

TEXT = EXAMPLE.read_text()
NEEDED = [kind.name for kind in KINDS if kind.needs and not kind.age_of]


@pytest.mark.parametrize("row", NEEDED)
def test_R14_without_it_the_site_is_refused_and_with_a_reason_it_may_be_left_out(row: str) -> None:
    """The scenario: a site file copied from another chemistry."""
    text, found = re.subn(rf"^  {row}:.*\n(?:    .*\n)*", "", TEXT, flags=re.MULTILINE)
    assert found == 1
    with pytest.raises(ConfigError, match=rf"row {row} is missing.*no default \(R14\)"):
        site_from_text(text)
    site_from_text(TEXT.replace(TEXT[TEXT.index(f"  {row}:") :].split("\n", 1)[0], f"  {row}:", 1))


@pytest.mark.parametrize(("amps", "eta"), [(100.0, 0.95), (33.3, 0.9), (0.0, 0.95)])
def test_R14_amps_are_counted_at_the_lowest_voltage_and_losses_against_us(amps: float, eta: float) -> None:
    """Discharge: hi = DCL x Vmin x eta. Charge: lo = -CCL x Vmin / eta: the losses are not charged into the battery."""
    array = config(slots=(Slot(),))
    array["unit_eta"][0][0] = eta
    r = Rig(array).run()
    r.set(Q.Q_BMS_DIS_MAX_A, amps)
    r.set(Q.Q_BMS_CHA_MAX_A, amps)
    r.set(Q.Q_PACK_V, 800.0)
    state = r.tick()
    assert state["device_hi_w"] == pytest.approx(amps * 600 * eta)
    assert state["device_lo_w"] == pytest.approx(-amps * 600 / eta)


@pytest.mark.parametrize("amps", [float("nan"), float("inf"), -5.0])
def test_R14_a_limit_that_is_none_allows_nothing(amps: float) -> None:
    r = Rig(config(slots=(Slot(),))).run()
    r.set(Q.Q_BMS_DIS_MAX_A, amps)
    assert r.tick()["device_hi_w"] == 0
