"""Files to and from a CSMS: HTTP(S) PUT and GET, FTP(S) STOR and RETR (1.6 SupportedFileTransferProtocols). Blocking: for worker threads.

A download goes on where the file at hand ends (HTTP Range, FTP REST). User and password of a url are used and never told.
"""

from __future__ import annotations

import ftplib
import http.client
import io
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bessctl.errors import OperationFailed

TIMEOUT_S = 30.0
CHUNK = 64 * 1024
MAX_BYTES = 4 * 1024**3


class TransferFailed(OperationFailed):
    """A transfer that did not come to its end. The text begins with its kind: permission, protocol, request, network, signature."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def upload(url: str, data: bytes, name: str) -> None:
    """Send a file. A url that ends in `/` (or has no path) is a folder: the name is appended. Raises TransferFailed."""
    at = _split(url)
    path = at.path + quote(name) if at.path.endswith("/") else at.path or f"/{quote(name)}"
    if at.scheme in {"http", "https"}:
        _put(at, path, data)
    else:
        with _ftp(at) as ftp:
            ftp.storbinary(f"STOR {unquote(path)}", io.BytesIO(data))


def download(url: str, to: Path) -> None:
    """Fetch a file, going on after what `to` holds already. Raises TransferFailed; what came stays."""
    at = _split(url)
    have = to.stat().st_size if to.exists() else 0
    if at.scheme in {"http", "https"}:
        _get(at, to, have)
        return
    with _ftp(at) as ftp, to.open("ab") as file:
        ftp.retrbinary(f"RETR {unquote(at.path)}", _limited(file.write, have), blocksize=CHUNK, rest=have or None)


def _split(url: str) -> SplitResult:
    try:
        at = urlsplit(url)
        host, _ = at.hostname, at.port
    except ValueError as e:
        raise TransferFailed("request", "the url cannot be read") from e
    if at.scheme not in {"http", "https", "ftp", "ftps"} or not host:
        raise TransferFailed("protocol", f"{at.scheme[:10]!r} is not served; ftp, ftps, http and https are")
    return at


def _target(at: SplitResult, path: str) -> str:
    return path + (f"?{at.query}" if at.query else "")


def _headers(at: SplitResult) -> dict[str, str]:
    if at.username is None:
        return {}
    pair = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


@contextmanager
def _http(at: SplitResult) -> Iterator[http.client.HTTPConnection]:
    assert at.hostname is not None
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        connection = http.client.HTTPSConnection(at.hostname, at.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=TIMEOUT_S)
    try:
        yield connection
    except (OSError, http.client.HTTPException) as e:
        raise TransferFailed("network", f"{at.hostname}: {type(e).__name__}: {e}") from e
    finally:
        connection.close()


def _put(at: SplitResult, path: str, data: bytes) -> None:
    with _http(at) as connection:
        connection.request("PUT", _target(at, path), data, {**_headers(at), "Content-Type": "application/gzip"})
        _judge(connection.getresponse())


def _get(at: SplitResult, to: Path, have: int) -> None:
    with _http(at) as connection:
        ranged = {"Range": f"bytes={have}-"} if have else {}
        connection.request("GET", _target(at, at.path or "/"), headers={**_headers(at), **ranged})
        answer = connection.getresponse()
        if answer.status == 416:  # what is there is all there is
            return
        _judge(answer)
        whole = answer.status != 206  # a server that does not know ranges begins anew
        with to.open("wb" if whole else "ab") as file:
            write = _limited(file.write, 0 if whole else have)
            while chunk := answer.read(CHUNK):
                write(chunk)
        if answer.length:
            raise TransferFailed("network", f"{at.hostname}: {answer.length} bytes are missing")


def _judge(answer: http.client.HTTPResponse) -> None:
    if 200 <= answer.status < 300:
        return
    kind = {401: "permission", 403: "permission", 405: "protocol", 501: "protocol"}.get(answer.status, "request")
    raise TransferFailed(kind, f"HTTP {answer.status} {answer.reason}")


@contextmanager
def _ftp(at: SplitResult) -> Iterator[ftplib.FTP]:
    ftp: ftplib.FTP = ftplib.FTP_TLS(timeout=TIMEOUT_S) if at.scheme == "ftps" else ftplib.FTP(timeout=TIMEOUT_S)
    try:
        ftp.connect(at.hostname or "", at.port or ftplib.FTP_PORT)
        ftp.login(unquote(at.username or "anonymous"), unquote(at.password or ""))
        if isinstance(ftp, ftplib.FTP_TLS):
            ftp.prot_p()
        yield ftp
    except ftplib.error_perm as e:
        kind = "permission" if str(e)[:3] in {"530", "550", "553"} else "request"
        raise TransferFailed(kind, f"FTP {str(e)[:60]}") from e
    except (OSError, EOFError, ftplib.Error) as e:
        raise TransferFailed("network", f"{at.hostname}: {type(e).__name__}: {e}") from e
    finally:
        ftp.close()


def _limited(write: Callable[[bytes], int], have: int) -> Callable[[bytes], None]:
    """A writer that refuses more than a disk should take."""
    total = have

    def limited(chunk: bytes) -> None:
        nonlocal total
        total += len(chunk)
        if total > MAX_BYTES:
            raise TransferFailed("request", f"the file is larger than {MAX_BYTES} bytes")
        write(chunk)

    return limited
