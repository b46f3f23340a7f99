"""`bessctl site export|import|check`: the battery's entry in an optimiser's site configuration."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from bessctl.cli.output import Output, OutputOption, say, show
from bessctl.cli.setup import SiteArgument
from bessctl.errors import UsageError

group = typer.Typer(help="The battery's entry (device_list) in an optimiser's site configuration.", no_args_is_help=True)
DeviceArgument = Annotated[Path, typer.Argument(help="The optimiser's site configuration, or the entry alone (JSON or YAML).")]
NameOption = Annotated[str | None, typer.Option("--name", help="Which entry, where the file has several batteries.")]


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    app.add_typer(group, name="site")
    group.command("export")(export)
    group.command("import")(take)
    group.command("check")(check)


def export(site: SiteArgument) -> None:
    """Print the entry of this site as JSON: every field, also those that have their default."""
    from bessctl.config.device_list import written
    from bessctl.config.exchange import exported
    from bessctl.config.load import load_site

    print(json.dumps({"device_list": [written(exported(load_site(site).site))]}, indent=2))


def check(device: DeviceArgument, name: NameOption = None, output: OutputOption = Output.TABLE) -> None:
    """Check an entry: every fault with file, line, column and field."""
    from bessctl.config.device_list import read_device, written

    found = written(read_device(device, name))
    if output is Output.JSON:
        show(found, output)
    else:
        policies = found.pop("policies")
        show({**found, "policies": len(policies)}, output)


def take(
    device: DeviceArgument,
    into: Annotated[Path, typer.Option("--into", help="The site file that takes the entry in, in sections storage and policy.")],
    name: NameOption = None,
) -> None:
    """Take an entry into a site file. The file is written only if the site is good with it; comments stay."""
    from bessctl.config.device_list import read_device
    from bessctl.config.exchange import into_text
    from bessctl.config.load import load_site, site_from_text

    loaded = load_site(into)
    text = into_text(into.read_text(encoding="utf-8"), read_device(device, name), loaded.site)
    site_from_text(text, f"{into} (with {device})")
    beside = into.with_name(f".{into.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(into.stat().st_mode & 0o777)
        os.replace(beside, into)
    except OSError as e:
        raise UsageError(f"{into}: cannot be written: {e.strerror or e}") from e
    say(f"{into}: sections storage and policy.bands hold the entry now; a running supervisor takes them over when it starts again")
