"""CARD-4: the demo's story on the board itself: two batteries, one on TCP and one on a serial line, followed, limited, tripped, recovered.

What is judged is what happens. When it happens is not: the board is emulated, and its seconds are not those of a real one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.board.vm.machine import Patience, Vm
from tests.board.vm.rig import Rig

BEGIN = """
from bessctl.corelink.commission import begin_commissioned
assert begin_commissioned("/data/bessctl/loop", "/data/bessctl/site.sealed")
"""
AS_LOOP = "setpriv --reuid bess-loop --regid bess-loop --clear-groups"
COMMISSION = f"""systemctl stop bess-loop
rm -f /data/bessctl/loop/*
{AS_LOOP} python3.13 -c '{BEGIN}' && systemctl reset-failed bess-loop; systemctl start bess-loop"""
TOLERANCE_W = 3000.0


def status(vm: Vm) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vm.ask("bessctl status -o json || :"))
    return found


def until(what: str, condition: Callable[[], bool], within_s: float = 300.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise Patience(f"within {within_s:g} s never: {what}")
        time.sleep(1)


def until_mode(vm: Vm, mode: str) -> None:
    until(f"mode {mode}", lambda: status(vm)["plant"]["mode"] == mode, 600)


def near(rig: Rig, tcp_w: float, rtu_w: float) -> Callable[[], bool]:
    return lambda: abs(rig.tcp.power_w() - tcp_w) < TOLERANCE_W and abs(rig.rtu.power_w() - rtu_w) < TOLERANCE_W


@pytest.fixture(scope="module", autouse=True)
def commissioned(vm: Vm) -> None:
    """Simulated units need no trial (R16): a first journal says so, as in `bessctl demo`."""
    until_mode(vm, "run")
    vm.ask(COMMISSION)
    until_mode(vm, "run")


def test_power_follows_on_both_buses_and_both_ways(vm: Vm, rig: Rig) -> None:
    vm.ask("bessctl set 60kW --ttl 3600")
    until("30 kW discharge each", near(rig, 30_000, 30_000))
    vm.ask("bessctl set -40kW --ttl 3600")
    until("20 kW charge each", near(rig, -20_000, -20_000))


def test_what_ends_with_its_time_ends_without_a_supervisor(vm: Vm, rig: Rig) -> None:
    """The loop falls to 0 W by itself; systemd brings the supervisor back, and it is heard again."""
    vm.ask("bessctl set 60kW --ttl 60")
    until("30 kW each", near(rig, 30_000, 30_000))
    vm.ask("systemctl kill -s KILL bess-supervisor")
    until("0 W when the lease is over", near(rig, 0, 0))
    vm.until("systemctl is-active bess-supervisor && bessctl set 20kW --ttl 3600")
    until("10 kW each", near(rig, 10_000, 10_000))


def test_a_killed_loop_comes_back(vm: Vm, rig: Rig) -> None:
    before = vm.ask("systemctl show --value -p NRestarts bess-loop")
    vm.ask("systemctl kill -s KILL bess-loop")
    vm.until(f"[ $(systemctl show --value -p NRestarts bess-loop) -gt {before} ] && systemctl is-active bess-loop")
    until_mode(vm, "run")
    vm.until("bessctl set 20kW --ttl 3600")
    until("10 kW each", near(rig, 10_000, 10_000))


def test_a_hot_cell_on_the_serial_line_trips_and_only_a_reset_ends_it(vm: Vm, rig: Rig) -> None:
    rig.rtu.set(cell_temp_c=60)
    until_mode(vm, "tripped")
    until("0 W on the line", lambda: abs(rig.rtu.power_w()) < TOLERANCE_W)
    rig.rtu.set(cell_temp_c=25)
    vm.until("bessctl reset", within_s=600)
    until_mode(vm, "run")
    assert "cell_temp_high" in vm.ask("bessctl events | cat")


def test_the_operator_stops_and_starts(vm: Vm, rig: Rig) -> None:
    vm.ask("bessctl stop")
    until("0 W", near(rig, 0, 0))
    until_mode(vm, "stopped")
    vm.ask("bessctl start")
    until_mode(vm, "run")
