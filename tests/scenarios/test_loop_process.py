"""The loop process as an operator meets it: real process, real sockets, a simulated plant that answers (CARD-1, R4-R7, R11, R15)."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessctl_core import layout as L
from bessctl_core.attach import NobodyListens, attach_state
from bessctl_core.journal import Journal
from bessctl_core.ports import PlanPort
from bessctl_core.sim.plant import Plant
from tests.scenarios.loop_rig import SLOTS, Loop, S, block, loop_process, plant_and_loop, plant_server, seal_changed, seal_site, wait_for

PERIOD_NS = S // 100
STANDBY, RUNNING = 7, 3
AT_REST = (0, 1, STANDBY)
WSET_ENA = 40296 + 22
NO_PRIVILEGES = ("setpriv", "--bounding-set=-sys_nice,-ipc_lock", "--inh-caps=-all", "prlimit", "--rtprio=0:0", "--memlock=65536:65536")


def write_registers(plant: Plant, address: int, *values: int) -> None:
    """Somebody else's master, at the PCS."""
    answer = plant.request(1, struct.pack(f">BHHB{len(values)}H", 16, address, len(values), 2 * len(values), *values))
    assert answer is not None
    assert answer[0] == 16


def near(a: float, b: float) -> bool:
    return abs(a - b) < 4000


# --- the main job ------------------------------------------------------------------------------------------------------------------------


def test_a_plan_becomes_power_in_both_directions_and_nothing_is_left_at_its_end(tmp_path: Path) -> None:
    """CARD-1: the loop reaches RUN by itself and follows a plan block by block."""
    with plant_and_loop(tmp_path) as (server, loop):
        now = time.monotonic_ns()
        blocks = [block(100e3, now, now + 2 * S), block(-80e3, now + 2 * S, now + 4 * S)]
        loop.plans().write(SLOTS["manual"], now + 10 * S, L.LapseRule.LAPSE_FALLBACK, blocks)
        loop.until("discharge", lambda s: near(s["ess_w"], 100e3))
        loop.until("charge", lambda s: near(s["ess_w"], -80e3))
        loop.until("rest", lambda s: near(s["ess_w"], 0) and s["command_w"] == 0)
        assert server.plants[0].get()["wset_w"] == 0


def test_the_same_over_one_serial_line_that_three_devices_share(tmp_path: Path) -> None:
    """CARD-1: Modbus RTU. At 115200 baud, each byte taking its time on the wire, one device answers after the other."""
    slower = (
        ("data_age_s: 0.5", "data_age_s: 1.5"),
        ("confirm_s: 2", "confirm_s: 4"),
        ("pickup_s: 0.3", "pickup_s: 0.6"),
        ("act_within_ms: 500", "act_within_ms: 2500"),
    )
    with plant_server(None, {"baud": 115200, "paced": True}) as server:
        line = f"rtu: {{device: {server.pty_path}, baud: 115200, parity: even}}"
        sealed = seal_changed(tmp_path, ("tcp: {host: 127.0.0.1, port: 5020}", line), *slower)
        with loop_process(tmp_path, sealed) as loop:
            loop.attach()
            loop.until("power is allowed", lambda s: s["mode"] == L.Mode.MODE_RUN and s["hi_w"] > 150e3)
            running_at(loop, 80e3)
            state = loop.now()
            assert state["bus_bad"][0] == 0
            assert not state["flags"] & L.Flag.FLAG_UNCONFIRMED
            assert loop.end() == 0
            assert server.plants[0].get()["inv_state"] in AT_REST


def test_the_set_point_lives_only_as_long_as_it_is_renewed(tmp_path: Path) -> None:
    """R11: reversion armed in the same write; a loop that dies leaves a PCS that falls to 0 W by its own timer."""
    with plant_and_loop(tmp_path, ("reversion_s: 5", "reversion_s: 2")) as (server, loop):
        plant = server.plants[0]
        loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 60 * S, 0, [block(50e3)])
        loop.until("power", lambda s: near(s["ess_w"], 50e3))
        first = plant.get()["reversion_ns"]
        wait_for("the timer is armed again while the set point stays", lambda: plant.get()["reversion_ns"] > first)
        loop.end(signal.SIGKILL)
        wait_for("the PCS falls to 0 W by itself", lambda: near(plant.get()["ess_w"], 0))


