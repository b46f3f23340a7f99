"""What check_rt says of a machine follows from its /proc and /sys, and each promise that is broken is named with its remedy (CARD-4)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from board.files.usr.lib.bessctl.board import check_rt

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max locked memory         unlimited            unlimited            bytes
Max realtime priority     98                   98
"""
STAT = "412 (python3.13) S 1 412 412 0 -1 4194560 " + "0 " * 28 + "17 1 80 1 0 0 0"
GOOD = {
    "proc/cmdline": "console=ttyAMA0 ro isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0 panic=10\n",
    "proc/version": "Linux version 6.12.94+deb13-rt-arm64 (debian-kernel) #1 SMP PREEMPT_RT Debian 6.12.94-1\n",
    "sys/kernel/realtime": "1\n",
    "proc/sys/kernel/sched_rt_runtime_us": "-1\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "arch_sys_counter\n",
    "sys/devices/system/cpu/isolated": "1\n",
    "sys/devices/system/cpu/nohz_full": "1\n",
    "proc/1/status": "Name:\tsystemd\nCpus_allowed_list:\t0\n",
    "proc/1/cmdline": "/sbin/init\0",
    "proc/24/comm": "rcuop/1\n",
    "proc/24/cmdline": "",
    "proc/irq/default_smp_affinity": "1\n",
    "proc/irq/34/effective_affinity_list": "0\n",
    "proc/irq/11/effective_affinity_list": "0-1\n",
    "proc/sys/kernel/panic": "10\n",
    "proc/sys/kernel/panic_on_oops": "1\n",
    "sys/class/watchdog/watchdog0/state": "active\n",
    "sys/class/watchdog/watchdog0/timeout": "10\n",
    "proc/sys/kernel/watchdog": "0\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu1/cpuidle/state0/name": "WFI\n",
    "sys/devices/system/cpu/cpu1/cpuidle/state0/latency": "1\n",
    "sys/devices/system/cpu/cpu1/cpuidle/state0/disable": "0\n",
    "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "proc/412/cmdline": "/usr/bin/python3.13\0-I\0-S\0/usr/lib/bessctl/bessctl_core/__main__.py\0/data/bessctl/site.sealed\0",
    "proc/412/stat": STAT + "\n",
    "proc/412/status": "Name:\tpython3.13\nVmLck:\t   21512 kB\nCpus_allowed_list:\t1\n",
    "proc/412/limits": LIMITS,
    "proc/412/timerslack_ns": "0\n",
}


def tree(root: Path, **changes: str | None) -> Path:
    """A machine on which all is in force, with changes by path (`/` as `__`); None = no such file."""
    for path, text in {**GOOD, **{path.replace("__", "/"): text for path, text in changes.items()}}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root


def broken(root: Path, cpu: int = 1) -> dict[str, check_rt.Finding]:
    return {finding.name: finding for finding in check_rt.findings(check_rt.Machine(root, cpu)) if not finding.ok}


