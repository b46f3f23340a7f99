"""The bare other end of a WebSocket: `python -m benches.echo URL` sends each frame back as it came, until the peer closes."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect


async def echo(url: str) -> None:
    async with connect(url, compression=None, ping_interval=None, proxy=None) as connection:
        async for frame in connection:
            await connection.send(frame)


if __name__ == "__main__":
    asyncio.run(echo(sys.argv[1]))