def test_a_plan_of_a_dead_writer_lapses_with_the_next_tick(tmp_path: Path) -> None:
    """R7 and the word lease: the loop needs nobody to fall back."""
    writer = """
import sys, time
from bessctl_core.attach import attach_plans
from bessctl_core.ports import PlanPort
lease = time.monotonic_ns() + 2_000_000_000
held = attach_plans(sys.argv[1])
PlanPort(held.fd).write(0, lease, 0, [(0, 2**62, None, None, None, None, 60e3, 0, 0, 0.0, None, None, None)])
print(lease, flush=True)
sys.stdin.read()
"""
    with plant_and_loop(tmp_path) as (_, loop):
        command = [sys.executable, "-c", writer, str(loop.run_dir)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "core"}) as child:
            assert child.stdout is not None
            lease_ns = int(child.stdout.readline())
            loop.until("power", lambda s: near(s["ess_w"], 60e3))
            child.kill()
        state = loop.until("the target is gone", lambda s: s["command_w"] == 0)
        assert state["slot_state"][0] == L.SlotState.SLOT_LAPSED
        lapsed = wait_for("the lapse is told", lambda: loop.events("EV_PLAN_LAPSED"))[0]
        assert 0 <= lapsed["at_ns"] - lease_ns <= PERIOD_NS * (2 + state["missed"])


# --- stopping ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_0_w_and_a_pcs_at_rest(tmp_path: Path, number: signal.Signals) -> None:
    """R15: ramp to 0, standby, read back, exit."""
    with plant_and_loop(tmp_path) as (server, loop):
        loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 60 * S, 0, [block(150e3)])
        loop.until("power", lambda s: near(s["ess_w"], 150e3))
        assert loop.end(number) == 0
        now = server.plants[0].get()
        assert now["inv_state"] in AT_REST
        assert now["wset_w"] == 0
        assert loop.said("read back at 0 W and at rest")
    with pytest.raises(NobodyListens):
        attach_state(str(loop.run_dir))


def test_a_stop_without_proof_ends_in_time_and_says_so(tmp_path: Path) -> None:
    """R15: a PCS that ignores us cannot hold the process; its reversion timer is what is left."""
    with plant_and_loop(tmp_path, ("rate_hz: 100", "rate_hz: 100\n  stop_timeout_s: 1")) as (server, loop):
        loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 60 * S, 0, [block(150e3)])
        loop.until("power", lambda s: near(s["ess_w"], 150e3))
        server.plants[0].set(pcs_silent=1)
        assert loop.end() == 1
        assert loop.said("without proof")


@pytest.mark.parametrize(("command", "mode"), [("stop", L.Mode.MODE_STOPPED), ("out-of-service", L.Mode.MODE_OUT_OF_SERVICE)])
def test_the_operators_stop_outlives_a_kill_and_ends_by_a_local_start(tmp_path: Path, command: str, mode: int) -> None:
    """R6, R15: acknowledged means journalled; only a local start ends it."""
    with plant_and_loop(tmp_path) as (server, loop):
        assert loop.ask(command) == {"ok": True, "outcome": "done", "reason": ""}
        loop.end(signal.SIGKILL)
        with loop_process(tmp_path, tmp_path / "site.sealed") as again:
            again.attach()
            again.until("stopped still", lambda s: s["mode"] == mode)
            again.until("and everything is there", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_UP)
            assert server.plants[0].get()["order_w"] == 0
            assert again.ask("start")["ok"]
            again.until_mode(L.Mode.MODE_RUN)


def journalled(loop: Loop) -> Any:
    """The record that a power cut now would leave."""
    journal = Journal(str(loop.state_dir))
    journal.close()
    assert journal.newest_bytes is not None
    return np.frombuffer(journal.newest_bytes, L.dtype("JournalRecord"))[0]


