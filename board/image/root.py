"""The read-only root: Debian's files, our wheels, our settings; accounts, units and byte code as their installers would have left them.

No maintainer script has run. What those of the packages we take would have done that we need is done here, by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from board.image import wheels
from board.image.debs import Deb, ImageError, unpack

TREE = Path(__file__).resolve().parents[2]
FILES = TREE / "board/files"
SITE = "usr/lib/bessctl"
QEMU = "qemu-aarch64-static"
MAGIC = "f30d0d0a"
"""Of the byte code of Python 3.13 (importlib.util.MAGIC_NUMBER)."""

PRUNED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bash-completion",
          "usr/share/zsh", "usr/share/bug", "usr/lib/python3.13/test", "usr/lib/python3.13/idlelib", "usr/lib/python3.13/ensurepip",
          "usr/lib/python3.13/pydoc_data", "usr/lib/python3.13/lib2to3", "usr/lib/python3.13/turtledemo", "usr/include", "boot")  # fmt: skip
DRIVERS = ("gpu", "media", "staging", "infiniband", "iio", "scsi", "ata", "nvme", "md/bcache", "net/wireless", "net/ethernet/mellanox",
           "net/ethernet/chelsio", "net/ethernet/broadcom/bnx2x", "net/ethernet/qlogic", "net/ethernet/intel", "isdn", "bluetooth", "hid",
           "input", "video", "target", "infiniband", "comedi", "soundwire", "accessibility", "firewire", "xen", "parport", "pcmcia")  # fmt: skip
"""Below kernel/drivers: what no controller of a battery has."""
MASKED = ("systemd-homed.service", "systemd-firstboot.service", "ldconfig.service", "systemd-hwdb-update.service", "apt-daily.timer",
          "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer", "man-db.timer")  # fmt: skip


def build(root: Path, work: Path, debs: Iterable[Deb], archive: Path, version: str, board: str) -> None:
    """The root as it will be squashed. Raises ImageError."""
    debs = list(debs)
    shutil.rmtree(root, ignore_errors=True)
    unpack([deb for deb in debs if deb.group == "root"], archive, root)
    prune(root)
    _wheels(root, work, debs, archive)
    shutil.copytree(FILES, root, dirs_exist_ok=True, symlinks=True)
    settings(root, version, board)
    accounts(root)
    units(root)
    _depmod(root)
    byte_code(root)


def prune(root: Path) -> None:
    """Take out what nobody on a controller reads; licences stay, see `licences`."""
    licences(root)
    for place in PRUNED:
        shutil.rmtree(root / place, ignore_errors=True)
    for kernel in (root / "usr/lib/modules").glob("*/kernel"):
        shutil.rmtree(kernel / "sound", ignore_errors=True)
        for driver in DRIVERS:
            shutil.rmtree(kernel / "drivers" / driver, ignore_errors=True)


def licences(root: Path) -> None:
    """The copyright file of each package: they must go with the binaries."""
    for file in sorted((root / "usr/share/doc").glob("*/copyright")):
        if file.is_file():
            place = root / "usr/share/licences" / file.parent.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def _wheels(root: Path, work: Path, debs: list[Deb], archive: Path) -> None:
    site = root / SITE
    site.mkdir(parents=True)
    wheels.dependencies(site)
    wheels.ours(site, work, debs, archive)
    shutil.rmtree(site / "bin", ignore_errors=True)
    path = root / "usr/lib/python3/dist-packages/bessctl.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"/{SITE}\n")


def settings(root: Path, version: str, board: str) -> None:
    """What differs between images, and what packages would have made."""
    (root / "data").mkdir()
    (root / "boot").mkdir()
    etc = root / "etc"
    (etc / "hostname").write_text("bessctl\n")
    (etc / "hosts").write_text("127.0.0.1 localhost bessctl\n::1 localhost\n")
    (etc / "machine-id").write_text("")  # the initial RAM disk puts the device's own over it
    (etc / "bessctl-board").write_text(f"{board}\n")
    (etc / "bessctl-version").write_text(f"{version}\n")
    for link, target in (("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"), ("etc/mtab", "../proc/self/mounts"), ("usr/bin/sh", "dash"),
                         ("etc/resolv.conf", "/run/systemd/resolve/resolv.conf")):  # fmt: skip
        place = root / link
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = etc / "ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(file.read_text() for file in certificates))
    (etc / "fw_env.config").write_text("/boot/uboot.env 0x0000 0x4000\n")


def accounts(root: Path) -> None:
    """The accounts every Debian has, then those of sysusers.d. Nobody has a password: root logs in at no console."""
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    _tool("systemd-sysusers", f"--root={root}")
    shadow = [f"{line.split(':')[0]}:!*:19000:0:99999:7:::" for line in (root / "etc/passwd").read_text().splitlines()]
    (root / "etc/shadow").write_text("\n".join(shadow) + "\n")
    (root / "etc/shadow").chmod(0o600)
    (root / "etc/gshadow").unlink(missing_ok=True)


def units(root: Path) -> None:
    """Enabled as our preset says, all others off; some masked that would only wait for what is not there."""
    wants = root / "etc/systemd/system"
    shutil.rmtree(wants, ignore_errors=True)
    wants.mkdir(parents=True)
    _tool("systemctl", f"--root={root}", "preset-all")
    (wants / "default.target").unlink(missing_ok=True)
    (wants / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name in MASKED:
        (wants / name).unlink(missing_ok=True)
        (wants / name).symlink_to("/dev/null")


def _depmod(root: Path) -> None:
    _tool("depmod", "-b", str(root / "usr"), kernel_version(root)) if (root / "usr/lib/modules").is_dir() else None


def kernel_version(root: Path) -> str:
    """Of the one kernel in the root. Raises ImageError."""
    found = sorted(folder.name for folder in (root / "usr/lib/modules").iterdir())
    if len(found) != 1:
        raise ImageError(f"{root}/usr/lib/modules: one kernel is expected, there are {found}")
    return found[0]


def byte_code(root: Path) -> None:
    """Compiled here: without it an import of asyncio takes seconds on the board, and its root is read-only.

    By a Python of this machine where one has the same byte code, else by the board's own under qemu-user (ten minutes and more).
    Hashes instead of dates, unchecked: the files cannot change, and two builds give the same bytes.
    """
    own = [QEMU, "-L", str(root), str(root / "usr/bin/python3.13")]
    command = [*(_python_here() or own), "-I", "-S", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(root),
               "-x", "/test_|/tests/", str(root / SITE), str(root / "usr/lib/python3.13")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}, check=False)
    if done.returncode:
        raise ImageError(f"byte code: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _python_here() -> list[str] | None:
    """A Python of this machine that writes the board's byte code."""
    others = sorted(Path.home().glob(f".pyenv/versions/{wheels.PYTHON}*/bin/python{wheels.PYTHON}"))
    for python in (shutil.which(f"python{wheels.PYTHON}"), *map(str, others)):
        if python is None:
            continue
        asked = subprocess.run([python, "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"], capture_output=True, text=True, check=False)
        if asked.stdout.strip() == MAGIC:
            return [python]
    return None


def _tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip()[-800:]}")
