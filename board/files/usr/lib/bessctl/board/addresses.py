"""addresses SEALED SITE [--field-lan FILE] [--root DIR]: tells the loop's unit and the firewall whom the checked configuration names.

    /run/systemd/system/bess-loop.service.d/10-site.conf   IPAddressAllow= for each TCP device; who the supervisor is
    /run/bessctl-firewall/site.nft                         the ports that the site listens on, the interfaces of the field LAN

A sealed file of another layout than this release's is sealed again first where nothing else changes by it (bessctl/config/reseal.py).

The loop's unit denies every address, so a device that is not sealed cannot be reached, whatever happens in that process. The firewall
drops what comes in unless a port stands here. Both are in RAM and written at each start. Without SEALED and SITE it only looks whether
FILE is well written.

Exit codes: 0 written, 1 a file cannot be read or written, 2 the site does not fit the unit, or its operator must seal it again.
"""

from __future__ import annotations

import argparse
import ipaddress
import pwd
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from bessctl.config import reseal
from bessctl.config.load import LoadedSite, load_site
from bessctl.corelink import seal
from bessctl.errors import BessctlError, ConfigError

SUPERVISOR = "bess-supervisor"
DROP_IN = "run/systemd/system/bess-loop.service.d/10-site.conf"
FIREWALL = "run/bessctl-firewall/site.nft"


def device_addresses(hosts: Iterable[str], place: str) -> list[str]:
    """The TCP devices' addresses, sorted, each once. Raises ConfigError for what the loop's unit cannot allow."""
    found = set()
    for host in hosts:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ConfigError(place, f"bus {host!r}: a numeric address is needed; the loop asks no name server") from None
        if address.version != 4:
            raise ConfigError(place, f"bus {host!r}: the loop's unit knows IPv4 alone; give the device such an address")
        found.add(address)
    return [str(address) for address in sorted(found)]


def drop_in(addresses: Iterable[str], supervisor_uid: int | None) -> str:
    """What bess-loop.service is allowed beside what its unit says."""
    lines = ["# Written by bess-site.service from the sealed configuration at each start.", "[Service]"]
    lines += [f"IPAddressAllow={address}" for address in addresses]
    if supervisor_uid is not None:
        lines.append(f"Environment=SUPERVISOR_UID={supervisor_uid}")
    return "\n".join(lines) + "\n"


def listeners(model: BaseModel) -> Iterator[tuple[str, int]]:
    """(host, port) of every key `listen` in the site, at any depth: what a section listens on stands under that name."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        for below in value if isinstance(value, list) else [value]:
            if isinstance(below, BaseModel):
                if name == "listen":
                    yield below.host, below.port  # type: ignore[attr-defined]
                yield from listeners(below)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def firewall(ports: Iterable[int], interfaces: Iterable[str]) -> str:
    """nft commands that bring the two sets up to date in one transaction."""
    lines = ["# Written by bess-site.service from the site's configuration at each start."]
    sets = {"listeners": [str(port) for port in sorted(set(ports))], "field": [f'"{name}"' for name in sorted(set(interfaces))]}
    for name, values in sets.items():
        lines.append(f"flush set inet bessctl {name}")
        if values:
            lines.append(f"add element inet bessctl {name} {{ {', '.join(values)} }}")
    return "\n".join(lines) + "\n"


def field_interfaces(text: str) -> list[str]:
    """Of the file field-lan: one line an interface, `NAME ADDRESS/PREFIX`. Raises ConfigError."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        place = f"field-lan:{number}:1"
        if len(words) != 2 or not words[0].isprintable() or '"' in words[0] or len(words[0]) > 15:
            raise ConfigError(place, "one interface a line is expected: NAME ADDRESS/PREFIX, for example eth1 192.168.10.1/24")
        try:
            address = ipaddress.ip_interface(words[1])
        except ValueError as e:
            raise ConfigError(place, f"{e}; write the address with its prefix, for example 192.168.10.1/24") from e
        if address.network.prefixlen == address.max_prefixlen:
            raise ConfigError(place, f"{words[1]} reaches no device; write the prefix, for example /24")
        found.append(words[0])
    return found


def supervisor_uid() -> int | None:
    """Of this machine; None where it has no such account (a file sealed for another machine, a test)."""
    try:
        return pwd.getpwnam(SUPERVISOR).pw_uid
    except KeyError:
        return None


def put(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.new")
    beside.write_text(text)
    beside.rename(place)


def write(sealed: Path, loaded: LoadedSite, root: Path, field_lan: Path) -> None:
    """Both files below `root`, after an update the sealed one in this release's layout. Raises BessctlError, OSError."""
    done = reseal.of_site(loaded, sealed)
    if done:
        print(done)
    buses = seal.load(str(sealed)).buses
    hosts = [bus["path"] for bus in buses if bus["kind"] == "tcp"]
    ports = [port for host, port in listeners(loaded.site) if not is_loopback(host)]
    interfaces = field_interfaces(field_lan.read_text()) if field_lan.exists() else []
    put(root / DROP_IN, drop_in(device_addresses(hosts, str(sealed)), supervisor_uid()))
    put(root / FIREWALL, firewall(ports, interfaces))


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bessctl-addresses", description="Lets the loop's unit and the firewall know whom a site names.")
    parser.add_argument("sealed", nargs="?", type=Path)
    parser.add_argument("site", nargs="?", type=Path)
    parser.add_argument("--field-lan", type=Path, default=Path("/data/bessctl/field-lan"))
    parser.add_argument("--root", type=Path, default=Path("/"))
    given = parser.parse_args(arguments)
    if given.sealed is not None and given.site is None:
        parser.error("SITE is missing")
    return given


def main(arguments: list[str]) -> int:
    given = parsed(arguments)
    try:
        if given.sealed is None:
            field_interfaces(given.field_lan.read_text())
        else:
            write(given.sealed, load_site(given.site), given.root, given.field_lan)
    except BessctlError as e:
        print(f"bessctl-addresses: {e}", file=sys.stderr)
        return e.exit_code
    except OSError as e:
        print(f"bessctl-addresses: {e.filename}: {e.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
