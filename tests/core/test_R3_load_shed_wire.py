"""R3: the load-shed output on the wire, to a third party's module over Modbus TCP, and how it is sealed."""

from __future__ import annotations

import asyncio
import select
from typing import Any

import numpy as np
import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bessctl.config.load import LoadedSite
from bessctl.config.load_shed import LoadShed, write_of
from bessctl.config.seal import seal
from bessctl.corelink import seal as core
from bessctl.errors import ConfigError
from bessctl_core import layout as L
from bessctl_core.bounds import fault_of
from bessctl_core.fleet_harness import FleetHarness
from bessctl_core.sealed import SealedSite, pack, unpack
from tests.core.rig import PLANT, S
from tests.core.test_bus_oracle import serving
from tests.core.test_R3_load_shed import AFTER_S, ON, RELEASE_S, rig
from tests.sites import changed_example, example_site, standard_devices

MODULE = 7
BACKOFF_MAX_S = 7  # between two tries to connect, jitter included
COIL, REGISTER = 12, 30


def wired(port: int, shed: LoadShed) -> SealedSite:
    """A module of kind io with the output as sealing writes it, and the delays of the step."""
    array = np.zeros(1, L.dtype("SiteConfig"))
    c = array[0]
    c["rate_hz"], c["n_buses"], c["n_devices"] = 100, 1, 1
    c["bus_kind"][0], c["bus_port"][0] = L.BusKind.BUS_TCP, port
    for k, character in enumerate(b"127.0.0.1"):
        c["bus_path"][k] = bytes([character])
    c["dev_kind"][0], c["dev_modbus_id"][0], c["dev_place"][0], c["dev_timeout_ns"][0] = L.DeviceKind.DEV_IO, MODULE, PLANT, S // 5
    c["dev_order_repeat_ns"][0] = 2 * S
    write = write_of(shed)
    c["n_writes"] = c["n_fields"] = 1
    c["write_addr"][0], c["write_count"][0], c["write_back"][0], c["write_fields"][0] = write.address, 1, 1, 1
    c["write_function"][0], c["write_program"][0] = write.function, core.number("PR", "shed")
    c["field_source"][0], c["field_type"][0] = core.number("SRC", "shed"), core.number("PT", "uint16")
    c["field_idle"][0], c["field_discharge"][0], c["field_scale"][0] = shed.off, shed.on, 1
    site = unpack(pack(c.tobytes(), {}))
    assert fault_of(site) is None
    return site


def module() -> SimDevice:
    return SimDevice(
        id=MODULE,
        simdata=(
            [SimData(0, values=[False] * 64, datatype=DataType.BITS)],
            [SimData(0, values=[False] * 64, datatype=DataType.BITS)],
            [SimData(0, values=[5] * 64, datatype=DataType.REGISTERS)],
            [SimData(0, values=[0] * 64, datatype=DataType.REGISTERS)],
        ),
    )


