"""What the controller adds to a log for a CSMS: state, events, configuration; no secret, nothing of another CSMS (OCPP-7, settled 5)."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any, cast

from bessctl.app.log_parts import LogParts, of_link, redacted
from bessctl.config.load import load_site
from bessctl.corelink import CoreLink
from bessctl.model.event import Event

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/site.yaml"


class NoLoop:
    """A link while no loop is attached."""

    def state(self) -> None:
        return None


def test_parts_of_a_site() -> None:
    site = load_site(EXAMPLE).site
    assert site.ocpp is not None
    name = site.ocpp.links[0].name
    other = site.ocpp.links[0].model_copy(update={"name": "other", "url": "wss://user:hidden@other.example"})
    site.ocpp.links.append(other)
    event = Event(1, 0, "mode", "info", "the plant is now in mode run")
    parts = LogParts(site, cast(CoreLink, NoLoop()), deque([event]))(name)
    assert parts.keys() == {"site.json", "status.json", "events.jsonl"}
    told: dict[str, Any] = json.loads(parts["site.json"])
    assert [link["name"] for link in told["ocpp"]["links"]] == [name]
    assert told["protection"], "the configuration itself is there"
    assert b"other.example" not in parts["site.json"]
    assert json.loads(parts["status.json"]) is None
    assert json.loads(parts["events.jsonl"])["text"] == "the plant is now in mode run"
    assert "hidden" not in str(LogParts(site, cast(CoreLink, NoLoop()))("other"))


def test_what_a_name_or_a_url_gives_away_is_taken_out() -> None:
    given = {
        "url": "wss://u:p@h/x",
        "password_file": "secrets/p",
        "keys": {"AuthorizationKey": "0a" * 20, "SecurityCtrlr.BasicAuthPassword": "hush", "HeartbeatInterval": "60"},
        "list": [{"token": "hush"}, "ftp://a@b"],
    }
    assert redacted(given) == {
        "url": "wss://(removed)@h/x",
        "password_file": "secrets/p",
        "keys": {"AuthorizationKey": "(removed)", "SecurityCtrlr.BasicAuthPassword": "(removed)", "HeartbeatInterval": "60"},
        "list": [{"token": "(removed)"}, "ftp://(removed)@b"],
    }
    assert of_link({"name": "s"}, "x") == {"name": "s"}
