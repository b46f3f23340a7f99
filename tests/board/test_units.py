"""The units as systemd reads them: what they name is there, exposure below 2.0, order and limits as in the design (CARD-4)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from board.files.usr.lib.bessctl.board.addresses import drop_in
from board.image.root import MASKED

FILES = Path(__file__).resolve().parents[2] / "board/files"
SYSTEM = FILES / "usr/lib/systemd/system"
UNITS = sorted([*SYSTEM.glob("*.service"), *SYSTEM.glob("*.path")])
NEWER = ("'RestartSteps'", "'RestartMaxDelaySec'", "boolean value, ignoring: identity")
"""Keys and words that the board's systemd (257) has and Debian 12's (252) has not."""
NOT_OURS = ("usr/bin/python3.13", "usr/sbin/agetty")
"""Programs that the units call and packages bring."""

analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here; make test installs it")


def keys(unit: str) -> dict[str, list[str]]:
    """Every value of every key of a unit, in order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEM / unit).read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board's files, with the programs and targets of other packages that they name."""
    place = tmp_path_factory.mktemp("root")
    shutil.copytree(FILES, place, dirs_exist_ok=True)
    for name in NOT_OURS:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        shutil.copyfile(target, place / "usr/lib/systemd/system" / target.name)
    return place


@analyze
def test_systemd_finds_nothing_wrong_in_any_unit(root: Path) -> None:
    """Unknown keys, programs that are not there, circles in the order."""
    named = [unit.name.replace("@.", "@sda1.") for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", *named], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not any(word in line for word in NEWER)]
    assert said == []


def test_no_unit_needs_what_the_image_leaves_out() -> None:
    """The kernel words load no BPF security module (RestrictFileSystems= would have no effect), and masked units cannot be waited for."""
    words = set(re.split(r"[\s=,]+", "\n".join(unit.read_text() for unit in UNITS)))
    assert "RestrictFileSystems" not in words
    assert words.isdisjoint(MASKED)


def exposure(unit: Path, place: Path) -> float:
    """As `systemd-analyze security` says it of the unit with the allow list that bess-site.service writes at each start.

    The board's systemd rates PrivateUsers=identity as it rates yes. One older than 257 does not know the word, so yes is written here.
    """
    there = place / unit.name
    allowed = drop_in(["192.168.10.20", "192.168.10.21"], 961) if unit.name == "bess-loop.service" else ""
    there.write_text(unit.read_text().replace("PrivateUsers=identity", "PrivateUsers=yes") + allowed)
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", str(there)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    level = re.search(r"Overall exposure level .*: (\d+\.\d)", said)
    assert level is not None, said
    return float(level[1])


@analyze
@pytest.mark.parametrize("unit", ["bess-loop.service", "bess-supervisor.service"])
def test_the_exposure_of_both_processes_is_below_2(unit: str, tmp_path: Path) -> None:
    """With a margin, since each systemd counts a little otherwise."""
    assert exposure(SYSTEM / unit, tmp_path) < 1.9


def test_what_the_loop_may_open_belongs_to_its_own_group() -> None:
    """Its account is in no other group: the udev rules give it what its unit allows, class by class."""
    assert "SupplementaryGroups" not in keys("bess-loop.service")
    rules = (FILES / "usr/lib/udev/rules.d/65-bessctl.rules").read_text()
    ours = "\n".join(line for line in rules.splitlines() if 'GROUP="bess-loop"' in line)
    names = set(re.findall(r"\w+(?=\[0-9]\*)|virtio-ports", ours))
    allowed = {value.removesuffix(" rw").removeprefix("char-").removesuffix("dev") for value in keys("bess-loop.service")["DeviceAllow"]}
    assert names == allowed


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("Type", ["notify"]),
        ("Restart", ["always"]),
        ("WatchdogSec", ["1"]),
        ("CPUAffinity", ["1"]),
        ("LimitRTPRIO", ["98"]),  # the highest that a site may ask for
        ("LimitMEMLOCK", ["infinity"]),
        ("RestrictAddressFamilies", ["AF_UNIX AF_INET"]),
        ("IPAddressDeny", ["any"]),
        ("SocketBindDeny", ["any"]),
        ("CapabilityBoundingSet", [""]),
        ("NoNewPrivileges", ["yes"]),
        ("ProtectSystem", ["strict"]),
        ("User", ["bess-loop"]),
    ],
)
def test_the_loop_has_its_priority_its_devices_and_nothing_else(key: str, values: list[str]) -> None:
    assert keys("bess-loop.service")[key] == values


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("User", ["bess-supervisor"]),
        ("NoNewPrivileges", ["yes"]),
        ("ProtectSystem", ["strict"]),
        ("CapabilityBoundingSet", [""]),
        ("AmbientCapabilities", [""]),
        ("RestrictRealtime", ["yes"]),
        ("MemoryMax", ["256M"]),
        ("TasksMax", ["64"]),
    ],
)
def test_the_supervisor_has_its_own_user_and_bounds(key: str, values: list[str]) -> None:
    assert keys("bess-supervisor.service")[key] == values


