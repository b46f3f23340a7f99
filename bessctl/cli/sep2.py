"""`bessctl sep2`: who we are to the utility's server, whether it knows us, what it wants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bessctl.cli.order import RUN_DIR, RunDirOption, ask, judge
from bessctl.cli.output import Output, OutputOption, say, show, table
from bessctl.errors import Refused, UsageError

group = typer.Typer(help="The utility's IEEE 2030.5 server.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    app.add_typer(group, name="sep2")
    for command in (identity, status, events, reserve):
        group.command()(command)
    group.command("register")(enrol)


def identity(
    certificate: Annotated[Path, typer.Argument(help="A PEM certificate, or a site file that names one as sep2.cert_file.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Print LFDI and SFDI: what a utility asks for when it registers a device."""
    from bessctl.protocols.sep2.messages.identity import sfdi_text
    from bessctl.protocols.sep2.transport.tls import identity_of, own_faults

    if certificate.suffix in {".yaml", ".yml"}:
        certificate = _config(certificate).tls.cert_file or certificate
    found = identity_of(certificate)
    for fault in own_faults(certificate):
        say(fault)
    show({"lfdi": found.lfdi, "sfdi": sfdi_text(found.sfdi)}, output)


def status(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """How far the server lets us in, and when its controls were last read."""
    found = _ask(run_dir, "status")["status"]
    if output is Output.TABLE:
        found["running"] = " ".join(found["running"]) or None
        found["reserved_used_wh"] = " ".join(f"{name}={wh}" for name, wh in found["reserved_used_wh"].items()) or None
        found["post_rates_s"] = " ".join(f"{name}={rate}" for name, rate in found["post_rates_s"].items())
    show(found, output)


def events(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """The server's events, in the order of their start (server time, UTC seconds)."""
    found = _ask(run_dir, "events")
    if output is Output.JSON:
        show(found, output)
    elif found["events"]:
        print(table(found["events"]))
    else:
        say("no event is known")


def reserve(  # noqa: PLR0917 - options, each by its name
    energy_kwh: Annotated[float, typer.Option("--energy-kwh", min=0.001, help="How much is to be charged.")],
    power_kw: Annotated[float, typer.Option("--power-kw", min=0.001, help="How fast at most.")],
    within_h: Annotated[float, typer.Option("--within-h", min=0.01, max=168, help="When it must be there, counted from --from-h.")],
    from_h: Annotated[float, typer.Option("--from-h", min=0, max=168, help="Not before so many hours from now.")] = 0.0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask the utility for energy to charge (flow reservation). What it grants appears among the events and is followed by itself."""
    words = {"energy_wh": energy_kwh * 1e3, "power_w": power_kw * 1e3, "from_s": from_h * 3600, "within_s": within_h * 3600}
    show({"request": _ask(run_dir, "reserve", **words)["request"]}, output)


def enrol(
    site: Annotated[Path, typer.Argument(help="The site file.")],
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=1, max=600)] = 30.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask the server whether it knows this site; profiles with in-band registration put it on the list."""
    import asyncio

    from bessctl.protocols.sep2.binding.enrol import enrol as go

    config = _config(site)
    found = asyncio.run(go(config, timeout_s))
    for note in found.notes:
        say(note)
    show({"registration": found.state, "device": found.device or None}, output)
    if found.state != "open":
        raise Refused(f"{config.url}: {found.state}; {ADVICE.get(found.state, ADVICE['']).format(site=site)}")


ADVICE = {
    "pin_wrong": "the PIN in section sep2 is not the one that the utility registered; correct one of them",
    "": "give the utility LFDI and SFDI: bessctl sep2 identity {site}",
}
"""By how far we were let in."""


def _config(site: Path) -> Any:
    from bessctl.app.sep2 import client
    from bessctl.config.load import load_site

    loaded = load_site(site)
    if loaded.site.sep2 is None:
        raise UsageError(f"{site} has no section sep2")
    return client(loaded.site, loaded.site.sep2, loaded.file.parent)


def _ask(run_dir: Path, action: str, **words: Any) -> dict[str, Any]:
    answer = ask(run_dir / "supervisor.sock", {"command": "sep2", "action": action, **words}, "the supervisor")
    judge(f"sep2 {action}", answer)
    return answer
