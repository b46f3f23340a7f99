"""What the package installs. The units and helpers are those of the image; here only their places change, by one table.

    /opt/bessctl                   an isolated environment of the system's Python: our modules, the locked wheels
    /opt/bessctl/board             the first boot's helpers
    /etc/bessctl                   site.yaml, site.sealed, secrets/
    /var/lib/bessctl, bess-loop    the supervisor's databases, the loop's journal
    /usr/lib/systemd/system        bess-identity, bess-site, bess-loop, bess-supervisor: none enabled

Left out is what the vendor's system has of its own: field LAN, firewall, clock, updates, journal. Examples of ours lie with the
documentation.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from board.deb.target import TREE, Target, compile_all, headers, needed_glibc, run
from board.image.debs import ImageError

FILES = TREE / "board/files"
OPT = "opt/bessctl"
UNITS = ("bess-identity.service", "bess-site.service", "bess-loop.service", "bess-supervisor.service")
HELPERS = ("addresses.py", "check_rt.py", "identity.py", "site_fit.py", "site-prepare", "site-take")
COMMANDS = ("bessctl-addresses", "bessctl-check-rt", "bessctl-identity")
EXAMPLES = ("etc/nftables.conf", "etc/chrony/chrony.conf", "usr/lib/sysctl.d/60-bessctl.conf", "usr/lib/udev/rules.d/65-bessctl.rules")
KEPT = (".py", ".typed", ".json", ".yaml")
MACHINE = """# This machine's part of the loop's unit: the core that the kernel keeps free for it (isolcpus=), see bessctl-check-rt.
[Service]
#CPUAffinity=
#CPUAffinity=3
"""


def places(target: Target) -> tuple[tuple[str, str], ...]:
    """(place in the image, place here), the longer before the shorter."""
    return (
        ("/usr/lib/bessctl/bessctl_core", f"/{OPT}/lib/python{target.python}/site-packages/bessctl_core"),
        ("/usr/lib/bessctl/board", f"/{OPT}/board"),
        ("/usr/bin/python3.13", f"/{OPT}/bin/python3"),
        ("/data/bessctl/loop", "/var/lib/bess-loop"),
        ("/data/bessctl/supervisor", "/var/lib/bessctl"),
        ("/data/bessctl", "/etc/bessctl"),
    )


GONE = ("BindPaths=", "RequiresMountsFor=", "CPUAffinity=", "Before=network-pre.target")
"""Lines of units that only the image can say: where /var is, which core is free, what network there is."""


IDENTITY = "PrivateUsers=identity\n"
"""systemd 257, Debian 13. An older one says that it does not know the word and goes on without."""


def moved(text: str, target: Target) -> str:
    """A file of the image with its places as they are here."""
    for there, here in places(target):
        text = text.replace(there, here)
    return text


def unit(text: str, target: Target) -> str:
    """A unit of the image as it is here: its network comes from the vendor's system, which is up before."""
    lines = [line for line in moved(text, target).splitlines() if not line.startswith(GONE)]
    text = "\n".join(lines) + "\n"
    if target.release == "bookworm":
        text = text.replace(IDENTITY, f"# Debian 12's systemd does not know it: {IDENTITY}")
    text = text.replace(" bess-field-lan.service network-pre.target", "").replace(" bess-field-lan.service", " network.target")
    return text.replace("# Of bess-supervisor; bess-site.service writes this machine's.", "# bess-site.service writes bess-supervisor's.")


def stage(root: Path, work: Path, target: Target) -> None:
    """The whole tree. Raises ImageError."""
    shutil.rmtree(root, ignore_errors=True)
    site = root / OPT / f"lib/python{target.python}/site-packages"
    site.mkdir(parents=True)
    environment(root / OPT, target)
    wheels(site, target)
    ours(site, work, target)
    settings(root, target)


def environment(place: Path, target: Target) -> None:
    """As `python3 -m venv --without-pip` would make it: the interpreter finds its packages by pyvenv.cfg."""
    (place / "bin").mkdir()
    (place / "bin/python3").symlink_to(f"/usr/bin/python{target.python}")
    (place / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n")


def wheels(site: Path, target: Target) -> None:
    """Everything of requirements/board.lock for the target, by hash. Raises ImageError."""
    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv), "--no-progress", "--system-certs", "pip", "install", "-q", "--target", str(site), "--python-platform", target.platform,
        "--python-version", target.python, "--only-binary", ":all:", "--no-deps", "--require-hashes",
        "-r", str(TREE / "requirements/board.lock"),
    ]  # fmt: skip
    run(command, f"the wheels of requirements/board.lock for {target.group}")
    shutil.rmtree(site / "bin", ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)


