"""One JSON object on a line each way over a Unix socket: how the command line speaks with loop and supervisor. The blocking client."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TIMEOUT_S = 8.0
MAX_LINE = 64 * 1024
SOCKET_PATH_BYTES = 107


@contextmanager
def short(path: Path) -> Iterator[str]:
    """The path as a socket address can hold it; a longer one leads through its folder's descriptor."""
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def request_line(path: Path, request: dict[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Send one request, return the answer. Raises OSError (TimeoutError with it); a broken answer is ConnectionResetError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        with short(path) as place:
            link.connect(place)
        link.sendall(json.dumps(request).encode() + b"\n")
        line = _line(link)
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionResetError(f"no whole answer from {path}")
    return answer


def _line(link: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < MAX_LINE:
        part = link.recv(4096)
        if not part:
            break
        data += part
    return bytes(data)
