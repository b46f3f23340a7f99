"""The read-only root: Debian's files, our wheels, our settings; accounts, units and byte code as their installers would have left them.

No maintainer script has run. What those of the packages we take would have done that we need is done here, by name.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from board.image import bytecode, wheels
from board.image.boards import BOARDS, Board
from board.image.debs import Deb, ImageError, unpack

TREE = Path(__file__).resolve().parents[2]
FILES = TREE / "board/files"
SITE = "usr/lib/bessctl"

PRUNED = (
    *(f"usr/share/{name}" for name in ("doc", "man", "info", "locale", "lintian", "bash-completion", "zsh", "bug")),
    *(f"usr/lib/python3.13/{name}" for name in ("test", "idlelib", "ensurepip", "pydoc_data", "lib2to3", "turtledemo")),
    "usr/include",
    "usr/lib/aarch64-linux-gnu/gconv",
    "boot",
)
PRUNED_KERNEL = (
    "fs/afs", "fs/bcachefs", "fs/btrfs", "fs/ceph", "fs/dlm", "fs/gfs2", "fs/jfs", "fs/nfs", "fs/nfsd", "fs/nilfs2", "fs/ocfs2",
    "fs/orangefs", "fs/smb", "fs/ubifs", "fs/udf", "fs/xfs", "net/9p", "net/appletalk", "net/ax25", "net/batman-adv", "net/bluetooth",
    "net/ceph", "net/ieee802154", "net/l2tp", "net/mac80211", "net/mac802154", "net/nfc", "net/openvswitch", "net/rds", "net/rxrpc",
    "net/sctp", "net/smc", "net/sunrpc", "net/tipc", "net/wireless", "sound",
)  # fmt: skip
"""Below kernel: file systems and networks that no controller of a battery meets."""
DRIVERS = (
    "accessibility", "ata", "bluetooth", "comedi", "firewire", "gpu", "hid", "iio", "infiniband", "input", "isdn", "md/bcache", "media",
    "net/ethernet/broadcom/bnx2x", "net/ethernet/chelsio", "net/ethernet/intel", "net/ethernet/mellanox", "net/ethernet/qlogic",
    "net/wireless", "nvme", "parport", "pcmcia", "soundwire", "staging", "target", "video", "xen",
)  # fmt: skip
"""Below kernel/drivers: what no controller of a battery has."""
SCSI = ("scsi_mod", "scsi_common", "sd_mod")
"""All a USB stick needs of kernel/drivers/scsi."""
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dev-hugepages.mount", "dev-mqueue.mount", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty-static.service", "ldconfig.service", "logrotate.timer", "man-db.timer",
    "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-binfmt.service", "systemd-creds.socket", "systemd-firstboot.service",
    "systemd-hibernate-clear.service", "systemd-homed.service", "systemd-hostnamed.socket", "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service", "systemd-journal-flush.service", "systemd-logind.service",
    "systemd-machine-id-commit.service", "systemd-network-generator.service", "systemd-networkd-wait-online.service",
    "systemd-pcrextend.socket", "systemd-pcrlock.socket", "systemd-pcrmachine.service", "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service", "systemd-pstore.service", "systemd-random-seed.service", "systemd-sysext.socket",
    "systemd-tpm2-setup-early.service", "systemd-tpm2-setup.service", "systemd-update-done.service",
)  # fmt: skip
"""Work for a system that is installed package by package, keeps its state in /var or has people who log in; for hardware no board has."""
GENERATORS = (
    "systemd-getty-generator",
    "systemd-gpt-auto-generator",
    "systemd-ssh-generator",
    "systemd-sysv-generator",
    "systemd-rc-local-generator",
)
"""Put aside: nobody has a password, so no console asks for one; what there is is mounted; of the others there is nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into a root: board, version, the oldest it may be replaced by, the pinned packages and their folder, who may sign."""

    board: Board
    version: str
    oldest: str
    debs: list[Deb]
    archive: Path
    keyring: Path


def build(root: Path, work: Path, plan: Plan) -> None:
    """The root as it will be squashed. Raises ImageError."""
    shutil.rmtree(root, ignore_errors=True)
    unpack([deb for deb in plan.debs if deb.group == "root"], plan.archive, root)
    prune(root)
    _wheels(root, work, plan)
    shutil.copytree(FILES, root, dirs_exist_ok=True, symlinks=True)
    settings(root, plan)
    of_the_board(root, plan.board)
    accounts(root)
    units(root)
    _tool("depmod", "-b", str(root / "usr"), kernel_version(root))
    bytecode.compile_all(root, work, plan.archive, [f"/{SITE}", "/usr/lib/python3.13"])


def prune(root: Path) -> None:
    """Take out what nobody on a controller reads; licences stay, see `licences`."""
    licences(root)
    for place in PRUNED:
        shutil.rmtree(root / place, ignore_errors=True)
    for kernel in (root / "usr/lib/modules").glob("*/kernel"):
        for place in (*PRUNED_KERNEL, *(f"drivers/{driver}" for driver in DRIVERS)):
            shutil.rmtree(kernel / place, ignore_errors=True)
        for module in (kernel / "drivers/scsi").rglob("*.ko*"):
            if module.name.split(".")[0] not in SCSI:
                module.unlink()
        for module in sorted(kernel.rglob("*.ko.xz")):
            unpacked(module)
    for trees in (root / "usr/lib").glob("linux-image-*"):  # the boot partition and the kernel slots have the board's own
        shutil.rmtree(trees)


def unpacked(module: Path) -> None:
    """The root is packed as a whole, by something that is read ten times as fast."""
    module.with_suffix("").write_bytes(lzma.decompress(module.read_bytes()))
    module.unlink()


def licences(root: Path) -> None:
    """The copyright file of each package: they must go with the binaries."""
    for file in sorted((root / "usr/share/doc").glob("*/copyright")):
        if file.is_file():
            place = root / "usr/share/licences" / file.parent.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def _wheels(root: Path, work: Path, plan: Plan) -> None:
    site = root / SITE
    site.mkdir(parents=True)
    wheels.dependencies(site)
    wheels.ours(site, work, plan.debs, plan.archive)
    shutil.rmtree(site / "bin", ignore_errors=True)
    path = root / "usr/lib/python3/dist-packages/bessctl.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"/{SITE}\n")


def settings(root: Path, plan: Plan) -> None:
    """What differs between images, and what packages would have made."""
    (root / "data").mkdir()
    (root / "boot").mkdir()
    etc = root / "etc"
    (etc / "hostname").write_text("bessctl\n")
    (etc / "hosts").write_text("127.0.0.1 localhost bessctl\n::1 localhost\n")
    (etc / "machine-id").write_text("")  # the initial RAM disk puts the device's own over it
    (etc / "bessctl-board").write_text(f"{plan.board.name}\n")
    (etc / "bessctl-version").write_text(f"{plan.version}\n")
    (etc / "bessctl-oldest").write_text(f"{plan.oldest}\n")
    (etc / "fw_env.config").write_text("/boot/uboot.env 0x0000 0x4000\n")
    system = etc / "rauc/system.conf"
    system.write_text(system.read_text().replace("@COMPATIBLE@", plan.board.compatible).replace("@OLDEST@", plan.oldest))
    shutil.copyfile(plan.keyring, etc / "rauc/keyring.pem")
    links = {"etc/localtime": "/usr/share/zoneinfo/Etc/UTC", "etc/mtab": "../proc/self/mounts", "usr/bin/sh": "dash"}
    links |= {"etc/resolv.conf": "/run/systemd/resolve/resolv.conf"}
    links |= {f"etc/systemd/system-generators/{name}": "/dev/null" for name in GENERATORS}
    for link, target in links.items():
        place = root / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    _certificates(root)


def _certificates(root: Path) -> None:
    """One file of all authorities, as update-ca-certificates would have made it."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(file.read_text() for file in sorted((root / "usr/share/ca-certificates").rglob("*.crt"))))


