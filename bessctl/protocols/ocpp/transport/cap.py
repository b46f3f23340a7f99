"""What one connection may cost before the websocket library sees it (RFC 6455 5.2-5.5). Sans-IO: the peer's bytes in, the library's out.

- Of a message longer than `most` bytes only the first `most + 1` pass; the rest is thrown away as it comes, in whatever frames. So a
  message of `most + 1` bytes is one that was too long, it costs no more memory than that, and the connection stays open.
- Where the first frame alone is too long only its first `HEAD` bytes pass, behind a zero byte, with which no JSON begins: 200 peers that
  send nothing else would cost 50 MB.
- Of several pings that came together the last alone passes (5.5.3 allows to answer only that one), so that they cannot make us write.
- What is no frame (masked, reserved bits, a long control frame) passes as it is: the library closes, as 7.1.7 demands.

The HTTP answer before the first frame passes too, up to its empty line.
"""

from __future__ import annotations

FIN, OPCODE, RESERVED, MASKED = 0x80, 0x0F, 0x70, 0x80
CONTINUATION, CLOSE, PING = 0x0, 0x8, 0x9
WHOLE_TEXT = 0x81
HEAD = 100
BLANK = b"\r\n\r\n"


class Cap:
    """One connection's. `controls` counts control frames in the bytes fed last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._http = True
        self._held = b""
        self._passing = 0
        self._dropping = 0
        self._taken = 0
        self._broken = False
        self.controls = 0

    def feed(self, data: bytes) -> bytes:
        """What the library may see of these bytes."""
        self.controls = 0
        if self._broken:
            return data
        out = bytearray()
        data, self._held = self._held + data, b""
        at = self._after_http(data, out) if self._http else 0
        ping = None
        while at < len(data):
            if self._passing or self._dropping:
                at = self._payload(data, at, out)
                continue
            began, after = len(out), self._frame(data, at, out)
            if after == at:  # the frame's head, or a control frame, is not complete
                self._held = data[at:]
                break
            if data[at] & OPCODE == PING and not self._broken:
                if ping is not None:
                    del out[ping[0] : ping[1]]
                    began -= ping[1] - ping[0]
                ping = (began, len(out))
            at = after
        return bytes(out)

    def is_one_small_text(self, data: bytes) -> bool:
        """The common case: nothing is under way, and this is one whole text message of less than 126 bytes. It need not be fed."""
        return (
            len(data) > 1
            and data[0] == WHOLE_TEXT
            and len(data) == 2 + data[1] < 128
            and data[1] <= self._most
            and not (self._http or self._held or self._passing or self._dropping or self._taken or self._broken)
        )

    def _after_http(self, data: bytes, out: bytearray) -> int:
        end = data.find(BLANK)
        if end < 0:
            # The last three bytes may be the beginning of the empty line.
            keep = max(0, len(data) - 3)
            out += data[:keep]
            self._held = data[keep:]
            return len(data)
        self._http = False
        out += data[: end + 4]
        return end + 4

    def _payload(self, data: bytes, at: int, out: bytearray) -> int:
        end = min(len(data), at + self._passing)
        out += data[at:end]
        self._passing -= end - at
        skipped = min(len(data) - end, self._dropping) if not self._passing else 0
        self._dropping -= skipped
        return end + skipped

    def _frame(self, data: bytes, at: int, out: bytearray) -> int:
        """Take a frame's head, of a control frame all of it; returns where it ends, `at` while it is incomplete."""
        head = _head(data, at)
        if head is None:
            return at
        after, length = head
        first, opcode = data[at], data[at] & OPCODE
        if data[at + 1] & MASKED or first & RESERVED or (opcode >= CLOSE and length > 125):
            self._broken = True
            out += data[at:]
            return len(data)
        if opcode >= CLOSE:
            end = after + length
            if end > len(data):
                return at
            self.controls += 1
            out += data[at:end]
            return end
        self._message(first, length, out)
        return after

    def _message(self, first: int, length: int, out: bytearray) -> None:
        """A frame of a message: as much of it as the message may still have."""
        if not self._taken and length > self._most and first & OPCODE != CONTINUATION:
            out += _written(first, HEAD + 1) + b"\0"
            self._passing, self._dropping, self._taken = HEAD, length - HEAD, 0 if first & FIN else self._most + 1
            return
        full = self._taken > self._most and first & OPCODE == CONTINUATION
        self._passing = min(length, self._most + 1 - self._taken) if not full else 0
        self._dropping = length - self._passing
        self._taken += self._passing
        if first & FIN:
            self._taken = 0
        if not full or first & FIN:
            out += _written(first, self._passing)


def _head(data: bytes, at: int) -> tuple[int, int] | None:
    """Where a frame's payload begins and how long it is; None while the head is incomplete."""
    if len(data) < at + 2:
        return None
    short = data[at + 1] & 0x7F
    size = {126: 2, 127: 8}.get(short, 0)
    if len(data) < at + 2 + size:
        return None
    return at + 2 + size, int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else short


def _written(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    return bytes((first, 126)) + length.to_bytes(2, "big") if length < 2**16 else bytes((first, 127)) + length.to_bytes(8, "big")
