"""A provider pays for what it speaks: aiohttp, and nothing of the other protocols, of sealing, or of the core."""

import subprocess
import sys
from pathlib import Path

PROBE = """
import sys
import bessctl.protocols.oscp.binding.provider
heavy = {"ocpp", "websockets", "numpy", "pydantic", "cryptography", "ruamel", "bessctl_core"} & {name.split(".")[0] for name in sys.modules}
sys.exit(", ".join(sorted(heavy)) or 0)
"""


def test_nothing_heavy_is_imported() -> None:
    probe = subprocess.run([sys.executable, "-c", PROBE], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (probe.returncode, probe.stderr) == (0, "")