def test_energy_outlives_a_kill_with_nobody_supervising(tmp_path: Path) -> None:
    """R6: killed at 150 kW, the loop goes on from what its own thread had put on disk: never below it, and what is missing at first is no
    more than flowed since."""
    with plant_and_loop(tmp_path) as (_, loop):

        def flow(plans: PlanPort) -> None:
            plans.write(SLOTS["manual"], time.monotonic_ns() + 60 * S, 0, [block(150e3)])
            loop.until("power", lambda s: near(s["ess_w"], 150e3))

        flow(plans := loop.plans())
        loop.until("energy", lambda s: s["unit_export_wh"][0] > 20)
        assert loop.ask("stop")["ok"], "what is acknowledged is on disk, energy with it"
        assert (kept := journalled(loop))["export_wh"][0] > 20
        assert loop.ask("start")["ok"]
        loop.until_mode(L.Mode.MODE_RUN)
        flow(plans)
        loop.let_go()
        loop.until("more of it", lambda s: s["unit_export_wh"][0] > kept["export_wh"][0] + 40)
        loop.end(signal.SIGKILL)
        last, kept = loop.now(), journalled(loop)
        since_s = (last["now_ns"] - kept["at_ns"]) / S
        assert 0 < since_s <= 10
        with loop_process(tmp_path, tmp_path / "site.sealed") as again:
            first = again.attach() and again.now()
            back = again.until_mode(L.Mode.MODE_RUN)
    exported = [float(of["unit_export_wh"][0]) for of in (last, first, back)]
    assert kept["export_wh"][0] <= exported[1] <= exported[2]
    assert exported[0] - exported[1] <= 155e3 * since_s / 3600
    assert exported[2] >= exported[0] - 2, "the PCS counted on meanwhile"


def test_starts_are_remembered_and_the_third_trips(tmp_path: Path) -> None:
    """R6: a loop that dies again and again is a fault; the operator's reset ends it."""
    with plant_and_loop(tmp_path) as (_, loop):
        loop.end(signal.SIGKILL)
        for expected in (L.Mode.MODE_RUN, L.Mode.MODE_TRIPPED):
            with loop_process(tmp_path, tmp_path / "site.sealed") as again:
                again.attach()
                state = again.until_mode(expected)
                if expected == L.Mode.MODE_TRIPPED:
                    assert state["internal"] == L.Internal.TRIP_STARTS
                    assert again.ask("reset") == {"ok": True, "outcome": "done", "reason": ""}
                    again.until_mode(L.Mode.MODE_RUN)
                again.end(signal.SIGKILL)


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"garbage"), Path.unlink], ids=["garbage", "gone"])
def test_an_unreadable_journal_is_a_trip(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    """R6: what was latched cannot be known, so everything is."""
    with plant_and_loop(tmp_path) as (_, loop):
        assert loop.ask("stop")["ok"], "a second record: both files are there"
        assert loop.ask("start")["ok"]
        assert loop.end() == 0
        for name in ("journal.a", "journal.b"):
            damage(loop.state_dir / name)
        with loop_process(tmp_path, tmp_path / "site.sealed") as again:
            again.attach()
            assert again.until_mode(L.Mode.MODE_TRIPPED)["internal"] == L.Internal.TRIP_JOURNAL
            assert again.ask("reset")["ok"]
            again.until_mode(L.Mode.MODE_RUN)


# --- starting where something is wrong ---------------------------------------------------------------------------------------------------


def refused_start(tmp_path: Path, sealed: Path) -> tuple[int, str]:
    with loop_process(tmp_path, sealed) as loop:
        code = loop.wait()
        return code, " ".join(line["message"] for line in loop.log())


def test_a_second_loop_is_refused_and_the_first_runs_on(tmp_path: Path) -> None:
    """One plant has one loop."""
    with plant_and_loop(tmp_path) as (_, loop):
        code, said = refused_start(tmp_path, tmp_path / "site.sealed")
        assert code == 1
        assert "another loop process runs here" in said
        tick = loop.now()["tick"]
        loop.until("the first still ticks", lambda s: s["tick"] > tick)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"BESSEAL1", "not a sealed configuration"), (b"#!yaml", "not a sealed configuration")],
)
def test_a_bad_sealed_file_is_exit_2_with_what_to_do(tmp_path: Path, content: bytes | None, said: str) -> None:
    sealed = tmp_path / "site.sealed"
    if content is not None:
        sealed.write_bytes(content)
    code, text = refused_start(tmp_path, sealed)
    assert code == 2
    assert said in text
    assert "bessctl check --seal" in text
    assert "Traceback" not in text


