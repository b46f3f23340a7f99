"""The note by which the next loop process knows whether it starts warm (R5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessctl_core.process import LastTick

BOOT, DIGEST = bytes(16), bytes(32)


def test_the_next_process_learns_how_long_ago_the_last_tick_was(tmp_path: Path) -> None:
    path = str(tmp_path / "last-tick")
    assert LastTick(path, BOOT, DIGEST).gap_ns(10) is None, "nobody ran before"
    LastTick(path, BOOT, DIGEST).write(100)
    assert LastTick(path, BOOT, DIGEST).gap_ns(130) == 30


@pytest.mark.parametrize(("boot", "digest"), [(bytes(15) + b"1", DIGEST), (BOOT, bytes(31) + b"1")], ids=["boot", "configuration"])
def test_another_boot_or_configuration_starts_cold(tmp_path: Path, boot: bytes, digest: bytes) -> None:
    path = str(tmp_path / "last-tick")
    LastTick(path, BOOT, DIGEST).write(100)
    assert LastTick(path, boot, digest).gap_ns(130) is None


def test_after_an_orderly_stop_the_next_start_is_a_cold_one(tmp_path: Path) -> None:
    path = str(tmp_path / "last-tick")
    last = LastTick(path, BOOT, DIGEST)
    last.write(100)
    last.forget()
    assert LastTick(path, BOOT, DIGEST).gap_ns(130) is None


def test_a_full_run_directory_is_no_error_and_a_start_after_it_is_a_cold_one(tmp_path: Path) -> None:
    """R15: the service thread that writes it is the operator's way to the loop; it once died of a full tmpfs, and `bessctl stop` had no
    answer."""
    path = tmp_path / "last-tick"
    path.symlink_to("/dev/full")
    LastTick(str(path), BOOT, DIGEST).write(100)
    path.unlink()
    assert LastTick(str(path), BOOT, DIGEST).gap_ns(130) is None
