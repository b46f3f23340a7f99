"""What of the controller's journal may go to one CSMS: everything but the lines of the other links, with their tracebacks (settled 5)."""

from __future__ import annotations

import re

LINK = re.compile(rb"\bocpp link ([a-z0-9_:-]+)")
HEAD = re.compile(rb'\d{4}-\d\d-\d\dT[\d:.]+Z [a-z]+ +[\w.]+: |\{"time":')
"""How a line of our own log begins, behind whatever a journal sets before it (app/logs.py)."""
TRACEBACK = re.compile(rb"Traceback \(most recent call last\)|Exception Group Traceback")


def of_link(text: bytes, name: str) -> bytes:
    """The lines that a link's own log may hold."""
    kept: list[bytes] = []
    others, traceback = False, False
    for line in text.splitlines(keepends=True):
        about, head = LINK.search(line), HEAD.search(line) is not None
        if about is not None or head:
            others = about is not None and about[1].rstrip(b":").decode() != name
            traceback = False
        elif others:
            traceback |= TRACEBACK.search(line) is not None
        if not others or (about is None and not traceback and not head):
            kept.append(line)
    return b"".join(kept)
