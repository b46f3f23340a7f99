"""Where a device is, as one text: `tcp://host:port` or `rtu:/dev/ttyX?baud=19200&parity=even&stop=1`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from bessctl.errors import UsageError

FORMS = "tcp://HOST[:PORT] or rtu:/dev/ttyX?baud=19200&parity=even&stop=1"
PARITIES = ("none", "even", "odd")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address; `host` is empty for a serial line, `path` for TCP."""

    host: str = ""
    port: int = 502
    path: str = ""
    baud: int = 19200
    parity: str = "even"
    stop_bits: int = 1

    def __str__(self) -> str:
        if self.host:
            return f"tcp://{self.host}:{self.port}"
        return f"rtu:{self.path}?baud={self.baud}&parity={self.parity}&stop={self.stop_bits}"


def parse(text: str) -> Address:
    """Raises UsageError with the forms allowed."""
    try:
        if text.startswith("tcp://"):
            parts = urlsplit(text)
            if parts.hostname and not parts.path.strip("/"):
                return Address(host=parts.hostname, port=502 if parts.port is None else parts.port)
        if text.startswith("rtu:/"):
            return _serial(text.removeprefix("rtu:"))
    except ValueError as e:
        raise UsageError(f"{text!r}: {e}; write {FORMS}") from e
    raise UsageError(f"{text!r} is no address of a Modbus device; write {FORMS}")


def _serial(text: str) -> Address:
    path, _, query = text.partition("?")
    options = dict(parse_qsl(query, strict_parsing=bool(query)))
    unknown = set(options) - {"baud", "parity", "stop"}
    if unknown:
        raise ValueError(f"unknown option {', '.join(sorted(unknown))}")
    parity = options.get("parity", "even")
    if parity not in PARITIES:
        raise ValueError(f"parity {parity!r} is not one of {', '.join(PARITIES)}")
    return Address(path=path, baud=int(options.get("baud", "19200")), parity=parity, stop_bits=int(options.get("stop", "1")))
