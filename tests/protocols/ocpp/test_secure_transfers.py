"""Logs and firmware over TLS with the trust store configured: HTTPS and FTPS, both ways, with resume; who is not trusted is refused and
told (OCPP-2, OCPP-7)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from ocpp.v16 import call

from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.updater import FileUpdater
from bessctl.protocols.ocpp.binding.workers import Bench, carry_out
from bessctl.protocols.ocpp.config import Role, Tls
from bessctl.protocols.ocpp.session.jobs import Done, Download, Job, Upload
from bessctl.protocols.ocpp.transport.files import TransferFailed, download, upload
from bessctl.protocols.ocpp.transport.tls import client_context
from bessctl.sim.csms import Csms
from bessctl.store import Store
from tests.protocols.ocpp.certificates import issue, server_context
from tests.protocols.ocpp.harness import LOG, station
from tests.protocols.ocpp.sansio import LINK, Talk
from tests.protocols.ocpp.servers import ftp_server, web_server

IMAGE = bytes(range(256)) * 2000
Serve = Callable[[tuple[Path, Path]], AbstractContextManager[str]]


@pytest.fixture
def good(tmp_path: Path) -> tuple[Path, Path]:
    return issue(tmp_path, "good")


@pytest.fixture(params=["https", "ftps"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    def https(pair: tuple[Path, Path]) -> AbstractContextManager[str]:
        class Url:
            def __enter__(self) -> str:
                self.server = web_server(tmp_path / "served", server_context(*pair))
                return self.server.__enter__().url

            def __exit__(self, *exc: object) -> None:
                self.server.__exit__(None, None, None)

        return Url()

    def ftps(pair: tuple[Path, Path]) -> AbstractContextManager[str]:
        return ftp_server(tmp_path / "served", pair)

    return https if request.param == "https" else ftps


def trusting(cert: Path) -> ssl.SSLContext:
    return client_context(Tls(ca_file=cert))


def test_files_go_both_ways_and_go_on_where_they_were(serve: Serve, good: tuple[Path, Path], tmp_path: Path) -> None:
    """HTTPS PUT and GET, FTPS STOR and RETR with protected data; Range and REST; an upload of more than a socket's buffers."""
    with serve(good) as url:
        upload(f"{url}/", IMAGE * 8, "log.tar.gz", trusting(good[0]))
        assert (tmp_path / "served" / "log.tar.gz").read_bytes() == IMAGE * 8
        (tmp_path / "served" / "fw").write_bytes(IMAGE)
        part = tmp_path / "part"
        part.write_bytes(IMAGE[:1000])
        download(f"{url}/fw", part, trusting(good[0]))
        assert part.read_bytes() == IMAGE


def other_ca(tmp_path: Path, pair: tuple[Path, Path]) -> tuple[tuple[Path, Path], ssl.SSLContext]:
    return pair, trusting(issue(tmp_path, "other")[0])


def expired(tmp_path: Path, pair: tuple[Path, Path]) -> tuple[tuple[Path, Path], ssl.SSLContext]:
    old = issue(tmp_path, "old", days=-1)
    return old, trusting(old[0])


def other_name(tmp_path: Path, pair: tuple[Path, Path]) -> tuple[tuple[Path, Path], ssl.SSLContext]:
    elsewhere = issue(tmp_path, "elsewhere", host="192.0.2.1")
    return elsewhere, trusting(elsewhere[0])


@pytest.mark.parametrize("wrong", [other_ca, expired, other_name])
def test_who_is_not_trusted_gets_nothing_and_gives_nothing(
    wrong: Callable[..., tuple[tuple[Path, Path], ssl.SSLContext]], serve: Serve, good: tuple[Path, Path], tmp_path: Path
) -> None:
    pair, secure = wrong(tmp_path, good)
    with serve(pair) as url:
        with pytest.raises(TransferFailed) as up:
            upload(f"{url}/", b"log", "log", secure)
        with pytest.raises(TransferFailed) as down:
            download(f"{url}/fw", tmp_path / "part", secure)
    assert (up.value.kind, down.value.kind) == ("certificate", "certificate")
    assert "p/w" not in f"{up.value} {down.value}"
    assert list((tmp_path / "served").iterdir()) == []


def test_without_a_trust_store_the_systems_authorities_count(serve: Serve, good: tuple[Path, Path]) -> None:
    """ftplib by itself would take any certificate."""
    with serve(good) as url, pytest.raises(TransferFailed, match="certificate"):
        upload(f"{url}/", b"log", "log")


def test_a_file_that_is_another_by_now_comes_whole(good: tuple[Path, Path], tmp_path: Path) -> None:
    """If-Range: the rest of one file must not be joined to the beginning of another."""
    with web_server(tmp_path / "served", server_context(*good)) as web:
        (web.folder / "fw").write_bytes(IMAGE)
        web.cut, part = 1000, tmp_path / "part"
        with pytest.raises(TransferFailed, match="network"):
            download(f"{web.url}/fw", part, trusting(good[0]))
        assert 0 < part.stat().st_size < len(IMAGE)
        (web.folder / "fw").write_bytes(IMAGE[::-1])
        download(f"{web.url}/fw", part, trusting(good[0]))
        assert part.read_bytes() == IMAGE[::-1]
        assert web.ranges == ["", "bytes=1000-", ""]
        assert sorted(p.name for p in tmp_path.glob("part*")) == ["part"]