def ours(site: Path, work: Path, target: Target) -> None:
    """bessctl as it is, bessctl_core compiled for the target. Raises ImageError."""
    copied(TREE / "bessctl", site / "bessctl")
    copied(TREE / "core/bessctl_core", site / "bessctl_core")
    run([sys.executable, "-c", "import setup; setup.extensions()"], "the extension modules' C sources")
    generated = TREE / "build/cython-release/core/bessctl_core"
    sources = [(source, site / "bessctl_core" / source.parent.relative_to(generated)) for source in sorted(generated.rglob("*.c"))]
    if not sources:
        raise ImageError(f"{generated} has no C sources; run `make build` first")
    compile_all(target, sources, headers(target, work))
    asked = needed_glibc(sorted((site / "bessctl_core").rglob("*.so")))
    if asked > target.glibc:
        raise ImageError(
            f"compiled here, the modules ask for glibc {asked[0]}.{asked[1]}; {target.release} has {target.glibc[0]}.{target.glibc[1]}: "
            f"build on {target.release} or older"
        )


def copied(source: Path, into: Path) -> None:
    """The Python files of a package. A symbolic link becomes what it points to."""
    for file in sorted(source.rglob("*")):
        place = into / file.relative_to(source)
        if file.is_file() and file.suffix in KEPT and "__pycache__" not in place.parts:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def settings(root: Path, target: Target) -> None:
    """Units, helpers, commands, accounts and folders, rules for devices."""
    for name in UNITS:
        written(root / "usr/lib/systemd/system" / name, unit((FILES / "usr/lib/systemd/system" / name).read_text(), target))
    for name in HELPERS:
        source = FILES / "usr/lib/bessctl/board" / name
        written(root / OPT / "board" / name, moved(source.read_text(), target), 0o755 if "." not in name else 0o644)
    written(root / OPT / "board/python", f'#!/bin/sh\nexec /{OPT}/bin/python3 "$@"\n', 0o755)
    written(root / "usr/bin/bessctl", f'#!/bin/sh\nexec /{OPT}/bin/python3 -m bessctl "$@"\n', 0o755)
    for name in COMMANDS:
        written(root / "usr/bin" / name, moved((FILES / "usr/bin" / name).read_text(), target), 0o755)
    written(root / "usr/lib/sysusers.d/bessctl.conf", SYSUSERS)
    written(root / "usr/lib/tmpfiles.d/bessctl.conf", TMPFILES)
    written(root / "usr/lib/sysctl.d/60-bessctl.conf", SYSCTL)
    written(root / "usr/lib/udev/rules.d/65-bessctl.rules", UDEV)
    written(root / "etc/systemd/system/bess-loop.service.d/50-this-machine.conf", MACHINE)
    for name in EXAMPLES:
        written(root / "usr/share/doc/bessctl/examples" / Path(name).name, moved((FILES / name).read_text(), target))
    for file in sorted((TREE / "examples").glob("*.yaml")):
        written(root / "usr/share/doc/bessctl/examples" / file.name, file.read_text())


SYSUSERS = """# Nobody of these has a password or a shell. Which numbers they get is this system's choice.
u bess-loop - "bessctl control loop" / /usr/sbin/nologin
u bess-supervisor - "bessctl supervisor" / /usr/sbin/nologin
g gpio -
# This system's serial lines keep the group that others know them by.
m bess-loop dialout
m bess-loop gpio
"""
TMPFILES = """d /etc/bessctl 0755 root root -
d /etc/bessctl/secrets 0750 bess-supervisor bess-supervisor -
d /var/lib/bess-loop 0700 bess-loop bess-loop -
d /var/lib/bessctl 0700 bess-supervisor bess-supervisor -
# Both processes have sockets here; neither may take the other's away (sticky).
d /run/bessctl 1775 bess-loop bess-supervisor -
d /run/bessctl-firewall 0755 root root -
"""
SYSCTL = """# A task of the loop may use its whole core; the kernel restarts after a panic, and an oops counts as one.
kernel.sched_rt_runtime_us = -1
kernel.panic = 10
kernel.panic_on_oops = 1
"""
UDEV = """# A serial line is named by where it is plugged in, not by the order in which it was found.
SUBSYSTEM=="tty", ENV{ID_PATH}=="?*", SYMLINK+="bess/serial-$env{ID_PATH}"
SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"
"""


def written(place: Path, text: str, mode: int = 0o644) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
