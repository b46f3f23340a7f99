"""Each fault of the matrix that a scenario can inject: injected while the devices are served, and seen on the wire (CARD-6).

The way is a scenario's: its word becomes an Injection, that goes to the simulated plant's process as a request, and a client with nothing
but a socket or a serial line looks. Every row is looked at twice: without the fault it must not be seen. What happens to controller,
supervisor and clock is seen at the PCS in the shipped scenarios (test_coverage.py).
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from bessctl.hil.faults import NUMBERS, RELEASABLE, WORDS, injection
from bessctl.sim.process import obey
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer
from tests.sim.plants import BASE, M701, M704, M715, M802, M803, config, wset_block

M203 = BASE + 70
PCS, BMS, METER, INPUTS = 1, 2, 3, 4
SOON_S = 0.25


class Wire:
    """A served plant in simulated time, and a TCP client of it. `regs` is None where nobody answers, Refusal where somebody says no."""

    def __init__(self, server: PlantServer) -> None:
        self.server, self.plant = server, server.plants[0]
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self._serial = 0

    def inject(self, name: str, value: object) -> None:
        """As bessctl.hil.liveplace does it."""
        it = injection(name, value, 0.0, ["unit1"], [])
        verb = {"plant": {"set": it.values}, "wire": {"disturb": it.values}, "foreign": {"foreign": it.values.get("w")}}[it.kind]
        answer = obey(self.server, json.dumps(verb))
        assert answer.get("ok"), answer

    def question(self, unit: int, pdu: bytes) -> bytes:
        self._serial += 1
        return struct.pack(">HHHB", self._serial, 0, len(pdu) + 1, unit) + pdu

    def raw(self, question: bytes, patience_s: float = SOON_S) -> bytes | None:
        """What comes back until it has been silent for so long; None: the connection ended."""
        self.socket.sendall(question)
        return received(self.socket, patience_s)

    def ask(self, unit: int, pdu: bytes, patience_s: float = 10.0) -> bytes | None:
        """The answer's PDU; None: none came."""
        self.socket.sendall(self.question(unit, pdu))
        got = b""
        while len(got) < 6 or len(got) < 6 + int.from_bytes(got[4:6], "big"):
            if not select.select([self.socket], [], [], 10.0 if got else patience_s)[0]:
                return None
            got += self.socket.recv(512)
        return got[7:]

    def regs(self, unit: int, at: int, count: int = 1, patience_s: float = 10.0) -> list[int] | None:
        pdu = self.ask(unit, struct.pack(">BHH", 3, at, count), patience_s)
        return None if pdu is None or pdu[0] & 0x80 else list(struct.unpack(f">{count}H", pdu[2:]))

    def reg(self, unit: int, at: int) -> int:
        found = self.regs(unit, at)
        assert found is not None
        return found[0]

    def signed(self, unit: int, at: int, scale_at: int = 0) -> float:
        def number(value: int) -> int:
            return value - 65536 if value > 32767 else value

        factor = 10.0 ** number(self.reg(unit, scale_at)) if scale_at else 1.0
        return number(self.reg(unit, at)) * factor

    def code(self, unit: int, pdu: bytes = struct.pack(">BHH", 3, BASE, 2)) -> int:
        """The exception it answers with; 0: none."""
        answer = self.ask(unit, pdu)
        assert answer is not None
        return answer[1] if answer[0] & 0x80 else 0

    def set_point(self, watts: int, seconds: int = 0) -> bytes:
        values = wset_block(watts, seconds=seconds)
        return struct.pack(f">BHHB{len(values)}H", 16, M704 + 22, len(values), 2 * len(values), *values)

    def power(self, watts: int, seconds: int = 0, after_s: float = 2.0) -> float:
        """Order it, wait, and read what flows."""
        assert self.ask(PCS, self.set_point(watts, seconds)) is not None
        self.plant.step(after_s)
        return self.signed(PCS, M701 + 10, M701 + 116)

    def bit(self, unit: int, at: int, bit: int) -> bool:
        found = self.regs(unit, at, 2)
        assert found is not None
        return bool((found[0] << 16 | found[1]) >> bit & 1)

    def stands(self, unit: int, at: int) -> bool:
        before = self.regs(unit, at, 2)
        self.plant.step(2.0)
        return self.regs(unit, at, 2) == before

    def state(self, unit: int, at: int, after_s: float = 1.0) -> int:
        self.plant.step(after_s)
        return self.reg(unit, at)


def received(end: socket.socket, patience_s: float) -> bytes | None:
    got = b""
    while select.select([end], [], [], patience_s)[0]:
        chunk = end.recv(1024)
        if not chunk:
            return None
        got += chunk
    return got


@contextmanager
def served(**sections: Any) -> Iterator[Wire]:
    plant = Plant(config(inputs={}, **sections))
    plant.step(0.2)
    with PlantServer([plant], real_time=False) as server:
        wire = Wire(server)
        yield wire
        wire.socket.close()


