"""The play. Each act does something, waits until the plant shows it, and writes down what was measured."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bessctl.demo import capacity, utility
from bessctl.demo.stage import Stage
from bessctl.demo.watch import Watch
from bessctl.errors import OperationFailed
from bessctl.model.snapshot import PlantSnapshot
from bessctl.sim.csms import Csms, Peer, profile_of
from bessctl.sim.oscp_cp import Party
from bessctl.sim.sep2_server import Sep2Server

STATION = "demo-1"
TAG = "FLEET-7"
START_W = 150_000.0
PROFILE_W = 60_000.0
LEASE_S = 3.0
HEARTBEAT_S = 1
HOT_C = 52.0
TRIP_C = 60.0
COOL_C = 30.0
MS = 1e-6
RESET_TRIES = 3  # on a busy machine a row may pick up again between look and reset
ENTER_STANDBY = 2  # SunSpec 715 OpCtl


def near(w: float | None, goal_w: float, within_w: float = 2_000.0) -> bool:
    """Measured power is there."""
    return w is not None and abs(w - goal_w) <= within_w


@dataclass
class Story:
    """One performance. `say` takes a line for the audience."""

    stage: Stage
    watch: Watch
    csms: Csms
    provider: Party
    server: Sep2Server
    say: Callable[[str], None]
    commands: list[dict[str, Any]] = field(default_factory=list)
    findings: dict[str, Any] = field(default_factory=dict)
    transactions: list[int] = field(default_factory=list)

    # --- small words ------------------------------------------------------------------------------------------------------------

    async def station(self) -> Peer:
        return await self.csms.station(STATION)

    def measured(self, action: str, sent_ns: int, register_ns: int) -> None:
        """A command and what it took until the PCS's register changed."""
        latency_ms = round((register_ns - sent_ns) * MS, 2)
        self.commands.append({"action": action, "latency_ms": latency_ms})
        self.say(f"  {action}: the PCS's set point changed {latency_ms:.1f} ms after the CSMS sent it")

    async def power(self, goal_w: float, within_s: float = 15.0) -> PlantSnapshot:
        return await self.watch.until(f"the PCS gives {goal_w:.0f} W", lambda s: near(s.ess_w, goal_w), within_s)

    # --- acts -------------------------------------------------------------------------------------------------------------------

    async def boot(self) -> None:
        """The loop acquires its inputs, the station boots."""
        await self.watch.attach(15.0)
        self.say("loop: attached; it waits until every measurement is valid")
        await self.watch.until("the plant is in mode run", lambda s: s.mode == "run", 20.0)
        self.stage.start("supervise")
        await self.csms.wait("BootNotification")
        await self.station()
        self.say("OCPP: the station booted, the CSMS accepted it")

    async def remote_start(self) -> None:
        """RemoteStart on connector 1: discharge with 150 kW."""
        peer = await self.station()
        before = len(self.csms.of("StartTransaction"))
        sent_ns = time.monotonic_ns()
        status = await peer.remote_start(TAG, connector=1)
        if status != "Accepted":
            raise OperationFailed(f"RemoteStartTransaction was answered {status}")
        register_ns = await self.watch.set_point("leaves 0", lambda w: w > 0, sent_ns)
        self.measured("RemoteStartTransaction", sent_ns, register_ns)
        await self.csms.wait("StartTransaction", before + 1)
        self.transactions.append(before + 1)
        await self.power(START_W)
        self.say(f"  the PCS gives {START_W / 1e3:.0f} kW")

    async def profile(self) -> None:
        """SetChargingProfile: 60 kW."""
        peer = await self.station()
        sent_ns = time.monotonic_ns()
        status = await peer.set_profile(profile_of([(0, PROFILE_W)], transaction=self.transactions[-1]))
        if status != "Accepted":
            raise OperationFailed(f"SetChargingProfile was answered {status}")
        register_ns = await self.watch.set_point("falls to 60 kW", lambda w: 0 < w <= PROFILE_W, sent_ns)
        self.measured("SetChargingProfile", sent_ns, register_ns)
        await self.power(PROFILE_W)

    async def heat(self) -> None:
        """A cell warms until derating, then trip."""
        self.say(f"plant: a cell warms to {HOT_C:.0f} C")
        self.stage.plant.set(cell_temp_c=HOT_C)
        shot = await self.watch.until("cell temperature derates", lambda s: "cell_temp_high" in s.hi.binding.name)
        self.say(f"  the envelope is {shot.lo.value_w / 1e3:.0f} .. {shot.hi.value_w / 1e3:.0f} kW, bound by {shot.hi.binding}")
        await self.watch.pause(2.0)
        self.say(f"plant: a cell warms to {TRIP_C:.0f} C")
        before_ns = time.monotonic_ns()
        self.stage.plant.set(cell_temp_c=TRIP_C)
        await self.watch.until("cell temperature trips", lambda s: s.mode == "tripped")
        detected_ns = self.watch.event("row_latched", before_ns, "cell_temp_high").at_ns
        standby_ns = await self.watch.register("opctl", "is enter standby", lambda order: order == ENTER_STANDBY, before_ns)
        self.findings["trip"] = {"detect_to_command_ms": round((standby_ns - detected_ns) * MS, 3)}
        self.say("  tripped and latched: 0 W, standby")
        await self.power(0.0)

    async def reset(self) -> None:
        """The reset is refused while hot, done when cool."""
        code, answer = self.stage.control("reset")
        self.say(f"operator: bessctl reset -> exit {code}: {answer}")
        if code != 4:
            raise OperationFailed(f"a reset while the cell is hot must be refused (4), it ended with {code}: {answer}")
        self.stage.plant.set(cell_temp_c=COOL_C)
        for _ in range(RESET_TRIES):
            await self.watch.until("no tripping row is active", lambda s: not any(a.active and a.tier == "trip" for a in s.alarms), 20.0)
            code, answer = self.stage.control("reset")
            self.say(f"operator: bessctl reset -> exit {code}: {answer}")
            if code == 0:
                break
        await self.watch.until("the plant runs again", lambda s: s.mode == "run")
        await self.power(PROFILE_W)
        self.say("  the transaction goes on at 60 kW")

    async def capacity(self) -> None:
        """OSCP: a forecast limits the BESS; its provider dies, the fallback rules; it returns."""
        await capacity.act(self, self.provider, PROFILE_W)

    async def utility(self) -> None:
        """An event of the utility (IEEE 2030.5) charges for some seconds."""
        await utility.act(self, self.server, PROFILE_W)

    async def remote_stop(self) -> None:
        """RemoteStop: power to 0 and a StopTransaction."""
        peer = await self.station()
        before = len(self.csms.of("StopTransaction"))
        sent_ns = time.monotonic_ns()
        status = await peer.remote_stop(self.transactions[-1])
        if status != "Accepted":
            raise OperationFailed(f"RemoteStopTransaction was answered {status}")
        register_ns = await self.watch.set_point("is 0", lambda w: w == 0, sent_ns)
        self.measured("RemoteStopTransaction", sent_ns, register_ns)
        await self.csms.wait("StopTransaction", before + 1)
        await self.power(0.0)

    async def hang(self) -> None:
        """The supervisor hangs (SIGSTOP): the lease ends, the loop goes to the fallback by itself; then it wakes up."""
        await self.remote_start()
        self.say("supervisor: stopped (SIGSTOP)")
        self.findings["supervisor_stop"] = await self._lose_supervisor(signal.SIGSTOP)
        self.stage.signal("supervise", signal.SIGCONT)
        await self.power(START_W)
        self.say("supervisor: continues; the lease is renewed, power is back")

    async def kill(self) -> None:
        """The supervisor is killed (SIGKILL) during the transaction, and resumes it when it comes back."""
        self.say("supervisor: killed (SIGKILL)")
        found = await self._lose_supervisor(signal.SIGKILL)
        starts = len(self.csms.of("StartTransaction"))
        self.stage.start("supervise")
        await self.power(START_W, 20.0)
        resumed = len(self.csms.of("StartTransaction")) == starts and not self.csms.of("StopTransaction", STATION)[1:]
        self.findings["supervisor_kill"] = {**found, "resumed": resumed}
        self.say("supervisor: back; the same transaction goes on" if resumed else "supervisor: back, the transaction was not resumed")
        await self.remote_stop()

    async def _lose_supervisor(self, number: int) -> dict[str, Any]:
        """Signal the supervisor, wait for the lapse; own misses meanwhile, and how far the 0 W came from the lease's end."""
        missed_own = self.watch.link.state()
        self.stage.signal("supervise", number)
        lost_ns = time.monotonic_ns()
        shot = await self.watch.until("the lease lapses", lambda s: any(x.source == "ocpp" and x.state == "lapsed" for x in s.slots))
        lease_ns = next(x.lease_until_ns for x in shot.slots if x.source == "ocpp")
        register_ns = await self.watch.set_point("is 0", lambda w: w == 0, lost_ns)
        await self.power(0.0)
        error_ms = round((register_ns - lease_ns) * MS, 2)
        now = self.watch.link.state()
        own = int(now["missed_own"]) - int(missed_own["missed_own"]) if now and missed_own else -1
        self.say(f"  the lease ended, 0 W in the PCS's register {error_ms:.1f} ms later; periods missed by our own doing: {own}")
        return {"missed_own": own, "fallback_error_ms": error_ms}

    async def play(self) -> None:
        """All acts in order."""
        for act in (
            self.boot,
            self.remote_start,
            self.profile,
            self.heat,
            self.reset,
            self.capacity,
            self.utility,
            self.remote_stop,
            self.hang,
            self.kill,
        ):
            self.say(f"- {(act.__doc__ or '').strip()}")
            await act()
            await self.watch.pause(1.0)
