"""What a running loop holds alone: a serial line, a device that takes one session. Nobody looks there beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessctl.errors import NotReachable, UsageError

if TYPE_CHECKING:
    from bessctl.devices.address import Address


def refuse_second_session(where: Address, run_dir: Path) -> None:
    """Raises UsageError when the loop of this machine has that place for itself. No loop: nobody is disturbed."""
    from bessctl.corelink import attach

    try:
        with attach(str(run_dir), writes=False) as link:
            links, buses = link.site.config.names.get("links", []), link.site.buses
    except NotReachable:
        return
    for name, link_ in zip(buses, links, strict=False):
        if link_.get("alone") and _same(where, link_):
            what = "takes one session" if where.host else "is a line for one master"
            raise UsageError(
                f"{where} {what}, and the running loop holds it (bus {name!r}); stop the loop first (`bessctl stop`, then end its "
                "process), or look at the values in `bessctl status`"
            )


def _same(where: Address, link: dict[str, Any]) -> bool:
    if where.host:
        return (where.host, where.port) == (link.get("host"), link.get("port"))
    return "path" in link and Path(where.path).resolve() == Path(link["path"]).resolve()
