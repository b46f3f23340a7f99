"""Simulated devices, each written from its maker's public facts. Nothing here reads a profile: that is what they test.

A device listens on a loopback port and is served by the thread that drives it (`serve`), in the time it is told (`advance`). Registers that
are not in its map are refused, as real devices do it, so a read that runs over a gap is seen.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

READ, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4

Write = tuple[int, int, list[int]]


def signed(value: int) -> int:
    """16 bits as a signed number."""
    return value - 0x10000 if value & 0x8000 else value


class SimulatedDevice:
    """A Modbus TCP server with a map of its own. Powers W, positive toward the grid."""

    functions: frozenset[int] = frozenset({READ, READ_INPUT, WRITE_ONE, WRITE_MANY})
    max_read = 125
    one_session = False
    starts = True
    """Obeys an order to start."""

    def __init__(self) -> None:
        self.holding: dict[int, int] = {}
        self.input: dict[int, int] = {}
        self.now_s = 0.0
        self.writes: list[Write] = []
        self.reads: list[tuple[int, int, int]] = []
        self.refuse: dict[int, int] = {}
        """Address -> exception code with which writes there are answered."""
        self.deaf: set[int] = set()
        """Addresses that take writes and keep what they had."""
        self.quiet = False
        """Takes questions and answers none,"""
        self.still: frozenset[int] = frozenset()
        """but those of these functions."""
        self.w = 0.0
        self.left_s = 0.0
        """Of its watchdog."""
        self.changes = 0
        """Writes of its set point."""
        self.sessions_refused = 0
        self.traffic_s = 0.0
        self.asked_s: list[float] = []
        """When each question came."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._peers: dict[socket.socket, bytes] = {}
        self.build()

    # --- what a kind of device fills in

    def build(self) -> None:
        """The map."""

    def on_write(self, address: int, values: list[int]) -> None:
        """Registers were written."""

    def behave(self, dt_s: float) -> None:
        """Time passed."""

    # --- the wire

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def fileno(self) -> list[int]:
        """Descriptors that may become readable."""
        return [self._listener.fileno(), *(peer.fileno() for peer in self._peers)]

    def close(self) -> None:
        self.hang_up()
        self._listener.close()

    def hang_up(self) -> None:
        """End every connection, as a device does that restarts."""
        for peer in list(self._peers):
            peer.close()
        self._peers.clear()

    def advance(self, dt_s: float) -> None:
        self.now_s += dt_s
        self.behave(dt_s)

    def serve(self) -> None:
        """Everything that can be done now; who left makes room before somebody else is let in."""
        for peer in list(self._peers):
            self._serve_peer(peer)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer, _ = self._listener.accept()
                if self.one_session and self._peers:
                    self.sessions_refused += 1
                    peer.close()
                    continue
                peer.setblocking(False)
                self._peers[peer] = b""
        for peer in list(self._peers):
            self._serve_peer(peer)

    def _serve_peer(self, peer: socket.socket) -> None:
        try:
            got = peer.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            del self._peers[peer]
            peer.close()
            return
        data = self._peers[peer] + got
        while len(data) >= 8:
            transaction, _, length = struct.unpack(">HHH", data[:6])
            frame, data = data[6 : 6 + length], data[6 + length :]
            self.traffic_s = self.now_s
            self.asked_s.append(self.now_s)
            if not self.quiet or frame[1] in self.still:
                answer = frame[:1] + self._answer(frame[1:])
                peer.sendall(struct.pack(">HHH", transaction, 0, len(answer)) + answer)
        self._peers[peer] = data

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        code = ILLEGAL_FUNCTION
        if function in self.functions:
            if function in {READ, READ_INPUT}:
                return self._read(function, *struct.unpack(">HH", pdu[1:5]))
            address = struct.unpack(">H", pdu[1:3])[0]
            raw = pdu[3:5] if function == WRITE_ONE else pdu[6:]
            values = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
            code = self._write(function, address, values)
        return bytes([function | 0x80, code]) if code else pdu[:5]

    def _read(self, function: int, address: int, count: int) -> bytes:
        self.reads.append((function, address, count))
        space = self.input if function == READ_INPUT else self.holding
        wanted = range(address, address + count)
        if count > self.max_read or any(register not in space for register in wanted):
            return bytes([function | 0x80, ILLEGAL_ADDRESS])
        return struct.pack(f">BB{count}H", function, 2 * count, *(space[register] & 0xFFFF for register in wanted))

    def _write(self, function: int, address: int, values: list[int]) -> int:
        self.writes.append((function, address, values))
        if address in self.refuse:
            return self.refuse[address]
        if any(address + i not in self.holding for i in range(len(values))):
            return ILLEGAL_ADDRESS
        for i, value in enumerate(values):
            if address + i not in self.deaf:
                self.holding[address + i] = value
        self.on_write(address, values)
        return 0

    # --- help for maps

    def put(self, space: dict[int, int], address: int, value: int, registers: int = 1, low_first: bool = False) -> None:
        """A number of 1, 2 or 4 registers."""
        words = [value >> (16 * i) & 0xFFFF for i in range(registers)]
        for i, word in enumerate(words if low_first else reversed(words)):
            space[address + i] = word

    def text(self, space: dict[int, int], address: int, text: str, registers: int) -> None:
        raw = text.encode().ljust(2 * registers, b"\0")
        for i in range(registers):
            space[address + i] = int.from_bytes(raw[2 * i : 2 * i + 2], "big")

    def written(self, address: int) -> list[list[int]]:
        """What was written there, in order."""
        return [values for _, at, values in self.writes if at == address]


