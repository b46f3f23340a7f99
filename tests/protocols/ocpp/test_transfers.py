"""Files over real servers, certificates in real files: uploads, downloads with resume, signatures, the vault (OCPP-7)."""

from __future__ import annotations

import asyncio
import http.server
import io
import sys
import tarfile
import threading
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

from bessctl.errors import OperationFailed
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.journal import of_link
from bessctl.protocols.ocpp.binding.ocsp import hash_of
from bessctl.protocols.ocpp.binding.secrets import load
from bessctl.protocols.ocpp.binding.updater import FileUpdater
from bessctl.protocols.ocpp.binding.vault import FileVault
from bessctl.protocols.ocpp.binding.workers import Bench, carry_out, verify
from bessctl.protocols.ocpp.config import Tls
from bessctl.protocols.ocpp.session import writes as w
from bessctl.protocols.ocpp.session.jobs import Done, Download, Install, Job, Outcome, Password, Upload, Verify
from bessctl.protocols.ocpp.session.vault import OURS
from bessctl.protocols.ocpp.transport.files import TransferFailed, download, upload
from bessctl.store import Store
from tests.protocols.ocpp.harness import LOG
from tests.protocols.ocpp.sansio import LINK

IMAGE = bytes(range(256)) * 2000


class Handler(http.server.BaseHTTPRequestHandler):
    """PUT keeps, GET gives, with ranges; /cut hangs up in the middle; /no refuses."""

    kept: dict[str, bytes]

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403 if self.path == "/no" else 201)
        self.end_headers()

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        body = IMAGE[begin:]
        self.kept["range"] = str(begin).encode()
        self.send_response(404 if self.path == "/missing" else 206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" and not begin else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, bytes]]]:
    Handler.kept = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Handler.kept
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "ftp"
    folder.mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("u", "p/w", str(folder), perm="elradfmw")

    class OurHandler(FTPHandler):
        pass

    OurHandler.authorizer = authorizer
    OurHandler.auth_failed_timeout = 0
    server = ThreadedFTPServer(("127.0.0.1", 0), OurHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.01})
    thread.start()
    yield f"ftp://u:p%2Fw@127.0.0.1:{server.socket.getsockname()[1]}", folder
    server.close_all()
    thread.join()


def test_uploads(web: tuple[str, dict[str, bytes]], ftp: tuple[str, Path]) -> None:
    """HTTP PUT and FTP STOR; a url that is a folder gets the name appended."""
    upload(f"{web[0]}/logs/", b"abc", "a.tar.gz")
    upload(f"{web[0]}/exactly?x=1", b"abc", "a.tar.gz")
    assert web[1] == {"/logs/a.tar.gz": b"abc", "/exactly?x=1": b"abc"}
    upload(f"{ftp[0]}/", b"abc", "a.tar.gz")
    assert (ftp[1] / "a.tar.gz").read_bytes() == b"abc"


def test_a_download_goes_on_where_it_was_cut(web: tuple[str, dict[str, bytes]], ftp: tuple[str, Path], tmp_path: Path) -> None:
    """Range and REST."""
    to = tmp_path / "image"
    with pytest.raises(TransferFailed, match=r"missing|Incomplete"):
        download(f"{web[0]}/cut", to)
    assert 0 < to.stat().st_size < len(IMAGE)
    begun = to.stat().st_size
    download(f"{web[0]}/cut", to)
    assert to.read_bytes() == IMAGE
    assert web[1]["range"] == str(begun).encode()
    (ftp[1] / "fw").write_bytes(IMAGE)
    part = tmp_path / "part"
    part.write_bytes(IMAGE[:1000])
    download(f"{ftp[0]}/fw", part)
    assert part.read_bytes() == IMAGE


@pytest.mark.parametrize(
    ("path", "kind"), [("/no", "permission"), ("gopher://x/y", "protocol"), ("http://[", "request"), ("http://127.0.0.1:1/x", "network")]
)
def test_uploads_that_fail_name_their_kind(web: tuple[str, dict[str, bytes]], path: str, kind: str) -> None:
    with pytest.raises(TransferFailed) as caught:
        upload(web[0] + path if path.startswith("/") else path, b"", "n")
    assert caught.value.kind == kind