def test_a_changed_sealed_file_is_refused(tmp_path: Path) -> None:
    """The hash is the configuration's name: a flipped bit has none."""
    sealed = seal_site(tmp_path, 5020)
    data = bytearray(sealed.read_bytes())
    data[5000] ^= 1
    sealed.unlink()
    sealed.write_bytes(data)
    code, text = refused_start(tmp_path, sealed)
    assert code == 2
    assert "changed or cut short after sealing" in text


@contextmanager
def reserved_port() -> Iterator[tuple[int, socket.socket]]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1], holder


def test_an_unreachable_pcs_is_said_once_and_met_when_it_comes(tmp_path: Path) -> None:
    """The loop waits with a message, and connects later by itself."""
    with reserved_port() as (port, holder), loop_process(tmp_path, seal_site(tmp_path, port)) as loop:
        loop.attach()
        said = wait_for("the loop says who is missing", lambda: loop.said("pcs1 at 127.0.0.1"))
        assert "Connection refused" in said
        assert f":{port}" in said
        holder.close()
        with plant_server(port):
            loop.until_mode(L.Mode.MODE_RUN)
            assert len(loop.events("EV_DEVICE_DOWN")) == 3, "each device once"


@pytest.mark.parametrize("what", ["serial", "model"])
def test_another_device_is_refused_with_both_values(tmp_path: Path, what: str) -> None:
    """R5: at each connect the loop verifies what was sealed."""
    exchanged = {"pcs": {"device": {"unit": 1, "serial": "SIM-PCS-0002"}}}
    swapped = {"pcs": {"device": {"unit": 9}}, "battery": {"device": {"unit": 1, "serial": "SIM-PCS-0001"}}}
    changes = exchanged if what == "serial" else swapped
    with plant_server(**changes) as server, loop_process(tmp_path, seal_site(tmp_path, server.port)) as loop:
        loop.attach()
        said = wait_for("it says which device", lambda: loop.said("pcs1 at .* is not the device that was sealed"))
        assert "sealed was" in said
        state = loop.until("it stands refused", lambda s: s["pcs_state"][0] == L.DeviceState.DEV_REFUSED)
        assert state["mode"] in (L.Mode.MODE_ACQUIRE, L.Mode.MODE_START_FAILED)
        assert server.plants[0].get()["wset_writes"] == 0, "nothing is ever written to it"


# --- privileges --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="taking privileges away needs root")
@pytest.mark.parametrize("required", [False, True])
def test_without_real_time_privileges_it_says_so_and_runs_flagged_or_stands_by(tmp_path: Path, required: bool) -> None:
    """Degradation is loud: a message with the remedy, a flag, an event."""
    rt = "rt: required " if required else "rt: preferred"
    with (
        plant_server() as server,
        loop_process(tmp_path, seal_site(tmp_path, server.port, ("rt: preferred", rt)), wrapper=NO_PRIVILEGES) as loop,
    ):
        loop.attach()
        state = loop.until_mode(L.Mode.MODE_STANDBY if required else L.Mode.MODE_RUN)
        assert state["flags"] & L.Flag.FLAG_RT_REFUSED
        assert state["flags"] & L.Flag.FLAG_MLOCK_REFUSED
        assert "CAP_SYS_NICE" in wait_for("the remedy for priority", lambda: loop.said("priority"))
        assert "CAP_IPC_LOCK" in wait_for("the remedy for memory", lambda: loop.said("memory is not locked"))
        assert wait_for("the event", lambda: loop.events("EV_RT_REFUSED"))
        assert loop.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="real-time priority needs root")
