"""Real servers for files, over TLS or plain, each in a thread of its own: aiohttp for HTTP, pyftpdlib for FTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import ThreadedFTPServer


@dataclass
class Web:
    """PUT keeps a file in the folder; GET gives one, with ranges and ETags; `cut` hangs up after so many bytes, once; `further`
    redirects."""

    url: str
    folder: Path
    ranges: list[str] = field(default_factory=list)
    cut: int = 0
    further: str = ""


@contextlib.contextmanager
def web_server(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[Web]:
    folder.mkdir(exist_ok=True)
    loop, state = asyncio.new_event_loop(), Web("", folder)

    async def put(request: web.Request) -> web.Response:
        (folder / request.match_info["name"]).write_bytes(await request.read())
        return web.Response(status=201)

    async def get(request: web.Request) -> web.StreamResponse:
        state.ranges.append(request.headers.get("Range", ""))
        if request.match_info["name"] == "elsewhere":
            raise web.HTTPFound(state.further)
        path = folder / request.match_info["name"]
        if not state.cut:
            return web.FileResponse(path)
        answer = web.StreamResponse(headers={"Content-Length": str(path.stat().st_size), "ETag": '"first"'})
        await answer.prepare(request)
        await answer.write(path.read_bytes()[: state.cut])
        state.cut = 0
        assert request.transport is not None
        request.transport.close()
        return answer

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024**2)
        app.add_routes([web.put("/{name}", put), web.get("/{name}", get)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        state.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def ftp_server(folder: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    """User u, password p/w. With a certificate neither commands nor data go in clear."""
    folder.mkdir(exist_ok=True)
    authorizer = DummyAuthorizer()
    authorizer.add_user("u", "p/w", str(folder), perm="elradfmw")
    base = FTPHandler if certificate is None else TLS_FTPHandler
    made = {"authorizer": authorizer, "auth_failed_timeout": 0}
    if certificate is not None:
        both = folder.parent / f"{certificate[0].stem}.both.pem"
        both.write_bytes(certificate[0].read_bytes() + certificate[1].read_bytes())
        made |= {"certfile": str(both), "tls_control_required": True, "tls_data_required": True}
    server = ThreadedFTPServer(("127.0.0.1", 0), type("OurHandler", (base,), made))
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.01})
    thread.start()
    try:
        scheme = "ftp" if certificate is None else "ftps"
        yield f"{scheme}://u:p%2Fw@127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.close_all()
        thread.join()
