"""The whole chain in real processes: capacity provider, TLS, `bessctl supervise`, loop, Modbus, simulated PCS (OSCP-4, OSCP-5)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bessctl.app.lines import request_line
from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl.sim.oscp_cp import Party, Tls
from bessctl_core import layout as L
from tests.cli.test_commands import cli
from tests.scenarios.loop_rig import Loop, found_devices, loop_process, plant_server, wait_for
from tests.sites import EXAMPLE

ROOT = Path(__file__).resolve().parents[3]
PERIOD_NS = 10_000_000
OCPP = EXAMPLE.read_text()[EXAMPLE.read_text().index("ocpp:     ") :]
SOURCE = """  - name: oscp
    class: grid
    priority: 1
    scopes: [ess]
    lease_max_s: 3600
    required: true
    default_limits: {ess_lo_w: -1000, ess_hi_w: 1000}
"""
SECTION = """oscp:
  base_url: https://127.0.0.1:%d/oscp/fp/2.0
  listen: {host: 127.0.0.1, port: %d, cert_file: %s, key_file: %s}
  groups:
    - {id: feeder-7, source: oscp, scope: ess, missing_generation: zero}
  peers:
    - {name: dso, roles: [cp], kind: dso, groups: [feeder-7], grace_s: 0, ca_file: %s}
"""


POLICY_SLOT = "  - {name: policy, class: market, priority: 40, scopes: [ess, pcc], lease_max_s: 3600, may_force: discharge}\n"
POLICY = """storage: {{name: battery, soc_min_pct: 10, soc_max_pct: 90}}
policy:
  time_zone: Europe/Brussels
  ask_capacity: more
  bands:
    - {{name: full soon, minimum_pct: 100, maximum_pct: 100, at: {{once: ["{soon}"]}}}}
"""


def site_file(folder: Path, modbus_port: int, tls: Tls, *more: tuple[str, str]) -> Path:
    """The example with a grid source for OSCP and without OCPP; and what else is to be changed."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    changes = (
        ("port: 5020", f"port: {modbus_port}"),
        ("/var/lib/bessctl", "state"),
        ("/run/bessctl ", "run "),
        (OCPP, SECTION % (port, port, tls.cert_file, tls.key_file, tls.ca_file)),
        ("  - name: ocpp  ", f"{SOURCE}  - name: ocpp  "),
        *more,
    )
    text = EXAMPLE.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "site.yaml"
    file.write_text(text)
    loaded = load_site(file)
    loaded.sealed_file.write_bytes(seal(loaded, found_devices()).content)
    return file


