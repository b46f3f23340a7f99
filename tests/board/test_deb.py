"""The Debian package: the units of the image at the places of a vendor's Debian, and nothing that starts by itself (CARD-4)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from board.deb import control, tree
from board.deb.target import ARCHES, HEADERS, RELEASES, Target, needed_glibc
from board.image.debs import ImageError

ALL = [Target(release, arch) for release in RELEASES for arch in ARCHES]
BOOKWORM = Target("bookworm", "arm64")
every = pytest.mark.parametrize("target", ALL, ids=lambda target: target.group)
analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here; make test installs it")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """All that is installed beside the Python packages."""
    tree.settings(tmp_path, BOOKWORM)
    (tmp_path / tree.OPT / "bin").mkdir(parents=True)
    (tmp_path / tree.OPT / "bin/python3").write_text("#!/bin/sh\n")
    (tmp_path / tree.OPT / "bin/python3").chmod(0o755)
    return tmp_path


def installed(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.is_file() and "share/doc" not in str(file)]


def test_no_place_of_the_image_is_left(root: Path) -> None:
    """A vendor's Debian has no /data, and its Python is another."""
    for file in installed(root):
        left = re.findall(r"/data\b|python3\.13|/usr/lib/bessctl\b|@\w+@", file.read_text())
        assert left == [] or file.name == "site_fit.py", f"{file}: {left}"


def test_every_program_that_a_unit_or_command_names_is_installed(root: Path) -> None:
    texts = "".join(file.read_text() for file in installed(root) if file.suffix == ".service" or file.parent.name == "bin")
    for program in set(re.findall(r"(?<![\w./])(/(?:opt|usr/bin/bess)[\w./-]*)", texts)) - {f"/{tree.OPT}/lib/python3.11/site-packages"}:
        assert (root / program.lstrip("/")).exists() or "site-packages" in program, program


@analyze
def test_systemd_takes_the_units_and_finds_both_shut_in(root: Path) -> None:
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        shutil.copyfile(target, root / "usr/lib/systemd/system" / target.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", *tree.UNITS], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "Restart" not in line] == []
    for unit in ("bess-loop.service", "bess-supervisor.service"):
        command = [
            "systemd-analyze",
            "security",
            "--no-pager",
            "--offline=true",
            "--threshold=19",
            str(root / "usr/lib/systemd/system" / unit),
        ]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, unit


def test_nothing_is_enabled_or_started_by_installing(root: Path) -> None:
    assert list(root.rglob("*.wants")) == []
    for script in (control.POSTINST, control.PRERM, control.POSTRM):
        assert "systemctl enable" not in script
    started = [line for line in control.POSTINST.splitlines() if "systemctl start" in line]
    assert len(started) == 1, "only what ran before an upgrade, and only once the new version accepts the site"
    assert (
        control.POSTINST.index("bessctl-was-running")
        < control.POSTINST.index("if systemctl restart bess-site")
        < control.POSTINST.index(started[0])
    )
    assert "--seal" not in control.POSTINST, "R16: a site that was changed is sealed by its operator"


@pytest.mark.parametrize("script", [control.POSTINST, control.PRERM, control.POSTRM], ids=["postinst", "prerm", "postrm"])
def test_the_scripts_are_shell(script: str) -> None:
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_vendors_network_comes_first_and_the_loops_core_is_local(root: Path) -> None:
    loop = (root / "usr/lib/systemd/system/bess-loop.service").read_text()
    assert "CPUAffinity=" not in loop
    assert "network-pre.target" not in loop
    assert re.search(r"^After=.*network\.target", loop, re.M)
    assert (root / "etc/systemd/system/bess-loop.service.d/50-this-machine.conf").exists()


def test_what_is_below_etc_is_the_administrators(root: Path) -> None:
    control.write(root, BOOKWORM, "0.1.0+deb12")
    names = (root / "DEBIAN/conffiles").read_text().splitlines()
    assert names == ["/etc/systemd/system/bess-loop.service.d/50-this-machine.conf"]


@every
def test_the_control_file_asks_for_the_python_it_was_built_for(target: Target, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    control.write(tmp_path, target, "0.1.0+debX")
    fields = dict(
        line.split(": ", 1) for line in (tmp_path / "DEBIAN/control").read_text().splitlines() if re.match(r"[A-Z][\w-]*: ", line)
    )
    assert fields["Architecture"] == target.arch
    assert fields["Depends"].startswith(f"python{target.python}, libc6 (>= ")


@every
def test_every_target_has_headers_that_are_pinned(target: Target) -> None:
    lines = [line.split() for line in HEADERS.read_text().splitlines() if line.startswith(target.group)]
    assert [line[1] for line in lines] == [f"libpython{target.python}-dev"]
    assert re.fullmatch(r"[0-9a-f]{64}", lines[0][3])


def test_a_target_that_there_is_not_is_refused() -> None:
    with pytest.raises(ImageError, match="bookworm"):
        Target("buster", "armhf")


@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf (binutils) is not here")
def test_the_c_library_that_a_module_asks_for_is_seen() -> None:
    """A package built on a newer Debian would not load on an older one: the build refuses it."""
    found = needed_glibc([Path("/bin/sh").resolve()])
    assert (2, 17) <= found < (3, 0)