def test_an_ftp_password_that_is_wrong_is_not_told(ftp: tuple[str, Path]) -> None:
    with pytest.raises(TransferFailed) as caught:
        upload(ftp[0].replace("p%2Fw", "secret") + "/x", b"", "n")
    assert caught.value.kind == "permission"
    assert "secret" not in str(caught.value)


# --- jobs


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER)
    yield Bench(LINK, tmp_path / "cpo", store, FileUpdater(tmp_path / "fw"), LOG, (tmp_path / "journal",))
    store.close()


def done(job: Job, bench: Bench) -> Done:
    return asyncio.run(carry_out(job, bench))


def test_a_log_holds_this_links_audit_and_no_secret(web: tuple[str, dict[str, bytes]], bench: Bench, tmp_path: Path) -> None:
    """Settled 5: nothing of another CSMS; the site's files; no token, no password."""
    secrets = load(tmp_path / "key")
    (tmp_path / "journal").write_text("a line of the journal")
    rows = tables.audit_statements("cpo", w.Audit("reset", "soft"), 10, 1)
    rows += tables.audit_statements("cpo", w.Audit("security", "FirmwareUpdated"), 20, 1)
    rows += tables.audit_statements("other", w.Audit("reset", "of another"), 10, 1)
    rows += tables.statements(w.PutKey("HeartbeatInterval", "77"), "cpo", secrets)
    bench.store.submit(rows).result(10)
    assert done(Upload(1, "DiagnosticsLog", f"{web[0]}/d", "d.tar.gz"), bench).ok
    with tarfile.open(fileobj=io.BytesIO(web[1]["/d"])) as tar:
        members = {m.name: tar.extractfile(m).read().decode() for m in tar}  # type: ignore[union-attr]
    assert members.keys() == {"audit.jsonl", "settings.json", "files/journal"}
    assert '"HeartbeatInterval": "77"' in members["settings.json"]
    assert "soft" in members["audit.jsonl"]
    assert "of another" not in str(members)
    assert done(Upload(2, "SecurityLog", f"{web[0]}/s", "s.tar.gz"), bench).ok
    with tarfile.open(fileobj=io.BytesIO(web[1]["/s"])) as tar:
        assert tar.getnames() == ["audit.jsonl"]
        assert b"soft" not in tar.extractfile("audit.jsonl").read()  # type: ignore[union-attr]


def test_a_log_takes_the_journal_and_the_controllers_parts_along(web: tuple[str, dict[str, bytes]], bench: Bench) -> None:
    """The journal is a command's output, for the time asked for; one that fails is told in its place and stops no log."""
    journal = (sys.executable, "-c", "import sys; print('since', sys.argv[1], 'until', sys.argv[2])", "{since}", "{until}")
    full = replace(bench, journal=journal, more=lambda name: {"site.json": f"of {name}".encode()})
    assert done(Upload(1, "diagnostics", f"{web[0]}/d", "d.tar.gz", 5 * 10**9, 7 * 10**9), full).ok
    members = unpacked(web[1]["/d"])
    assert members["journal.txt"] == "since 5 until 7\n"
    assert members["site.json"] == "of cpo"
    broken = replace(full, journal=(sys.executable, "-c", "raise SystemExit('no such right')"))
    assert done(Upload(1, "diagnostics", f"{web[0]}/d", "d.tar.gz"), broken).ok
    assert "no such right" in unpacked(web[1]["/d"])["journal.txt"]
    assert done(Upload(2, "SecurityLog", f"{web[0]}/s", "s.tar.gz"), full).ok
    assert unpacked(web[1]["/s"]).keys() == {"audit.jsonl"}


def unpacked(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: tar.extractfile(m).read().decode() for m in tar}  # type: ignore[union-attr]


