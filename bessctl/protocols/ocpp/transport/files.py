"""Files to and from a CSMS: HTTP(S) PUT and GET, FTP(S) STOR and RETR (1.6 SupportedFileTransferProtocols). Blocking: for worker threads.

- A download goes on where the file at hand ends (HTTP Range, FTP REST). A server that tells an ETag is asked for the rest of that very
  file (If-Range); where it is another by now, it comes whole.
- A redirection of a download is followed, at most `REDIRECTS` times and never from TLS to plain.
- TLS servers are held to `secure`: the chain, the name, TLS 1.2 at least. FTPS is explicit, its data connections protected and in the
  control connection's session, as many servers insist.
- A server may be slow, not without end: see `_Pace`. User and password of a url are used and never told.
"""

from __future__ import annotations

import ftplib
import http.client
import io
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from bessctl.errors import OperationFailed

TIMEOUT_S = 30.0
CHUNK = 64 * 1024
MAX_BYTES = 4 * 1024**3
GRACE_S = 60.0
SLOWEST_BYTES_PER_S = 1000
REDIRECTS = 5
KINDS = {401: "permission", 403: "permission", 405: "protocol", 501: "protocol"}


class TransferFailed(OperationFailed):
    """A transfer that did not come to its end. The text begins with its kind: permission, protocol, request, network, certificate,
    signature."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def upload(url: str, data: bytes, name: str, secure: ssl.SSLContext | None = None) -> None:
    """Send a file. A url that ends in `/` (or has no path) is a folder: the name is appended. `secure`: who is trusted; None = the system's
    authorities. Raises TransferFailed."""
    at = _split(url)
    path = at.path + quote(name) if at.path.endswith("/") else at.path or f"/{quote(name)}"
    body = _Body(data)
    if at.scheme in {"http", "https"}:
        _put(at, path, body, secure)
    else:
        with _ftp(at, secure) as ftp:
            ftp.storbinary(f"STOR {unquote(path)}", body)


def download(url: str, to: Path, secure: ssl.SSLContext | None = None) -> None:
    """Fetch a file, going on after what `to` holds already. Raises TransferFailed; what came stays."""
    at = _split(url)
    if at.scheme in {"http", "https"}:
        for _ in range(REDIRECTS + 1):
            further = _get(at, to, secure)
            if further is None:
                return
            at = _redirected(at, further)
        raise TransferFailed("request", f"more than {REDIRECTS} redirections")
    have = to.stat().st_size if to.exists() else 0
    pace = _Pace(have)
    with _ftp(at, secure) as ftp, to.open("ab") as file:

        def write(chunk: bytes) -> None:
            pace.moved(len(chunk))
            file.write(chunk)

        ftp.retrbinary(f"RETR {unquote(at.path)}", write, blocksize=CHUNK, rest=have or None)


class _Pace:
    """Refuses more than a disk should take, and a peer that would hold a thread for ever: after `GRACE_S` it must have moved
    `SLOWEST_BYTES_PER_S` on the average. `have`: bytes of earlier tries, which count for the size alone."""

    def __init__(self, have: int = 0) -> None:
        self._have, self._moved, self._begun_s = have, 0, time.monotonic()

    def moved(self, count: int) -> None:
        self._moved += count
        passed = time.monotonic() - self._begun_s
        if self._have + self._moved > MAX_BYTES:
            raise TransferFailed("request", f"the file is larger than {MAX_BYTES} bytes")
        if passed > GRACE_S and self._moved < passed * SLOWEST_BYTES_PER_S:
            raise TransferFailed("network", f"{self._moved} bytes in {passed:.0f} s, slower than {SLOWEST_BYTES_PER_S} bytes a second")


class _Body(io.BytesIO):
    """What is sent, in pieces: a socket's time-out is then one piece's and not the whole file's."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._pace = _Pace()

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._pace.moved(len(piece))
        return piece


def _split(url: str) -> SplitResult:
    try:
        at = urlsplit(url)
        host, _ = at.hostname, at.port
    except ValueError as e:
        raise TransferFailed("request", "the url cannot be read") from e
    if at.scheme not in {"http", "https", "ftp", "ftps"} or not host:
        raise TransferFailed("protocol", f"{at.scheme[:10]!r} is not served; ftp, ftps, http and https are")
    return at


def _redirected(at: SplitResult, further: str) -> SplitResult:
    to = _split(urljoin(at.geturl(), further))
    if to.scheme not in {"http", "https"} or (at.scheme == "https" and to.scheme != "https"):
        raise TransferFailed("protocol", f"a redirection from {at.scheme} to {to.scheme} is not followed")
    return to