def of_the_board(root: Path, board: Board) -> None:
    """Which core is the loop's, and how long the watchdogs wait. An affinity is added to what stands before it, unless that is cleared."""
    more = "".join(f"{line}\n" for line in board.loop_unit)
    drops = {
        "bess-loop.service.d": f"[Service]\nCPUAffinity=\nCPUAffinity={board.loop_cpu}\nWatchdogSec={board.loop_watchdog_s}\n{more}",
        "bess-supervisor.service.d": f"[Service]\nCPUAffinity=\nCPUAffinity={board.other_cpus}\n",
    }
    for name, text in drops.items():
        folder = root / "usr/lib/systemd/system" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "10-board.conf").write_text(text)
    if board.sysctl:
        lines = "".join(f"{name} = {value}\n" for name, value in sorted(board.sysctl.items()))
        (root / "usr/lib/sysctl.d/61-board.conf").write_text(lines)
    rules = BOARDS / f"{board.name}.rules"
    if rules.exists():
        shutil.copyfile(rules, root / "usr/lib/udev/rules.d/61-bessctl-board.rules")
    manager = root / "usr/lib/systemd/system.conf.d/20-board.conf"
    manager.write_text(f"[Manager]\nRuntimeWatchdogSec={board.watchdog_s}\nCPUAffinity={board.other_cpus}\n")


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


def kernel_version(root: Path) -> str:
    """Of the one kernel in the root. Raises ImageError."""
    found = sorted(folder.name for folder in (root / "usr/lib/modules").iterdir())
    if len(found) != 1:
        raise ImageError(f"{root}/usr/lib/modules: one kernel is expected, there are {found}")
    return found[0]


def _tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip()[-800:]}")
