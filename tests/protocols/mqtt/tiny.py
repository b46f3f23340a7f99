"""A broker of a few lines that does what mosquitto cannot be made to do: speak 3.1.1 alone, be silent, take a session over."""

from __future__ import annotations

import asyncio
from contextlib import suppress

CONNECT, PUBLISH, PINGREQ, DISCONNECT = 1, 3, 12, 14
V311, V5 = 4, 5


class Tiny:
    """`knows`: protocol levels it accepts; others get the refusal 3.1.1 has (return code 1), or no answer where `mute`."""

    def __init__(self, knows: set[int] | None = None, mute: bool = False, puback: int = 0) -> None:
        self.knows, self.mute, self.puback = knows or {V311, V5}, mute, puback
        self.levels: list[int] = []
        self.payloads: list[bytes] = []
        self._peers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Tiny:
        self._server = await asyncio.start_server(self._peer, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for peer in self._peers:
            peer.close()

    def disconnect(self, reason: int) -> None:
        """DISCONNECT with a reason, to all (MQTT 5 3.14)."""
        for peer in self._peers:
            peer.write(bytes((0xE0, 2, reason, 0)))

    async def _peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.append(writer)
        with suppress(asyncio.IncompleteReadError, OSError):
            while await self._packet(reader, writer):
                pass
        writer.close()

    async def _packet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = await reader.readexactly(length)
        match head >> 4:
            case 1:
                return self._connect(body, writer)
            case 3 if head & 0x06:
                topic = int.from_bytes(body[:2], "big")
                packet_id = body[2 + topic : 4 + topic]
                self.payloads.append(body[4 + topic :])
                five = self.levels[-1] == V5
                writer.write(bytes((0x40, 4 if five else 2)) + packet_id + (bytes((self.puback, 0)) if five else b""))
            case 12:
                writer.write(b"\xd0\x00")
            case 14:
                return False
        return True

    def _connect(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        level = body[6]
        self.levels.append(level)
        if level in self.knows:
            writer.write(b"\x20\x03\x00\x00\x00" if level == V5 else b"\x20\x02\x00\x00")
            return True
        if self.mute:
            return True
        writer.write(b"\x20\x02\x00\x01")
        return False