def _target(at: SplitResult, path: str) -> str:
    return path + (f"?{at.query}" if at.query else "")


def _headers(at: SplitResult) -> dict[str, str]:
    if at.username is None:
        return {}
    pair = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


@contextmanager
def _told(at: SplitResult) -> Iterator[None]:
    """What goes wrong on the way, in a transfer's words."""
    try:
        yield
    except ssl.SSLCertVerificationError as e:
        raise TransferFailed("certificate", f"{at.hostname}: {e.verify_message or e}") from e
    except ftplib.error_perm as e:
        kind = "permission" if str(e)[:3] in {"530", "550", "553"} else "request"
        raise TransferFailed(kind, f"FTP {str(e)[:60]}") from e
    except (OSError, EOFError, ftplib.Error, http.client.HTTPException) as e:
        raise TransferFailed("network", f"{at.hostname}: {type(e).__name__}: {e}") from e
    except ValueError as e:  # what the libraries cannot put into their protocol: a host without name between dots, a path beyond ASCII
        raise TransferFailed("request", f"the url cannot be used: {type(e).__name__}") from e


@contextmanager
def _http(at: SplitResult, secure: ssl.SSLContext | None) -> Iterator[http.client.HTTPConnection]:
    assert at.hostname is not None
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        trusted = secure or ssl.create_default_context()
        connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=TIMEOUT_S, context=trusted)
    else:
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=TIMEOUT_S)
    try:
        with _told(at):
            yield connection
    finally:
        connection.close()


def _put(at: SplitResult, path: str, body: _Body, secure: ssl.SSLContext | None) -> None:
    length = {"Content-Type": "application/gzip", "Content-Length": str(len(body.getbuffer()))}
    with _http(at, secure) as connection:
        connection.request("PUT", _target(at, path), body, {**_headers(at), **length})
        _judge(connection.getresponse())


def _get(at: SplitResult, to: Path, secure: ssl.SSLContext | None) -> str | None:
    """Returns where to look instead, if anywhere."""
    have, mark = to.stat().st_size if to.exists() else 0, to.with_name(to.name + ".etag")
    etag = mark.read_text() if mark.exists() else ""
    ranged = {"Range": f"bytes={have}-", **({"If-Range": etag} if etag else {})} if have else {}
    with _http(at, secure) as connection:
        connection.request("GET", _target(at, at.path or "/"), headers={**_headers(at), **ranged})
        answer = connection.getresponse()
        further = answer.getheader("Location")
        if answer.status in {301, 302, 303, 307, 308} and further:
            return further
        if answer.status == 416:  # what is there is all there is
            return None
        _judge(answer)
        if answer.status == 206 and etag and answer.getheader("ETag", etag) != etag:
            to.unlink()  # the server heeds no If-Range, and this is the rest of another file
            return at.geturl()
        whole = answer.status != 206  # a server that does not know ranges, or has another file by now, begins anew
        if whole:
            mark.write_text(answer.getheader("ETag") or "")
        missing = _receive(answer, to, 0 if whole else have)
        if missing:
            raise TransferFailed("network", f"{at.hostname}: {missing} bytes are missing")
    mark.unlink(missing_ok=True)
    return None


def _receive(answer: http.client.HTTPResponse, to: Path, have: int) -> int:
    """Returns how many bytes of those announced did not come."""
    pace, left = _Pace(have), answer.length
    with to.open("ab" if have else "wb") as file:
        while left != 0 and (chunk := answer.read1(CHUNK if left is None else min(CHUNK, left))):
            pace.moved(len(chunk))
            file.write(chunk)
            left = None if left is None else left - len(chunk)
    return left or 0


def _judge(answer: http.client.HTTPResponse) -> None:
    if not 200 <= answer.status < 300:
        raise TransferFailed(KINDS.get(answer.status, "request"), f"HTTP {answer.status} {answer.reason}")


class _Ftps(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        plain, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        control = self.sock
        session = control.session if isinstance(control, ssl.SSLSocket) else None
        return self.context.wrap_socket(plain, server_hostname=self.host, session=session), size


@contextmanager
def _ftp(at: SplitResult, secure: ssl.SSLContext | None) -> Iterator[ftplib.FTP]:
    ftp: ftplib.FTP
    # The library's own default would take any certificate.
    ftp = _Ftps(timeout=TIMEOUT_S, context=secure or ssl.create_default_context()) if at.scheme == "ftps" else ftplib.FTP(timeout=TIMEOUT_S)
    try:
        with _told(at):
            ftp.connect(at.hostname or "", at.port or ftplib.FTP_PORT)
            ftp.login(unquote(at.username or "anonymous"), unquote(at.password or ""))
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            yield ftp
    finally:
        ftp.close()
