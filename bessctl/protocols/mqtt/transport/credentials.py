"""User and password of a broker. The password is read at each dialling and never kept or logged."""

from __future__ import annotations

import stat

from bessctl.errors import UsageError
from bessctl.protocols.mqtt.config import Broker


def password(broker: Broker) -> str | None:
    """Raises UsageError, naming the file and what is wrong with it."""
    path = broker.password_file
    if path is None:
        return None
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"mqtt broker {broker.name}: password_file {path} cannot be read: {e}") from e
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"mqtt broker {broker.name}: password_file {path} is open to others; run: chmod 600 {path}")
    return text
