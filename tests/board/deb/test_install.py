"""CARD-4: the package installs on a bare Debian, answers, checks a site, starts nothing, and goes without a trace (`make deb-test`)."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

INSIDE = """
set -e
mkdir "$1/run/deb"; cp "$BESS_DEB" "$1/run/deb/bessctl.deb"
inside() { chroot "$1" sh -c "$2"; }
inside "$1" "dpkg -i /run/deb/bessctl.deb"
echo "== version"; inside "$1" "bessctl version"
echo "== check"; inside "$1" "bessctl check /usr/share/doc/bessctl/examples/site.yaml | tail -n 1"
core=/opt/bessctl/lib/python3.*/site-packages/bessctl_core
echo "== loop"; inside "$1" "/opt/bessctl/bin/python3 -I -S $core/__main__.py --help | head -n 1"
secrets=/etc/bessctl/secrets
echo "== identity"; inside "$1" "bessctl-identity $secrets --owner bess-supervisor && ls -l $secrets/ocpp.key | cut -c1-10"
echo "== accounts"; inside "$1" "getent passwd bess-loop bess-supervisor | cut -d: -f1,7"
echo "== groups"; inside "$1" "id -nG bess-loop"
echo "== units"; inside "$1" "cd /usr/lib/systemd/system && systemd-analyze verify --man=no bess-*.service 2>&1 || :"
echo "== exposure"
for unit in bess-loop bess-supervisor; do
  inside "$1" "systemd-analyze security --no-pager --offline=true /usr/lib/systemd/system/$unit.service | tail -n 1"
done
inside "$1" "dpkg -i /run/deb/bessctl.deb >&2"
echo "== again"; inside "$1" "bessctl version"
echo "== enabled"; inside "$1" "find /etc/systemd -name 'bess-*' -type l"
echo "== modes"; inside "$1" "stat -c '%a %U %n' /var/lib/bess-loop /var/lib/bessctl"
inside "$1" "dpkg -r bessctl >&2"
echo "== removed"; inside "$1" "ls -d /opt/bessctl /usr/bin/bessctl 2>/dev/null; test -e /etc/bessctl/secrets/ocpp.key && echo keys"
inside "$1" "dpkg -P bessctl >&2"
echo "== purged"; inside "$1" "find / -xdev -name '*bess*' ! -path '/proc/*' ! -path '/run/deb*' || :"
echo "== end"
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each step inside a throwaway Debian printed."""
    folder = tmp_path_factory.mktemp("deb")
    package = Path(os.environ["BESS_DEB"]).resolve()
    hook = folder / "hook"
    # mmdebstrap hands a hook its own standard error as output.
    hook.write_text(f"#!/bin/sh\nexec >{folder}/said{INSIDE}")
    hook.chmod(0o755)
    control = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
    needed = ",".join(re.sub(r"\(.*?\)", "", name).strip() for name in control.split(","))
    release = "bookworm" if "+deb12" in package.name else "trixie"
    command = ["mmdebstrap", "--variant=apt", f"--include={needed}", f"--customize-hook={hook}", release, "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "BESS_DEB": str(package)}, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    parts = re.split(r"^== (\w+)\n", (folder / "said").read_text(), flags=re.M)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def test_it_answers_and_checks_a_site(said: dict[str, str]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", said["version"])
    assert said["check"].startswith("ok")
    assert said["loop"].startswith("usage: bessctl loop")


def test_keys_are_made_there_and_nobody_else_reads_them(said: dict[str, str]) -> None:
    assert said["identity"].splitlines()[-1] == "-rw-------"
    assert said["modes"].splitlines() == ["700 bess-loop /var/lib/bess-loop", "700 bess-supervisor /var/lib/bessctl"]


def test_accounts_have_no_shell_and_nothing_is_enabled(said: dict[str, str]) -> None:
    assert said["accounts"].splitlines() == ["bess-loop:/usr/sbin/nologin", "bess-supervisor:/usr/sbin/nologin"]
    assert said["enabled"] == ""


def test_the_units_are_what_this_systemd_understands(said: dict[str, str]) -> None:
    """All but how slowly it restarts a supervisor that falls again and again, which Debian 12's does not know."""
    assert [line for line in said["units"].splitlines() if "Restart" not in line and "bess" in line] == []
    levels = re.findall(r"(bess-\w+)\.service: (\d+\.\d)", said["exposure"])
    assert [name for name, _ in levels] == ["bess-loop", "bess-supervisor"]
    assert all(float(level) < 2.0 for _, level in levels), said["exposure"]


def test_the_loop_opens_this_systems_serial_lines_and_gpio_chips(said: dict[str, str]) -> None:
    assert {"bess-loop", "dialout", "gpio"} <= set(said["groups"].split())


def test_it_is_installed_over_itself(said: dict[str, str]) -> None:
    assert said["again"] == said["version"]


def test_removed_it_leaves_the_keys_and_purged_it_leaves_nothing(said: dict[str, str]) -> None:
    assert said["removed"] == "keys"
    assert said["purged"] == ""