class Wire:
    """The step of a plant and the drivers of its module, on a real socket."""

    def __init__(self, port: int, shed: LoadShed) -> None:
        self.step = rig(settled=False)
        self.h = FleetHarness(wired(port, shed))

    def seconds(self, s: float) -> None:
        """Both, at 10 Hz; bytes move at one and the same instant."""
        for _ in range(round(s * 10)):
            self.step.tick(1, S // 10)
            self.h.order_shed(self.step.h.out["shed"])
            self.h.tick(S // 10)
            self.settle()
            self.step.h.set_shed_unconfirmed(self.h.unit(0)["shed_unconfirmed"])

    def settle(self) -> None:
        for _ in range(20):
            fd, events, waiting = self.h.waits_for(0)
            if fd < 0:
                return
            ready = select.poll()
            ready.register(fd, events)
            found = ready.poll(300 if waiting else 0)
            if not found:
                return
            self.h.pump(0, found[0][1])
            if not waiting and found[0][1] == select.POLLOUT:
                return

    def reads(self, server: Any, shed: LoadShed) -> int:
        function = 1 if shed.table == "coil" else 3
        return int(asyncio.run(server.async_getValues(MODULE, function, shed.address, 1))[0])


OUTPUTS = [
    LoadShed(device="io", address=COIL),
    LoadShed(device="io", address=COIL, on=0, off=1),
    LoadShed(device="io", table="holding_register", address=REGISTER, on=170, off=85),
]


@pytest.mark.parametrize("shed", OUTPUTS, ids=["coil", "coil that drops out to shed", "register"])
def test_R3_the_output_of_a_third_partys_module_follows_over_modbus_tcp(shed: LoadShed) -> None:
    with serving(lambda: ModbusTcpServer(module(), framer=FramerType.SOCKET, address=("127.0.0.1", 0))) as server:
        wire = Wire(server.transport.sockets[0].getsockname()[1], shed)
        wire.seconds(RELEASE_S + 2)
        assert wire.reads(server, shed) == shed.off
        wire.step.load_w = 160e3
        wire.seconds(AFTER_S + 1)
        assert wire.reads(server, shed) == shed.on
        # Somebody else writes it, or the module restarts: it is set again.
        asyncio.run(server.async_setValues(MODULE, 5 if shed.table == "coil" else 6, shed.address, [shed.off]))
        wire.seconds(3)
        assert wire.reads(server, shed) == shed.on
        wire.step.load_w = 50e3
        wire.seconds(RELEASE_S + 2)
        assert wire.reads(server, shed) == shed.off
        assert not wire.step.state["flags"] & L.Flag.FLAG_SHED_UNCONFIRMED
        wire.h.close()


def test_R3_a_cut_connection_is_loud_and_what_is_ordered_stands_again_as_soon_as_it_is_back() -> None:
    """The cable is pulled while all is well; load rises; the module comes back with its output off, and gets no two seconds of grace."""

    def there(port: int) -> Any:
        return serving(lambda: ModbusTcpServer(module(), framer=FramerType.SOCKET, address=("127.0.0.1", port)))

    shed, unconfirmed = OUTPUTS[0], L.Flag.FLAG_SHED_UNCONFIRMED
    with there(0) as server:
        port = server.transport.sockets[0].getsockname()[1]
        wire = Wire(port, shed)
        wire.seconds(RELEASE_S + 2)
        assert not wire.step.state["flags"] & unconfirmed
    wire.step.load_w = 160e3
    wire.seconds(AFTER_S + 7)
    assert (wire.step.h.out["shed"], bool(wire.step.state["flags"] & unconfirmed)) == (ON, True)
    with there(port) as server:
        wire.seconds(BACKOFF_MAX_S)
        while wire.h.unit(0)["shed_unconfirmed"]:
            wire.seconds(0.1)
        assert wire.reads(server, shed) == shed.on
        wire.seconds(0.1)
        assert not wire.step.state["flags"] & unconfirmed
        flags = [event for event in wire.step.events(L.EventCode.EV_FLAG) if event["detail"] == unconfirmed]
        assert [bool(event["value"]) for event in flags] == [True, False], "told once and taken back once, whatever was ordered meanwhile"
    wire.h.close()


# --- sealed -------------------------------------------------------------------------------------------------------------------------------

PCC = "pcc:                            # the connection to the grid\n"
UNITS = "units:                          # a PCS with its battery\n"
IO = "  - {name: io1, kind: io, bus: lan, modbus_id: 9}\n\n"


def with_output(text: str) -> LoadedSite:
    return changed_example((PCC, f"{PCC}  load_shed: {text}\n"), (UNITS, f"{IO}{UNITS}"))


def test_R3_it_is_sealed_as_one_write_of_the_module() -> None:
    loaded, example = with_output("{device: io1, address: 12, after_s: 3}"), example_site()
    c = core.read_config(core.unpack(seal(loaded, standard_devices(example)).content).config_bytes)
    i = int(c["n_writes"]) - 1
    assert (c["write_program"][i], c["write_function"][i], c["write_addr"][i]) == (core.number("PR", "shed"), 5, 12)
    assert (c["shed_on_ns"], c["shed_off_ns"]) == (3 * S, 60 * S)
    assert c["shed_margin_w"] == 0.02 * max(c["pcc_import_max_w"], c["pcc_export_max_w"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{device: io2, address: 12}", "there is no device 'io2'; did you mean 'io1'?"),
        ("{device: pcs1, address: 12}", "device 'pcs1' is a pcs, wanted: an io"),
        ("{device: io1, address: 12, on: 0}", "is 0, and so is off"),
        ("{device: io1, address: 12, on: 5}", "a coil is 1 or 0"),
        ("{device: io1, address: 12, after_s: 0}", "allowed: a number from 0.1 to 600"),
    ],
)
def test_R3_contradictions_are_told_with_their_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"site\.yaml:") as caught:
        with_output(text)
    assert words in str(caught.value)
