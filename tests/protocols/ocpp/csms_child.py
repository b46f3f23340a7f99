"""A CSMS in a process of its own, to be killed: python -m tests.protocols.ocpp.csms_child PORT VERSION.

It prints its port, then a line of JSON for each message of a station: [action, payload]. Once BESS1 told all its connectors it begins a
transaction there.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bessctl.sim.csms import Csms


async def main(port: int, version: str) -> None:
    async with Csms(port=port, versions=(version,)) as csms:
        print(csms.port, flush=True)
        telling = asyncio.create_task(tell(csms))
        await csms.wait("StatusNotification", 3 if version == "1.6" else 2)
        if version == "1.6":
            await csms.peers["BESS1"].remote_start("TAG1")
        else:
            await csms.peers201["BESS1"].start_transaction("TAG1")
        await telling


async def tell(csms: Csms) -> None:
    told = 0
    while True:
        await csms.until(lambda told=told: len(csms.events) > told)
        for event in csms.events[told:]:
            print(json.dumps([event.action, event.payload], default=str), flush=True)
            told += 1


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
