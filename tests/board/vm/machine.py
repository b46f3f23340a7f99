"""The board in QEMU: a disk, two virtual serial lines, a network, a watchdog. Nothing judges time: it is emulated.

The board's clock is this machine's: where the emulator gets little of it, everything takes longer, and the bounds are far out for
that (PATIENT, the board file's watchdogs). Its cores take turns in one thread: otherwise each change of memory tables waits for the
other thread. It is a core that needs no tables apart for programs and for the kernel (v8.2): with those all takes twice as long.

console   what U-Boot, the kernel and the initial RAM disk say, in a file
shell     root's shell on hvc1, which the kernel words of the test ask for; a shipped board has none
RTU       hvc0: a pty of this machine
network   field LAN 10.0.2.0/24 on enp0s5: this machine is 10.0.2.2
uplink    10.0.3.0/24 on enp0s6, its address by DHCP: a port of this machine leads to a port of the board
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

BOOT_OFFSET = 1 << 20
"""Of the first partition."""
PATIENT = "systemd.default_timeout_start_sec=900"
WORDS = f"systemd.debug_shell=hvc1 systemd.log_target=console {PATIENT} bess.good_s=20 bess.give_up_s=1200"
UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
SHELL_S = 900.0
START_S = 900.0
COMMAND_S = 300.0
TRY_S = 5.0
END = re.compile(rb"=%=(\d+)=%=")


class Patience(AssertionError):
    """What was waited for did not come within a bound that is far beyond what emulation needs."""


@dataclass
class Vm:
    """One board. `disk` is written to."""

    folder: Path
    disk: Path
    rtu: str | None = None
    stick: Path | None = None
    bundles: Path | None = None
    inner_port: int = 8080
    outer_port: int = field(default=0, init=False)
    _qemu: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _shell: socket.socket | None = field(default=None, init=False)

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    def start(self) -> None:
        """Power on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.outer_port = free_port()
        for name in ("shell", "qmp"):
            (self.folder / name).unlink(missing_ok=True)
        errors = (self.folder / "qemu.log").open("ab")
        self._qemu = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self._shell = connect(self.folder / "shell", self._qemu)

    def _command(self) -> list[str]:
        up = f"user,id=up,net=10.0.3.0/24,hostfwd=tcp:127.0.0.1:{self.outer_port}-:{self.inner_port}"
        rtu = f"serial,id=rtu,path={self.rtu}" if self.rtu else "null,id=rtu"
        words = (
            "qemu-system-aarch64 -machine virt -cpu cortex-a76 -accel tcg,thread=single,tb-size=512 "
            "-smp 2 -m 1024 -display none -no-user-config -nodefaults "
            f"-bios {UBOOT} -action watchdog=reset -device i6300esb "
            f"-chardev file,id=con,path={self.console},append=on -serial chardev:con "
            f"-chardev socket,id=qmp,path={self.folder}/qmp,server=on,wait=off -mon chardev=qmp,mode=control "
            f"-drive if=none,id=d,format=raw,file={self.disk},cache=writethrough -device virtio-blk-device,drive=d "
            "-netdev user,id=field -device virtio-net-pci,netdev=field,addr=5,romfile= "
            f"-netdev {up} -device virtio-net-pci,netdev=up,addr=6,romfile= "
            f"-device virtio-serial-pci -chardev {rtu} -device virtconsole,chardev=rtu "
            f"-chardev socket,id=sh,path={self.folder}/shell,server=on,wait=off -device virtconsole,chardev=sh "
        )
        if self.stick is not None:
            words += f"-device qemu-xhci -drive if=none,id=u,format=raw,file={self.stick} -device usb-storage,drive=u "
        if self.bundles is not None:
            words += f"-drive if=none,id=b,format=raw,readonly=on,file={self.bundles} -device virtio-blk-pci,drive=b "
        return words.split()

    def cut(self) -> None:
        """The power goes: SIGKILL."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        if self._shell is not None:
            self._shell.close()

    def reset(self) -> None:
        """As a watchdog resets a board."""
        with connect(self.folder / "qmp", self._qemu) as qmp:
            qmp.settimeout(60)
            for command in ("qmp_capabilities", "system_reset"):
                qmp.recv(65536)
                qmp.sendall(json.dumps({"execute": command}).encode())
            qmp.recv(65536)

    # --- looking on ---------------------------------------------------------------------------------------------------------------------

    def said(self) -> str:
        """All of the console."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_console(self, pattern: str, after: int = 0, within_s: float = 600.0) -> int:
        """Where in the console this came to stand, behind `after`."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            found = re.compile(pattern).search(self.said(), after)
            if found:
                return found.end()
            assert self._qemu is not None
            assert self._qemu.poll() is None, f"QEMU ended:\n{(self.folder / 'qemu.log').read_text()[-2000:]}"
            time.sleep(0.5)
        raise Patience(f"the console did not say {pattern!r} within {within_s:g} s; its end:\n{self.said()[-3000:]}")

    # --- the shell ----------------------------------------------------------------------------------------------------------------------

    def wait_shell(self, within_s: float = SHELL_S) -> None:
        """Until root's shell answers; echo and prompt are turned off.

        What is typed before there is a shell is echoed at once and read by it later: it is asked again by time alone, each try has a
        number, and only the last one's answer ends the waiting.
        """
        until, heard, tries, asked = time.monotonic() + within_s, b"", 0, -TRY_S
        while time.monotonic() < until:
            answers = [int(number) for number in END.findall(heard)]
            if tries in answers:
                self._send("exec env TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER= sh\n")
                self.ask("stty -echo -onlcr; PS1=; PS2=")
                return
            if not answers and time.monotonic() >= asked + TRY_S:
                tries, asked = tries + 1, time.monotonic()
                self._send(f"echo '=%'={tries}=%=\n")
            heard += self._more(1.0) or b""
        raise Patience(f"no shell within {within_s:g} s; the console's end:\n{self.said()[-3000:]}")

    def wait_started(self, within_s: float = START_S) -> None:
        """Until all that is started at boot has been."""
        self.run("systemctl is-system-running --wait", within_s)
        self.until("! systemctl list-jobs --no-legend | grep -q .", within_s)

    def shelf(self) -> None:
        """Mount the disk with bundles and helpers."""
        self.until("mkdir -p /run/shelf && mount -o ro /dev/disk/by-label/BUNDLES /run/shelf")

    def run(self, command: str, within_s: float = COMMAND_S) -> tuple[int, str]:
        """Exit code and output, both streams."""
        self._send("{ " + command + "\n} 2>&1; echo '=%'=$?=%=\n")
        answer = self._read(within_s, None)
        if answer is None:
            raise Patience(f"no answer within {within_s:g} s to: {command}")
        end = END.search(answer)
        assert end is not None
        return int(end[1]), answer[: end.start()].decode(errors="replace").replace("\r", "").strip()

    def ask(self, command: str, within_s: float = COMMAND_S) -> str:
        """Output of a command that must succeed."""
        code, said = self.run(command, within_s)
        assert code == 0, f"{command}: exit code {code}\n{said}"
        return said

    def until(self, command: str, within_s: float = 600.0, pause_s: float = 4.0) -> str:
        """Output of a command as soon as it succeeds."""
        until, said = time.monotonic() + within_s, ""
        while time.monotonic() < until:
            code, said = self.run(command, within_s)
            if code == 0:
                return said
            time.sleep(pause_s)
        raise Patience(f"{command}: never succeeded within {within_s:g} s; last:\n{said}")

    def let(self, command: str, until: bytes, then_s: float) -> str:
        """Start a command that does not end, wait for a word of it, then for some seconds more; all that it said."""
        self._send(command + "\n")
        first = self._read(600.0, until)
        if first is None:
            raise Patience(f"{command}: never said {until!r}")
        more, end = b"", time.monotonic() + then_s
        while (left := end - time.monotonic()) > 0:
            more += self._more(left) or b""
        return (first + more).decode(errors="replace").replace("\r", "")

    def _more(self, within_s: float) -> bytes | None:
        assert self._shell is not None
        self._shell.settimeout(within_s)
        try:
            chunk = self._shell.recv(65536)
        except TimeoutError:
            return None
        assert chunk, f"QEMU ended:\n{(self.folder / 'qemu.log').read_text()[-2000:]}"
        return chunk

    def _send(self, text: str) -> None:
        assert self._shell is not None
        self._shell.settimeout(60)
        self._shell.sendall(text.encode())

    def _read(self, within_s: float, mark: bytes | None) -> bytes | None:
        """Up to a mark, or up to the end of a command; None when it does not come."""
        got, until = b"", time.monotonic() + within_s
        while (left := until - time.monotonic()) > 0:
            chunk = self._more(left)
            if chunk is None:
                return None
            got += chunk
            if mark in got if mark is not None else END.search(got):
                return got
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(path: Path, qemu: subprocess.Popen[bytes] | None) -> socket.socket:
    """To one of QEMU's sockets, as soon as it is there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(str(path))
            return link
        except OSError:
            link.close()
            assert qemu is not None
            assert qemu.poll() is None, "QEMU ended at once; see qemu.log"
            time.sleep(0.1)
    raise Patience(f"{path}: QEMU made no socket")


