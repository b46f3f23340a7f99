"""The pure parts of the driver, for tests and tools; see probe.pyx."""

from collections.abc import Sequence

from bessctl_core.sealed import SealedSite

HOLDS: tuple[str, str, str]

released: int

def decode(site: SealedSite, read: int, registers: Sequence[int], factors: Sequence[float] = ()) -> dict[tuple[int, int], float]: ...
def fingerprint(site: SealedSite, read: int, registers: Sequence[int]) -> int: ...
def written(site: SealedSite, row: int, raw: int, beat: int = 0, inputs: Sequence[tuple[int, int, float]] = ()) -> list[int]: ...
def read_back(site: SealedSite, row: int, registers: Sequence[int], raw: int, age_ns: int) -> str: ...
