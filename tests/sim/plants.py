"""A quiet plant for tests (no noise, no losses unless asked for) and a Modbus client of five lines, in process."""

from __future__ import annotations

import struct
from typing import Any

from bessctl.sim.config import PlantConfig, plant_dict
from bessctl_core.sim.plant import Plant

BASE = 40000
M701, M702, M703, M704, M713, M714, M715 = (BASE + n for n in (70, 225, 277, 296, 363, 372, 417))
M802, M803 = BASE + 70, BASE + 134


def config(**sections: Any) -> dict[str, Any]:
    """A 200 kW, 400 kWh LFP plant; each keyword replaces or extends a section of plant.yaml."""
    tree: dict[str, Any] = {
        "pcs": {"w_max": 200_000},
        "battery": {"chemistry": "lfp", "energy_wh": 400_000, "cells": 240},
        "grid": {"noise_v": 0, "noise_hz": 0, "noise_w": 0},
        "initial": {"soc_pct": 60, "pcs": "running"},
    }
    for name, value in sections.items():
        tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
    return plant_dict(PlantConfig.model_validate(tree))


def plant(**sections: Any) -> Plant:
    return Plant(config(**sections))


class Refused(Exception):
    """The slave answered with an exception; args[0] is its code."""


def ask(p: Plant, unit: int, pdu: bytes) -> bytes:
    answer = p.request(unit, pdu)
    assert answer is not None, "no answer"
    if answer[0] & 0x80:
        raise Refused(answer[1])
    return answer


def read(p: Plant, unit: int, at: int, count: int = 1, function: int = 3) -> list[int]:
    answer = ask(p, unit, struct.pack(">BHH", function, at, count))
    return list(struct.unpack(f">{count}H", answer[2:]))


def write(p: Plant, unit: int, at: int, *values: int) -> None:
    ask(p, unit, struct.pack(f">BHHB{len(values)}H", 16, at, len(values), 2 * len(values), *values))


def words(value: int) -> tuple[int, int]:
    return value >> 16 & 0xFFFF, value & 0xFFFF


def wset_block(w: int, *, rvrt_w: int = 0, ena_rvrt: int = 1, seconds: int = 0, ena: int = 1, mod: int = 1) -> tuple[int, ...]:
    """The 11 registers from 704 WSetEna to WSetRvrtTms."""
    return (ena, mod, *words(w), *words(rvrt_w), 0, 0, ena_rvrt, *words(seconds))


def order(p: Plant, w: int, seconds: int = 0, **more: int) -> None:
    write(p, 1, M704 + 22, *wset_block(w, seconds=seconds, **more))


def remaining(p: Plant) -> int:
    high, low = read(p, 1, M704 + 33, 2)
    return high << 16 | low