class Served:
    """The device answers from a thread, as long as somebody who blocks looks at it."""

    def __init__(self, device: SimulatedDevice) -> None:
        self.device, self.stop = device, threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self) -> None:
        while not self.stop.wait(0.001):
            self.device.serve()

    def __enter__(self) -> SimulatedDevice:
        self.thread.start()
        return self.device

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


class SungrowSh(SimulatedDevice):
    """SH hybrid: input registers, low word first, gaps refused; external EMS mode with a heartbeat that counts down in seconds.

    When that is over it goes back to self-consumption (issue 377 of mkaiser's project), and covers the house.
    """

    one_session = True
    MODE, COMMAND, POWER, START, HEARTBEAT = 13049, 13050, 13051, 12999, 13079
    CHARGE, DISCHARGE, IDLE = 0xAA, 0xBB, 0xCC
    HOUSE_W = 740

    def build(self) -> None:
        self.text(self.input, 4989, "A2350415770", 10)
        self.input |= dict.fromkeys([*range(5000, 5036), *range(5600, 5636), *range(12999, 13047)], 0)
        self.holding |= {self.START: 0xCF, self.MODE: 0, self.COMMAND: self.IDLE, self.POWER: 0, self.HEARTBEAT: 0}
        self.input |= {5007: 315, 5018: 2345, 5035: 500, 5634: 30, 5635: 30, 13019: 5123, 13022: 634, 13023: 990, 13024: 251}
        self.behave(0)

    def behave(self, dt_s: float) -> None:
        self.left_s = max(0.0, self.left_s - dt_s)
        self.holding[self.HEARTBEAT] = round(self.left_s)
        if self.left_s == 0 and self.holding[self.MODE] == 3:
            self.holding[self.MODE] = 0
        on = self.holding[self.START] == 0xCF
        sign = {self.CHARGE: -1, self.DISCHARGE: 1}.get(self.holding[self.COMMAND], 0)
        self.w = (sign * self.holding[self.POWER] if self.holding[self.MODE] == 3 else self.HOUSE_W) if on else 0
        self.input[12999] = 0x0040 if on else 0x0002
        self.input[13000] = 0x0002 if self.w < 0 else 0x0004 if self.w > 0 else 0
        self.input[13021] = int(abs(self.w))
        self.input[13020] = int(abs(self.w) / 51.23)
        self.put(self.input, 13033, int(self.w), 2, low_first=True)

    def on_write(self, address: int, values: list[int]) -> None:
        if address == self.HEARTBEAT:
            self.left_s = float(values[0])
        self.behave(0)


