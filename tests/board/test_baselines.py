"""Figures of boards come from boards, in one format (CARD-5)."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benches import board_result
from board.image import boards

RESULT: dict[str, Any] = board_result.joined(
    "rpi-cm4",
    "an installer, by telephone",
    "2026-11-22",
    {"model": "Raspberry Pi Compute Module 4 Rev 1.1", "kernel": "6.12.94+deb13-rt-arm64", "cmdline": "isolcpus=3", "cpus": 4},
    {
        "check_rt": {"cpu": 3, "ok": True, "checks": [{"name": "PREEMPT_RT", "ok": True, "found": "", "hint": ""}] * 10},
        "cyclictest": {"thread": {"0": {"histogram": {"12": 600000}, "cycles": 600000, "min": 12, "avg": 12.0, "max": 12}}},
        "loop": {"cases": {}},
        "rtu": {"cases": {}},
    },
)


def test_a_result_of_a_board_is_accepted() -> None:
    assert board_result.faults(RESULT) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("machine", "model"), "QEMU Virtual Machine"),
        (("machine", "model"), "linux,dummy-virt"),
        (("machine", "model"), ""),
        (("who",), ""),
        (("date",), "yesterday"),
        (("format",), 2),
        (("board",), "Raspberry Pi"),
        (("loop",), {}),
        (("cyclictest", "thread", "0", "cycles"), 1000),
        (("check_rt", "checks"), []),
        (("other",), 1),
    ],
)
def test_what_is_none_is_refused_with_its_place(path: tuple[str, ...], value: Any) -> None:
    result = copy.deepcopy(RESULT)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert board_result.faults(result)


@pytest.mark.parametrize("missing", sorted(RESULT))
def test_nothing_may_be_missing(missing: str) -> None:
    assert board_result.faults({key: value for key, value in RESULT.items() if key != missing})


def test_every_baseline_is_of_a_board_that_there_is() -> None:
    for file in board_result.BASELINES.glob("*.json"):
        if file != board_result.SCHEMA:
            result = json.loads(file.read_text())
            assert board_result.faults(result) == []
            assert result["board"] == file.stem
            assert file.stem in boards.names()


def test_the_machine_is_told_by_its_device_tree(tmp_path: Path) -> None:
    for path, text in (
        ("proc/device-tree/model", "Toradex Verdin AM62\0"),
        ("proc/sys/kernel/osrelease", "6.12-rt\n"),
        ("proc/cmdline", "ro"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = board_result.this_machine(tmp_path)
    assert (found["model"], found["kernel"], found["cmdline"]) == ("Toradex Verdin AM62", "6.12-rt", "ro")


def test_the_script_says_how_it_is_called() -> None:
    script = board_result.HERE / "board.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BOARD WHO" in done.stderr
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
