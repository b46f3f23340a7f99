"""`bessctl oscp`: the flexibility provider's peers. Everything is asked of the running supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bessctl.cli.order import RUN_DIR, RunDirOption, ask, judge
from bessctl.cli.output import Output, OutputOption, say, show, table
from bessctl.errors import UsageError

group = typer.Typer(help="OSCP peers: capacity providers and optimizers.", no_args_is_help=True)
PeerArgument = Annotated[str, typer.Argument(help="The peer's name in the site file.")]


def register(app: typer.Typer) -> None:
    """Put the commands on the program."""
    app.add_typer(group, name="oscp")
    for command in (peers, forecast, adjust, remove):
        group.command()(command)
    group.command("register")(register_peer)


def _ask(run_dir: Path, action: str, **more: Any) -> dict[str, Any]:
    answer = ask(run_dir / "supervisor.sock", {"command": "oscp", "action": action, **more}, "the supervisor")
    judge(f"oscp {action}", answer)
    return {key: value for key, value in answer.items() if key not in {"ok", "outcome", "reason"}}


def peers(run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """Who is registered, online, and for how long it is believed."""
    found = _ask(run_dir, "peers")
    if output is Output.JSON:
        show(found, output)
    else:
        print(table(found["peers"]))


def forecast(
    group_id: Annotated[str | None, typer.Option("--group", help="One group; absent = all.")] = None,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """What peers allow, now and next. Capacities as in OSCP: consumption and generation are magnitudes."""
    found = _ask(run_dir, "forecast", **({} if group_id is None else {"group": group_id}))
    if output is Output.JSON:
        show(found, output)
    elif found["forecasts"]:
        print(table(found["forecasts"]))
    else:
        say("no forecast was received yet; the slots' sealed defaults rule")


def register_peer(
    peer: PeerArgument,
    url: Annotated[str | None, typer.Option(help="Register at the peer: its base URL. Absent: make a token for the peer.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="With --url: a file with the token that the peer gave.")] = None,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make TOKEN_A for a peer (shown once; give it over by a safe way, with our base URL), or register at the peer."""
    if (url is None) != (token_file is None):
        raise UsageError("--url and --token-file belong together")
    if url is None or token_file is None:
        show(_ask(run_dir, "register", peer=peer), output)
        return
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{token_file}: cannot be read as a token: {e}") from e
    show(_ask(run_dir, "register", peer=peer, url=url, token=token), output)


def adjust(  # noqa: PLR0917 - what a wish consists of
    peer: PeerArgument,
    capacity_w: Annotated[float, typer.Option("--capacity-w", min=0, help="The capacity wanted, a magnitude in W.")],
    kind: Annotated[str, typer.Option("--type", help="CONSUMPTION or GENERATION.")] = "CONSUMPTION",
    group_id: Annotated[str | None, typer.Option("--group", help="Absent: the only group of that peer.")] = None,
    in_s: Annotated[float, typer.Option("--in-s", min=0, help="Seconds from now until it is wanted.")] = 0.0,
    for_s: Annotated[float, typer.Option("--for-s", min=1, help="How long it is wanted.")] = 900.0,
    run_dir: RunDirOption = RUN_DIR,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask a provider for more or less (AdjustGroupCapacityForecast), where its entry allows to be asked. Moves no limit by itself."""
    wish = {"type": kind, "capacity_w": capacity_w, "in_s": in_s, "for_s": for_s}
    show(_ask(run_dir, "adjust", peer=peer, **wish, **({} if group_id is None else {"group": group_id})), output)


def remove(peer: PeerArgument, run_dir: RunDirOption = RUN_DIR, output: OutputOption = Output.TABLE) -> None:
    """End a peer's registration and forget all it said: its fallback capacities end too, the slot's sealed default rules."""
    show(_ask(run_dir, "remove", peer=peer), output)
