"""`bessctl sim sep2-server`: the scripted 2030.5 server on a TLS socket that wants client certificates, its chain made on the spot.

Started alone it prints one JSON line with its URL and the files a client needs (their folder is its argument), then takes a command a line:

    {"do": "program", "name": "a", "primacy": 1}
    {"do": "event", "program": "a", "mrid": "E1", "in_s": 5, "duration_s": 60, "target_w": 50000, "randomize_start": 10}
    {"do": "cancel", "mrid": "E1", "randomized": true}      {"do": "status", "mrid": "E1", "status": 4}     {"do": "remove", "mrid": "E1"}
    {"do": "default", "program": "a", "max_lim_w": 8000, "grad_w": 100, "es_delay": 30000}
    {"do": "curve", "program": "a", "name": "1", "kind": "volt_var", "points": [[9200, 4400], [10800, -4400]]}
                                                                            then an event with "volt_var": "/derp/a/dc/1"
    {"do": "demand", "mrid": "D1", "in_s": 5, "duration_s": 60, "duty_cycle": 50}
    {"do": "grant", "mrid": "F1", "in_s": 5, "duration_s": 3600, "power_w": 20000, "energy_wh": 10000}
    {"do": "grants_at_once", "on": true}                                    reservations are granted as they are asked for
    {"do": "rate", "of": "derp", "s": 60}                   {"do": "post_rate", "s": 30}
    {"do": "answer", "path": "/dcap", "status": 503, "retry_after": 5}      path "*" = all; without status: as usual again
    {"do": "answer", "path": "/tm", "hostile": "bomb"}      {"do": "redirect", "path": "/dcap", "to": "/other"}
    {"do": "slow", "s": 2}                                  {"do": "outage", "on": true}
    {"do": "show"}                                          what was received so far
    {"do": "show", "put": "/edev/1/der/1/ders"}             the document that was PUT there last
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from bessctl.errors import UsageError
from bessctl.protocols.sep2.messages.identity import Identity, sfdi_text
from bessctl.sim.sep2_pki import Chain, chain, server_chain
from bessctl.sim.sep2_tree import HOSTILE, SETTINGS, Answer, Tree

MEDIA_TYPE = "application/sep+xml"
CIPHERS = "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"


class Sep2Server:
    """A tree on a socket. `async with` it; `url` is its /dcap."""

    def __init__(self, tree: Tree, context: ssl.SSLContext | None, *, port: int = 0) -> None:
        self.tree = tree
        self.slow_s = 0.0
        self.outage = False
        self.aborted = 0
        """Requests that an outage swallowed."""
        self.ciphers: set[str] = set()
        self._context, self._port = context, port
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Sep2Server:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._context)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{port}/dcap"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        transport = request.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is not None:
            self.ciphers.add(tls.cipher()[0])
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.outage:
            self.aborted += 1
            if transport is not None:
                transport.abort()
            return web.Response(status=500)
        if body and request.content_type != MEDIA_TYPE:
            return web.Response(status=415)
        answer = self.tree.handle(request.method, request.path_qs, body)
        async with self._changed:
            self._changed.notify_all()
        headers = {"Content-Type": MEDIA_TYPE} if answer.body else {}
        return web.Response(status=answer.status, body=answer.body, headers={**headers, **answer.headers})

    async def until(self, holds: Any) -> None:
        """Wait for something that requests bring about."""
        async with self._changed:
            await self._changed.wait_for(holds)


def server_context(
    server: Chain, *, ciphers: str = CIPHERS, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, folder: Path
) -> ssl.SSLContext:
    """TLS 1.2 with client certificates under the chain's root."""
    cert, key = server.write(folder, "server")
    root = folder / "root.pem"
    root.write_bytes(server.serca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(root)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# --- alone, on a command line ------------------------------------------------------------------------------------------------------------


Words = dict[str, Any]


def command(server: Sep2Server, words: Words) -> dict[str, Any]:
    """One line of a script. Raises UsageError."""
    words = dict(words)
    what = words.pop("do", None)
    if what == "show":
        tree = server.tree
        if "put" in words:
            return {"body": tree.put.get(words["put"], b"").decode(errors="replace")}
        return {"responses": tree.responses(), "put": sorted(tree.put), "mirrors": sorted(tree.mirrors), "requests": len(tree.log)}
    act = COMMANDS.get(what) if isinstance(what, str) else None
    if act is None:
        raise UsageError(f"no command {what!r}; there are show, {', '.join(COMMANDS)}")
    try:
        act(server, words)
    except (KeyError, TypeError, ValueError) as e:
        raise UsageError(f"not understood: {type(e).__name__}: {e}") from e
    return {"ok": True}


def _event(server: Sep2Server, words: Words) -> None:
    server.tree.event(start_s=_start(server, words), **words)


def _start(server: Sep2Server, words: Words) -> int:
    start_s: int = words.pop("start_s", None) or int(server.tree.now_s()) + words.pop("in_s", 0)
    return start_s


def _grants_at_once(server: Sep2Server, words: Words) -> None:
    server.tree.services.grants_at_once = words["on"]
    server.tree.services.has_flow = True


def _default(server: Sep2Server, words: Words) -> None:
    program = server.tree.programs[words.pop("program")]
    program.settings = {name: words.pop(name) for name in SETTINGS if name in words}
    program.default = words


def _set(name: str, key: str, *, of_server: bool = False) -> Callable[[Sep2Server, Words], None]:
    def act(server: Sep2Server, words: Words) -> None:
        setattr(server if of_server else server.tree, name, words[key])

    return act


COMMANDS: dict[str, Callable[[Sep2Server, Words], object]] = {
    "program": lambda server, words: server.tree.program(**words),
    "event": _event,
    "curve": lambda server, words: server.tree.services.curve(**words),
    "demand": lambda server, words: server.tree.services.demand(start_s=_start(server, words), **words),
    "grant": lambda server, words: server.tree.services.grant(start_s=_start(server, words), **words),
    "grants_at_once": _grants_at_once,
    "cancel": lambda server, words: server.tree.cancel(**words),
    "status": lambda server, words: server.tree.status(**words),
    "remove": lambda server, words: server.tree.remove(words["mrid"]),
    "default": _default,
    "rate": lambda server, words: server.tree.rates.update({words["of"]: words["s"]}),
    "post_rate": _set("post_rate", "s"),
    "slow": _set("slow_s", "s", of_server=True),
    "outage": _set("outage", "on", of_server=True),
    "answer": lambda server, words: _force(server.tree, "answer", words),
    "redirect": lambda server, words: _force(server.tree, "redirect", words),
}


def _force(tree: Tree, what: str, words: dict[str, Any]) -> None:
    path = words["path"]
    if what == "redirect":
        tree.forced[path] = Answer(302, headers={"Location": words["to"]})
    elif "hostile" in words:
        tree.forced[path] = Answer(200, HOSTILE[words["hostile"]])
    elif "status" in words:
        headers = {"Retry-After": str(words["retry_after"])} if "retry_after" in words else {}
        tree.forced[path] = Answer(words["status"], headers=headers)
    else:
        tree.forced.pop(path, None)


async def serve(folder: Path, port: int, pin: int | None) -> None:
    """Until end of input (or for ever, where there is none)."""

    device = chain()
    cert, key = device.write(folder, "client")
    context = server_context(server_chain(device.serca), folder=folder)
    identity = Identity.of(device.leaf.der)
    tree = Tree(identity.lfdi, identity.sfdi, time.time, pin=pin)
    tree.rates.update(dict.fromkeys(tree.rates, 5))
    tree.post_rate = 60
    tree.program("demo", primacy=1)
    async with Sep2Server(tree, context, port=port) as server:
        files = {"cert_file": str(cert), "key_file": str(key), "ca_file": str(folder / "root.pem")}
        print(json.dumps({"url": server.url, "lfdi": identity.lfdi, "sfdi": sfdi_text(identity.sfdi), **files}), flush=True)
        reader = asyncio.StreamReader()
        try:
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        except (PermissionError, ValueError):  # a file or nothing at all: no script, serve for ever
            await asyncio.Event().wait()
        while line := await reader.readline():
            try:
                print(json.dumps(command(server, json.loads(line))), flush=True)
            except (UsageError, ValueError) as e:
                print(json.dumps({"error": str(e)}), flush=True)


def run_server(folder: Path, port: int, pin: int | None) -> None:
    """Blocks until its input ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(folder, port, pin))
