"""libFuzzer on the C of the frame decoders, where clang is: ten thousand inputs, always the same. `make fuzz` looks a minute at all."""

from __future__ import annotations

import pytest

from tools import fuzz


@pytest.mark.parametrize("name", ["tcp", "rtu"])
def test_no_frame_breaks_a_decoder(name: str) -> None:
    """A value is the right answer by the standard or none, and no byte beside the buffer is touched (AddressSanitizer)."""
    if fuzz.compiler() is None:
        pytest.skip("clang and libclang-rt are not installed (make fuzz does it)")
    assert fuzz.run(name, "-runs=20000", "-seed=1") == 0


def test_every_driver_is_a_target() -> None:
    drivers = {path.stem for path in (fuzz.ROOT / "tests/fuzz/c").glob("*.c")}
    assert {target.driver for target in fuzz.TARGETS.values()} == drivers