Look = Callable[[Wire], object]


class Row(NamedTuple):
    """A word of a scenario, what is seen of it on the wire, and what was injected before."""

    name: str
    value: object
    seen: Look
    given: tuple[tuple[str, object], ...] = ()


def silent(unit: int) -> Look:
    return lambda w: w.regs(unit, BASE if unit != INPUTS else 0, patience_s=SOON_S) is None


def answers(unit: int) -> Look:
    return lambda w: not silent(unit)(w)


def says(unit: int, code: int) -> Look:
    return lambda w: w.code(unit) == code


def slow(unit: int) -> Look:
    def look(w: Wire) -> bool:
        began = time.monotonic()
        assert w.regs(unit, BASE) is not None
        return time.monotonic() - began >= 0.1

    # A busy machine may be slow by itself: the quickest of a few tells.
    return lambda w: all(look(w) for _ in range(3))


def alarm(unit: int, at: int, bit: int) -> Look:
    def look(w: Wire) -> bool:
        w.plant.step(0.1)
        return w.bit(unit, at, bit)

    return look


def contact(bit: int, opened: bool) -> Look:
    return lambda w: bool(w.reg(INPUTS, 0) >> bit & 1) != opened


def stopped_by_wire(w: Wire) -> bool:
    return (w.state(PCS, M701 + 4), w.reg(BMS, M802 + 22) != 3) == (6, True)


def can_be_reset(w: Wire) -> bool:
    w.plant.step(1.0)
    w.ask(PCS, struct.pack(">BHH", 6, M715 + 7, 1))
    return w.state(PCS, M701 + 4) != 6


def meter_w(w: Wire) -> float:
    w.plant.step(0.2)
    return w.signed(METER, M203 + 18, M203 + 22)


def frozen_meter(w: Wire) -> bool:
    before = meter_w(w)
    w.inject("load", "60 kW")
    return meter_w(w) == before


def turned_meter(w: Wire) -> bool:
    w.inject("load", "60 kW")
    return meter_w(w) < -50_000


TABLE = [
    # the PCS
    Row("PCS", "silent", silent(PCS)),
    Row("PCS", "frozen", lambda w: w.stands(PCS, M715 + 3)),
    Row("PCS", "ignoring set points", lambda w: abs(w.power(50_000)) < 1000),
    Row("PCS", "refusing writes", lambda w: w.code(PCS, w.set_point(1000)) == 4 and w.code(PCS) == 0),
    Row("PCS", "wrong sign", lambda w: w.power(50_000) < -49_000),
    Row("PCS", "over temperature", alarm(PCS, M701 + 6, 7)),
    Row("PCS", "ground fault", alarm(PCS, M701 + 6, 0)),
    Row("PCS", "faulted", lambda w: w.state(PCS, M701 + 4) == 6),
    Row("PCS", "slow", slow(PCS)),
    Row("PCS", "exception 4", says(PCS, 4)),
    Row("PCS", "exception 6", says(PCS, 6)),
    Row("PCS", "local", lambda w: w.reg(PCS, M715 + 2) == 1),
    Row("PCS", "remote", lambda w: w.reg(PCS, M715 + 2) == 0, (("PCS", "local"),)),
    Row("PCS", "well", answers(PCS), (("PCS", "silent"),)),
    # the BMS
    Row("BMS", "silent", silent(BMS)),
    Row("BMS", "frozen", lambda w: w.stands(BMS, M802 + 18)),
    Row("BMS", "slow", slow(BMS)),
    Row("BMS", "exception 4", says(BMS, 4)),
    Row("BMS", "exception 6", says(BMS, 6)),
    Row("BMS", "over temperature alarm", alarm(BMS, M802 + 26, 1)),
    Row("BMS", "over voltage alarm", alarm(BMS, M802 + 26, 9)),
    Row("BMS", "under voltage alarm", alarm(BMS, M802 + 26, 11)),
    Row("BMS", "ground fault", alarm(BMS, M802 + 26, 22)),
    Row("BMS", "warning", alarm(BMS, M802 + 26, 10)),
    Row("BMS", "faulted", lambda w: w.state(BMS, M802 + 22) == 99),
    Row("BMS", "open", lambda w: w.state(BMS, M802 + 22) == 1),
    Row("BMS", "never trips", lambda w: w.state(BMS, M802 + 22, 10.0) == 3, (("hottest cell", "70 C"),)),
    Row("BMS", "well", answers(BMS), (("BMS", "silent"),)),
    # the meter
    Row("meter", "silent", silent(METER)),
    Row("meter", "frozen", frozen_meter),
    Row("meter", "wrong sign", turned_meter),
    Row("meter", "exception 4", says(METER, 4)),
    Row("meter", "exception 6", says(METER, 6)),
    Row("meter", "well", answers(METER), (("meter", "silent"),)),
    # by wire, and who answers to which id
    Row("E-stop", "pressed", stopped_by_wire),
    Row("E-stop", "released", can_be_reset, (("E-stop", "pressed"),)),
    Row("unit ids", "swapped", lambda w: w.reg(PCS, BASE + 70) == 802),
    Row("unit ids", "well", lambda w: w.reg(PCS, BASE + 70) == 701, (("unit ids", "swapped"),)),
    Row("reversion timer", "late", lambda w: w.power(50_000, seconds=4, after_s=4.5) > 49_000),
    Row("reversion timer", "exact", lambda w: abs(w.power(50_000, seconds=4, after_s=4.8)) < 1000, (("reversion timer", "late"),)),
    Row("set point by others", "80 kW", lambda w: w.regs(PCS, M704 + 24, 2) == [1, 80_000 - 65_536]),
    # contacts
    *(Row(f"{name} input", "open", contact(bit, True)) for bit, name in enumerate(("E-stop", "fire", "door", "insulation", "alarm"))),
    *(
        Row(f"{name} input", "closed", contact(bit, False), ((f"{name} input", "open"),))
        for bit, name in enumerate(("E-stop", "fire", "door", "insulation", "alarm"))
    ),
    Row("input module", "silent", silent(INPUTS)),
    Row("input module", "well", answers(INPUTS), (("input module", "silent"),)),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name}: {row.value}")
