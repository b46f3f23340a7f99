"""R11: a set point and the timer that ends it go in one write, and only a read-back proves them; what the loop can no longer take back
ends by itself.

Scenarios it was written for: somebody else writes the set point, again and again; another tool leaves a reversion timer of an hour in the
PCS, the loop dies at full power, and nothing stops it until then.
"""

from __future__ import annotations

import numpy as np
import pytest

from bessctl.config.profiles import from_text
from bessctl.errors import ConfigError
from bessctl_core import layout as L
from bessctl_core.probe import read_back, written
from bessctl_core.sealed import unpack
from tests.devices.bench import EV, Bench, placed
from tests.devices.test_complaints import PLAIN, REVERTS, Plain
from tests.sites import changed_example, sealed_example

S = 1_000_000_000
SITE = unpack(sealed_example().content)
CONFIG = np.frombuffer(SITE.config_bytes, L.dtype("SiteConfig"))[0]
ROW = int(np.flatnonzero(CONFIG["write_program"][: CONFIG["n_writes"]] == L.Program.PR_SETPOINT)[0])
ENABLED, WATTS = 1, 1
STANDBY = 7  # SunSpec 701 InvSt
TEXT = PLAIN.replace("WEARS", "").replace("REVERSION", REVERTS).replace("DOG", "{kind: resend, timeout_s: reversion}")
REVERSION_S = int(CONFIG["unit_reversion_ns"][0]) // S


def test_R11_set_point_mode_and_reversion_to_zero_are_one_request() -> None:
    """704 WSetEna .. WSetRvrtTms: written apart, a set point would live before its timer runs."""
    block = written(SITE, ROW, 50_000)
    assert len(block) == CONFIG["write_count"][ROW] == 11
    assert block[:4] == [ENABLED, WATTS, 0, 50_000]
    assert (block[4:6], block[8], block[9:]) == ([0, 0], 1, [0, REVERSION_S]), "expiry value 0 W, enabled, our time"


def back(raw: int, left_s: int, **changed: int) -> list[int]:
    registers = [*written(SITE, ROW, raw), 0, left_s]
    for index, value in changed.items():
        registers[int(index.removeprefix("r"))] = value
    return registers


@pytest.mark.parametrize(
    ("registers", "verdict"),
    [
        (back(50_000, REVERSION_S), "ours"),
        (back(20_000, REVERSION_S), "other"),  # somebody else's watts
        (back(50_000, REVERSION_S, r0=0), "other"),  # switched off
        (back(50_000, REVERSION_S, r10=3600), "other"),  # an hour: a timer of another tool
        (back(50_000, 0), "reverted"),  # its time is over: 0 W, whatever the register says
    ],
)
def test_R11_only_a_read_back_of_all_of_it_confirms(registers: list[int], verdict: str) -> None:
    assert read_back(SITE, ROW, registers, 50_000, 0) == verdict


def test_R11_what_runs_on_too_long_without_the_loop_is_refused_before_it_starts() -> None:
    """1.5 x the reversion time (device timers run late) and the PCS's ramp, against loop.max_uncontrolled_s."""
    with pytest.raises(ConfigError, match=r"reversion_s.*runs on for 11 s.*\(R11\)"):
        changed_example(("    reversion_s: 5 ", "    reversion_s: 7 "))


def test_R11_somebody_elses_set_point_is_asserted_again_three_times_then_standby() -> None:
    """The scenario: somebody else writes the set point.

    Each time it is an event and ours is written again; then we leave it to him, at 0 W and in standby, until the operator wants it back.
    """
    rests = "  standby: [{register: 20, when: [running, unknown], fields: [{value: const, number: 0}]}]\n"
    what = placed(Plain(), from_text(TEXT + rests).profile)
    with Bench(what) as bench:
        bench.up().order(4000.0).run(2.0)
        for time in range(1, 4):
            what.device.holding[10] = 700
            bench.run(2.5)
            assert (what.device.w, bench.h.setpoint(0)["yielded"]) == (4000, False), f"asserted again, time {time}"
            assert len(bench.events(EV.EV_SETPOINT_FOREIGN)) == time
        what.device.holding[10] = 700
        bench.run(2.5)
        assert bench.h.setpoint(0)["yielded"]
        assert [event["detail"] for event in bench.events(EV.EV_UNCONFIRMED)] == [1]
        assert {(e["slot"], e["value"], e["limit"]) for e in bench.events(EV.EV_SETPOINT_FOREIGN)} == {(-1, 7000.0, 4000.0)}
        assert [(e["slot"], e["value"]) for e in bench.events(EV.EV_UNCONFIRMED)] == [(-1, 4000.0)]
        bench.run(2.0)
        assert (what.device.w, what.device.holding[0], what.device.holding[20]) == (0, STANDBY, 0), "0 W, and ordered to rest"
        what.device.holding[10] = 700
        bench.run(5.0)
        assert (what.device.w, what.device.holding[20]) == (0, 0), "ours is not asserted any more, and the PCS rests"
        bench.h.release()
        bench.run(3.0)
        assert what.device.w == 4000, "the operator's word gives it back"
