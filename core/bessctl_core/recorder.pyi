"""Nothing for Python: see recorder.pxd and DryLoop.watch."""

from typing import final

@final
class Recorder:
    def __init__(self, names: list[tuple[str, str, int]], state_at: int, plants: list[object], from_ns: int) -> None: ...
    def taken(self) -> bytes: ...
