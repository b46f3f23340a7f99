"""What dpkg is told: the control file, the scripts around installation, conffiles, checksums, copyright, changelog."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from board.deb.target import Target, needed_glibc
from board.deb.tree import OPT, written

MAINTAINER = "bessctl <maintainers@bessctl.invalid>"
CONTROL = """Package: bessctl
Version: {version}
Architecture: {arch}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: python{python}, libc6 (>= {glibc}), systemd, udev
Recommends: chrony | time-daemon, nftables
Section: net
Priority: optional
Homepage: https://bessctl.readthedocs.io
Description: edge controller for battery energy storage systems
 A control loop that enforces the battery's and the connection's limits and drives
 power conversion systems over Modbus, and a supervisor that speaks OCPP, OSCP,
 IEEE 2030.5 and MQTT. For controllers that keep their vendor's Debian.
 .
 Nothing is started or enabled by installing it. See
 /usr/share/doc/bessctl/README.Debian.
"""
POSTINST = """#!/bin/sh
set -e
if [ "$1" = configure ]; then
  systemd-sysusers /usr/lib/sysusers.d/bessctl.conf
  systemd-tmpfiles --create /usr/lib/tmpfiles.d/bessctl.conf || true
  /opt/bessctl/bin/python3 -m compileall -q -j 0 /opt/bessctl/lib >/dev/null || true
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    udevadm control --reload || true
    sysctl -q -p /usr/lib/sysctl.d/60-bessctl.conf || true
  fi
  if [ -e /run/bessctl-was-running ]; then
    rm /run/bessctl-was-running
    # What was sealed and commissioned goes on, in this version's layout; a change of the site is never sealed here.
    if systemctl restart bess-site.service; then
      systemctl start bess-loop.service bess-supervisor.service
    else
      echo "bessctl: this version does not run the sealed site (journalctl -u bess-site says why); the plant stays in standby" >&2
    fi
  elif [ -z "$2" ]; then
    echo "bessctl: nothing runs yet; /usr/share/doc/bessctl/README.Debian says how to begin"
  fi
fi
"""
PRERM = """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  # In order: power to 0, standby, read back; an old supervisor must not meet a new loop.
  if systemctl -q is-active bess-loop.service; then touch /run/bessctl-was-running; fi
  systemctl stop bess-supervisor.service bess-loop.service || true
  if [ "$1" = remove ]; then
    rm -f /run/bessctl-was-running
    systemctl disable bess-identity.service bess-site.service bess-loop.service bess-supervisor.service || true
  fi
fi
find /opt/bessctl/lib -name __pycache__ -type d -prune -exec rm -rf {} + || true
"""
POSTRM = """#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
if [ "$1" = purge ]; then
  # The site, its keys and its records: only by purge.
  rm -rf /etc/bessctl /var/lib/bessctl /var/lib/bess-loop /run/bessctl /run/bessctl-firewall /run/systemd/system/bess-loop.service.d
fi
"""
README = """bessctl on a controller that keeps its vendor's Debian
======================================================

1. What of real time is in force here?   bessctl-check-rt
   Without a real-time kernel: apt install linux-image-rt-{arch}. Free one core for the loop on the kernel's command line
   (isolcpus=N nohz_full=N rcu_nocbs=N irqaffinity=OTHERS), and write N into
   /etc/systemd/system/bess-loop.service.d/50-this-machine.conf.
2. Keys and identity of this device:     systemctl enable --now bess-identity
   They come to lie in /etc/bessctl/secrets, made here.
3. The site:                             /etc/bessctl/site.yaml (examples/site.yaml beside this file)
   with loop: {{rt: required}} and supervisor: {{user: bess-supervisor}}; then
     bessctl discover --into /etc/bessctl/site.yaml
     bessctl check --seal /etc/bessctl/site.yaml
4. Start:                                systemctl enable --now bess-site bess-loop bess-supervisor
     bessctl status; bessctl commission

The loop reaches the sealed devices' addresses alone. The network, the firewall, the clock and updates are this system's: make the field LAN
static and apart from the uplink, and let chrony hold the clock. examples/ has ours, for a look.

An upgrade stops the plant in order, puts the same sealed site into the new version's layout (never a change of site.yaml: that is yours to
seal) and starts it again. Refused, journalctl -u bess-site says what differs.

After a change of the site: bessctl stop, check --seal, systemctl restart bess-site bess-loop bess-supervisor, bessctl start.
"""
CHANGELOG = """bessctl ({version}) stable; urgency=medium

  * See CHANGES of the sources.

 -- {maintainer}  Tue, 14 Nov 2023 22:13:20 +0000
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: bessctl

Files: *
Copyright: the bessctl authors
License: Apache-2.0

Files: opt/bessctl/lib/*
Copyright: their authors
License: several
Comment: Each package carries its own licence in its .dist-info folder.

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

License: several
 See the .dist-info folders below /opt/bessctl/lib.
"""


def write(root: Path, target: Target, version: str) -> None:
    """DEBIAN/ and usr/share/doc of a staged tree. Raises ImageError."""
    doc = root / "usr/share/doc/bessctl"
    written(doc / "README.Debian", README.format(arch=target.arch))
    written(doc / "copyright", COPYRIGHT)
    log = CHANGELOG.format(version=version, maintainer=MAINTAINER)
    (doc / "changelog.Debian.gz").write_bytes(gzip.compress(log.encode(), 9, mtime=0))
    place = root / "DEBIAN"
    glibc = ".".join(map(str, needed_glibc(sorted((root / OPT).rglob("*.so")))))
    fields = {"version": version, "arch": target.arch, "maintainer": MAINTAINER, "python": target.python, "glibc": glibc}
    written(place / "control", CONTROL.format(size=size_kib(root), **fields))
    for name, script in (("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)):
        written(place / name, script, 0o755)
    written(place / "conffiles", "".join(f"/{file.relative_to(root)}\n" for file in files(root / "etc")))
    sums = (f"{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}  {file.relative_to(root)}\n" for file in packed(root))
    written(place / "md5sums", "".join(sums))
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


def files(place: Path) -> list[Path]:
    return sorted(file for file in place.rglob("*") if file.is_file() and not file.is_symlink())


def packed(root: Path) -> list[Path]:
    """The files of the package: not those of DEBIAN, not conffiles."""
    return [file for file in files(root) if file.relative_to(root).parts[0] not in {"DEBIAN", "etc"}]


def size_kib(root: Path) -> int:
    return sum(file.stat().st_size + 1023 for file in files(root)) // 1024
