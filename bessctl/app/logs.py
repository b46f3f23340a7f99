"""Logs on stderr: lines for people, or one JSON object a line. Events of the loop become log lines here."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import asdict
from typing import Any

from bessctl.model.event import Event

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.ERROR}


class Lines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z warning bessctl.ocpp: text`."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{utc(record.created)} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Json(logging.Formatter):
    """The same as an object; what `extra` named `fields` holds joins it."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": utc(record.created),
            "level": record.levelname.lower(),
            "part": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def utc(seconds: float) -> str:
    """A wall-clock instant, for people."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def set_up(form: str) -> None:
    """Send all logs to stderr in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Their debug and info lines repeat each frame.
    logging.getLogger("websockets").setLevel(logging.WARNING)


def tell(log: logging.Logger, event: Event) -> None:
    """One event of the loop."""
    log.log(LEVELS.get(event.level, logging.ERROR), "%s", event.text, extra={"fields": asdict(event)})
