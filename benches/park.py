"""The largest site there can be, made from the example: 16 units, each with a bus, a PCS and a battery of its own, and 16 sources."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from bessctl.config.load import load_site
from bessctl.config.seal import seal
from bessctl_core import layout as L
from tests.scenarios.loop_rig import SERIALS, found_devices
from tests.sites import EXAMPLE

UNITS: int = L.LIMITS["units"]
SOURCES: int = L.LIMITS["slots"]


def plants_yaml() -> str:
    """The plants behind it, a port each. JSON is YAML."""
    pcs = {"w_max": 200_000, "start_s": 0.1, "device": {"unit": 1, "serial": SERIALS["pcs1"]}}
    battery = {"energy_wh": 400_000, "cells": 240, "device": {"unit": 2, "serial": SERIALS["bms1"]}}
    meter = {"device": {"unit": 3, "serial": SERIALS["meter1"]}}
    return json.dumps({"plants": [{"name": f"p{n}", "pcs": pcs, "battery": battery, "meter": meter} for n in range(UNITS)]})


def park_site(folder: Path, ports: Sequence[int], csms_url: str) -> tuple[Path, Path]:
    """The sealed file and the site's own, both in the folder."""
    yaml = YAML()
    site = yaml.load(EXAMPLE.read_text())
    site["paths"] = {"state_dir": str(folder / "supervisor"), "run_dir": str(folder / "run")}
    pcs, bms, meter = site["devices"]
    unit, source = site["units"][0], site["sources"][0]
    site["buses"] = [{"name": f"lan{n}", "tcp": {"host": "127.0.0.1", "port": port}} for n, port in enumerate(ports, 1)]
    site["devices"], site["units"] = [{**meter, "bus": "lan1"}], []
    for n in range(1, UNITS + 1):
        site["devices"] += [{**copy.deepcopy(each), "name": f"{name}{n}", "bus": f"lan{n}"} for name, each in (("pcs", pcs), ("bms", bms))]
        site["units"].append({**unit, "name": f"unit{n}", "pcs": f"pcs{n}", "bms": f"bms{n}"})
    others = [{**copy.deepcopy(source), "name": f"s{n}", "priority": 100 + n} for n in range(SOURCES - len(site["sources"]))]
    site["sources"] += others
    for each in site["sources"]:
        each["lease_max_s"] = 3600
    site["ocpp"]["links"][0]["url"] = csms_url
    file, sealed = folder / "site.yaml", folder / "site.sealed"
    with file.open("w") as out:
        yaml.dump(site, out)
    one = found_devices()
    found = {d["name"]: dataclasses.replace(one[f"{d['kind']}1"]) for d in site["devices"]}
    sealed.write_bytes(seal(load_site(file), found).content)
    return sealed, file
