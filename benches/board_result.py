"""python -m benches.board_result BOARD WHO PARTS: what benches/board.sh measured, in one file of the format that baselines have.

The format is benches/baselines/schema.json; `faults` is what the tests hold every baseline to. A result of an emulated or virtual machine
is none: its seconds are not those of a board.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import bessctl

HERE = Path(__file__).resolve().parent
BASELINES = HERE / "baselines"
SCHEMA = BASELINES / "schema.json"
PARTS = ("check_rt", "cyclictest", "loop", "rtu")
VIRTUAL = ("qemu", "virtual", "dummy-virt", "kvm", "vmware", "bochs")


def joined(board: str, who: str, when: str, machine: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """One result. `when`: an ISO date."""
    return {"format": 1, "board": board, "who": who, "date": when, "bessctl": bessctl.__version__, "machine": machine, **parts}


def this_machine(root: Path = Path("/")) -> dict[str, Any]:
    """Which hardware, by its device tree or DMI, and which kernel."""

    def text(path: str) -> str:
        try:
            return (root / path).read_text(errors="replace").strip("\0\n ")
        except OSError:
            return ""

    model = text("proc/device-tree/model") or " ".join(
        filter(None, (text("sys/class/dmi/id/sys_vendor"), text("sys/class/dmi/id/product_name")))
    )
    return {"model": model, "kernel": text("proc/sys/kernel/osrelease"), "cmdline": text("proc/cmdline"), "cpus": os.cpu_count() or 0}


def faults(result: Any) -> list[str]:
    """Why this is no result of a board; empty = it is one."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    found = [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(result)]
    if not found and any(word in result["machine"]["model"].lower() for word in VIRTUAL):
        found.append(f"machine/model: {result['machine']['model']} is no board: time means nothing there")
    return found


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print("usage: python -m benches.board_result BOARD WHO PARTS", file=sys.stderr)
        return 2
    board, who, folder = arguments
    parts = {name: json.loads((Path(folder) / f"{name}.json").read_text()) for name in PARTS}
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    result = joined(board, who, when, this_machine(), parts)
    out = Path(folder).parent / f"{board}-{when}.json"
    out.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    wrong = faults(result)
    print(
        "\n".join([*wrong, f"{out}: {'not one to hand in, see above' if wrong else 'hand it in as benches/baselines/' + board + '.json'}"])
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
