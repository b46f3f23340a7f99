"""The demo's utility (IEEE 2030.5): a server with mutual TLS, and an event of its that charges the battery for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.sim.sep2_pki import chain, server_chain
from bessctl.sim.sep2_server import Sep2Server, server_context
from bessctl.sim.sep2_tree import Tree

if TYPE_CHECKING:
    from bessctl.demo.story import Story

SOURCE, PROGRAM, EVENT = "sep2", "demo", "E1"
CHARGE_W = -30_000
IN_S, LASTS_S = 3, 3
PIN = 111115
NOISE_W = 500.0
NS, MS = 1_000_000_000, 1e-6


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Sep2Server]:
    """The utility's server with a chain made for this demo; the site's certificate and key lie in the folder."""
    device = chain()
    device.write(folder, "device")
    identity = Identity.of(device.leaf.der)
    tree = Tree(identity.lfdi, identity.sfdi, time.time, pin=PIN)
    tree.rates = dict.fromkeys(tree.rates, 1)
    tree.program(PROGRAM, 1)
    async with Sep2Server(tree, server_context(server_chain(device.serca), folder=folder)) as server:
        yield server


def slot() -> dict[str, Any]:
    """Its slot: the utility's target goes before that of everybody else."""
    return {"name": SOURCE, "class": "grid", "priority": 0, "scopes": ["ess"], "lease_max_s": 86_400}


def section(server: Sep2Server, folder: Path) -> dict[str, Any]:
    """The site's section."""
    files = {key: str(folder / name) for key, name in (("cert_file", "device.pem"), ("key_file", "device.key"), ("ca_file", "root.pem"))}
    return {"url": server.url, **files, "pin": PIN}


async def act(story: Story, server: Sep2Server, power_w: float) -> None:
    """An opModTargetW event while a transaction discharges `power_w`."""
    start_s = int(time.time()) + IN_S
    start_ns = time.monotonic_ns() + round((start_s - time.time()) * NS)
    server.tree.event(PROGRAM, EVENT, start_s, LASTS_S, target_w=CHARGE_W)
    # The PCS holds the transaction's power until then. What follows is the loop's own: its ramp, and its rest at 0 W between the two ways.
    moved_ns = await story.watch.set_point("leaves the transaction's power", lambda w: abs(w - power_w) > NOISE_W, start_ns - NS)
    there_ns = await story.watch.set_point("is the event's", lambda w: w == CHARGE_W, start_ns - NS)
    error_ms, turn_ms = round((moved_ns - start_ns) * MS, 1), round((there_ns - moved_ns) * MS, 1)
    await story.power(CHARGE_W)
    story.say(f"  opModTargetW {CHARGE_W / 1e3:.0f} kW: the PCS's register moves {error_ms:+.0f} ms from the second the server named")
    story.say(f"  and is there {turn_ms:.0f} ms later: the ramp, and the rest at 0 W where power turns round")
    await story.power(power_w)
    async with asyncio.timeout(15):
        await server.until(lambda: len(server.tree.responses(EVENT)) == 3)
    told = [code for _, code in server.tree.responses(EVENT)]
    story.say(f"  it ended by itself, the transaction goes on; the utility was told {told}: received, started, completed")
    story.findings["utility"] = {"start_error_ms": error_ms, "turn_ms": turn_ms, "responses": told}
