"""Real time: the loop as its own process, the simulated plant as another, real Modbus TCP or a paced RTU line between them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bessctl.app.lines import request_line
from bessctl.config import seal as sealing
from bessctl.config.load import load_site
from bessctl.corelink import attach, names
from bessctl.corelink.commission import begin_commissioned
from bessctl.corelink.link import CoreLink
from bessctl.demo.stage import bessctl
from bessctl.errors import BessctlError, NotReachable, OperationFailed, Refused
from bessctl.hil.busy import Busy, in_front
from bessctl.hil.dryplace import evidence
from bessctl.hil.faults import Injection
from bessctl.hil.health import health
from bessctl.hil.place import CannotPlay, Evidence
from bessctl.hil.planttalk import PlantTalk, ended
from bessctl.hil.record import Recording
from bessctl.hil.sabotage import sabotaged
from bessctl.hil.signals import Column
from bessctl.hil.stagefiles import StageFiles
from bessctl.model.plan import Plan

S = 1_000_000_000
LOOK_S = 0.02
READY_S = 90.0
"""How long a loop is waited for: how fast a process starts is the machine's affair."""
STUTTER_S = (0.05, 0.2)
"""How long a loop is stopped that must be late, and then runs."""


class LivePlace:
    """bessctl.hil.place.Place in real time against the simulated plant, all in a folder of its own."""

    name = "real time"
    lease_most_s = 3600.0

    def __init__(self, files: StageFiles, sabotage: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bessctl-hil-")
        self.folder = Path(self._folder.name)
        self._loop: subprocess.Popen[bytes] | None = None
        self._link: CoreLink | None = None
        self._rows: list[float] = []
        self._columns: tuple[Column, ...] = ()
        self._logged: list[int] = []
        self._loops_health: dict[str, Any] = {}
        self._busy = Busy(LOOK_S)
        self._stuttering = threading.Event()
        self._stopping = False
        tree = YAML(typ="safe").load(files.site.read_text())
        rtu = next((bus["rtu"] for bus in tree["buses"] if "rtu" in bus), None)
        self.talk = PlantTalk(files, rtu["baud"] if rtu else None, self.folder / "plant.log")
        try:
            self._seal(tree, files, sabotage)
        except BaseException:
            self.close()
            raise

    def _seal(self, tree: dict[str, Any], files: StageFiles, sabotage: str) -> None:
        hello = self.talk.hello
        for i, bus in enumerate(tree["buses"]):
            if "rtu" in bus:
                bus["rtu"]["device"] = hello["pty_paths"][i]
            else:
                bus["tcp"] = {"host": "127.0.0.1", "port": hello["ports"][i]}
        for name in ("run", "state"):
            (self.folder / name).mkdir(mode=0o700)
        tree["paths"] = {"state_dir": str(self.folder / "state"), "run_dir": str(self.folder / "run")}
        site = self.folder / "site.yaml"
        with site.open("w") as file:
            YAML().dump(tree, file)
        loaded = load_site(site)
        found = files.found(loaded)
        content = sealing.seal(loaded, found).content
        self.sealed = self.folder / "site.sealed"
        self.sealed.write_bytes(sabotaged(content, sabotage) if sabotage else content)
        begin_commissioned(str(self.folder / "state"), str(self.sealed))
        self.site = files.words(self.sealed.read_bytes())
        self._logged = [0] * len(hello["plants"])

    # --- the loop -----------------------------------------------------------------------------------------------------------------------

    def _start_loop(self) -> None:
        self._busy.pause()
        log = (self.folder / "loop.log").open("ab")
        self._loop = subprocess.Popen(
            [*bessctl(), "loop", str(self.sealed)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        until_s = time.monotonic() + READY_S
        while self._link is None or not self._link.attached:
            if self._loop.poll() is not None or time.monotonic() > until_s:
                raise CannotPlay(f"the loop did not start: {self._tail()}")
            if self._link is None:
                with suppress(NotReachable, Refused, OperationFailed):
                    self._link = attach(str(self.folder / "run"))
            time.sleep(LOOK_S)

    def _tail(self) -> str:
        log = self.folder / "loop.log"
        return " | ".join(log.read_text(errors="replace").splitlines()[-3:]) if log.exists() else ""

    @property
    def link(self) -> CoreLink:
        assert self._link is not None
        return self._link

    @property
    def facts(self) -> dict[str, Any]:
        """Also how the loop kept its time."""
        return {
            "config hash": self.site.config.digest.hex(),
            "clock": "CLOCK_MONOTONIC, sampled every 20 ms",
            "real time": self._loops_health.get("real time", ""),
            "loop": {key: value for key, value in self._loops_health.items() if key != "real time"},
        }

    # --- Place --------------------------------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return time.monotonic_ns()

    def begin(self, columns: tuple[Column, ...], cold: bool) -> int:
        self._columns = columns
        self._start_loop()
        in_front(True)
        until_ns = self.now_ns + round(READY_S * S)
        while True:
            state = self.link.state()
            if state is not None and cold:
                return int(state["now_ns"] - state["tick"] * S / self.site.rate_hz)  # its first tick
            if state is not None and names.MODES.get(state["mode"]) == "run":
                self.advance(self.now_ns + 3 * S)
                self._busy = Busy(LOOK_S)
                return self.now_ns
            if self.now_ns > until_ns:
                raise CannotPlay(f"the loop did not come to mode run within {READY_S:g} s: {self._tail()}")
            time.sleep(LOOK_S)

    def advance(self, until_ns: int) -> str:
        while True:
            self._look()
            if self._loop is not None and self._loop.poll() is not None and not self._stopping:
                return f"the loop ended by itself: {self._tail()}"
            left_s = (until_ns - self.now_ns) / S
            if left_s <= 0:
                return ""
            time.sleep(min(LOOK_S, left_s))

    @property
    def stolen_ms(self) -> float:
        return self._busy.stolen_ms

    def _look(self) -> None:
        self._busy.look(time.monotonic())
        state = self._link.state() if self._link is not None else None
        plants = [self.talk.ask(get=True, plant=i)["get"] for i in range(len(self._logged))]
        if state is not None:
            self._busy.loop(state["missed"] - state["missed_own"], 1 / self.site.rate_hz)
            self._loops_health = health(state, len(self.site.buses), self._busy.told())
        row = [self.now_ns / S]
        for side, field, index in self._columns:
            if side == "plant":
                row.append(float(plants[index][field]))
            elif state is None:
                row.append(float("nan"))
            else:
                value = state[field]
                row.append(float(value[index] if isinstance(value, list | bytes | tuple) else value))
        self._rows += row

    def write(self, source: str, plan: Plan, old_boot: bool) -> str:
        if old_boot:
            raise CannotPlay("a plan of another boot is written in simulated time only")
        if self._loop is None:
            return ""
        with suppress(NotReachable):
            self.link.writer(source).write(plan)
        return ""

    def command(self, word: str, local: bool, source: str = "") -> None:
        if not local:
            with suppress(BessctlError):
                self.link.send(word)
            return
        request = {"command": word.replace("_", "-") if word != "release" else word, **({"source": source} if source else {})}
        with suppress(OSError):
            request_line(self.folder / "run" / "control.sock", request)

    def plays(self, injection: Injection) -> None:
        """Nobody else is needed."""

    def plant(self, unit: int, values: dict[str, Any]) -> None:
        self.talk.ask(set=values, plant=unit)

    def truth(self, unit: int) -> dict[str, Any]:
        found: dict[str, Any] = self.talk.ask(get=True, plant=unit)["get"]
        return found

    def wire(self, values: dict[str, Any]) -> None:
        self.talk.ask(disturb=values)

    def foreign(self, unit: int, power_w: float) -> None:
        self.talk.ask(foreign=power_w, plant=unit)

    def controller(self, what: str) -> None:
        if what == "rebooted":
            raise CannotPlay("another boot cannot be had on this machine; simulated time plays it")
        if what == "started":
            self._start_loop()
        elif what in {"late", "in time"}:
            self._stutter(what == "late")
        elif self._loop is not None:
            self._loop.send_signal(signal.SIGTERM if what == "stop" else signal.SIGKILL)
            self._stopping = what == "stop"
            if what == "killed":
                self._loop.wait()
                self._loop = None

    def _stutter(self, on: bool) -> None:
        """The loop's process is stopped again and again for a few of its periods, as a machine does that has other things to do."""
        self._busy.expect(on)
        if not on:
            self._stuttering.set()
        elif self._loop is not None:
            self._stuttering.clear()
            threading.Thread(target=self._stutters, args=(self._loop,), daemon=True).start()

    def _stutters(self, loop: subprocess.Popen[bytes]) -> None:
        while not self._stuttering.is_set() and loop.poll() is None:
            with suppress(ProcessLookupError):
                loop.send_signal(signal.SIGSTOP)
                time.sleep(STUTTER_S[0])
                loop.send_signal(signal.SIGCONT)
            self._stuttering.wait(STUTTER_S[1])

    def journal(self, what: str) -> None:
        raise CannotPlay("the journal's disk is real here; simulated time plays it")

    def take(self, record: Recording, zero_ns: int) -> None:
        for i in range(0, len(self._rows), record.width):
            self._rows[i] -= zero_ns / S
        record.rows.extend(self._rows)
        self._rows.clear()
        if self._link is not None:
            record.events += [((event.at_ns - zero_ns) / S, event) for event in self._link.events()]
        for unit, since in enumerate(self._logged):
            for number, ns, kind, value in self.talk.ask(command_log=True, since=since, plant=unit)["command_log"]:
                record.commands.append(((ns - zero_ns) / S, unit, kind, value))
                self._logged[unit] = number + 1

    def finish(self) -> Evidence:
        """SIGTERM; the loop's exit code says whether it saw every PCS at rest."""
        proved = False
        in_front(False)
        if self._loop is not None and self._loop.poll() is None:
            self._look()
            self._loop.send_signal(signal.SIGTERM)
            ended(self._loop)
            proved = self._loop.returncode == 0 and "every PCS" in self._tail()
        time.sleep(0.5)
        return evidence([self.truth(unit) for unit in range(len(self._logged))], self.site.units, proved)

    def close(self) -> None:
        in_front(False)
        self._stuttering.set()
        if self._link is not None:
            self._link.close()
        if self._loop is not None and self._loop.poll() is None:
            os.killpg(self._loop.pid, signal.SIGKILL)
            self._loop.wait()
        self.talk.end()
        self._folder.cleanup()