def test_a_board_as_it_should_be(tmp_path: Path) -> None:
    assert broken(tree(tmp_path)) == {}
    assert check_rt.main(["--root", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("path", "text", "name", "hint"),
    [
        ("sys/kernel/realtime", "0\n", "", ""),  # the version says it too
        ("proc/version", "Linux version 6.12 SMP PREEMPT_DYNAMIC", "", ""),  # and /sys alone is enough
        ("proc/sys/kernel/sched_rt_runtime_us", "950000\n", "rt throttling off", "sysctl"),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock source", "microseconds"),
        ("sys/devices/system/cpu/isolated", "\n", "isolcpus", "has no effect"),
        ("sys/devices/system/cpu/isolated", "2-3\n", "isolcpus", "isolcpus=1"),
        ("sys/devices/system/cpu/nohz_full", "(null)\n", "nohz_full", "nohz_full=1"),
        ("proc/1/status", "Cpus_allowed_list:\t0-1\n", "other processes elsewhere", "CPUAffinity"),
        ("proc/irq/default_smp_affinity", "3\n", "irqaffinity", "irqaffinity="),
        ("proc/irq/34/effective_affinity_list", "1\n", "no interrupt bound to the core", "smp_affinity"),
        ("proc/sys/kernel/panic", "0\n", "panic", "kernel.panic=10"),
        ("proc/sys/kernel/panic_on_oops", "0\n", "panic_on_oops", "sysctl"),
        ("sys/class/watchdog/watchdog0/state", "inactive\n", "hardware watchdog", "RuntimeWatchdogSec"),
        ("sys/class/watchdog/watchdog0/state", None, "hardware watchdog", "RuntimeWatchdogSec"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "ondemand\n", "governor", "performance"),
        ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", None, "", ""),  # a clock that never changes
        ("sys/devices/system/cpu/cpu1/cpuidle/state0/latency", "500\n", "idle states", "cpuidle"),
        ("proc/swaps", "Filename\n/dev/sda2 partition 1 0 -2\n", "no swap", "swapoff"),
        ("proc/swaps", None, "no swap", "swapoff"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n", "huge pages not by force", "never"),
        ("proc/412/status", "VmLck:\t0 kB\nCpus_allowed_list:\t1\n", "memory locked", "LimitMEMLOCK"),
        ("proc/412/status", "VmLck:\t9 kB\nCpus_allowed_list:\t0-1\n", "affinity", "CPUAffinity=1"),
        ("proc/412/limits", LIMITS.replace("98  ", "10  ", 1), "LimitRTPRIO", "LimitRTPRIO=98"),
        ("proc/412/limits", LIMITS.replace("unlimited", "8388608  "), "LimitMEMLOCK", "infinity"),
        ("proc/412/stat", STAT.replace("80 1 0", "0 0 0"), "SCHED_FIFO", "LimitRTPRIO"),
        ("proc/412/timerslack_ns", "50000\n", "timer slack", "log"),
        ("proc/412/cmdline", "bash\0", "the loop runs", "bess-loop.service"),
    ],
)  # fmt: skip
def test_each_promise_that_is_broken_is_named_with_its_remedy(tmp_path: Path, path: str, text: str | None, name: str, hint: str) -> None:
    found = broken(tree(tmp_path, **{path.replace("/", "__"): text}))
    assert list(found) == ([name] if name else [])
    assert not name or hint in found[name].hint


def test_without_a_real_time_kernel_it_is_said(tmp_path: Path) -> None:
    changes = {"sys__kernel__realtime": None, "proc__version": "Linux version 6.12 SMP PREEMPT_DYNAMIC"}
    assert list(broken(tree(tmp_path, **changes))) == ["PREEMPT_RT"]


def test_rcu_callbacks_are_off_by_their_threads_or_by_the_word(tmp_path: Path) -> None:
    without = GOOD["proc/cmdline"].replace("rcu_nocbs=1 ", "")
    assert broken(tree(tmp_path / "a", proc__cmdline=without)) == {}
    assert list(broken(tree(tmp_path / "b", proc__cmdline=without, proc__24__comm="kthreadd\n"))) == ["rcu_nocbs"]


def test_of_a_machine_of_which_nothing_can_be_read_nothing_is_in_force(tmp_path: Path) -> None:
    """Missing = violation; only what hardware may lack (governor, idle states) or what has no owner (interrupts, huge pages) passes."""
    passed = [finding.name for finding in check_rt.findings(check_rt.Machine(tmp_path)) if finding.ok]
    lacking = ["no interrupt bound to the core", "lockup detector off the core", "governor", "idle states", "huge pages not by force"]
    assert passed == lacking


def test_it_speaks_json_and_fails_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path, proc__sys__kernel__panic="0\n")
    assert check_rt.main(["--root", str(tmp_path), "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["cpu"]) == (False, 1)
    assert [check["name"] for check in told["checks"] if not check["ok"]] == ["panic"]


def test_another_core_is_asked_for_by_name(tmp_path: Path) -> None:
    assert "isolcpus" in broken(tree(tmp_path), cpu=3)
    assert check_rt.main(["--root", str(tmp_path), "--cpu", "3"]) == 1


def test_it_runs_by_itself_on_any_python(tmp_path: Path) -> None:
    """On a vendor's controller, before anything of bessctl is installed: standard library alone."""
    program = Path(__file__).resolve().parents[2] / "board/check_rt.py"
    done = subprocess.run([sys.executable, "-I", "-S", program, "--root", tree(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
