"""CARD-4: the demo's story on the board itself: two batteries, one on TCP and one on a serial line, followed, tripped, recovered.

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
import sys; sys.path.insert(0, "/usr/lib/bessctl")
from bessctl_core import journal, sealed
site = sealed.load("/data/bessctl/site.sealed")
assert journal.begin_commissioned("/data/bessctl/loop", site.identity, len(site.names["units"]))
"""
AS_LOOP = "setpriv --reuid bess-loop --regid bess-loop --clear-groups"
COMMISSION = f"""( set -e
systemctl stop bess-loop
rm -f /data/bessctl/loop/*
{AS_LOOP} python3.13 -I -S -c '{BEGIN}'
systemctl reset-failed bess-loop
systemctl start bess-loop )"""
TOLERANCE_W = 3000.0
RUN, STOPPED, TRIPPED = 1, 3, 5


def tell(vm: Vm, whom: str, within_s: float = 300.0, **request: Any) -> dict[str, Any]:
    """The answer of the loop (control) or of the supervisor, once there is one."""
    said = vm.until(f"python3.13 -I -S /run/shelf/tell.py {whom} '{json.dumps(request)}'", within_s)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def until(what: str, condition: Callable[[], bool], within_s: float = 600.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise Patience(f"within {within_s:g} s never: {what}")
        time.sleep(1)


def until_mode(vm: Vm, mode: int) -> None:
    until(f"mode {mode}", lambda: tell(vm, "control", command="status")["status"]["mode"] == mode, 900)


def order(vm: Vm, command: str) -> None:
    """stop, start, reset: done."""
    until(f"{command} done", lambda: tell(vm, "control", command=command)["outcome"] == "done")


def set_power(vm: Vm, power_w: float, ttl_s: float = 3600.0) -> None:
    """A manual plan, in the loop's slot."""
    ask: dict[str, Any] = {"command": "set", "source": "manual", "power_w": power_w, "ttl_s": ttl_s}
    until(f"{power_w:g} W accepted", lambda: tell(vm, "supervisor", **ask)["outcome"] == "done")


def near(rig: Rig, tcp_w: float, rtu_w: float) -> Callable[[], bool]:
    return lambda: abs(rig.tcp.power_w() - tcp_w) < TOLERANCE_W and abs(rig.rtu.power_w() - rtu_w) < TOLERANCE_W


@pytest.fixture(scope="module", autouse=True)
def commissioned(vm: Vm) -> None:
    """Simulated units need no trial (R16): a first journal says so, as in `bessctl demo`."""
    until_mode(vm, RUN)
    vm.ask(COMMISSION)
    until_mode(vm, RUN)


def test_power_follows_on_both_buses_and_both_ways(vm: Vm, rig: Rig) -> None:
    set_power(vm, 60_000)
    until("30 kW discharge each", near(rig, 30_000, 30_000))
    set_power(vm, -40_000)
    until("20 kW charge each", near(rig, -20_000, -20_000))


def test_the_command_line_says_so(vm: Vm) -> None:
    found = json.loads(vm.ask("bessctl status -o json"))
    assert found["healthy"] is True, found
    assert found["plant"]["mode"] == "run"
    assert [bus["bus"] for bus in found["buses"]] == ["lan", "line"]


def test_what_ends_with_its_time_ends_without_a_supervisor(vm: Vm, rig: Rig) -> None:
    """The loop falls to 0 W by itself; systemd brings the supervisor back, and it is heard again."""
    set_power(vm, 60_000, ttl_s=60)
    until("30 kW each", near(rig, 30_000, 30_000))
    vm.ask("systemctl kill -s KILL bess-supervisor")
    until("0 W when the lease is over", near(rig, 0, 0))
    set_power(vm, 20_000)
    until("10 kW each", near(rig, 10_000, 10_000))


def test_a_killed_loop_comes_back(vm: Vm, rig: Rig) -> None:
    before = vm.ask("systemctl show --value -p NRestarts bess-loop")
    vm.ask("systemctl kill -s KILL bess-loop")
    vm.until(f"[ $(systemctl show --value -p NRestarts bess-loop) -gt {before} ] && systemctl is-active bess-loop")
    until_mode(vm, RUN)
    set_power(vm, 20_000)
    until("10 kW each", near(rig, 10_000, 10_000))


def test_a_hot_cell_on_the_serial_line_trips_and_only_a_reset_ends_it(vm: Vm, rig: Rig) -> None:
    rig.rtu.set(cell_temp_c=60)
    until("tripped", lambda: "cell_temp_high" in vm.ask("journalctl -b -u bess-loop -o cat --no-pager | grep -i trip || :"))
    until("0 W on the line", lambda: abs(rig.rtu.power_w()) < TOLERANCE_W)
    rig.rtu.set(cell_temp_c=25)
    set_power(vm, 20_000)
    order(vm, "reset")
    until_mode(vm, RUN)
    until("10 kW each", near(rig, 10_000, 10_000))


def test_the_operator_stops_and_starts(vm: Vm, rig: Rig) -> None:
    order(vm, "stop")
    until("0 W", near(rig, 0, 0))
    until_mode(vm, STOPPED)
    order(vm, "start")
    until_mode(vm, RUN)
