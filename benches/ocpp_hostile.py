"""The hostile CSMSs of the bench `ocpp`, in a process of their own: one TLS port, what a peer does follows from the number in its path.

python -m benches.ocpp_hostile CERT KEY: prints its port, serves until its standard input ends, then prints what it did.

    garbage   pours malformed frames of every kind, as fast as they are taken
    flood     pours good CALLs, as fast as they are taken
    slow      reads nothing after the handshake, and answers nothing

Frames are made once and written by the block, so that what a peer costs is the station's to bear, not this process's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import sys
from collections import Counter
from typing import Any, cast

import orjson
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

NOW = "2026-01-01T00:00:00Z"
KINDS = ("garbage", "flood", "slow")
GARBAGE = (
    "{", "[]", '[2,"a"]', '[9,"x",{}]', '[2,"b","Nonsense",{}]', '[2,"c","Reset",{"type":7}]', "\x00" * 64, '[3,"never asked",{}]',
    '[2,"long","DataTransfer",{"vendorId":"' + "x" * 300_000,
)  # fmt: skip
FLOOD = '[2,"f","GetConfiguration",{"key":["HeartbeatInterval"]}]'
FLOOD_201 = '[2,"f","GetVariables",{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}]'
AT_ONCE = 4
QUIET = logging.getLogger("benches.hostile")


def framed(*texts: str) -> bytes:
    return b"".join(Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts)


BLOCKS = {"garbage": framed(*GARBAGE), "ocpp1.6": framed(*[FLOOD] * 100), "ocpp2.0.1": framed(*[FLOOD_201] * 50)}


class Hostile(asyncio.Protocol):
    """One connected station."""

    def __init__(self, did: Counter[str]) -> None:
        self._did = did
        self._protocol = ServerProtocol(subprotocols=cast(list[Subprotocol], ["ocpp2.0.1", "ocpp1.6"]), logger=QUIET)
        self._block = b""
        self._room = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame) and b'"BootNotification"' in event.data:
                ident = orjson.loads(event.data)[1]
                answer = {"currentTime": NOW, "interval": 3600, "status": "Accepted"}
                self._transport.write(framed(orjson.dumps([3, ident, answer]).decode()))
        for out in self._protocol.data_to_send():
            self._transport.write(out)
        self._pour()

    def connection_lost(self, exc: Exception | None) -> None:
        self._did["lost"] += 1
        self._room = False

    def pause_writing(self) -> None:
        self._room = False

    def resume_writing(self) -> None:
        self._room = True
        self._pour()

    def _open(self, request: Request) -> None:
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        kind = KINDS[int(request.path.rsplit("-", 1)[-1]) % len(KINDS)]
        self._did[kind] += 1
        if kind == "slow":
            self._transport.pause_reading()
        else:
            self._block = BLOCKS["garbage" if kind == "garbage" else str(self._protocol.subprotocol)]

    def _pour(self) -> None:
        for _ in range(AT_ONCE):
            if not self._room or not self._block or self._transport.is_closing():
                return
            self._transport.write(self._block)
            self._did["bytes"] += len(self._block)
        asyncio.get_running_loop().call_soon(self._pour)


async def main(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    did: Counter[str] = Counter()
    server = await asyncio.get_running_loop().create_server(lambda: Hostile(did), "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    told: dict[str, Any] = dict(did)
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
