"""A rig's runner as a process, with somebody at its keyboard and a loop that does not depend on it (CARD-6)."""

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.hil.rig_bench import SCENARIO, Bench, told, until

LONG = SCENARIO.replace("lasts: 3 s", "lasts: 60 s")
WARMED = LONG + "  - at: 2 s\n    inject: {hottest cell: 59 C, over: 2 s}\n"


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    it = Bench()
    yield it
    it.close()


@pytest.fixture
def bench(rig: Bench) -> Bench:
    rig.again()
    return rig


def follows(bench: Bench) -> None:
    until(lambda: bench.power_w() > 19_000, "the runner's plan is followed")


def ended(runner: subprocess.Popen[str]) -> tuple[int, str]:
    runner.wait(timeout=60)  # before its input is closed: an operator who goes away says no
    _, rest = runner.communicate()
    return runner.returncode, rest


def test_the_runners_death_is_zero_watts_by_the_loop(bench: Bench) -> None:
    """Its leases end within two seconds, nobody else is needed."""
    runner = bench.runner(bench.scenario(LONG))
    follows(bench)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    killed_ns = time.monotonic_ns()
    until(lambda: abs(bench.power_w()) < 1000, "power is gone")
    assert any(kind == "wset" and value == 0 and ns < killed_ns + 2.1e9 for ns, kind, value in bench.orders(killed_ns))


def test_a_runner_that_hangs_is_zero_watts_by_the_loop(bench: Bench) -> None:
    """Stopped, not dead: it writes no more plans, and nobody closes anything."""
    runner = bench.runner(bench.scenario(LONG))
    follows(bench)
    runner.send_signal(signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    until(lambda: abs(bench.power_w()) < 1000, "power is gone")
    assert any(kind == "wset" and value == 0 and ns < stopped_ns + 2.1e9 for ns, kind, value in bench.orders(stopped_ns))
    runner.kill()
    runner.wait()


def test_the_loop_keeps_the_abort_limit_by_itself(bench: Bench) -> None:
    """It is sealed: with a runner that sees nothing any more the row trips, and the PCS goes to standby."""
    runner = bench.runner(bench.scenario(LONG))
    follows(bench)
    runner.send_signal(signal.SIGSTOP)
    bench.place.plant(0, {"cell_temp_c": 59.0})
    until(lambda: bench.mode() == "tripped", "the sealed row trips")
    until(bench.in_standby, "standby")
    runner.kill()
    runner.wait()


def test_an_operator_is_told_what_to_do_and_beyond_the_limit_all_is_stopped(bench: Bench) -> None:
    """The scenario's clock stands meanwhile; what is measured beyond an abort limit ends the run, in standby, by the device's own word."""
    runner = bench.runner(bench.scenario(WARMED))
    line = told(runner, ">>>")
    assert "Warm the sensor to 59 C over 2 s - and press Enter as you begin" in line
    assert bench.power_w() > 19_000, "the sources go on speaking"
    bench.place.plant(0, {"cell_temp_c": 59.0})
    code, rest = ended(runner)
    assert code == 1
    assert "aborted: hottest cell is 59" in rest
    assert "Traceback" not in rest
    until(bench.in_standby, "standby")


def test_an_operator_may_abort(bench: Bench) -> None:
    runner = bench.runner(bench.scenario(WARMED))
    told(runner, ">>>")
    assert runner.stdin is not None
    runner.stdin.write("abort\n")
    runner.stdin.flush()
    code, rest = ended(runner)
    assert code == 1
    assert "not run: aborted: by the operator" in rest
    until(bench.in_standby, "standby")
    assert bench.mode() == "stopped"


def test_an_operator_may_say_no_and_the_scenario_is_not_run(bench: Bench) -> None:
    runner = bench.runner(bench.scenario(WARMED))
    told(runner, ">>>")
    assert runner.stdin is not None
    runner.stdin.write("no\n")
    runner.stdin.flush()
    code, rest = ended(runner)
    assert code == 1
    assert "not run: hottest cell: the operator said no" in rest
    until(lambda: abs(bench.power_w()) < 1000, "power is gone")
    assert bench.mode() == "run", "nothing was wrong with the plant"


def test_ctrl_c_leaves_the_devices_in_standby(bench: Bench) -> None:
    runner = bench.runner(bench.scenario(LONG))
    follows(bench)
    runner.send_signal(signal.SIGINT)
    code, rest = ended(runner)
    assert code != 0
    assert "Traceback" not in rest
    until(bench.in_standby, "standby")
    assert bench.mode() == "stopped"
