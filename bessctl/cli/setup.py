"""`check` and `discover`: what is done before a plant runs."""

from __future__ import annotations

import socket
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bessctl.cli.held import refuse_second_session
from bessctl.cli.order import RUN_DIR, RunDirOption
from bessctl.cli.output import Output, OutputOption, pairs, say, show, table
from bessctl.errors import UsageError

if TYPE_CHECKING:
    from bessctl.config.load import LoadedSite
    from bessctl.devices.discovery import FoundDevice

SiteArgument = Annotated[Path, typer.Argument(help="The site file (YAML).")]


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    app.command()(check)
    app.command()(discover)


def check(
    site: SiteArgument,
    seal: Annotated[bool, typer.Option("--seal", help="Compile the site into the file the loop runs from.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Discover the devices now and store what is found.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a site file; say what its protection means in seconds; with --seal write the sealed configuration."""
    from bessctl.config import seal as sealing
    from bessctl.config.load import load_site
    from bessctl.config.report import report

    loaded = load_site(site)
    found = _discover_site(loaded) if online else _stored(loaded)
    result = report(loaded)
    _tables(loaded)
    sealed = None
    if found or seal:
        compiled = sealing.seal(loaded, found)
        sealed = {"hash": compiled.digest.hex(), "path": str(loaded.sealed_file), "written": seal}
        if seal:
            sealing.write(loaded, compiled)
    else:
        say("no device was discovered yet: checked without them; `bessctl discover --into SITE` looks, then --seal compiles")
    if output is Output.JSON:
        show({**result, "sealed": sealed}, output)
        return
    _print_report(result, sealed)


def _tables(loaded: LoadedSite) -> None:
    """The files of section policy, with their own places; one that is not there yet may be fetched later."""
    from bessctl.config import tables

    policy = loaded.site.policy
    for name, read in () if policy is None else ((policy.tariff_file, tables.tariff), (policy.forecast_file, tables.forecast)):
        if name is None:
            continue
        file = loaded.file.parent / name
        if file.exists():
            read(file)
        else:
            say(f"{file} is not there yet; until it comes nothing is planned with it")


def _print_report(result: dict[str, Any], sealed: dict[str, Any] | None) -> None:
    print(f"site {result['site']}: {result['counts']}\n")
    for unit in result["units"]:
        then = f"its own control, not 0 W ({unit['own_control']})," if "own_control" in unit else "0 W"
        print(f"{unit['name']}: loop dead -> {then} within {unit['loop_dead_to_0w_s']:g} s (allowed {unit['allowed_s']:g} s)")
    print()
    print(table(result["buses"]), end="\n\n")
    print(table(result["rows"]), end="\n\n")
    for row in result["disabled"]:
        print(f"disabled: {row['row']}: {row['reason']}")
    if sealed is None:
        print("ok; not sealed")
    else:
        print(f"ok; {'sealed' if sealed['written'] else 'would seal'} {sealed['path']}\nhash {sealed['hash']}")


def discover(  # noqa: PLR0917 - options are given by name
    address: Annotated[str | None, typer.Argument(help="tcp://HOST[:PORT] or rtu:/dev/ttyX?baud=19200&parity=even&stop=1")] = None,
    unit_id: Annotated[int, typer.Option("--unit-id", min=1, max=247, help="Modbus id of the device.")] = 1,
    into: Annotated[
        Path | None, typer.Option("--into", help="Discover all devices of this site and store what is found beside it.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="With an ADDRESS: what its registers mean (`bessctl profile list`).")] = "",
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0.05, max=60)] = 2.0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask a device, or all devices of a site, what it is and what it has: SunSpec models, or the points of its profile. Reads only."""
    from bessctl.config import probe, profiles
    from bessctl.config.load import load_site
    from bessctl.devices import address as addresses
    from bessctl.devices.sunspec import discover as look

    if (address is None) == (into is None):
        raise UsageError("name either an ADDRESS (with --unit-id) or --into SITE")
    if address is not None:
        where = addresses.parse(address)
        refuse_second_session(where, run_dir)
        found = {
            "": probe.discover(profiles.load(profile).profile, where, unit_id, timeout_s) if profile else look(where, unit_id, timeout_s)
        }
    else:
        assert into is not None
        found = _discover_site(load_site(into), timeout_s)
    if output is Output.JSON:
        show({name: asdict(record) for name, record in found.items()} if into else asdict(found[""]), output)
        return
    print("\n\n".join(_device_text(name, record) for name, record in found.items()))


def _device_text(name: str, record: FoundDevice) -> str:
    head = {
        **({"device": name} if name else {}),
        "where": f"{record.where} id {record.modbus_id}",
        "maker": record.manufacturer,
        "model": record.model,
        "version": record.version,
        "serial": record.serial,
        **({"profile": record.profile, "not there": ", ".join(record.missing) or "nothing"} if record.profile else {"base": record.base}),
    }
    if record.profile:
        return pairs(head)
    models = [
        {"model": m.id, "address": m.address, "length": m.length, "points": len(m.present), "ratings": _ratings(m.ratings)}
        for m in record.models
    ]
    return f"{pairs(head)}\n\n{table(models)}"


def _ratings(ratings: dict[str, float]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in ratings.items())


def _stored(loaded: LoadedSite) -> dict[str, FoundDevice]:
    from bessctl.devices import discovery

    return discovery.load(loaded.discovery_file)


def _refuse_second_session(loaded: LoadedSite) -> None:
    """A device that takes one connection is not to lose its loop to somebody who looks."""
    devices = [device for device in loaded.site.devices if device.kind != "io"]
    held = [device.name for device in devices if loaded.site.profile(device).bus.one_session]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        if held and probe.connect_ex(str(loaded.run_dir / "state.sock")) == 0:
            raise UsageError(f"{', '.join(held)} take one connection, and the running loop holds it; stop the loop first, then discover")


def _discover_site(loaded: LoadedSite, timeout_s: float = 2.0) -> dict[str, FoundDevice]:
    """All devices of the site, one after the other; stored beside the site file when all answered."""
    from bessctl.config import probe
    from bessctl.config.report import address_of
    from bessctl.devices import discovery

    _refuse_second_session(loaded)
    found = {}
    for device in loaded.site.devices:
        if device.kind == "io":
            continue  # digital inputs have no SunSpec model to be found
        say(f"looking at {device.name}")
        found[device.name] = probe.discover(loaded.site.profile(device), address_of(loaded.site, device), device.modbus_id, timeout_s)
    try:
        discovery.store(loaded.discovery_file, found)
    except OSError as e:
        raise UsageError(f"{loaded.discovery_file}: cannot be written: {e.strerror or e}") from e
    return found
