"""`bessctl sim oscp-cp`: the scripted peer registers, shakes hands, plays, is away and comes back; wrong scripts are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bessctl.errors import ConfigError, NotReachable
from bessctl.sim.oscp_cp import Event, Tls
from bessctl.sim.oscp_script import Player, line, load
from tests.protocols.oscp.rig import config_of, provider

SCRIPT = """
provider: {url}
token_file: token
cert_file: {cert}
key_file: {key}
ca_file: {cert}
heartbeat_s: 0.05
offline_after_s: 30
steps:
  - {{at_s: 0, forecast: {{group: feeder-7, type: FALLBACK_CONSUMPTION, blocks: [[5000, 0, 900]]}}}}
  - {{at_s: 0, forecast: {{group: feeder-7, type: CONSUMPTION, unit: KW, blocks: [[50, 0, 900]]}}}}
  - {{at_s: 0.2, outage_s: 0.2}}
"""


def script(folder: Path, tls: Tls, url: str = "https://127.0.0.1/oscp/fp/2.0") -> Path:
    file = folder / "script.yaml"
    file.write_text(SCRIPT.format(url=url, cert=tls.cert_file, key=tls.key_file))
    return file


def test_the_script_is_played(tls: Tls, tmp_path: Path) -> None:
    told: list[Event] = []

    async def play() -> None:
        async with provider(config_of(tls), tmp_path, tls) as rig:
            (tmp_path / "token").write_text(rig.invite())
            player = asyncio.create_task(Player(load(script(tmp_path, tls, rig.url)), tmp_path, told.append).run())
            await rig.until("the forecast", lambda: rig.slot.plans and rig.slot.allowed() == (-50_000, 0))
            await rig.until("a handshake after the outage", lambda: len([e for e in told if e.path == "handshake"]) >= 2)
            await rig.until("heartbeats go on", lambda: told[-1].path == "heartbeat")
            player.cancel()
            await asyncio.wait({player})

    asyncio.run(play())
    assert all(e.status == 204 for e in told if e.kind == "answered")
    assert "CONSUMPTION" not in line(told[0], "table")
    assert line(told[0], "json").startswith('{"at_ns": ')


# (what is changed, words)
WRONG = [
    ("token_file", "tokenfile"),
    ("type: CONSUMPTION", "type: SOMETHING"),
    ("provider: https", "provider: http"),
    ("steps:", "steps: ]"),
]


@pytest.mark.parametrize(("old", "new"), WRONG)
def test_a_wrong_script_is_told_with_its_file(tls: Tls, tmp_path: Path, old: str, new: str) -> None:
    file = script(tmp_path, tls)
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"script\.yaml"):
        load(file)


def test_a_script_that_is_not_there() -> None:
    with pytest.raises(NotReachable):
        load(Path("nowhere.yaml"))