class SmaSunnyIsland(SimulatedDevice):
    """External active power: 40149 W and 40151 802 active; falls back when it is not sent again in time."""

    FALLBACK_S = 6.0

    def build(self) -> None:
        self.input |= dict.fromkeys(range(30775, 30813), 0) | dict.fromkeys(range(30843, 30853), 0)
        self.holding |= dict.fromkeys(range(40149, 40153), 0)
        self.put(self.input, 30057, 3001234567, 2)
        self.put(self.input, 30783, 23012, 2)
        self.put(self.input, 30803, 5001, 2)
        self.put(self.input, 30805, 1500, 2)
        self.put(self.input, 30845, 57, 2)
        self.put(self.input, 30849, -25, 2)
        self.put(self.input, 30851, 5213, 2)
        self.sent_s = -1e9
        self.behave(0)

    def behave(self, dt_s: float) -> None:
        raw = self.holding[40149] << 16 | self.holding[40150]
        wanted = raw - (1 << 32) if raw >> 31 else raw
        active = self.holding[40151] << 16 | self.holding[40152] == 802
        self.w = wanted if active and self.now_s - self.sent_s < self.FALLBACK_S else 0
        self.put(self.input, 30201, 307, 2)
        self.put(self.input, 30775, int(self.w), 2)
        self.put(self.input, 30843, int(self.w / 52.13 * 1000), 2)

    def on_write(self, address: int, values: list[int]) -> None:
        if address == 40149 and len(values) == 4:
            self.sent_s = self.now_s
        self.behave(0)


class SinexcelPws(SimulatedDevice):
    """FC06 alone; power x 100 W; start, stop and standby are pulses; stops when nobody speaks for the seconds in 327."""

    functions = frozenset({READ, WRITE_ONE})
    one_session = True

    def build(self) -> None:
        self.holding |= dict.fromkeys([*range(1, 48), *range(101, 149), *range(320, 334), *range(650, 659), *range(808, 816)], 0)
        self.text(self.holding, 1, "PWS1-50K", 16)
        self.text(self.holding, 17, "SX0042", 8)
        self.holding |= {101: 2301, 107: 5002, 132: 41, 142: 7654, 327: 60}
        self.state = "standby"
        self.behave(0)

    def behave(self, dt_s: float) -> None:
        if self.now_s - self.traffic_s > self.holding[327]:
            self.state = "off"
        self.w = signed(self.holding[135]) * 100 if self.state == "running" else 0
        self.holding[32] = {"off": 0x00, "running": 0x04, "standby": 0x80}[self.state]
        self.holding[122] = int(self.w / 10)
        self.holding[141] = int(self.w / 10)
        self.holding[143] = int(self.w / 765.4 * 10)

    def on_write(self, address: int, values: list[int]) -> None:
        if address in {650, 651, 655} and values == [1]:
            self.state = {650: "running", 651: "off", 655: "standby"}[address]
            self.holding[address] = 0
        self.behave(0)


class KacoGridsave(SimulatedDevice):
    """SunSpec chain 1, 121, 64201, 64202. WSetPct in tenths of a percent of 92 kW; a watchdog that is fed by writing its time."""

    M121, M64201, M64202 = 40070, 40102, 40156
    WMAX_W = 92000

    def build(self) -> None:
        self.holding |= dict.fromkeys(range(40000, 40174), 0)
        self.text(self.holding, 40000, "SunS", 2)
        for address, model, length in ((40002, 1, 66), (self.M121, 121, 30), (self.M64201, 64201, 52), (self.M64202, 64202, 14)):
            self.holding |= {address: model, address + 1: length}
        self.holding |= {40172: 0xFFFF, 40173: 0}
        self.text(self.holding, 40004, "KACO new energy", 16)
        self.text(self.holding, 40020, "blueplanet gridsave 92.0 TL3-S", 16)
        self.text(self.holding, 40052, "92TL01234567", 16)
        b = self.M64201
        self.holding |= {self.M121 + 2: 9200, self.M121 + 22: 1, b + 46: 0xFFFF, b + 50: 0xFFFF, b + 51: 1, b + 52: 1, b + 53: 0xFFFE}
        self.holding |= {b + 32: 2310, b + 37: 5001, b + 4: 1, b + 5: 8, self.M64202 + 7: 0xFFFF}
        self.left_s = 0.0
        self.behave(0)

    def behave(self, dt_s: float) -> None:
        b = self.M64201
        if self.holding[b + 8]:
            self.left_s -= dt_s
            if self.left_s <= 0:
                self.holding |= {b + 4: 1, b + 8: 0}
        self.holding[b + 5] = self.holding[b + 4]
        running = self.holding[b + 5] == 11
        self.w = signed(self.holding[b + 9]) * 0.001 * self.WMAX_W if running else 0
        self.holding[b + 35] = int(self.w / 10) & 0xFFFF

    def on_write(self, address: int, values: list[int]) -> None:
        if address == self.M64201 + 8:
            self.left_s = float(values[0])
        self.behave(0)


