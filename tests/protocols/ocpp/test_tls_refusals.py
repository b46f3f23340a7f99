"""A CSMS of an old TLS or a weak suite is refused by a real handshake, and told once a good connection stands (settled 1; OCPP-2)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bessctl.protocols.ocpp.config import Tls
from bessctl.sim.csms import Csms
from tests.protocols.ocpp.certificates import issue, server_context
from tests.protocols.ocpp.harness import station

OLD, NEW = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2
HANDSHAKE_S = 10
RSA = rsa.generate_private_key(65537, 2048)


def old_context(cert: Path, key: Path, version: ssl.TLSVersion, suites: str) -> ssl.SSLContext:
    """What nobody should serve any more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.load_cert_chain(cert, key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """A server that does handshakes and nothing else, in a thread: it says goodbye by an alert, as OpenSSL's own does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                peer.settimeout(HANDSHAKE_S)
                with peer, contextlib.suppress(OSError):
                    context.wrap_socket(peer, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("version", "suites", "event"),
    [
        (OLD, "ALL", "InvalidTLSVersion"),
        (NEW, "ECDHE-ECDSA-AES128-SHA", "InvalidTLSCipherSuite"),
        (NEW, "ECDHE-ECDSA-AES256-SHA384:AES128-SHA", "InvalidTLSCipherSuite"),
    ],
)
def test_an_old_tls_or_a_weak_suite_is_refused_and_told(version: ssl.TLSVersion, suites: str, event: str, tmp_path: Path) -> None:
    cert, key = issue(tmp_path, "csms")

    class Old:
        url = ""

    async def story() -> None:
        with contextlib.ExitStack() as old:
            port = old.enter_context(tls_server(old_context(cert, key, version, suites)))
            Old.url = f"wss://127.0.0.1:{port}"
            async with station(Old(), tmp_path, tls=Tls(ca_file=cert)) as rig:  # type: ignore[arg-type]
                waiting = f"SELECT count(*) FROM ocpp_queue WHERE data LIKE '%{event}%'"
                await rig.until(lambda: rig.plant.reads > 0)
                await rig.until(lambda: rig.store.read(waiting) == [(1,)])
                await asyncio.to_thread(old.close)  # its handshake under way may need our side of it
                async with Csms(context=server_context(cert, key), port=port) as better:
                    await better.wait("SecurityEventNotification", where=lambda p: p["type"] == event)

    asyncio.run(story())


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384"])
def test_the_rsa_suites_of_the_standard_are_spoken(suite: str, tmp_path: Path) -> None:
    """TLS_RSA_WITH_AES_..._GCM_...: named by the standard, and left out by Python's default."""
    cert, key = issue(tmp_path, "csms", private=RSA)
    context = server_context(cert, key, version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suite)

    async def story() -> None:
        async with Csms(context=context) as csms, station(csms, tmp_path, tls=Tls(ca_file=cert)) as rig:
            await rig.peer()

    asyncio.run(story())
