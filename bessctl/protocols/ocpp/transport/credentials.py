"""BasicAuth (OCPP-J security profiles 1 and 2; settled question 12). The password is read at each dialling and never kept or logged."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.config import LinkConfig


def authorization(link: LinkConfig) -> str | None:
    """The Authorization header, or None without BasicAuth. Raises UsageError, naming the file and what is wrong with it."""
    if link.password_file is None:
        return None
    user = link.charge_point_id.encode()
    return "Basic " + base64.b64encode(user + b":" + _password(link.name, link.password_file, link.password_encoding)).decode()


def _password(name: str, path: Path, encoding: str) -> bytes:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"ocpp link {name}: password_file {path} cannot be read: {e}") from e
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"ocpp link {name}: password_file {path} is open to others; run: chmod 600 {path}")
    if encoding == "utf8":
        return text.encode()
    try:
        return bytes.fromhex(text)
    except ValueError as e:
        raise UsageError(f"ocpp link {name}: password_file {path} is not hexadecimal, as password_encoding: hex says") from e