def test_the_loop_can_ask_whether_the_clock_is_held() -> None:
    """R8: adjtimex(2) is clock_adjtime underneath, and ProtectClock=yes would refuse it: the clock would never be trusted."""
    loop = keys("bess-loop.service")
    assert "ProtectClock" not in loop
    assert "clock_adjtime" in loop["SystemCallFilter"][-1].split()


@pytest.mark.parametrize("unit", ["bess-loop.service", "bess-supervisor.service"])
def test_both_processes_can_read_the_boots_id(unit: str) -> None:
    """/proc/sys/kernel/random/boot_id: plans hold for one boot alone."""
    assert "ProcSubset" not in keys(unit)


def test_the_loop_may_ask_for_real_time() -> None:
    """Later lines rule: @resources is taken away, then what the loop needs of it is given back."""
    *_, denied, given = keys("bess-loop.service")["SystemCallFilter"]
    assert denied.startswith("~")
    assert {"sched_setscheduler", "sched_setaffinity"} <= set(given.split())
    assert "RestrictRealtime" not in keys("bess-loop.service")


def test_the_field_lan_is_up_before_the_loop_and_the_loop_before_the_uplink() -> None:
    """systemd-networkd, and every other network daemon, comes after network-pre.target (systemd.special(7))."""
    assert "bess-loop.service" in keys("bess-field-lan.service")["Before"][0].split()
    assert "bess-field-lan.service" in keys("bess-loop.service")["After"][0].split()
    for unit in ("bess-field-lan.service", "bess-loop.service"):
        assert "network-pre.target" in keys(unit)["Before"][0].split()
        assert "network-pre.target" in keys(unit)["Wants"][0].split() or unit != "bess-loop.service"


def test_nobody_waits_for_the_identity_but_the_supervisor() -> None:
    """Without keys no protocol speaks; the battery is protected all the same."""
    assert not any("bess-identity" in value for values in keys("bess-loop.service").values() for value in values)


def test_every_program_and_unit_that_a_unit_names_is_there() -> None:
    ours = {path.name for path in UNITS}
    for unit in UNITS:
        for program in re.findall(r"^Exec\w+=[-@!+]*(/usr/lib/bessctl/board/\S+|/usr/bin/bess\S+)", unit.read_text(), re.M):
            assert (FILES / program.lstrip("/")).exists(), f"{unit.name}: {program}"
        assert set(re.findall(r"\bbess-[\w-]+\.service\b", unit.read_text())) <= ours, unit.name


def test_every_unit_that_is_enabled_is_there_and_can_be() -> None:
    preset = (FILES / "usr/lib/systemd/system-preset/10-bessctl.preset").read_text()
    enabled = set(re.findall(r"^enable (bess-\S+)", preset, re.M))
    installable = {unit.name for unit in UNITS if "[Install]" in unit.read_text()}
    assert enabled == installable
    assert preset.splitlines()[-1] == "disable *"


def test_the_two_processes_share_a_folder_in_which_neither_takes_the_others_sockets_away() -> None:
    tmpfiles = (FILES / "usr/lib/tmpfiles.d/bessctl.conf").read_text()
    assert re.search(r"^d /run/bessctl 1775 bess-loop bess-supervisor -$", tmpfiles, re.M)
    for unit in ("bess-loop.service", "bess-supervisor.service"):
        assert "/run/bessctl" in keys(unit)["ReadWritePaths"][0].split()
        assert "RuntimeDirectory" not in keys(unit), "it would give the folder to one of them at every start"


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not here")
def test_nobody_has_a_password_or_a_shell(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", FILES / "usr/lib/sysusers.d/bessctl.conf"], check=True, capture_output=True)
    passwd = dict(line.split(":", 1) for line in (tmp_path / "etc/passwd").read_text().splitlines())
    assert {"bess-loop", "bess-supervisor"} <= set(passwd)
    assert all(entry.endswith("nologin") for entry in passwd.values())
    shadow = [line.split(":")[1] for line in (tmp_path / "etc/shadow").read_text().splitlines()]
    assert all(word.startswith("!") for word in shadow)


def test_the_journal_lives_in_ram_within_a_bound() -> None:
    text = (FILES / "usr/lib/systemd/journald.conf.d/10-bessctl.conf").read_text()
    assert "Storage=volatile" in text
    assert re.search(r"^RuntimeMaxUse=\d+M$", text, re.M)


def test_the_clock_serves_nobody_and_steps_only_at_the_start() -> None:
    text = (FILES / "etc/chrony/chrony.conf").read_text()
    assert re.search(r"^port 0$", text, re.M)
    assert re.search(r"^cmdport 0$", text, re.M)
    assert re.search(r"^makestep \S+ 3$", text, re.M)
    assert re.search(r"^sourcedir /data/bessctl/chrony$", text, re.M)


def test_every_setting_of_the_kernel_is_one_it_has() -> None:
    text = (FILES / "usr/lib/sysctl.d/60-bessctl.conf").read_text()
    named = re.findall(r"^([\w.]+) = (\S+)$", text, re.M)
    assert ("kernel.sched_rt_runtime_us", "-1") in named
    # Some are hidden where a container runs; what is there must be spelt right.
    missing = [name for name, _ in named if not (Path("/proc/sys") / name.replace(".", "/")).exists()]
    assert [name for name in missing if not name.startswith(("net.", "kernel.hung_task"))] == []
