"""`profile list|check|show|dump|schema`: device profiles, before and beside a site."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessctl.cli.held import refuse_second_session
from bessctl.cli.order import RUN_DIR, RunDirOption
from bessctl.cli.output import Output, OutputOption, pairs, say, show, table
from bessctl.errors import NotReachable

if TYPE_CHECKING:
    from bessctl.config.profiles import LoadedProfile
    from bessctl.devices.plan import DevicePlan

app = typer.Typer(help="Device profiles: what the registers of a device mean.", no_args_is_help=True)

ProfileArgument = Annotated[str, typer.Argument(help="A shipped profile by name, or a file by its path.")]


def register(program: typer.Typer) -> None:
    """Put the commands on the program."""
    program.add_typer(app, name="profile")


def _load(name: str) -> LoadedProfile:
    from bessctl.config import profiles

    return profiles.load(name, Path())


@app.command("list")
def list_(output: OutputOption = Output.TABLE) -> None:
    """The profiles that come with bessctl."""
    from bessctl.config import profiles

    rows = [
        {"profile": name, "kind": found.kind, "description": found.description}
        for name in profiles.names()
        for found in [_load(name).profile]
    ]
    show(rows, output) if output is Output.JSON else print(table(rows))


@app.command()
def check(names: Annotated[list[str], typer.Argument(help="Profiles by name, or files by their path.")]) -> None:
    """Say whether profiles are right; each error with file, line and column."""
    for name in names:
        loaded = _load(name)
        print(f"{loaded.file}: ok ({loaded.profile.kind}, {len(loaded.profile.points)} points)")


@app.command()
def schema() -> None:
    """Print the JSON schema of profiles, for editors."""
    from bessctl.devices.profile import Profile

    print(json.dumps(Profile.model_json_schema(), indent=1, sort_keys=True))


@app.command("show")
def show_(name: ProfileArgument, output: OutputOption = Output.TABLE) -> None:
    """What a profile reads and writes."""
    from bessctl.config.describe import described

    loaded = _load(name)
    told = described(loaded.profile)
    if output is Output.JSON:
        show(told, output)
        return
    print(pairs(told["device"]), end="\n\n")
    print(table(told["points"]), end="\n\n")
    print(table(told["writes"]) if told["writes"] else "nothing is written", end="\n\n")
    for reference in told["references"]:
        print(f"from: {reference}")
    if loaded.profile.limits_of_use:
        print(f"mind: {loaded.profile.limits_of_use}")


@app.command()
def dump(  # noqa: PLR0917 - options are given by name
    address: Annotated[str, typer.Argument(help="tcp://HOST[:PORT] or rtu:/dev/ttyX?baud=19200&parity=even&stop=1")],
    profile: Annotated[str, typer.Option("--profile", help="A shipped profile by name, or a file by its path.")],
    unit_id: Annotated[int, typer.Option("--unit-id", min=1, max=247)] = 1,
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0.05, max=60)] = 2.0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Read every block of a profile once from a device: registers as a hex image, and what they mean. Reads only."""
    from bessctl.config import probe
    from bessctl.devices import address as addresses
    from bessctl.devices.compiler import Role, compile_device
    from bessctl.devices.registers import connected

    loaded = _load(profile)
    where = addresses.parse(address)
    refuse_second_session(where, run_dir)
    found = probe.discover(loaded.profile, where, unit_id, timeout_s)
    plan = compile_device(loaded.profile, Role(loaded.profile.kind, battery=True), found)
    with connected(where, unit_id, timeout_s) as line:
        image, values = _read_all(plan, line)
    told = {"device": found.model or found.serial or str(where), "image": image, "values": values}
    if output is Output.JSON:
        show(told, output)
        return
    print("\n".join(image), end="\n\n")
    print(table([{"quantity": name, "value": "not there" if value is None else f"{value:g}"} for name, value in values.items()]))


def _read_all(plan: DevicePlan, line: Any) -> tuple[list[str], dict[str, float | None]]:
    from bessctl.config.probe import decoded, factor_value, image_line
    from bessctl.devices.plan import REGISTERS

    factors = [factor_value(factor, line.read(factor.function, factor.address, REGISTERS[factor.kind])) for factor in plan.factors]
    image: list[str] = []
    values: dict[str, float | None] = {}
    for read in plan.reads:
        registers = line.read(read.function, read.address, read.count)
        if registers is None:
            say(f"{read.count} registers from {read.address} (FC{read.function:02}) are refused by the device")
            continue
        image.append(f"{'input' if read.function == 4 else 'holding'} {image_line(read.address, registers)}")
        found = decoded(plan, read, registers, factors)
        values |= {name: None if math.isnan(value) else value for name, value in found.items()}
    if not image:
        raise NotReachable("the device answers and has none of the profile's registers; is it the right profile?")
    return image, values
