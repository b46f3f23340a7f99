"""A site comes from a stick only when it is right, whole, and only where there is none (CARD-4)."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bessctl.devices import discovery
from board.files.usr.lib.bessctl.board import site_fit
from tests.sites import EXAMPLE, changed_example, standard_devices

TAKE = Path(__file__).resolve().parents[2] / "board/files/usr/lib/bessctl/board/site-take"
FITTING = (
    ("rt: preferred", "rt: required"),
    ("paths:\n", "supervisor: {user: bess-supervisor}\npaths:\n"),
)


def site_text(*changes: tuple[str, str]) -> str:
    text = EXAMPLE.read_text()
    for old, new in (*FITTING, *changes):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A stick with all that may be on one, and things that nobody wants."""
    place = tmp_path / "stick"
    (place / "secrets").mkdir(parents=True)
    (place / "chrony").mkdir()
    (place / "site.yaml").write_text(site_text())
    (place / "secrets/csms1.password").write_text("x" * 20)
    (place / "chrony/site.sources").write_text("server 10.1.1.1 iburst\n")
    (place / "field-lan").write_text("eth1 192.168.10.1/24\n")
    (place / "site.sealed").write_bytes(b"made elsewhere")
    (place / "autorun.sh").write_text("#!/bin/sh\n")
    (place / "link.yaml").symlink_to("/etc/shadow")
    (place / "large.json").write_bytes(b" " * (2 << 20))
    return place


def take(stick: Path, data: Path, bessctl: str = "true", python: str = "true") -> subprocess.CompletedProcess[str]:
    """`bessctl` and `python` stand for programs that accept (true) or refuse (false)."""
    environment = {**os.environ, "BESSCTL": bessctl, "BESS_PYTHON": python}
    data.mkdir(exist_ok=True)
    return subprocess.run([TAKE, stick, data], env=environment, capture_output=True, text=True, check=False)


def test_what_is_taken_and_what_is_left(stick: Path, tmp_path: Path) -> None:
    done = take(stick, tmp_path / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(str(file.relative_to(tmp_path / "data")) for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert files == ["chrony/site.sources", "field-lan", "secrets/csms1.password", "site.yaml"]
    assert stat.S_IMODE((tmp_path / "data/secrets/csms1.password").stat().st_mode) == 0o600
    assert "large.json: left out" in done.stdout


@pytest.mark.parametrize(("bessctl", "python"), [("false", "true"), ("true", "false")])
def test_a_site_that_is_refused_leaves_nothing_behind(stick: Path, tmp_path: Path, bessctl: str, python: str) -> None:
    done = take(stick, tmp_path / "data", bessctl, python)
    assert done.returncode == 1
    assert "is not used" in done.stdout
    assert list((tmp_path / "data").iterdir()) == []


def test_a_site_that_is_there_is_never_replaced(stick: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/site.yaml").write_text("mine")
    assert take(stick, tmp_path / "data").returncode == 0
    assert (tmp_path / "data/site.yaml").read_text() == "mine"


def test_a_stick_without_a_site_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = take(tmp_path / "empty", tmp_path / "data")
    assert (done.returncode, "no site.yaml" in done.stdout) == (1, True)


def test_a_take_that_was_cut_short_begins_anew(stick: Path, tmp_path: Path) -> None:
    (tmp_path / "data/incoming").mkdir(parents=True)
    (tmp_path / "data/incoming/site.yaml").write_text("half of a")
    assert take(stick, tmp_path / "data").returncode == 0
    assert (tmp_path / "data/site.yaml").read_text() == site_text()
    assert not (tmp_path / "data/incoming").exists()


def program(tmp_path: Path, name: str, arguments: str) -> str:
    """A command that site-take can call."""
    place = tmp_path / name
    place.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
    place.chmod(0o755)
    return str(place)


def test_the_real_check_accepts_and_seals(stick: Path, tmp_path: Path) -> None:
    """With what discovery found beside it the site is sealed here, by this version; a sealed file from elsewhere is not taken."""
    discovery.store(stick / "site.discovery.json", standard_devices(changed_example(*FITTING)))
    (stick / "site.yaml").write_text(site_text(("user: bess-supervisor", f"user: {pwd.getpwuid(os.getuid()).pw_name}")))
    done = take(stick, tmp_path / "data", program(tmp_path, "bessctl", "-m bessctl"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data/site.sealed").read_bytes()[:8] == b"BESSEAL1"


def test_the_real_checks_refuse_and_name_the_line(stick: Path, tmp_path: Path) -> None:
    (stick / "site.yaml").write_text(site_text(("rt: required", "rt: certainly")))
    done = take(stick, tmp_path / "data", program(tmp_path, "bessctl", "-m bessctl"))
    assert done.returncode == 1
    assert "site.yaml:" in done.stderr
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ((), ""),
        ((("rt: required", "rt: preferred"),), "rt: required"),
        ((("user: bess-supervisor", "user: root"),), "bess-supervisor"),
        ((("rt: required", "cpu: 0\n  rt: required"),), "core 1"),
        ((("run_dir: /run/bessctl ", "run_dir: /tmp/bessctl "),), "/run/bessctl"),
        ((("state_dir: /var/lib/bessctl ", "state_dir: /srv/x "),), "/var/lib/bessctl"),
        ((("127.0.0.1, port: 5020", "pcs.example, port: 502"),), "IPv4"),
    ],
)
def test_what_the_units_decide_a_site_may_not_decide_otherwise(changes: tuple[tuple[str, str], ...], says: str) -> None:
    loaded = changed_example(*FITTING, *changes)
    found = [str(loaded.error(path, message)) for path, message in site_fit.findings(loaded, frozenset({1}))]
    assert len(found) == bool(says)
    assert all(says in finding and "site.yaml:" in finding for finding in found)


@pytest.mark.parametrize(("text", "expected"), [("", set()), ("1\n", {1}), ("1,3-5", {1, 3, 4, 5})])
def test_a_list_of_cores_is_read(text: str, expected: set[int]) -> None:
    assert site_fit.cores(text) == expected
