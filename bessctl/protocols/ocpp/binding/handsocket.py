"""The hand at the station as JSON lines on a Unix socket (settled question 17): one object in, one line out.

    {"cmd": "swipe", "token": "04AABB", "connectors": [1], "link": "cpo"}   ->   {"ok": true}
    {"cmd": "plug_in", "connector": 7}                                       ->   {"ok": false, "why": "there is no connector 7"}

`link` may be left away where there is one. The socket is mode 0600: whoever may open it stands at the station.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.binding.link import Link
from bessctl.protocols.ocpp.session.hand import HandOrder

MAX_LINE = 32 * 1024
"""A contract certificate with its chain fits."""


async def serve_hand(path: Path, links: Mapping[str, Link], log: logging.Logger) -> None:
    """Until cancelled."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(orjson.dumps(await obey(line, links)) + b"\n")
                await writer.drain()
        except (OSError, ValueError) as e:
            log.warning("ocpp hand: %s", e)
        finally:
            writer.close()

    _free(path)
    server = await asyncio.start_unix_server(talk, path, limit=MAX_LINE)
    _close_to_others(path)
    try:
        await server.serve_forever()
    finally:
        _free(path)


def _free(path: Path) -> None:
    path.unlink(missing_ok=True)


def _close_to_others(path: Path) -> None:
    path.chmod(0o600)


async def obey(line: bytes, links: Mapping[str, Link]) -> dict[str, Any]:
    """One order and its answer, which waits until what was done is on disk: what the hand was told must stand when the power goes."""
    try:
        link, order = read_order(line, tuple(links))
    except UsageError as e:
        return {"ok": False, "why": str(e)}
    why = links[link].hand(order)
    await links[link].kept()
    return {"ok": True} if why is None else {"ok": False, "why": why}


def read_order(line: bytes, links: tuple[str, ...]) -> tuple[str, HandOrder]:
    """The link meant, and the order. Raises UsageError, naming the field."""
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        raise UsageError(f"not JSON: {e}") from e
    if not isinstance(given, dict):
        raise UsageError("an order is a JSON object")
    link = given.get("link", links[0] if len(links) == 1 else None)
    if link not in links:
        raise UsageError(f"link must be one of {', '.join(links)}")
    kinds = {"cmd": str, "connector": int, "token": str, "connectors": list, "code": str, "link": str, "certificate": str, "type": str}
    for name, value in given.items():
        if name not in kinds or not isinstance(value, kinds[name]):
            raise UsageError(f"{str(name)[:20]} is not known or of the wrong type")
    connectors = tuple(n for n in given.get("connectors", ()) if isinstance(n, int))
    return link, HandOrder(
        given.get("cmd", ""),
        given.get("connector", 0 if given.get("cmd") in {"error", "clear"} else 1),
        given.get("token", ""),
        connectors,
        given.get("code", ""),
        given.get("certificate", ""),
        given.get("type", ""),
    )