SEEN = "2027-01-15T08:00:00.123Z"
JOURNAL = f"""\
Jan 15 08:00:00 bess bessctl[7]: {SEEN} info    bessctl.app: the loop runs
{SEEN} warning bessctl.ocpp: ocpp link cpo: malformed: frame
{SEEN} warning bessctl.ocpp: ocpp link cpo connector 1: start_dropped: nobody plugged in
{SEEN} warning bessctl.ocpp: ocpp link cpo-2: HIDDEN
{SEEN} error   bessctl.ocpp: ocpp link utility crashed, building it again in 5 s
  + Exception Group Traceback (most recent call last):
  | HIDDEN
HIDDEN
{SEEN} error   bessctl.ocpp: ocpp link cpo crashed, building it again in 5 s
Traceback (most recent call last):
{{"time": "{SEEN}", "level": "info", "part": "bessctl.ocpp", "message": "ocpp link utility: HIDDEN"}}
a unit of another name: started
{{"time": "{SEEN}", "level": "info", "part": "bessctl.ocpp", "message": "ocpp link cpo: closed"}}
"""


def test_a_journal_goes_without_the_lines_of_the_other_links() -> None:
    """Settled 5: one supervisor writes of all CSMSs; each gets what is said of itself, and of none of them."""
    found = of_link(JOURNAL.encode(), "cpo").decode()
    hidden = ("HIDDEN", "utility", "Exception Group")
    assert found.splitlines() == [line for line in JOURNAL.splitlines() if not any(word in line for word in hidden)]


def certificate(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None, *, days: int = 10, begins: int = -1
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(found: x509.Certificate) -> str:
    return found.public_bytes(serialization.Encoding.PEM).decode()


def test_firmware_is_fetched_verified_and_handed_over(web: tuple[str, dict[str, bytes]], bench: Bench, tmp_path: Path) -> None:
    """The signature is the certificate's over the image itself."""
    cert, key = certificate("maker")
    assert done(Download(1, f"{web[0]}/fw"), bench).ok
    good = b64encode(key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))).decode()
    assert done(Verify(1, pem(cert), good), bench).ok
    for bad in (b64encode(key.sign(b"other", ec.ECDSA(hashes.SHA256()))).decode(), "!!", b64encode(b"x").decode()):
        assert not done(Verify(1, pem(cert), bad), bench).ok
    assert done(Install(1), bench).ok
    assert (tmp_path / "fw" / "installed.img").read_bytes() == IMAGE
    assert done(Outcome(1), bench).ok
    (tmp_path / "fw" / "outcome").write_text("failed")
    rolled_back = done(Outcome(1), bench)
    assert not rolled_back.ok
    assert "did not boot" in rolled_back.detail
    assert not done(Download(2, f"{web[0]}/missing"), bench).ok


def test_an_image_larger_than_memory_is_verified_and_kept(bench: Bench, tmp_path: Path) -> None:
    """The supervisor has 160 MB for all links; an image may have gigabytes."""
    bench.folder.mkdir(exist_ok=True)
    with bench.image.open("wb") as file:
        file.truncate(64 * 1024**2)
    cert, key = certificate("maker")
    signature = b64encode(key.sign(bench.image.read_bytes(), ec.ECDSA(hashes.SHA256()))).decode()
    tracemalloc.start()
    verify(bench.image, pem(cert), signature)
    bench.updater.install(bench.image, lambda percent: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024**2


def test_firmware_may_be_signed_by_rsa(tmp_path: Path) -> None:
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "maker")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
    cert = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    image = tmp_path / "image"
    image.write_bytes(IMAGE)
    for pad in (padding.PSS(padding.MGF1(hashes.SHA256()), 32), padding.PKCS1v15()):
        verify(image, pem(cert), b64encode(key.sign(IMAGE, pad, hashes.SHA256())).decode())
        with pytest.raises(TransferFailed):
            verify(image, pem(cert), b64encode(key.sign(b"other", pad, hashes.SHA256())).decode())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/ü", "http://a..b/", "http://127.0.0.1:9/a b", "ftp://a..b/x", "ftp://u:p%0d%0aQUIT@127.0.0.1:9/"]
)
def test_a_url_that_no_library_takes_fails_the_job(url: str, bench: Bench) -> None:
    """A job always ends: one that does not would leave the log "Uploading", the firmware "Downloading" for ever."""
    for job in (Upload(1, "DiagnosticsLog", url, "d.tar.gz"), Download(1, url)):
        outcome = done(job, bench)
        assert not outcome.ok
        assert outcome.detail.split(":")[0] in {"request", "network"}, outcome