def test_redirections_are_followed_but_not_out_of_tls(good: tuple[Path, Path], tmp_path: Path) -> None:
    with web_server(tmp_path / "served", server_context(*good)) as secure, web_server(tmp_path / "plain") as plain:
        (secure.folder / "fw").write_bytes(IMAGE)
        secure.further, plain.further = "/fw", f"{secure.url}/fw"
        for url in (secure.url, plain.url):
            part = tmp_path / "part"
            part.unlink(missing_ok=True)
            download(f"{url}/elsewhere", part, trusting(good[0]))
            assert part.read_bytes() == IMAGE
        for further, words in ((f"{plain.url}/fw", "from https to http"), ("/elsewhere", "more than 5"), ("ftp://x/y", "not followed")):
            secure.further = further
            with pytest.raises(TransferFailed, match=words):
                download(f"{secure.url}/elsewhere", tmp_path / "none", trusting(good[0]))


# --- told


@pytest.fixture
def bench(tmp_path: Path, good: tuple[Path, Path]) -> Iterator[Bench]:
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER)
    yield Bench(LINK, tmp_path / "cpo", store, FileUpdater(tmp_path / "fw"), LOG, trust=lambda: trusting(good[0]))
    store.close()


def done(job: Job, bench: Bench) -> Done:
    return asyncio.run(carry_out(job, bench))


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_wrong_certificate_is_told(version: str, serve: Serve, bench: Bench, tmp_path: Path) -> None:
    """UploadFailed and DownloadFailed to the CSMS; the audit says whose certificate, and what is wrong with it."""
    t = Talk(replace(LINK, role=Role.OWNER, version=(version,)), version=version).booted()
    with serve(issue(tmp_path, "other")) as url:
        t.call("GetLog", {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": f"{url}/"}})
        assert isinstance(t.jobs[-1], Upload)
        t.take(t.station.job_done(done(t.jobs[-1], bench), t.now))
        firmware = {"location": f"{url}/fw", "retrieveDateTime": "2027-01-15T08:00:00Z"}
        if version == "1.6":
            t.call("UpdateFirmware", {"location": f"{url}/fw", "retrieveDate": "2027-01-15T08:00:00Z"})
        else:
            t.call("UpdateFirmware", {"requestId": 2, "firmware": firmware})
        assert isinstance(t.jobs[-1], Download)
        t.take(t.station.job_done(done(t.jobs[-1], bench), t.now))
    assert t.of("LogStatusNotification")[-1]["status"] == "UploadFailure"
    assert t.of("FirmwareStatusNotification")[-1]["status"] == "DownloadFailed"
    assert str(t.writes).count("certificate: 127.0.0.1: ") >= 2


def test_a_whole_station_over_tls(tmp_path: Path, good: tuple[Path, Path]) -> None:
    """GetDiagnostics by HTTPS and UpdateFirmware by FTPS on servers that the link's own trust store knows, and on one it does not."""

    served, none, images = tmp_path / "served", tmp_path / "no", tmp_path / "images"
    images.mkdir()
    (images / "fw").write_bytes(IMAGE)

    async def story(web: str, ftp: str, stranger: str) -> None:
        csms = Csms(context=server_context(*good))
        async with csms, station(csms, tmp_path, tls=Tls(ca_file=good[0]), role=Role.OWNER) as rig:
            peer = await rig.peer()
            answer = await peer.ask(call.GetDiagnostics(location=f"{web}/"))
            await csms.wait("DiagnosticsStatusNotification", where=lambda p: p["status"] == "Uploaded")
            assert (served / answer.file_name).read_bytes()[:2] == b"\x1f\x8b"
            await peer.ask(call.GetDiagnostics(location=f"{stranger}/"))
            await csms.wait("DiagnosticsStatusNotification", where=lambda p: p["status"] == "UploadFailed")
            assert list(none.iterdir()) == []
            await peer.ask(call.UpdateFirmware(location=f"{ftp}/fw", retrieve_date="2020-01-01T00:00:00Z"))
            await csms.wait("FirmwareStatusNotification", where=lambda p: p["status"] == "Installed")
        assert (tmp_path / "ocpp" / "firmware" / "installed.img").read_bytes() == IMAGE
        assert [e.payload["status"] for e in csms.of("FirmwareStatusNotification")][:3] == ["Downloading", "Downloaded", "Installing"]

    other = server_context(*issue(tmp_path, "other"))
    with web_server(served, server_context(*good)) as web, ftp_server(images, good) as ftp, web_server(none, other) as stranger:
        asyncio.run(story(web.url, ftp, stranger.url))