def disk_for_test(image: Path, boot_files: dict[str, Path], out: Path) -> Path:
    """A copy of what is flashed in which only the kernel's command line differs: it asks for the shell, and for a short proof."""
    subprocess.run(["cp", "--sparse=always", str(image), str(out)], check=True)
    for name, file in boot_files.items():
        subprocess.run(["mcopy", "-o", "-i", f"{out}@@{BOOT_OFFSET}", str(file), f"::{name}"], check=True)
    return out


def data_for_test(disk: Path, files: dict[str, Path], mib: int, folder: Path) -> None:
    """Put these files into /data/bessctl of a disk, as an operator would who copies them there: its last partition is made anew."""
    tree, image = folder / "data", folder / "data.ext4"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bessctl").mkdir(parents=True)
    for name, file in files.items():
        shutil.copyfile(file, tree / "bessctl" / name)
    image.unlink(missing_ok=True)
    with image.open("wb") as out:
        out.truncate(mib << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", "data", "-d", str(tree), str(image)], check=True)
    table = json.loads(subprocess.run(["sfdisk", "-J", str(disk)], check=True, capture_output=True, text=True).stdout)
    start = max(part["start"] for part in table["partitiontable"]["partitions"])
    # A hole of the new file system must read as zeros, whatever the old one had there.
    subprocess.run(["fallocate", "-z", "-o", str(start * 512), "-l", str(mib << 20), str(disk)], check=True)
    where = ["bs=1M", f"seek={start * 512 >> 20}", "conv=notrunc,sparse", "status=none"]
    subprocess.run(["dd", f"if={image}", f"of={disk}", *where], check=True)


def fat_stick(out: Path, label: str, files: dict[str, Path], mib: int) -> Path:
    """A USB stick's file system."""
    out.unlink(missing_ok=True)
    with out.open("wb") as image:
        image.truncate(mib << 20)
    assert shutil.which("mkfs.vfat"), "mkfs.vfat is missing: dosfstools"
    subprocess.run(["mkfs.vfat", "-F", "32", "-n", label, str(out)], check=True, capture_output=True)
    for name, file in files.items():
        subprocess.run(["mcopy", "-i", str(out), str(file), f"::{name}"], check=True)
    return out
