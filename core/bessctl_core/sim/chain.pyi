"""The layout of the simulated devices, for tests; see chain.pyx."""

CURVE_SETS: int
CURVE_POINTS: int
SIZES: dict[int, int]
INT16: dict[int, list[tuple[int, int]]]
INT32: dict[int, list[int]]
ZERO: dict[int, list[tuple[int, int]]]
WRITABLE: dict[int, list[tuple[int, int]]]

def curve_points(first: int, head: int, speed: int) -> list[tuple[int, int]]: ...
