"""A station pays for what it speaks: the package `ocpp` is read, never imported, and the core not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
from bessctl.protocols.ocpp.binding.station import run_station
from bessctl.protocols.ocpp.messages.dialect import dialect
from bessctl.protocols.ocpp.messages.schemas import violation
dialect("1.6").decode("Reset", {"type": "Soft"})
heavy = {"ocpp", "jsonschema", "numpy", "pydantic", "bessctl_core", "pymodbus"} & {name.split(".")[0] for name in sys.modules}
sys.exit(", ".join(sorted(heavy)) or 0)
"""


def test_nothing_heavy_is_imported() -> None:
    probe = subprocess.run([sys.executable, "-c", PROBE], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (probe.returncode, probe.stderr) == (0, "")
