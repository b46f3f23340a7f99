"""Python's hand on the digital inputs of this controller, for tests and tools; see gpio_harness.pyx."""

from bessctl_core.sealed import SealedSite

class LinesHarness:
    refused: tuple[int, int, int] | None
    edges: list[bool]
    def __init__(self, site: SealedSite) -> None: ...
    def take(self, now_ns: int) -> list[tuple[float, int]]: ...
    def close(self) -> None: ...
