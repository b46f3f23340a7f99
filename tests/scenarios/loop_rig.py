"""A loop process of its own against the simulated plant, both real: sealed file, sockets, segments. Waits for states, never sleeps."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bessctl_core
from bessctl.config.seal import seal
from bessctl.corelink.commission import begin_commissioned
from bessctl.devices.discovery import FoundDevice
from bessctl.sim.config import SimConfig
from bessctl.sim.run import make_server
from bessctl_core import layout as L
from bessctl_core.attach import Attachment, attach_plans, attach_state
from bessctl_core.ports import EventReader, PlanPort, StatePort
from bessctl_core.sealed import SealError
from bessctl_core.sim.server import PlantServer
from tests.sites import changed_example, standard_device

MAIN = Path(bessctl_core.__file__).parent / "__main__.py"
WAIT_S = 20.0
SERIALS = {"pcs1": "SIM-PCS-0001", "bms1": "SIM-BAT-0001", "meter1": "SIM-PCC-0001"}
SLOTS = {"manual": 0, "ems": 1, "ocpp": 2}
S = 1_000_000_000


def wait_for(what: str, found: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Ask again until it is there; the deadline only keeps a broken test from hanging."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = found()
        if value:
            return value
        select.select([], [], [], 0.002)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def serial_registers(text: str) -> tuple[int, ...]:
    data = text.encode().ljust(32, b"\0")
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, 32, 2))


def found_devices() -> dict[str, FoundDevice]:
    """The simulated devices, as discovery would find them."""
    kinds = {"pcs1": ("pcs", 1), "bms1": ("bms", 2), "meter1": ("meter", 3)}
    return {
        name: dataclasses.replace(standard_device(kind, ident), serial=SERIALS[name], serial_registers=serial_registers(SERIALS[name]))
        for name, (kind, ident) in kinds.items()
    }


def plant_server(port: int | None = 0, rtu: dict[str, Any] | None = None, **sections: Any) -> PlantServer:
    """One PCS, one battery, one meter, on loopback or on one serial line."""
    tree: dict[str, Any] = {
        "pcs": {"w_max": 200_000, "start_s": 0.2, "device": {"unit": 1, "serial": SERIALS["pcs1"]}},
        "battery": {"energy_wh": 400_000, "cells": 240, "device": {"unit": 2, "serial": SERIALS["bms1"]}},
        "meter": {"device": {"unit": 3, "serial": SERIALS["meter1"]}},
        "initial": {"soc_pct": 60},
    }
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section}
    return make_server(SimConfig.model_validate({"plants": [tree], "server": {"tcp_port": port, "rtu": rtu}}))


def seal_site(folder: Path, port: int, *changes: tuple[str, str]) -> Path:
    """The example site on that port, sealed into the folder."""
    return seal_changed(folder, ("port: 5020", f"port: {port}"), *changes)


def seal_changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The example site with these texts replaced, sealed into the folder."""
    loaded = changed_example(*changes)
    file = folder / "site.sealed"
    file.unlink(missing_ok=True)
    file.write_bytes(seal(loaded, found_devices()).content)
    return file


class Loop:
    """A loop process and what a supervisor sees of it."""

    def __init__(
        self,
        folder: Path,
        sealed: Path,
        *,
        wrapper: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        commissioned: bool = True,
    ) -> None:
        self.run_dir, self.state_dir = folder / "run", folder / "state"
        if commissioned:
            with suppress(SealError, OSError):
                begin_commissioned(str(self.state_dir), str(sealed))
        self.command = [sys.executable, "-I", "-S", str(MAIN), str(sealed), "--run-dir", str(self.run_dir)]
        self.command += ["--state-dir", str(self.state_dir), "--log", "json"]
        self.process = subprocess.Popen([*wrapper, *self.command], stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        self.lines: list[dict[str, Any]] = []
        self._incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._links: list[Attachment] = []
        self.state: StatePort | None = None

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self._incoming.put(json.loads(line))
            except ValueError:
                self._incoming.put({"message": line.rstrip(), "code": "text"})

    def log(self) -> list[dict[str, Any]]:
        """What it said so far."""
        while not self._incoming.empty():
            self.lines.append(self._incoming.get())
        return self.lines

    def said(self, pattern: str) -> str | None:
        """The newest message that matches."""
        return next((line["message"] for line in reversed(self.log()) if re.search(pattern, line["message"])), None)

    def events(self, code: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line.get("code") == code]

    def attach(self) -> StatePort:
        """See its state."""

        def link() -> Attachment | None:
            assert self.process.poll() is None, self.log()
            try:
                return attach_state(str(self.run_dir))
            except OSError:
                return None

        attachment = wait_for("the loop answers", link)
        self._links.append(attachment)
        self.state = StatePort(attachment.fd)
        return self.state

    def events_reader(self) -> EventReader:
        return EventReader(self._links[-1].fd)

    def plans(self) -> PlanPort:
        """Be its supervisor."""
        attachment = attach_plans(str(self.run_dir))
        self._links.append(attachment)
        return PlanPort(attachment.fd)

    def let_go(self) -> None:
        """Be its supervisor no longer; its state stays visible."""
        while len(self._links) > 1:
            self._links.pop().close()

    def now(self) -> dict[str, Any]:
        assert self.state is not None
        state: dict[str, Any] = wait_for("a whole state", self.state.read)
        return state

    def until(self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float = WAIT_S) -> dict[str, Any]:
        """Wait for a published state."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.log()
            state = self.now()
            return state if holds(state) else None

        try:
            found: dict[str, Any] = wait_for(what, look, seconds)
            return found
        except AssertionError:
            print(*(line["message"] for line in self.log()), sep="\n")
            raise

    def until_mode(self, mode: int) -> dict[str, Any]:
        return self.until(f"mode {mode}", lambda state: state["mode"] == mode)

    def ask(self, command: str, **more: Any) -> dict[str, Any]:
        """The operator at the machine."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(WAIT_S)
            link.connect(str(self.run_dir / "control.sock"))
            link.sendall(json.dumps({"command": command, **more}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(link.makefile().readline())
            return answer

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(WAIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        for link in self._links:
            link.close()


@contextmanager
def loop_process(folder: Path, sealed: Path, **options: Any) -> Iterator[Loop]:
    """A running loop, killed at the end whatever happens."""
    loop = Loop(folder, sealed, **options)
    try:
        yield loop
    finally:
        loop.close()


@contextmanager
def plant_and_loop(folder: Path, *changes: tuple[str, str], **options: Any) -> Iterator[tuple[PlantServer, Loop]]:
    """The plant served, the loop attached, in RUN and free to give and take power."""
    with plant_server() as server, loop_process(folder, seal_site(folder, server.port, *changes), **options) as loop:
        loop.attach()
        loop.until("power is allowed", lambda s: s["mode"] == L.Mode.MODE_RUN and s["hi_w"] > 150e3 and s["lo_w"] < -100e3)
        yield server, loop


def block(target_w: float, start_ns: int = 0, end_ns: int = 2**62, **limits: float) -> tuple[Any, ...]:
    """One block of a plan with an ess target."""
    stated = (limits.get(name) for name in ("ess_lo_w", "ess_hi_w", "pcc_lo_w", "pcc_hi_w"))
    return (start_ns, end_ns, *stated, target_w, 0, 0, 0.0, None, None, None)
