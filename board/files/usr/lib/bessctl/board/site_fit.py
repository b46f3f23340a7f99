"""site_fit SITE [--root DIR]: whether a site that `bessctl check` accepts is also one for this controller.

The units decide some things that a site file decides elsewhere: who the supervisor is, which core is the loop's, that the loop has
real-time priority or stands by. A site that says otherwise would run differently from what its owner read in it, so it is refused with the
line to write.

Exit codes: 0 fits, 2 does not or cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from bessctl.config.load import LoadedSite, load_site
from bessctl.config.places import Path as Place
from bessctl.errors import BessctlError

SUPERVISOR = "bess-supervisor"
RUN_DIR = "/run/bessctl"
STATE_DIRS = ("/var/lib/bessctl", "/data/bessctl/supervisor")


def findings(loaded: LoadedSite, isolated: frozenset[int]) -> Iterator[tuple[Place, str]]:
    """(where, what to write) for each thing that does not fit; `isolated` are the cores that the kernel keeps free, empty = none."""
    site = loaded.site
    if site.loop.rt != "required":
        yield ("loop", "rt"), "the kernel here is a real-time one: write rt: required; refused that priority, the plant stays in standby"
    if site.loop.cpu is not None and isolated and site.loop.cpu not in isolated:
        yield ("loop", "cpu"), f"the kernel keeps core {_list(isolated)} free for the loop: write that, or take the key out"
    if site.supervisor.user != SUPERVISOR:
        yield ("supervisor", "user"), f"the supervisor's unit runs as {SUPERVISOR}: write supervisor: {{user: {SUPERVISOR}}}"
    if str(loaded.run_dir) != RUN_DIR:
        yield ("paths", "run_dir"), f"the units share {RUN_DIR}: take the key out"
    if str(loaded.state_dir) not in STATE_DIRS:
        yield ("paths", "state_dir"), f"the supervisor may write {' and '.join(STATE_DIRS)} alone: take the key out"
    for index, bus in enumerate(site.buses):
        if bus.tcp is not None and not _is_ipv4(bus.tcp.host):
            yield ("buses", index, "tcp"), f"host {bus.tcp.host!r}: a numeric IPv4 address is needed; the loop reaches nothing else"


def _is_ipv4(host: str) -> bool:
    try:
        return ip_address(host).version == 4
    except ValueError:
        return False


def _list(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


def cores(text: str) -> frozenset[int]:
    """A kernel's list of processors: `1,4-7`."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def isolated_cores(root: Path) -> frozenset[int]:
    try:
        return cores((root / "sys/devices/system/cpu/isolated").read_text())
    except OSError:
        return frozenset()


def main(arguments: list[str]) -> int:
    match arguments:
        case [site]:
            root = Path("/")
        case [site, "--root", folder]:
            root = Path(folder)
        case _:
            print("usage: site_fit SITE [--root DIR]", file=sys.stderr)
            return 2
    try:
        loaded = load_site(Path(site))
    except BessctlError as e:
        print(e, file=sys.stderr)
        return 2
    faults = [str(loaded.error(path, message)) for path, message in findings(loaded, isolated_cores(root))]
    print("\n".join(faults) or f"{site} fits this controller", file=sys.stderr if faults else sys.stdout)
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
