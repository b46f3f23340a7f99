"""A device on the bench: its profile compiled and sealed, the loop's own buses and drivers on real sockets, time invented.

`tick` is the loop's: replies in, commands out; then bytes move at one and the same instant until nobody waits for anybody.
"""

from __future__ import annotations

import select
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bessctl.config import profiles
from bessctl.config.buses import Device
from bessctl.config.fill_devices import device_plans, pace
from bessctl.corelink import seal as core
from bessctl.devices.compiler import Role, compile_device
from bessctl.devices.discovery import FoundDevice
from bessctl.devices.plan import DevicePlan
from bessctl.devices.profile import Profile
from bessctl_core import layout as L
from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.sealed import pack, unpack
from tests.devices.simulated import SimulatedDevice

MS = 1_000_000
S = 1_000_000_000
PATIENCE_MS = 2000
PERIOD_MS = 50
EV = L.EventCode
KIND = {"pcs": L.DeviceKind.DEV_PCS, "bms": L.DeviceKind.DEV_BMS, "meter": L.DeviceKind.DEV_METER}


@dataclass
class Placed:
    """A simulated device and what the loop thinks of it."""

    device: SimulatedDevice
    profile: Profile
    found: FoundDevice
    options: dict[str, Any]

    def plan(self) -> DevicePlan:
        role = Role(self.profile.kind, battery=self.options.get("battery", False), word_order=self.options.get("word_order"))
        return compile_device(self.profile, role, self.found)


def placed(device: SimulatedDevice, profile: str | Profile, found: FoundDevice | None = None, **options: Any) -> Placed:
    """A device with its profile by name."""
    what = profiles.load(profile).profile if isinstance(profile, str) else profile
    return Placed(device, what, found or FoundDevice.blank(), options)


class Bench:
    """One unit: a PCS and, if given, its battery. `crowd`: so many units instead, their PCS alike and behind one TCP connection."""

    def __init__(
        self, *devices: Placed, reversion_s: int = 6, va: float = 100_000.0, data_age_s: float = 1.0, confirm_s: float = 2.0, crowd: int = 0
    ) -> None:
        config = core.new_config()
        c = config[0]
        wired = dict(enumerate(p.device for p in devices))
        devices, units = (devices * crowd, crowd) if crowd else (devices, 1)
        c["rate_hz"], c["n_units"], c["frozen_ns"] = 1000 / PERIOD_MS, units, 0
        c["n_devices"], c["n_buses"] = len(devices), len(wired)
        c["unit_va_max"][:units] = c["unit_w_dis_max"][:units] = c["unit_w_cha_max"][:units] = va
        c["unit_reversion_ns"][:units], c["unit_data_age_ns"][:units] = reversion_s * S, int(data_age_s * S)
        c["unit_confirm_ns"][:units] = int(confirm_s * S)
        c["unit_pcs_device"][0] = next((i for i, p in enumerate(devices) if p.profile.kind == "pcs"), -1)
        c["unit_bms_device"][0] = next((i for i, p in enumerate(devices) if p.profile.kind == "bms"), -1)
        plans = []
        for i, p in enumerate(devices):
            bus, unit = (0, i) if crowd else (i, 0)
            c["bus_kind"][bus], c["bus_port"][bus] = L.BusKind.BUS_TCP, p.device.port
            for k, character in enumerate(b"127.0.0.1"):
                c["bus_path"][bus * core.LIMITS["text"] + k] = bytes([character])
            plan = p.plan()
            c["dev_kind"][i], c["dev_modbus_id"][i], c["dev_bus"][i] = KIND[p.profile.kind], 1 + unit, bus
            c["dev_place"][i], c["dev_timeout_ns"][i] = unit, 300 * MS
            c["dev_worst_ns"][i] = round(p.options.get("worst_s", 0.0) * S)
            c["dev_pipelined"][i] = p.options.get("pipelined", False)
            c["bus_min_gap_ns"][bus], c["bus_reconnect_ns"][bus] = round(plan.min_gap_s * S), round(plan.reconnect_s * S)
            pace(c, i, plan, reversion_s)
            plans.append((i, unit, Device(name=f"d{i}", kind=p.profile.kind, bus="b", modbus_id=1 + unit), plan))
        device_plans(c, plans)
        self.begin(pack(config.tobytes(), {}), wired)

    def begin(self, content: bytes, wired: dict[int, SimulatedDevice]) -> None:
        """Run a sealed file; `wired`: the devices at its buses, those that are there."""
        self.wired = wired
        self.h = FleetHarness(unpack(content))
        self.seen: list[dict[str, Any]] = []

    @classmethod
    def sealed(cls, content: bytes, wired: dict[int, SimulatedDevice]) -> Self:
        """The same for a whole site as `bessctl check --seal` wrote it."""
        bench = cls.__new__(cls)
        bench.begin(content, wired)
        return bench

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.h.close()
        for device in self.wired.values():
            device.close()

    def settle(self) -> None:
        """Bytes move until nobody waits, or the one who should answer is silent."""
        for _ in range(1000):
            poll = select.poll()
            buses, waiting = {}, False
            for bus, device in self.wired.items():
                fd, events, waits = self.h.waits_for(bus)
                if fd >= 0:
                    buses[fd] = bus
                    poll.register(fd, events)
                waiting = waiting or (waits and not device.quiet)
                for fd in device.fileno():
                    poll.register(fd, select.POLLIN)
            ready = poll.poll(PATIENCE_MS if waiting else 0)
            if not ready:
                return
            for fd, revents in ready:
                if fd in buses:
                    self.h.pump(buses[fd], revents)
            for device in self.wired.values():
                device.serve()
            if not waiting and all(fd in buses and revents == select.POLLOUT for fd, revents in ready):
                return

    def tick(self, n: int = 1, ms: int = PERIOD_MS) -> Self:
        for _ in range(n):
            self.h.tick(ms * MS)
            for device in self.wired.values():
                device.advance(ms / 1000)
            self.settle()
            self.seen += self.h.events()
        return self

    def run(self, seconds: float) -> Self:
        """So many seconds."""
        return self.tick(round(seconds * 1000 / PERIOD_MS))

    def order(self, w: float, run: int = 1) -> Self:
        self.h.order(0, w=w, run=run)
        return self

    def up(self) -> Self:
        """Connected, verified, 0 W acknowledged and the PCS running."""
        return self.order(0.0).run(4.0)

    def value(self, quantity: str) -> float:
        return self.h.value(0, core.number("Q", quantity))[0]

    def codes(self) -> list[int]:
        return [event["code"] for event in self.seen]

    def events(self, code: int) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["code"] == code]

    @property
    def unit(self) -> dict[str, Any]:
        return self.h.unit(0)