def test_with_privileges_it_is_real_time_and_locked(tmp_path: Path) -> None:
    with plant_and_loop(tmp_path) as (_, loop):
        pid = loop.process.pid
        assert os.sched_getscheduler(pid) == os.SCHED_FIFO
        locked = {
            line.split(":")[0]: line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Vm")
        }
        assert int(locked["VmLck"]) > 10_000
        policies = {os.sched_getscheduler(int(task)) for task in os.listdir(f"/proc/{pid}/task") if int(task) != pid}
        assert policies == {os.SCHED_OTHER}, "only the loop's own thread is real-time"


# --- devices that misbehave while it runs ------------------------------------------------------------------------------------------------


def running_at(loop: Any, watts: float) -> None:
    loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 600 * S, 0, [block(watts)])
    loop.until("power", lambda s: near(s["ess_w"], watts))


def test_a_lost_connection_is_verified_and_asserted_anew(tmp_path: Path) -> None:
    """R11: asserted again after every reconnect."""
    with plant_and_loop(tmp_path) as (server, loop):
        running_at(loop, 50e3)
        writes = server.plants[0].get()["wset_writes"]
        server.drop()
        loop.until("it is up again", lambda s: s["bus_reconnects"][0] >= 1 and s["pcs_state"][0] == L.DeviceState.DEV_UP)
        wait_for("the set point is written again", lambda: server.plants[0].get()["wset_writes"] > writes)
        loop.until("power again", lambda s: near(s["ess_w"], 50e3) and s["mode"] == L.Mode.MODE_RUN)


def test_a_pcs_in_local_control_is_not_commanded(tmp_path: Path) -> None:
    """R15: LocRemCtl = local: hands off, no set point, no heartbeat; remote again: we are back."""
    with plant_and_loop(tmp_path) as (server, loop):
        plant = server.plants[0]
        running_at(loop, 50e3)
        plant.set(local=True)
        loop.until("the flag stands", lambda s: s["flags"] & L.Flag.FLAG_LOCAL_CONTROL and s["command_w"] == 0)
        since, writes = loop.now()["tick"], plant.get()["wset_writes"]
        loop.until("many ticks later", lambda s: s["tick"] > since + 250)
        assert plant.get()["wset_writes"] == writes
        plant.set(local=False)
        loop.until("ours again", lambda s: near(s["ess_w"], 50e3))


def test_a_battery_hears_us_while_its_pcs_is_in_local_control(tmp_path: Path) -> None:
    """802 CtrlHb: a BMS that misses it may open its contactors under the power that somebody commands on the spot."""
    with plant_server(battery={"ctrl_hb_timeout_s": 1.5}) as server, loop_process(tmp_path, seal_site(tmp_path, server.port)) as loop:
        loop.attach()
        loop.until_mode(L.Mode.MODE_RUN)
        server.plants[0].set(local=True)
        since = loop.until("the flag stands", lambda s: s["flags"] & L.Flag.FLAG_LOCAL_CONTROL)["tick"]
        state = loop.until("longer than the BMS waits", lambda s: s["tick"] > since + 300)
        assert state["value"][L.Quantity.Q_BMS_ALARM] == 0


def test_a_set_point_changed_by_somebody_else_is_asserted_three_times_then_left(tmp_path: Path) -> None:
    """R11: an event each time, then 0 W and standby until the operator resets."""
    with plant_and_loop(tmp_path) as (server, loop):
        plant = server.plants[0]
        running_at(loop, 50e3)
        for count in range(1, 5):
            wait_for("ours is confirmed", lambda: plant.get()["wset_w"] == 50e3)
            confirmed = loop.now()["tick"]
            loop.until("and was read back", lambda s, since=confirmed: s["tick"] > since + 120)
            write_registers(plant, WSET_ENA + 2, 0, 20000)
            wait_for(f"change {count} is told", lambda n=count: len(loop.events("EV_SETPOINT_FOREIGN")) == n)
        told = loop.events("EV_SETPOINT_FOREIGN")[0]
        assert (told["value"], told["limit"]) == (20000, 50000)
        loop.until("the unit is unconfirmed", lambda s: s["flags"] & L.Flag.FLAG_UNCONFIRMED)
        wait_for("0 W and standby", lambda: plant.get()["inv_state"] == STANDBY and plant.get()["wset_w"] == 0)
        assert loop.ask("reset")["ok"]
        loop.until("ours again", lambda s: near(s["ess_w"], 50e3))