def test_a_fault_of_the_devices_is_seen_on_the_wire(row: Row) -> None:
    for injected in (False, True):
        with served() as wire:
            for name, value in row.given:
                wire.inject(name, value)
            if injected:
                wire.inject(row.name, row.value)
            assert bool(row.seen(wire)) == injected, "seen" if not injected else "not seen"


# --- numbers ------------------------------------------------------------------------------------------------------------------------------

# name, what is written, what the wire says then: unit, register, its scale factor's register or 0, value
VALUES: list[tuple[str, str, int, int, int, float]] = [
    ("hottest cell", "59 C", BMS, M803 + 4, 0, 590),
    ("coldest cell", "-5 C", BMS, M803 + 7, 0, -50),
    ("highest cell", "3.66 V", BMS, M802 + 37, 0, 3660),
    ("lowest cell", "2650 mV", BMS, M802 + 40, 0, 2650),
    ("state of charge", "33 %", BMS, M802 + 11, 0, 3300),
    ("state of health", "74 %", BMS, M802 + 13, 0, 740),
    ("battery temperature", "40 C", BMS, M803 + 10, 0, 400),
    ("charge limit", "100 A", BMS, M802 + 45, M802 + 61, 100),
    ("discharge limit", "90 A", BMS, M802 + 46, M802 + 61, 90),
    ("load", "50 kW", METER, M203 + 18, M203 + 22, 50_000),
    ("PV", "20 kW", METER, M203 + 18, M203 + 22, -20_000),
    ("EVSE", "11 kW", METER, M203 + 18, M203 + 22, 11_000),
    ("load on L1", "6 kW", METER, M203 + 19, M203 + 22, 6000),
    ("grid voltage", "439 V", METER, M203 + 11, 0, 4390),
    ("grid frequency", "49.3 Hz", METER, M203 + 16, 0, 4930),
    ("reported current", "-30 A", BMS, M802 + 44, M802 + 61, -30),
    ("reported pack voltage", "700 V", BMS, M802 + 34, 0, 7000),
    ("reported state of charge", "12 %", BMS, M802 + 11, 0, 1200),
    ("heat sink", "96 C", PCS, M701 + 37, 0, 960),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "unit", "at", "scale_at", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_a_value_is_read_on_the_wire(name: str, text: str, unit: int, at: int, scale_at: int, value: float) -> None:  # noqa: PLR0917
    with served() as wire:
        before = wire.signed(unit, at, scale_at)
        wire.inject(name, text)
        wire.plant.step(20.0)
        assert wire.signed(unit, at, scale_at) == pytest.approx(value, rel=0.005, abs=1)
        assert wire.signed(unit, at, scale_at) != before
        if NUMBERS[name][0] in RELEASABLE:
            wire.inject(name, "released")
            wire.plant.step(0.2 if name != "heat sink" else 1200.0)
            assert wire.signed(unit, at, scale_at) == pytest.approx(before, rel=0.01, abs=1)


# --- nothing is left out ----------------------------------------------------------------------------------------------------------------


def test_every_word_a_scenario_can_inject_is_in_these_tables() -> None:
    words = {(name, value) for name, (kind, table) in WORDS.items() if kind == "plant" for value in table}
    assert words - {(row.name, row.value) for row in TABLE} == set()
    assert set(NUMBERS) == {row[0] for row in VALUES}
