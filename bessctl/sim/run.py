"""A configuration becomes a running simulated plant: for the command line, and for tests and benches inside a process."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from bessctl.errors import OperationFailed
from bessctl.sim.config import SimConfig, load, plant_dict
from bessctl_core.sim.plant import Plant
from bessctl_core.sim.server import PlantServer


def make_plants(config: SimConfig, folder: Path = Path()) -> list[Plant]:
    """Plants in simulated time, at rest."""
    return [Plant(plant_dict(c, folder)) for c in config.plants]


def make_server(config: SimConfig, folder: Path = Path(), **overrides: Any) -> PlantServer:
    """The server of the configuration, not started. `overrides` replace keys of its `server` section."""
    options = {**config.server.model_dump(), **overrides}
    return PlantServer(make_plants(config, folder), **options)


def start_server(server: PlantServer) -> PlantServer:
    """Start it. OperationFailed says which port is taken."""
    try:
        return server.start()
    except OSError as exc:
        raise OperationFailed(
            f"the simulated plant cannot open its port: {exc.strerror or exc}. Choose another with server.tcp_port"
        ) from exc


def addresses(server: PlantServer) -> dict[str, Any]:
    """What a client needs: ports, pty paths, and the devices behind each, plant by plant."""
    plants = []
    for plant in server.plants:
        devices = plant.config["devices"]
        units = {name: devices[name]["unit"] for name in ("pcs", "battery", "meter")}
        if plant.config["combined"]:
            units["battery"] = units["pcs"]
        plants.append({"name": plant.config["name"], "units": units, "base": devices["pcs"]["base"]})
    return {"ports": list(server.ports), "pty_paths": list(server.pty_paths), "plants": plants}


def status_line(plant: Plant) -> str:
    now = plant.get()
    return (
        f"{plant.config['name']}: ess {now['ess_w'] / 1e3:8.2f} kW  order {now['order_w'] / 1e3:8.2f} kW  "
        f"SoC {now['soc_pct']:6.2f} %  pcc {now['pcc_w'] / 1e3:8.2f} kW  state {now['inv_state']}  cells {now['cell_c_max']:.1f} C"
    )


def run_sim(
    path: Path,
    *,
    tcp_port: int | None = None,
    rtu: bool = False,
    output: str = "table",
    duration_s: float | None = None,
    out: TextIO = sys.stdout,
) -> None:
    """`bessctl sim`: serve the plants of `path` until Ctrl-C, SIGTERM or `duration_s`; one line of state each second.

    `output` "json": one JSON object per line (first the addresses). Main thread only. ConfigError, OperationFailed.
    """
    config = load(path)
    overrides: dict[str, Any] = {} if tcp_port is None else {"tcp_port": tcp_port}
    if rtu and config.server.rtu is None:
        overrides["rtu"] = {"baud": 19200}
    server = start_server(make_server(config, path.parent, **overrides))
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        where = addresses(server)
        lines = [json.dumps(where)] if output == "json" else _where_lines(where, config.server.host)
        print(*lines, sep="\n", file=out, flush=True)
        _report(server, ended, output, duration_s, out)
    finally:
        server.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _where_lines(where: dict[str, Any], host: str) -> list[str]:
    lines = [f"Modbus TCP {host}:{port}" for port in where["ports"]] + [f"Modbus RTU {path}" for path in where["pty_paths"]]
    return lines + [f"{p['name']}: units {', '.join(f'{k} {v}' for k, v in p['units'].items())}, base {p['base']}" for p in where["plants"]]


def _report(server: PlantServer, ended: threading.Event, output: str, duration_s: float | None, out: TextIO) -> None:
    seconds = 0.0
    while duration_s is None or seconds < duration_s:
        wait = 1.0 if duration_s is None else min(1.0, duration_s - seconds)
        if ended.wait(wait):
            return
        seconds += wait
        for plant in server.plants:
            print(json.dumps(plant.get()) if output == "json" else status_line(plant), file=out, flush=True)
