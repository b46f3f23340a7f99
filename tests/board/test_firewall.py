"""Default deny: what the site listens on is open, everything else shut, the field LAN apart (CARD-4)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from board.files.usr.lib.bessctl.board import addresses

RULES = Path(__file__).resolve().parents[2] / "board/files/etc/nftables.conf"


def alone(*command: str) -> subprocess.CompletedProcess[str]:
    """As root of a network and user namespace of its own."""
    return subprocess.run(["unshare", "-rn", *command], capture_output=True, text=True, check=False)


needs = pytest.mark.skipif(
    not all(map(shutil.which, ("nft", "ip", "unshare", "nsenter"))) or alone("nft", "list", "ruleset").returncode != 0,
    reason="nft, ip, or a network namespace is not to be had here; make test installs nftables and iproute2",
)
# Two networks with a wire between them, uplink0 and field0 (the field LAN). Ports 8443 and 22 have a listener; who connects says
# what came of it: a port that is dropped never answers.
WIRED = """
set -e
nft -f "$1"; nft -f "$2"
unshare -n sleep 60 & other=$!
trap 'kill $other' EXIT
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link set lo up
wire() {
  ip link add "$1" type veth peer name "x$1"
  ip link set "x$1" netns $other
  ip address add "$2.1/24" dev "$1"; ip link set "$1" up
  nsenter -t $other -n ip address add "$2.2/24" dev "x$1"; nsenter -t $other -n ip link set "x$1" up
}
wire uplink0 10.9.1; wire field0 10.9.2
python3 -I -S - "$other" <<'PY'
import socket, subprocess, sys
listeners = [socket.create_server(("0.0.0.0", port)) for port in (8443, 22)]
ask = '''
import socket, sys
for place in sys.argv[1:]:
    host, port = place.split(":")
    with socket.socket() as s:
        s.settimeout(0.4)
        try:
            s.connect((host, int(port)))
        except TimeoutError:
            print(place, "shut")
        else:
            print(place, "open")
'''
places = [f"10.9.{net}.1:{port}" for net in (1, 2) for port in (8443, 22)]
subprocess.run(["nsenter", "-t", sys.argv[1], "-n", sys.executable, "-I", "-S", "-c", ask, *places], check=True)
PY
"""


@needs
def test_the_rules_are_well_formed_and_may_be_loaded_twice() -> None:
    done = alone("sh", "-ec", f"nft -c -f {RULES}; nft -f {RULES}; nft -f {RULES}; nft list table inet bessctl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("policy drop") == 2


@needs
def test_what_the_site_listens_on_is_open_and_nothing_else(tmp_path: Path) -> None:
    site = tmp_path / "site.nft"
    site.write_text(addresses.firewall([8443], ["field0"]))
    done = alone("sh", "-c", WIRED, "sh", str(RULES), str(site))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == ["10.9.1.1:8443 open", "10.9.1.1:22 shut", "10.9.2.1:8443 shut", "10.9.2.1:22 shut"]


@needs
def test_a_site_that_listens_on_nothing_opens_nothing(tmp_path: Path) -> None:
    site = tmp_path / "site.nft"
    site.write_text(addresses.firewall([8443], []) + addresses.firewall([], []))
    done = alone("sh", "-c", WIRED, "sh", str(RULES), str(site))
    assert "open" not in done.stdout
    assert done.stdout.count("shut") == 4, done.stderr