class RackBms(SimulatedDevice):
    """One block of measurements from 0x2100, limits at 0x2160, contactor at 0x2010; FC06 alone."""

    functions = frozenset({READ, WRITE_ONE})
    max_read = 32

    def build(self) -> None:
        self.holding |= dict.fromkeys([0x2010, *range(0x2100, 0x2117), 0x2140, 0x2141, 0x2142, 0x2160, 0x2161], 0)
        self.holding |= {
            0x2010: 3, 0x2100: 7583, 0x2101: 0xFF38, 0x2103: 63, 0x2104: 99, 0x2106: 3321, 0x2108: 3298, 0x210A: 264, 0x210C: 231,
            0x2140: 0x0010, 0x2141: 0x0008, 0x2160: 1200, 0x2161: 1500,
        }  # fmt: skip

    def on_write(self, address: int, values: list[int]) -> None:
        if address == 0x2010 and values == [1]:
            self.holding[0x2010] = 3


class SunSpecStorage(SimulatedDevice):
    """Models 1, 103, 120 to 124 of the 100 series: power lies between two limits in percent of WChaMax, and is its own choice between them.

    A negative limit forces the other direction (124: InWRte -10 % = at least 10 % of discharge), as inverters of this family do it. When
    the limits' time is over they are gone, and the house is served.
    """

    M103, M120, M121, M122, M123, M124 = 40070, 40122, 40150, 40182, 40228, 40254
    W_MAX, HOUSE_W = 10_000, 640

    def build(self) -> None:
        chain = ((40002, 1, 66), (self.M103, 103, 50), (self.M120, 120, 26), (self.M121, 121, 30), (self.M122, 122, 44),
                 (self.M123, 123, 24), (self.M124, 124, 24))  # fmt: skip
        self.holding |= dict.fromkeys(range(40000, 40282), 0)
        self.text(self.holding, 40000, "SunS", 2)
        for address, model, length in chain:
            self.holding |= {address: model, address + 1: length}
        self.holding |= {40280: 0xFFFF, 40281: 0}
        self.text(self.holding, 40004, "Storage Inverters", 16)
        self.text(self.holding, 40020, "SI 10", 16)
        self.text(self.holding, 40052, "SI100042", 16)
        m, r, s = self.M103, self.M120, self.M124
        # 103: volts in 0.1, hertz in 0.01, all else in ones; what it has not stands at the standard's value for that.
        self.holding |= {
            m + 10: 2310,
            m + 13: 0xFFFF,
            m + 16: 5001,
            m + 17: 0xFFFE,
            m + 29: 7500,
            m + 30: 0xFFFF,
            m + 33: 412,
            m + 37: 0xFFFF,
        }
        self.holding |= {r + 2: 4, r + 3: 1000, r + 4: 1, r + 5: 1000, r + 6: 1, r + 23: 1000, r + 24: 1, r + 25: 1000, r + 26: 1}
        self.holding |= {
            s + 2: self.W_MAX,
            s + 8: 6350,
            s + 11: 1,
            s + 12: 10_000,
            s + 13: 10_000,
            s + 18: 0,
            s + 22: 0xFFFE,
            s + 25: 0xFFFE,
        }
        self.holding |= {self.M123 + 4: 0}
        self.left_s = 0.0
        self.behave(0)

    def limit(self, at: int, bit: int) -> float:
        """A limit in W; without its bit of StorCtl_Mod it does not count."""
        s = self.M124
        return signed(self.holding[s + at]) / 100 * self.W_MAX / 100 if self.holding[s + 5] & bit else self.W_MAX

    def behave(self, dt_s: float) -> None:
        m, s = self.M103, self.M124
        if self.holding[s + 15]:
            self.left_s = max(0.0, self.left_s - dt_s)
            if self.left_s == 0:
                self.holding[s + 5] = 0
        on = self.holding[self.M123 + 4] == 1
        self.w = min(max(self.HOUSE_W, -self.limit(13, 1)), self.limit(12, 2)) if on else 0
        self.holding |= {m + 14: int(self.w) & 0xFFFF, m + 31: int(self.w) & 0xFFFF, m + 38: 4 if on else 1}

    def on_write(self, address: int, values: list[int]) -> None:
        if address == self.M124 + 12:
            self.left_s = float(self.holding[self.M124 + 15])
        self.behave(0)