def test_a_frozen_battery_is_taken_for_silent(tmp_path: Path) -> None:
    """R4: a heartbeat that stands still behind a live socket."""
    with plant_and_loop(tmp_path, ("settle_s: 0.5 ", "settle_s: 0.5\n  frozen_s: 3 ")) as (server, loop):
        running_at(loop, 50e3)
        server.plants[0].set(bms_frozen=1)
        state = loop.until("frozen", lambda s: s["bms_state"][0] == L.DeviceState.DEV_FROZEN)
        state = loop.until("no power", lambda s: s["command_w"] == 0)
        assert state["mode"] in (L.Mode.MODE_RUN, L.Mode.MODE_TRIPPED)
        assert wait_for("it is told", lambda: loop.said("nothing moves in it"))


def test_a_silent_battery_stops_the_power_and_is_told(tmp_path: Path) -> None:
    """R4: data age counts from the request; missing data is a violation."""
    with plant_and_loop(tmp_path) as (server, loop):
        running_at(loop, 50e3)
        server.plants[0].set(bms_silent=1)
        loop.until("no power", lambda s: s["command_w"] == 0)
        wait_for("it is told", lambda: loop.said("bms1 at .* (no answer|no connection|the connection ended)"))


# --- the operator's socket ---------------------------------------------------------------------------------------------------------------


def test_what_is_not_understood_is_refused_and_status_answers(tmp_path: Path) -> None:
    with plant_and_loop(tmp_path) as (_, loop):
        assert loop.ask("fly")["outcome"] == "refused"
        status = loop.ask("status")
        assert status["status"]["mode"] == L.Mode.MODE_RUN
        assert loop.ask("release", source="nobody")["reason"].startswith("no such source")
        loop.plans().write(SLOTS["manual"], time.monotonic_ns() + 600 * S, 0, [block(30e3)])
        loop.until("power", lambda s: near(s["ess_w"], 30e3))
        assert loop.ask("release", source="manual")["ok"]
        loop.until("released", lambda s: s["command_w"] == 0)


def test_the_service_manager_is_told_when_it_runs_and_fed_while_it_does(tmp_path: Path) -> None:
    """sd_notify: READY after the first tick, WATCHDOG only from the tick."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, plant_server() as server:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        sealed = seal_site(tmp_path, server.port)
        with loop_process(tmp_path, sealed, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as loop:
            loop.attach()
            heard = {manager.recv(100) for _ in range(4)}
            assert heard == {b"READY=1", b"WATCHDOG=1"}


def test_skipped_periods_are_published_with_their_instant(tmp_path: Path) -> None:
    """R-hygiene: a loop that was held up says when and for how long, not only that it was."""
    with plant_and_loop(tmp_path) as (_, loop):
        before = loop.now()
        held_ns = time.monotonic_ns()
        loop.process.send_signal(signal.SIGSTOP)
        wait_for("the clock goes on", lambda: time.monotonic_ns() - held_ns > 100_000_000)
        loop.process.send_signal(signal.SIGCONT)
        after = loop.until("the skip is told", lambda state: state["missed"] >= before["missed"] + 9)
        first = before["skips"]
        told = [(after["skip_ns"][n % 32], after["skip_periods"][n % 32]) for n in range(first, after["skips"])]
        assert sum(periods for _, periods in told) == after["missed"] - before["missed"]
        at_ns, periods = max(told, key=lambda skip: skip[1])
        assert held_ns < at_ns <= after["now_ns"]
        assert periods >= 9
