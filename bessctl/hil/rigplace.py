"""A rig: real devices behind a loop that runs already. The runner is a source like any other, with a lease of two seconds at most.

Rules
- Nothing is commanded before the loop answered, runs the sealed configuration that was commissioned, is in mode run and sees every device.
- Each plan's lease ends within LEASE_MOST_S: a runner that dies leaves 0 W, by the loop.
- A fault is played by an operator, who is told and confirms, or by a relay's command; one that nobody plays leaves the scenario not run.
  The scenario's clock stands while somebody acts.
- What is measured beyond an abort limit ends the run: everything is released, and the loop is told to stop, by the operator's socket: 0 W,
  then standby. So does Ctrl-C.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from bessctl.app.lines import request_line
from bessctl.corelink import attach, names
from bessctl.errors import NotReachable, OperationFailed, PlanRefused, Refused
from bessctl.hil.busy import Busy, in_front
from bessctl.hil.faults import Injection
from bessctl.hil.health import health
from bessctl.hil.place import CannotPlay, Evidence
from bessctl.hil.playable import OVER, by_itself
from bessctl.hil.record import Recording
from bessctl.hil.rig import LEASE_MOST_S, Fault, Rig
from bessctl.hil.signals import Column, Signals
from bessctl.model.plan import Plan

S = 1_000_000_000
LOOK_S = 0.02
READY_S = 10.0
REST_S = 8.0
AT_REST = {"off", "sleeping", "standby"}

Ask = Callable[[str], str]
"""Tells the operator what to do and returns when he has answered."""


class Waiting:
    """A fault somebody plays, in a thread of its own."""

    def __init__(self, act: Callable[[], None], seconds: float, what: str) -> None:
        self._error = ""
        self._until_s, self._seconds, self._what = time.monotonic() + seconds, seconds, what
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self._thread.start()

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (CannotPlay, OSError, EOFError, subprocess.SubprocessError) as e:
            self._error = str(e) or type(e).__name__

    def done(self) -> bool:
        """Raises CannotPlay when it failed or takes too long."""
        if not self._thread.is_alive():
            if self._error:
                raise CannotPlay(f"{self._what}: {self._error}")
            return True
        if time.monotonic() > self._until_s:
            raise CannotPlay(f"{self._what}: nobody confirmed within {self._seconds:g} s")
        return False


class RigPlace:
    """bessctl.hil.place.Place at a rig."""

    name = "rig"
    lease_most_s = LEASE_MOST_S

    def __init__(self, rig: Rig, ask: Ask) -> None:
        """Raises NotReachable, Refused: then nothing was commanded."""
        self.rig, self._ask = rig, ask
        self.link = attach(str(rig.run_dir))
        self.site = self.link.site
        if self.site.config.digest.hex() != rig.digest:
            self.link.close()
            raise Refused(f"the loop runs configuration {self.site.config.digest.hex()[:16]}, sealed is {rig.digest[:16]}; start it again")
        if untried := self._untried():
            self.link.close()
            raise Refused(f"{', '.join(untried)}: never tried under this configuration; a rig starts only after `bessctl commission` (R16)")
        self._signals = Signals(self.site, truth=False)
        self._columns: tuple[Column, ...] = ()
        self._rows: list[float] = []
        self._written: set[str] = set()
        self._played: list[Fault] = []
        self._aborted = ""
        self._finished = False
        self._health: dict[str, Any] = {}
        self._busy = Busy(LOOK_S)

    @property
    def facts(self) -> dict[str, Any]:
        devices = ", ".join(f"{name} {device.kind} on {device.bus} {device.what}".strip() for name, device in self.rig.file.devices.items())
        limits = ", ".join(f"{name} {value:g}" for name, value in self.rig.abort.items())
        return {
            "config hash": self.rig.digest, "clock": "CLOCK_MONOTONIC, sampled every 20 ms", "real time": self._health.get("real time", ""),
            "loop": {**self._health, "rig": self.rig.file.rig, "devices": devices, "abort limits, sealed": limits},
        }  # fmt: skip

    @property
    def stolen_ms(self) -> float:
        return self._busy.stolen_ms

    @property
    def now_ns(self) -> int:
        return time.monotonic_ns()

    def begin(self, columns: tuple[Column, ...], cold: bool) -> int:
        if cold:
            raise CannotPlay("the loop of a rig is not restarted by a scenario")
        self._columns = columns
        self.ready()
        self._busy = Busy(LOOK_S)
        in_front(True)
        return self.now_ns

    def ready(self) -> None:
        """The loop runs and sees every device. Raises NotReachable: nothing was commanded."""
        until_s = time.monotonic() + READY_S
        while why := self._hindrance():
            if time.monotonic() > until_s:
                raise NotReachable(f"nothing was commanded: {why}; bring the rig up and try again")
            time.sleep(LOOK_S)

    def _untried(self) -> list[str]:
        """Units that were not commissioned; all, while the loop publishes nothing."""
        until_s = time.monotonic() + READY_S
        while (state := self.link.state()) is None and time.monotonic() < until_s:
            time.sleep(LOOK_S)
        return [unit for i, unit in enumerate(self.site.units) if state is None or not state["unit_commissioned"][i]]

    def _hindrance(self) -> str:
        state = self.link.state()
        if state is None:
            return "the loop publishes nothing"
        mode = names.MODES.get(state["mode"], "?")
        if mode != "run":
            return f"the loop is in mode {mode}, not run"
        for i, unit in enumerate(self.site.units):
            for side in ("pcs_state", "bms_state"):
                if names.DEVICE_STATES.get(state[side][i]) != "up":
                    return f"{side.removesuffix('_state')} of {unit} is {names.DEVICE_STATES.get(state[side][i])}"
        return ""

    def advance(self, until_ns: int) -> str:
        while True:
            why = self._aborted or self._look()
            if why:
                self._aborted = why
                return f"aborted: {why}"
            left_s = (until_ns - self.now_ns) / S
            if left_s <= 0:
                return ""
            time.sleep(min(LOOK_S, left_s))

    def _look(self) -> str:
        state = self.link.state()
        if state is None:
            return "the loop is gone"
        self._busy.look(time.monotonic())
        self._busy.loop(state["missed"] - state["missed_own"], 1 / self.site.rate_hz)
        self._health = health(state, len(self.site.buses), self._busy.told())
        self._rows += [self.now_ns / S, *(_cell(state, column) for column in self._columns)]
        for name, limit in self.rig.abort.items():
            signal = self._signals.known.get(name)
            if signal is None:
                continue
            value = signal.read([_cell(state, column) for column in signal.columns])
            beyond = abs(float(value)) > limit * 1.02 if name == "power" else _beyond(name, float(value), limit)
            if beyond:
                return f"{name} is {float(value):g}, the abort limit is {limit:g}"
        return ""

    def write(self, source: str, plan: Plan, old_boot: bool) -> str:
        if old_boot:
            raise CannotPlay("a plan of another boot is written in simulated time only")
        if self._aborted:
            return self._aborted
        self._written.add(source)
        most_ns = self.now_ns + round(LEASE_MOST_S * S)
        try:
            self.link.writer(source).write(replace(plan, lease_until_ns=min(plan.lease_until_ns, most_ns)))
        except PlanRefused as e:
            return str(e)
        return ""

    def command(self, word: str, local: bool, source: str = "") -> None:
        if local:
            request = {"command": word if word == "release" else word.replace("_", "-"), **({"source": source} if source else {})}
            with suppress(OSError):
                request_line(self.rig.run_dir / "control.sock", request)
        else:
            with suppress(Refused, NotReachable):
                self.link.send(word)

    def plays(self, injection: Injection) -> Waiting | None:
        """Somebody must act; only what the runner itself is (a source) it does alone."""
        if by_itself(injection):
            return None
        fault = self.rig.file.faults.get(injection.name)
        if fault is None:
            raise CannotPlay(f"nobody plays {injection.name!r} at this rig; name an operator or a relay in its faults")
        self._played.append(fault)
        over = f" over {injection.over_s:g} s" if injection.over_s else ""
        wanted = injection.told.removeprefix(f"{injection.name}: ").removesuffix(over)
        if fault.operator is not None:
            then = "and press Enter as you begin" if over else "then press Enter"
            text = f"{fault.operator.replace('{value}', wanted)}{over} - {then}"
            return Waiting(lambda: self._answered(self._ask(text)), self.rig.file.operator_s, injection.name)
        command = [word.replace("{value}", wanted).replace(OVER, f"{injection.over_s:g}") for word in fault.relay or []]
        return Waiting(lambda: _drive(command), self.rig.file.operator_s, injection.name)

    def _answered(self, answer: str) -> None:
        """No: the scenario is not run. Abort: the run is over, and the devices go to standby."""
        word = answer.strip().lower()
        if word == "abort":
            self._aborted = "by the operator"
        elif word in {"n", "no"}:
            raise CannotPlay("the operator said no")

    def plant(self, unit: int, values: dict[str, Any]) -> None:
        raise CannotPlay("the world of a rig is changed by a relay or an operator")

    def truth(self, unit: int) -> dict[str, Any]:
        raise CannotPlay("real devices have no truth but their registers")

    def wire(self, values: dict[str, Any]) -> None:
        raise CannotPlay("links of a rig are disturbed by a relay or an operator")

    def foreign(self, unit: int, power_w: float) -> None:
        raise CannotPlay("no second master writes at a rig")

    def controller(self, what: str) -> None:
        raise CannotPlay("the loop of a rig is not killed by a scenario")

    def journal(self, what: str) -> None:
        raise CannotPlay("the journal of a rig is left alone")

    def take(self, record: Recording, zero_ns: int) -> None:
        for i in range(0, len(self._rows), record.width):
            self._rows[i] -= zero_ns / S
        record.rows.extend(self._rows)
        self._rows.clear()
        record.events += [((event.at_ns - zero_ns) / S, event) for event in self.link.events()]

    def finish(self) -> Evidence:
        """Everything released, faults ended, 0 W seen; after an abort the loop is stopped first, and standby seen as well."""
        in_front(False)
        if self._aborted:
            self.command("stop", True)
        self._let_go()
        self._finished = True
        return self._rest()

    def _let_go(self) -> None:
        for source in sorted(self._written):
            self.command("release", True, source)
        self._written.clear()
        for fault in self._played:
            if fault.well is not None:
                with suppress(OSError, subprocess.SubprocessError, CannotPlay):
                    _drive(fault.well)
        self._played.clear()

    def _rest(self) -> Evidence:
        until_s, power_w, states, proved = time.monotonic() + REST_S, float("nan"), {}, False
        while not proved and time.monotonic() < until_s:
            state = self.link.state()
            if state is None:
                break
            power_w = _cell(state, ("loop", "ess_w", 0))
            states = {unit: str(self._value(state, f"PCS of {unit}")) for unit in self.site.units}
            proved = abs(power_w) < 1000.0 and (not self._aborted or set(states.values()) <= AT_REST)
            time.sleep(LOOK_S)
        return Evidence(proved, power_w, {f"PCS of {unit}": state for unit, state in states.items()})

    def _value(self, state: dict[str, Any], name: str) -> float | str:
        signal = self._signals.find(name)
        return signal.read([_cell(state, column) for column in signal.columns])

    def close(self) -> None:
        """A run that did not come to its end is an abort: released and stopped."""
        in_front(False)
        if not self._finished and self._written:
            self._aborted = self._aborted or "interrupted"
            with suppress(NotReachable, OperationFailed):
                self.finish()
        self.link.close()


def _cell(state: dict[str, Any], column: Column) -> float:
    _, field, index = column
    value = state[field]
    return float(value[index] if isinstance(value, list | bytes | tuple) else value)


def _beyond(name: str, value: float, limit: float) -> bool:
    return value < limit if name in {"coldest cell", "lowest cell"} else value > limit


def _drive(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise CannotPlay(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[:200]}")
