"""What this controller adds to a log that a CSMS asked for: the loop's state and newest events, and the site's configuration.

Nothing secret: passwords and keys are in files of their own, which are named here and not read; what a url says of a user is taken out.
Nothing of another CSMS (settled question 5 of the OCPP station): of the links, the one that asks.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bessctl.app.logs import utc
from bessctl.config.site import Site
from bessctl.corelink import CoreLink
from bessctl.corelink.report import status_report
from bessctl.model.event import Event

EVENTS_KEPT = 5000
SECRET = re.compile(r"(password|secret|token|pin|key)$")
USER = re.compile(r"//[^/@\s]*@")


@dataclass
class LogParts:
    """Supervisor thread."""

    site: Site
    link: CoreLink
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))

    def __call__(self, link_name: str) -> Mapping[str, bytes]:
        """For the log of that link."""
        state = self.link.state()
        status = None if state is None else status_report(self.link.site, state)
        return {
            "site.json": _json(redacted(of_link(self.site.model_dump(mode="json"), link_name))),
            "status.json": _json(status),
            "events.jsonl": b"".join(_line(event) for event in self.events),
        }


def of_link(site: dict[str, Any], link_name: str) -> dict[str, Any]:
    """Without the other CSMSs."""
    ocpp = site.get("ocpp")
    if ocpp is None:
        return site
    return {**site, "ocpp": {**ocpp, "links": [link for link in ocpp["links"] if link["name"] == link_name]}}


def redacted(value: Any, name: str = "") -> Any:
    """Without what a name or a url gives away."""
    if isinstance(value, dict):
        return {key: redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, name) for inner in value]
    if isinstance(value, str):
        return "(removed)" if SECRET.search(name.lower()) else USER.sub("//(removed)@", value)
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, default=str).encode() + b"\n"


def _line(event: Event) -> bytes:
    at = utc(time.time() - (time.monotonic_ns() - event.at_ns) / 1e9)
    return json.dumps({"time": at, **asdict(event)}, default=str).encode() + b"\n"