def test_a_job_that_trips_over_a_fault_of_ours_has_failed(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def parts(link: str) -> dict[str, bytes]:
        raise KeyError("secret")

    outcome = done(Upload(1, "DiagnosticsLog", "http://127.0.0.1:9/", "d.tar.gz"), replace(bench, more=parts))
    assert (outcome.ok, outcome.detail) == (False, "a fault of the station: KeyError")
    assert "Upload failed by a fault of ours" in caplog.text


def test_a_password_without_a_file_is_refused(bench: Bench) -> None:
    assert not done(Password(0, "x"), bench).ok


# --- the vault


def test_roots_in_the_vault(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    root, key = certificate("root")
    assert vault.install("CSMSRootCertificate", "nonsense")[0] == "Rejected"
    assert vault.install("CSMSRootCertificate", pem(certificate("old", days=0)[0]))[0] == "Rejected"
    assert vault.install("CSMSRootCertificate", pem(root)) == ("Accepted", "")
    assert vault.tls(Tls()).extra_ca_file == tmp_path / "csms-roots.pem"
    assert vault.installed(["V2GRootCertificate"]) == []
    assert vault.installed([]) == [("CSMSRootCertificate", hash_of(root))]
    signer = certificate("maker", (root, key))[0]
    assert "no manufacturer root" in str(vault.firmware_signer(pem(signer)))
    assert vault.install("ManufacturerRootCertificate", pem(root)) == ("Accepted", "")
    assert vault.firmware_signer(pem(signer)) is None
    assert vault.firmware_signer(pem(certificate("maker", (root, key), days=0)[0])) == "the certificate is expired"
    assert vault.delete(hash_of(root, "SHA512")) == "Accepted"
    assert vault.delete(hash_of(root)) == "Accepted"
    assert vault.delete(hash_of(root)) == "NotFound"


def signed(csr: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], name: str, begins: int = -1) -> str:
    request = x509.load_pem_x509_csr(csr.encode())
    now = datetime.now(UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer[0].subject)
        .public_key(request.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=9))
        .sign(issuer[1], hashes.SHA256())
    )
    return pem(found) + pem(issuer[0])


def test_our_own_certificate(tmp_path: Path) -> None:
    """A02: for our newest key, our name, a chain below a root that we know (FR.06); one that begins later is used from then on."""
    ca = certificate("ca")
    vault = FileVault(tmp_path)
    old = vault.csr("BESS1", "")
    new = vault.csr("BESS1", "Acme")
    assert "another key" in str(vault.accept(signed(old, ca, "BESS1"), "BESS1"))
    assert "another station" in str(vault.accept(signed(new, ca, "BESS2"), "BESS1"))
    assert "chain" in str(vault.accept(signed(new, ca, "BESS1").replace(pem(ca[0]), pem(certificate("x")[0])), "BESS1"))
    assert "no certificate" in str(vault.accept("nonsense", "BESS1"))
    assert vault.tls(Tls()).cert_file is None
    later_on, leaf = signed(new, ca, "BESS1", begins=1), signed(new, ca, "BESS1").split(pem(ca[0]))[0]
    for chain in (later_on, leaf):
        assert "no root" in str(vault.accept(chain, "BESS1"))
    (tmp_path / "ca.pem").write_text(pem(ca[0]))
    assert FileVault(tmp_path / "x", site=Tls(tmp_path / "ca.pem"))._below_a_root(x509.load_pem_x509_certificate(leaf.encode()), OURS)
    assert vault.install("CSMSRootCertificate", pem(ca[0]))[0] == "Accepted"
    assert vault.accept(leaf, "BESS1") is None
    assert vault.accept(later_on, "BESS1") is None
    assert vault.tls(Tls()).cert_file is None
    later = FileVault(tmp_path, lambda: datetime.now(UTC) + timedelta(days=2))
    assert later.tls(Tls()).cert_file == tmp_path / "client.pem"
    assert later.expiring(), "nine days are left, thirty are wanted"
    assert (tmp_path / "client.key").stat().st_mode & 0o777 == 0o600


def test_the_devices_key(tmp_path: Path) -> None:
    """Made once, mode 0600, refused when damaged."""
    path = tmp_path / "d" / "key"
    assert load(path).digest("A") == load(path).digest("a")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(OperationFailed, match="damaged"):
        load(path)
