"""The simulated plant as a process of its own.

`python -m bessctl.sim.process PLANT.yaml [--cpu N] [--tcp-port P] [--rtu] [--baud B] [--paced] [--realtime]`

First line on stdout: {"ready": true, "pid", "ports", "pty_paths", "plants"}. Then one JSON line in, one out:
{"set": {"cell_temp_c": 58}, "plant": 0}, {"get": true}, {"command_log": true, "since": 0}, {"power_trace": true, "since_ns", "until_ns"},
{"crossing": {"after_ns", "w", "rising"}}, {"step": 0.5} (simulated time only), {"drop": true}, {"disturb": {"deaf": true}},
{"foreign": 50000}, {"stop": true}; "plant" chooses one.
Answers: {"ok": true, ...} or {"error": "..."}; "id" is given back. End of stdin, or the parent's death, ends the process.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bessctl.errors import BessctlError
from bessctl.sim.config import load
from bessctl.sim.run import addresses, make_server, start_server
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer

Request = dict[str, Any]


def _set(_: PlantServer, plant: Plant, request: Request) -> Request:
    plant.set(**request["set"])
    return {}


def _get(_: PlantServer, plant: Plant, request: Request) -> Request:
    return {"get": plant.get()}


def _command_log(_: PlantServer, plant: Plant, request: Request) -> Request:
    return {"command_log": plant.command_log(request.get("since", 0))}


def _power_trace(_: PlantServer, plant: Plant, request: Request) -> Request:
    return {"power_trace": plant.power_trace(request.get("since_ns", 0), request.get("until_ns", 1 << 62))}


def _crossing(_: PlantServer, plant: Plant, request: Request) -> Request:
    return {"crossing": plant.crossing(**request["crossing"])}


def _step(_: PlantServer, plant: Plant, request: Request) -> Request:
    plant.step(request["step"])
    return {}


def _drop(server: PlantServer, _: Plant, request: Request) -> Request:
    server.drop()
    return {}


def _disturb(server: PlantServer, _: Plant, request: Request) -> Request:
    """Faults of the wires: {"deaf": true}, {"noise": 200} (of a thousand answers) in the way {"spoil": "bit"} names, {"one_session": true},
    {"cut": true}: connections close, none is answered."""
    values = request["disturb"]
    server.disturb(
        deaf=values.get("deaf", values.get("cut")),
        noise_per_mille=values.get("noise"),
        spoil=values.get("spoil"),
        single_session=values.get("one_session"),
    )
    if values.get("cut"):
        server.drop()
    return {}


def _foreign(_: PlantServer, plant: Plant, request: Request) -> Request:
    """Somebody else writes a set point in watts."""
    unit, address = plant.place_of_wset()
    raw = round(request["foreign"]) & 0xFFFFFFFF
    plant.request(unit, bytes([16]) + address.to_bytes(2, "big") + bytes([0, 2, 4]) + raw.to_bytes(4, "big"))
    return {}


VERBS: dict[str, Callable[[PlantServer, Plant, Request], Request]] = {
    "set": _set,
    "get": _get,
    "command_log": _command_log,
    "power_trace": _power_trace,
    "crossing": _crossing,
    "step": _step,
    "drop": _drop,
    "disturb": _disturb,
    "foreign": _foreign,
}


def obey(server: PlantServer, line: str) -> Request:
    """One request line -> the object to answer with. Never raises for bad input."""
    try:
        request = json.loads(line)
        verbs = [verb for verb in VERBS if verb in request]
        if len(verbs) != 1:
            raise ValueError(f"one of {', '.join(VERBS)} expected")
        answer = VERBS[verbs[0]](server, server.plants[request.get("plant", 0)], request)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, OverflowError) as exc:
        return {"error": f"{type(exc).__name__}: {exc.args[0] if exc.args else exc}"}
    return {"ok": True, **answer, **({"id": request["id"]} if "id" in request else {})}


def _lines() -> Any:
    """Lines of stdin; ends with it, or when the parent is gone although somebody else still holds the pipe."""
    parent, buffer = os.getppid(), b""
    while os.getppid() == parent:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, buffer = (buffer + chunk).split(b"\n")
        yield from (line.decode() for line in lines if line.strip())


def become_realtime() -> None:
    """Devices are not late because a computer is busy: where it is allowed, the plant runs before ordinary processes."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        print("no permission for SCHED_FIFO: on a busy machine the simulated devices may answer late", file=sys.stderr)


def say(answer: Request) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bessctl.sim.process", description="simulated plant, driven by JSON lines on stdin")
    parser.add_argument("plant", type=Path)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--tcp-port", type=int)
    parser.add_argument("--rtu", action="store_true")
    parser.add_argument("--baud", type=int, default=19200)
    parser.add_argument("--paced", action="store_true")
    parser.add_argument("--realtime", action="store_true")
    args = parser.parse_args(argv)
    if args.realtime:
        become_realtime()
    overrides: dict[str, Any] = {} if args.cpu is None else {"cpu": args.cpu}
    if args.tcp_port is not None:
        overrides["tcp_port"] = args.tcp_port
    if args.rtu:
        overrides["rtu"] = {"baud": args.baud, "paced": args.paced}
    try:
        server = start_server(make_server(load(args.plant), args.plant.parent, **overrides))
    except BessctlError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    with_server(server)
    return 0


def with_server(server: PlantServer) -> None:
    try:
        say({"ready": True, "pid": os.getpid(), **addresses(server)})
        for line in _lines():
            if "stop" in line and json.loads(line).get("stop"):
                return
            say(obey(server, line))
    except (BrokenPipeError, KeyboardInterrupt):
        return
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
