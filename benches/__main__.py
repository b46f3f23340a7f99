"""`python -m benches`: lists the benches; `python -m benches NAME [--json] [options]` runs one."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

NAMES = {
    "step": "one cycle of the pure step: steady plans, and all plans new in that tick",
    "handover": "latest-value buffers between two processes, against a plain copy",
    "modbus": "one control cycle over TCP and RTU, against bare C and other clients",
    "pcc": "a limit at the connection after a step of load, in invented time, against what R10 allows",
    "plant": "simulated seconds per second against N plants, and fifty of them in real time with servers on",
    "loop": "wake-up of the loop against a bare clock_nanosleep loop in the same windows",
    "oscp": "an OSCP forecast until it limits in the loop, and what many forecasts cost",
    "memory": "resident memory of loop and supervisor, and how long `bessctl version` takes",
    "sep2": "IEEE 2030.5: a poll cycle of 20 programs with 50 events each, against pydantic-xml on the same bytes",
    "mqtt": "100 000 messages through spool and broker with two outages, and what a day of them writes to the disk",
    "planner": "seven days of quarter hours planned, beside HiGHS",
    "ocpp": "200 CSMSs over TLS and 200 hostile ones on one supervisor, beside the plain `ocpp` charge point",
    "trip": "a threshold crossed at a device until the set-point register holds 0, over TCP and serial lines, against what check prints",
    "scale": "1 to 32 devices in parallel, and what the step costs with plans, blocks, rows and units",
    "rtu": "Modbus RTU at real baud rates against what the wire allows",
    "command_to_pcs": "an OCPP RemoteStart until the PCS's register and power have changed",
}


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        for name, line in NAMES.items():
            print(f"  {name:16} {line}")
        return 0 if argv else 2
    name = argv[0]
    if name not in NAMES:
        print(f"no bench {name!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    bench = importlib.import_module(f"benches.{name}")
    parser = argparse.ArgumentParser(prog=f"python -m benches {name}", description=NAMES[name])
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--png", type=Path, default=Path("build/benches") / f"{name}.png", help="where the picture goes without --json")
    bench.arguments(parser)
    options = parser.parse_args(argv[1:])
    result = bench.run(options)
    if options.json:
        print(json.dumps(result))
        return 0
    print(bench.text(result))
    options.png.parent.mkdir(parents=True, exist_ok=True)
    bench.picture(result, options.png)
    print(f"picture: {options.png}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
