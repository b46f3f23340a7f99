"""A loop that hangs: the service manager kills it, the PCS goes to 0 W by its own timer meanwhile, and the next loop takes over (R11).

tests/scenarios/service_manager.py stands in for systemd, with the values of the unit file in board/files.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from bessctl_core import layout as L
from tests.scenarios.loop_rig import SLOTS, S, block, loop_process, plant_server, seal_site, wait_for
from tests.scenarios.service_manager import ServiceManager, unit_file

M = L.Mode


def test_the_unit_file_says_what_the_design_says() -> None:
    """WatchdogSec=1; three kills in 60 s: it stays down, the devices revert; SIGTERM has time for the orderly stop."""
    unit = unit_file()
    assert {key: unit["Unit"][key] for key in ("StartLimitIntervalSec", "StartLimitBurst")} == {
        "StartLimitIntervalSec": "60",
        "StartLimitBurst": "3",
    }
    service = unit["Service"]
    assert (service["Type"], service["WatchdogSec"], service["Restart"]) == ("notify", "1", "always")
    assert (service["WatchdogSignal"], service["KillSignal"]) == ("SIGKILL", "SIGTERM")
    assert float(service["TimeoutStopSec"]) > 5, "loop.stop_timeout_s"


def test_R11_a_hung_loop_is_killed_the_pcs_reverts_by_itself_and_the_next_loop_takes_over(tmp_path: Path) -> None:
    sealed_for = ("reversion_s: 5", "reversion_s: 1")
    with ServiceManager(tmp_path) as manager, plant_server() as server:
        plant = server.plants[0]
        sealed = seal_site(tmp_path, server.port, sealed_for)
        with loop_process(tmp_path, sealed, env=manager.environment) as loop:
            manager.until_ready()
            loop.attach()
            loop.until_mode(M.MODE_RUN)
            loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 600 * S, 0, [block(50e3)])
            loop.until("power", lambda s: abs(s["ess_w"] - 50e3) < 1e3)
            manager.drain()
            hung_ns = time.monotonic_ns()
            loop.process.send_signal(signal.SIGSTOP)
            last_fed_ns = manager.guard(loop.process)
            killed_ns = time.monotonic_ns()
            zero_ns = wait_for("the PCS is at 0 W", lambda: plant.crossing(hung_ns, 500.0, rising=False))
        assert killed_ns - last_fed_ns >= manager.watchdog_s * S
        writes = [ns for _, ns, kind, _ in plant.command_log() if kind == "wset" and ns > hung_ns]
        assert writes == [], "nobody commanded it to 0: its own timer did"
        assert zero_ns - hung_ns < 10 * S, "max_uncontrolled_s"
        with loop_process(tmp_path, sealed, env=manager.environment) as again:
            manager.until_ready()
            again.attach()
            state = again.until_mode(M.MODE_RUN)
            assert state["command_w"] == 0
            assert again.end() == 0


def test_a_loop_that_works_is_left_alone(tmp_path: Path) -> None:
    """Three seconds of feeding, each in time; then an orderly stop."""
    with (
        ServiceManager(tmp_path) as manager,
        plant_server() as server,
        loop_process(tmp_path, seal_site(tmp_path, server.port), env=manager.environment) as loop,
    ):
        manager.until_ready()
        manager.drain()
        for _ in range(12):
            assert manager.hears(), "longer than a watchdog period without a word"
        loop.end(signal.SIGTERM)
        assert loop.process.returncode == 0
