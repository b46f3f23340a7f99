"""The kept corpus, and some thousand changed inputs for each target, always the same ones. `make fuzz` looks further (tools/fuzz.py)."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.inputs import changed, seeds
from tests.fuzz.targets import TARGETS

RUNS = {"tcp": 20_000, "rtu": 10_000, "stream_tcp": 1_000, "stream_rtu": 1_000, "plans": 3_000, "plan": 1_000, "sealed": 2_000}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_no_promise_is_broken(name: str) -> None:
    chance = random.Random(name)
    known = seeds(name)
    for data in known:
        TARGETS[name](data)
    for run in range(RUNS[name]):
        data = changed(chance.choice(known), known, chance)
        try:
            TARGETS[name](data)
        except AssertionError as error:
            pytest.fail(f"run {run}: {error}; keep this input in tests/corpus/{name}: {data.hex()}")
