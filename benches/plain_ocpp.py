"""The reference of the bench `ocpp`: as many charge points as told, made of `ocpp` and `websockets` alone, in one process.

python -m benches.plain_ocpp URL CA_FILE COUNT: each sends a MeterValues per second and answers GetConfiguration; nothing is kept on disk.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from websockets.asyncio.client import connect

VALUE = [
    {
        "timestamp": "2026-01-01T00:00:00Z",
        "sampled_value": [
            {"value": "1000", "measurand": name, "unit": unit, "context": "Sample.Periodic"}
            for name, unit in (("Energy.Active.Export.Register", "Wh"), ("Power.Active.Export", "W"), ("Voltage", "V"), ("SoC", "Percent"))
        ],
    }
]


class Plain(ChargePoint):  # type: ignore[misc]
    """What the package gives."""

    @on("GetConfiguration")  # type: ignore[untyped-decorator]
    async def on_get(self, **payload: Any) -> Any:
        return call_result.GetConfiguration([{"key": "HeartbeatInterval", "readonly": False, "value": "300"}])


async def one(number: int, url: str, context: ssl.SSLContext) -> None:
    await asyncio.sleep(number * 0.01)
    logger = logging.getLogger("plain")
    async with connect(f"{url}/plain-{number}", ssl=context, subprotocols=["ocpp1.6"], compression=None, ping_interval=None) as connection:  # type: ignore[list-item]
        point = Plain(f"plain-{number}", connection, logger=logger)
        serving = asyncio.create_task(point.start())
        await point.call(call.BootNotification("BESS", "plain"))
        while not serving.done():
            await point.call(call.MeterValues(1, VALUE))
            await asyncio.sleep(1.0)


async def main(url: str, ca_file: str, count: int) -> None:
    logging.disable(logging.CRITICAL)
    context = ssl.create_default_context(cafile=ca_file)
    await asyncio.gather(*(one(n, url, context) for n in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