@contextmanager
def supervisor(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`bessctl supervise` on it."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'core'}:{ROOT}"}
    with (site.parent / "supervise.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "bessctl", "supervise", str(site)], env=env, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)


async def until(what: str, found: Callable[[], Any]) -> Any:
    """Wait beside the peer's own work, not in its way."""
    return await asyncio.to_thread(wait_for, what, found)


def test_the_loop_falls_to_fallback_in_the_tick_the_lease_ends_with_the_supervisor_stopped(tmp_path: Path, tls: Tls) -> None:
    """OSCP-5: SIGSTOP before the lease ends, a wider forecast half received; then the provider comes back by a new handshake."""

    async def play(loop: Loop, site: Path, process: subprocess.Popen[bytes]) -> None:
        run_dir, slot = loop.run_dir, [source.name for source in load_site(site).site.sources].index("oscp")

        def ask(**request: Any) -> dict[str, Any] | None:
            try:
                answer = request_line(run_dir / "supervisor.sock", request)
            except OSError:
                return None
            return answer if answer["outcome"] == "done" else None

        def state(**fields: float) -> Any:
            now = loop.now()
            return now if all(now[name] == value for name, value in fields.items()) else None

        token: dict[str, Any] = await until("a token", lambda: ask(command="oscp", action="register", peer="dso"))
        await until("manual power", lambda: ask(command="set", power_w=-150_000, ttl_s=600))
        async with Party(tls) as cp:
            await until("the sealed default", lambda: state(lo_w=-1000, command_w=-1000))
            await cp.register(token["base_url"], token["token"])
            await cp.shake()
            await cp.forecast("feeder-7", "FALLBACK_CONSUMPTION", [(5_000, 0, 900)])
            assert await cp.forecast("feeder-7", "CONSUMPTION", [(50_000, 0, 900)]) == 204
            await until("the forecast in force", lambda: state(lo_w=-50_000, command_w=-50_000))
            assert await cp.heartbeat(2.0) == 204
            leased = await until("the lease", lambda: (n := loop.now())["slot_lease_until_ns"][slot] - n["now_ns"] < 2_050_000_000 and n)
            lease_ns = leased["slot_lease_until_ns"][slot]
            half, rest = cp.cut(cp.forecast_body("feeder-7", "CONSUMPTION", [(90_000, 0, 900)]), 2)
            assert await cp.send("update_group_capacity_forecast", half[0], headers=half[1]) == 204
            process.send_signal(signal.SIGSTOP)
            assert loop.now()["now_ns"] < lease_ns, "stopped before the lease ends"
            fallen = await until("fallback", lambda: state(lo_w=-5_000, command_w=-5_000))
            assert fallen["lo_bind"] == L.BindKind.BIND_FALLBACK
            assert lease_ns <= fallen["lo_since_ns"] < lease_ns + 2 * PERIOD_NS + loop_late_ns(fallen)
            process.send_signal(signal.SIGCONT)
            assert await cp.send("update_group_capacity_forecast", rest[0], headers=rest[1]) == 403, "its other half comes too late"
            assert await cp.heartbeat(60) == 403
            await cp.shake()
            await until("live again", lambda: state(lo_w=-50_000, command_w=-50_000))
            for words, expected in ((("peers",), "online"), (("forecast", "--group", "feeder-7"), "50000")):
                told = await asyncio.to_thread(cli, "oscp", *words, "--run-dir", run_dir)
                assert (told.returncode, expected in told.stdout) == (0, True), told
            told = await asyncio.to_thread(cli, "oscp", "adjust", "dso", "--capacity-w", "1000", "--run-dir", run_dir)
            assert (told.returncode, "adjust is off" in told.stderr) == (4, True), told
            assert (await asyncio.to_thread(cli, "oscp", "remove", "nobody", "--run-dir", run_dir)).returncode == 2

    with plant_server() as server:
        site = site_file(tmp_path, server.port, tls)
        with loop_process(tmp_path, site.with_suffix(".sealed")) as loop:
            loop.attach()
            loop.until_mode(L.Mode.MODE_RUN)
            with supervisor(site) as process:
                asyncio.run(play(loop, site, process))


def test_a_policy_asks_the_provider_for_more_and_what_it_answers_moves_the_pcs(tmp_path: Path, tls: Tls) -> None:
    """OSCP-6: a plan that a forecast keeps from its target -> AdjustGroupCapacityForecast on the wire -> a wider forecast -> the PCS."""
    soon = (datetime.now(UTC) + timedelta(minutes=30)).isoformat(timespec="seconds")

    async def play(loop: Loop, run_dir: Path) -> None:
        def token() -> dict[str, Any] | None:
            try:
                answer = request_line(run_dir / "supervisor.sock", {"command": "oscp", "action": "register", "peer": "dso"})
            except OSError:
                return None
            return answer if answer["outcome"] == "done" else None

        asked: dict[str, Any] = await until("a token", token)
        async with Party(tls) as cp:
            await cp.register(asked["base_url"], asked["token"])
            await cp.shake()
            assert await cp.forecast("feeder-7", "CONSUMPTION", [(5_000, 0, 7200)]) == 204
            await until("the policy charges with all it may", lambda: loop.now()["command_w"] == -5_000)
            told = await cp.wait("adjust_group_capacity_forecast")
            [block] = told.body["forecasted_blocks"]
            assert (told.body["group_id"], told.body["type"], block["unit"], block["phase"]) == ("feeder-7", "CONSUMPTION", "W", "UNKNOWN")
            wanted_w = block["capacity"]
            assert 5_000 < wanted_w <= 200_000
            await cp.forecast("feeder-7", "CONSUMPTION", [(wanted_w, 0, 7200)])
            await until("the wider forecast and the plan for it", lambda: loop.now()["command_w"] < -0.9 * wanted_w)
            assert loop.now()["lo_w"] == -wanted_w

    with plant_server() as server:
        changes = (("kind: dso, groups", "adjust: 'on', groups"), ("\noscp:", f"\n{POLICY.format(soon=soon)}oscp:"))
        site = site_file(tmp_path, server.port, tls, *changes, ("\n# What protects", f"{POLICY_SLOT}\n# What protects"))
        with loop_process(tmp_path, site.with_suffix(".sealed")) as loop:
            loop.attach()
            loop.until_mode(L.Mode.MODE_RUN)
            with supervisor(site):
                asyncio.run(play(loop, loop.run_dir))


def loop_late_ns(state: dict[str, Any]) -> int:
    """On a machine that is busy with other things a tick itself may come late; the loop says how late its latest was."""
    return int(state["wake_max_ns"])
