"""The plan in detail: ramps, the lease, what holds where nobody speaks, and the site file's section with the places of its errors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bessctl.config.load import site_from_text
from bessctl.errors import ConfigError
from bessctl.model.plan import Block
from bessctl.plan.shorten import says_the_same
from tests.protocols.sep2.rig import S, World, offer, step
from tests.sites import EXAMPLE


def planned(
    *, default: dict[str, Any] | None = None, grad_w: int | None = None, local: Block | None = None, **modes: Any
) -> tuple[World, Any]:
    world = World()
    world.tree.program("a", 1, default=default, grad_w=grad_w)
    world.tree.event("a", "E1", world.at(100), 100, **modes)
    world.open()
    return world, world.plan(local)


@pytest.mark.parametrize(
    ("modes", "grad_w", "rate"),
    [
        ({"target_w": 50_000}, None, None),
        ({"target_w": 50_000, "ramp_tms": 1_000}, None, 5_000),
        ({"target_w": 50_000, "ramp_tms": 0}, 500, None),
        ({"target_w": 50_000}, 500, 10_000),  # 5 % of setMaxW a second
        ({"target_w": 50_000}, 0, None),
        ({"target_w": -40_000, "ramp_tms": 2_000}, 500, 2_000),
    ],
)
def test_a_target_ramps_by_rampTms_else_by_setGradW(modes: dict[str, Any], grad_w: int | None, rate: float | None) -> None:
    _, plan = planned(default={} if grad_w is not None else None, grad_w=grad_w, **modes)
    (block,) = [b for b in plan.blocks if b.target_w]
    assert block.rate_w_per_s == rate


def test_a_target_ramps_at_the_pcs() -> None:
    _, plan = planned(target_w=50_000, ramp_tms=1_000)
    (block,) = plan.blocks
    rig = step()
    rig.now_ns = block.start_ns - 20_000_000
    rig.tick(1)
    offer(rig, plan)
    rig.tick(502)
    assert rig.power_w == pytest.approx(25_000, abs=200)
    rig.tick(600)
    assert rig.power_w == 50_000


@pytest.mark.parametrize(("default", "event"), [(10_000, 2_000), (2_000, 10_000)])
def test_a_limits_staircase_is_never_looser_than_its_ramp(default: int, event: int) -> None:
    world, plan = planned(default={"max_lim_w": default}, max_lim_w=event, ramp_tms=2_000)
    old_w, new_w = default * 20.0, event * 20.0
    begin_ns = world.client.clock.mono_ns(world.at(100))
    stairs = [b for b in plan.blocks if b.start_ns < begin_ns + 20 * S and b.end_ns > begin_ns]
    assert len(stairs) == 8
    for block in stairs:
        for at_ns in (max(begin_ns, block.start_ns), min(begin_ns + 20 * S, block.end_ns) - 1):
            assert block.ess_hi_w is not None
            assert block.ess_hi_w <= old_w + (new_w - old_w) * (at_ns - begin_ns) / (20 * S) + 1
    assert [b.ess_hi_w for b in plan.blocks if b.start_ns <= begin_ns + 50 * S < b.end_ns] == [new_w]


def test_the_slots_own_defaults_hold_where_nobody_states_a_limit() -> None:
    """Rule 10: none = the local default."""
    local = Block(0, 1, ess_lo_w=-50_000, pcc_hi_w=90_000)
    _, plan = planned(target_w=5_000, max_lim_w=5_000, local=local)
    (block,) = plan.blocks
    assert (block.ess_lo_w, block.ess_hi_w, block.pcc_hi_w) == (-50_000, 100_000, 90_000)


def test_after_the_lease_limits_stay_and_targets_go() -> None:
    world, plan = planned(default={"max_lim_w": 5_000}, target_w=80_000, max_lim_w=2_500)
    short = World.plan(world, lease_s=150)
    rig = step()
    rig.now_ns = world.now_ns
    offer(rig, short)
    rig.now_ns = 1_000 * S + 120 * S
    rig.tick(5)
    assert rig.power_w == 50_000
    rig.now_ns = short.lease_until_ns
    rig.tick(5)
    assert (rig.power_w, rig.side("hi")[0]) == (0, 50_000)
    rig.now_ns = 1_000 * S + 300 * S
    rig.tick(5)
    assert rig.side("hi")[0] == 100_000
    assert all(b.target_w is None for b in plan.fallback)


def test_blocks_are_the_same_as_long_as_the_schedule_is() -> None:
    """Nothing is written anew because time passed: what remains of a plan is the same plan."""
    world, plan = planned(default={"max_lim_w": 5_000}, target_w=80_000)
    world.run(30)
    again = world.plan()
    assert again.blocks == plan.blocks
    assert not any(says_the_same(a, b) and a.end_ns == b.start_ns for a, b in zip(plan.blocks, plan.blocks[1:], strict=False))


# --- the site file ------------------------------------------------------------------------------------------------------------------------

SLOT = "  - name: sep2\n    class: grid\n    priority: 5\n    scopes: [ess]\n    lease_max_s: 86400\n\n# What protects"
SECTION = "\nsep2:\n  url: https://utility.example/dcap\n  cert_file: c.pem\n  key_file: c.key\n  ca_file: ca.pem\n"


def site(section: str = SECTION, slot: str = SLOT) -> str:
    return EXAMPLE.read_text().replace("# What protects", slot) + section


def test_a_good_section_becomes_the_clients_configuration() -> None:
    from pathlib import Path  # noqa: PLC0415

    from bessctl.app.sep2 import client  # noqa: PLC0415

    loaded = site_from_text(site(SECTION + "  pin: 111115\n  ratings: {max_wh: 380000}\n"))
    assert loaded.site.sep2 is not None
    config = client(loaded.site, loaded.site.sep2, Path("/etc/bessctl"))
    assert (config.profile.name, config.tls.cert_file, config.pin) == ("wattsmart", Path("/etc/bessctl/c.pem"), 111115)
    assert (config.ratings.max_w, config.ratings.charge_w, config.ratings.max_wh) == (200_000, 200_000, 380_000)
    assert (config.load_max_w, config.pv_max_w) == (100_000, 0)


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        (SECTION.replace("https:", "http:"), "url", "not in the form expected"),
        (SECTION + "  pin: 111114\n", "pin", "wrong check digit"),
        (SECTION + "  source: utility\n", "source", "there is no source 'utility'"),
        (SECTION + "  source: ocpp\n  lease_s: 300\n", "source", "is written by ocpp"),
        (SECTION + "  lease_s: 86400\n  source: ems\n", "lease_s", "above lease_max_s 900"),
        (SECTION + "  profile: csipaus\n", "source", "needs scope pcc"),
        (SECTION + "  profile: watsmart\n", "profile", "did you mean 'wattsmart'?"),
        (SECTION + "  ratings: {discharge_w: 300000}\n", "discharge_w", "beyond the units' 200000 W"),
        (SECTION + "  disabled_modes: [export]\n", "export", "belongs to profile csipaus"),
        (SECTION + "  colour: red\n", "colour", "unknown key"),
    ],
)
def test_a_wrong_section_is_told_with_its_place(section: str, key: str, words: str) -> None:
    text = site(section)
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        site_from_text(text)
    line, column = (int(part) for part in caught.value.place.split(":")[1:3])
    assert text.splitlines()[line - 1][column - 1 :].startswith((key, "sep2", "source", "profile"))
    assert text.splitlines()[line - 1 :][0] in text[text.index("\nsep2:") :]


def test_wattsmart_tells_of_one_inverter() -> None:
    """SEP2-9."""
    from bessctl.config.rules_sep2 import utility  # noqa: PLC0415

    loaded = site_from_text(site())
    two = loaded.site.model_copy(update={"units": [*loaded.site.units, *loaded.site.units]})
    assert any("never an aggregate" in message for _, message in utility(two))
