"""Commands that are processes: run, loop, supervise, sim, demo."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bessctl.cli.output import Output, OutputOption, say
from bessctl.errors import NotReachable, OperationFailed


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    for command in (run, loop, supervise, demo):
        app.command()(command)
    app.add_typer(simulators, name="sim")
    simulators.command("plant")(sim)
    simulators.command("oscp-cp")(sim_oscp)
    simulators.command("sep2-server")(sim_sep2)
    simulators.command("ocpp-station")(sim_ocpp)


class _Simulators(TyperGroup):
    """`bessctl sim FILE` is `bessctl sim plant FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["plant", *args]
        return super().parse_args(ctx, args)


simulators = typer.Typer(
    cls=_Simulators,
    help="Simulated counterparts: a plant (bessctl sim FILE), OSCP peers, a 2030.5 server, an OCPP station.",
    no_args_is_help=True,
)
SiteArgument = Annotated[Path, typer.Argument(help="The site file (YAML), already sealed.")]


def loop_command(sealed: Path) -> list[str]:
    """The loop process: an isolated interpreter without site packages (R, real-time hygiene)."""
    spec = importlib.util.find_spec("bessctl_core")
    if spec is None or not spec.submodule_search_locations:
        raise OperationFailed("bessctl_core is not installed; build it with `make build`")
    program = Path(next(iter(spec.submodule_search_locations))) / "__main__.py"
    if not program.exists():
        raise OperationFailed(f"{program}: this build has no loop process")
    return [sys.executable, "-I", "-S", str(program), str(sealed)]


def sealed_file(given: Path) -> Path:
    """A sealed file as it is; for a site file the one it was sealed into. Raises NotReachable, ConfigError."""
    from bessctl.config.load import load_site
    from bessctl.corelink import seal

    sealed = given
    if given.suffix in {".yaml", ".yml"}:
        sealed = load_site(given).sealed_file
        if not sealed.exists():
            raise NotReachable(f"{sealed}: the site is not sealed yet; run: bessctl check --seal {given}")
        if sealed.stat().st_mtime < given.stat().st_mtime:
            say(f"{given} is newer than {sealed}: the loop runs what was sealed; `bessctl check --seal {given}` takes the change over")
    seal.load(str(sealed))
    return sealed


def loop(sealed: Annotated[Path, typer.Argument(help="The sealed configuration, or the site file it was sealed from.")]) -> NoReturn:
    """Run the control loop in this process."""
    command = loop_command(sealed_file(sealed))
    sys.stdout.flush()
    os.execv(command[0], command)


def supervise(site: SiteArgument) -> None:
    """Run the supervisor: protocols, plans, events. Ends with SIGTERM."""
    from bessctl.app.supervisor import supervise as main

    main(site)


def run(site: SiteArgument) -> None:
    """Run loop and supervisor side by side, as two processes; Ctrl-C stops both in order."""
    from bessctl.app.launcher import launch

    sealed = sealed_file(site)
    code = launch(loop_command(sealed), [sys.executable, "-m", "bessctl", "supervise", str(site)])
    raise typer.Exit(code)


def sim(
    plant: Annotated[Path, typer.Argument(help="The simulated plant's file (YAML).")],
    tcp_port: Annotated[int | None, typer.Option("--tcp-port", min=0, max=65535)] = None,
    rtu: Annotated[bool, typer.Option("--rtu", help="Serve Modbus RTU on a pty too.")] = False,
    duration_s: Annotated[float | None, typer.Option("--duration", min=0, help="Seconds; absent = until Ctrl-C.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Serve a simulated plant: battery, PCS and meter over Modbus."""
    from bessctl.sim.run import run_sim

    run_sim(plant, tcp_port=tcp_port, rtu=rtu, output=output.value, duration_s=duration_s)


def sim_oscp(
    script: Annotated[Path, typer.Argument(help="What it does and when (YAML); see bessctl/sim/oscp_script.py.")],
    duration_s: Annotated[float | None, typer.Option("--duration", min=0, help="Seconds; absent = until Ctrl-C.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Be an OSCP capacity provider or optimizer that plays a script."""
    from bessctl.sim.oscp_script import run_script

    run_script(script, output=output.value, duration_s=duration_s)


def sim_sep2(
    folder: Annotated[Path, typer.Argument(help="Where its certificates go: client.pem, client.key and root.pem are for the site.")],
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8443,
    pin: Annotated[int | None, typer.Option(min=0, max=999999, help="The registration PIN it serves.")] = None,
) -> None:
    """Be a utility's IEEE 2030.5 server; a script comes by standard input, one JSON object a line (bessctl/sim/sep2_server.py)."""
    from bessctl.sim.sep2_server import run_server

    run_server(folder, port, pin)


def sim_ocpp(
    file: Annotated[Path, typer.Argument(help="CSMS, identity, version, state directory (YAML or JSON); see bessctl/app/ocpp_station.py.")],
) -> None:
    """Be one OCPP station on a plant that follows at once; the hand at it comes by standard input, one JSON object a line."""
    import asyncio

    from bessctl.app.ocpp_station import run

    asyncio.run(run(file))


def demo(
    duration_s: Annotated[float, typer.Option("--duration", min=0, help="Go on for so many seconds at least.")] = 0,
    output: OutputOption = Output.TABLE,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder with site file, databases and logs.")] = False,
) -> None:
    """Show the product's main job on a simulated plant, from boot to trip and recovery."""
    from bessctl.demo.main import main

    raise typer.Exit(main(duration_s, output.value, keep))
