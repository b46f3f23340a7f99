"""check_rt [--cpu N] [--root DIR] [-o table|json]: which of the board's promises of real time are in force on this machine.

A word on the kernel's command line is a wish: a kernel built without the option ignores it, and a typing error is no error. So what is
looked at is the effect, in /proc and /sys; where the kernel shows none (rcu_nocbs), the threads that do the work, else the word itself.

Reads only, with the standard library. What cannot be read is not in force, except what this hardware may not have (a frequency governor,
idle states).

Exit codes: 0 all in force, 1 something is not, 2 wrong command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

LOOP = b"bessctl_core/__main__.py"
SCHED_FIFO = 1
IDLE_LATENCY_US = 100
"""How long the core may take to wake: a tenth of the shortest period, 1 ms."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise. `found` is what stands there, empty = nothing to read."""

    name: str
    ok: bool
    found: str
    hint: str


@dataclass(slots=True)
class Machine:
    """/proc and /sys below a prefix, and the core that is the loop's."""

    root: Path
    cpu: int = 1
    words: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in self.text("proc/cmdline").split():
            name, _, value = word.partition("=")
            self.words[name] = value

    def text(self, path: str) -> str:
        """A file's content, stripped; empty when it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def folders(self, pattern: str) -> list[Path]:
        return sorted(self.root.glob(pattern))

    def fields(self, path: str) -> dict[str, str]:
        """`Name:   value` lines."""
        return {name: value.strip() for name, _, value in (line.partition(":") for line in self.text(path).splitlines())}

    def loop(self) -> str | None:
        """proc/PID of the running loop, below the prefix."""
        for place in self.folders("proc/[0-9]*/cmdline"):
            try:
                if LOOP in place.read_bytes():
                    return f"proc/{place.parent.name}"
            except OSError:
                continue
        return None


def cores(text: str) -> frozenset[int]:
    """A kernel's list of processors, `1,4-7`; words before the numbers (isolcpus=managed_irq,domain,1) are flags. Empty when it is none."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def mask(text: str) -> frozenset[int]:
    """A kernel's mask of processors, hexadecimal with commas."""
    try:
        bits = int(text.replace(",", "") or "0", 16)
    except ValueError:
        return frozenset()
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


# --- the promises: each yields findings ---------------------------------------------------------------------------------------------------


def kernel(m: Machine) -> Iterator[Finding]:
    version = m.text("proc/version")
    realtime = m.text("sys/kernel/realtime") == "1" or "PREEMPT_RT" in version
    yield Finding("PREEMPT_RT", realtime, version[:60], "boot a real-time kernel: Debian's linux-image-rt-arm64 or linux-image-rt-amd64")
    runtime = m.text("proc/sys/kernel/sched_rt_runtime_us")
    yield Finding("rt throttling off", runtime == "-1", runtime, "sysctl kernel.sched_rt_runtime_us=-1 (sysctl.d/60-bessctl.conf)")
    source = m.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    good = source in {"arch_sys_counter", "tsc", "kvm-clock"}
    yield Finding("clock source", good, source, "a slow clock costs microseconds a reading; look for `clocksource` in the kernel's log")


def isolation(m: Machine) -> Iterator[Finding]:
    for name, path in (("isolcpus", "isolated"), ("nohz_full", "nohz_full")):
        found = m.text(f"sys/devices/system/cpu/{path}")
        yield Finding(name, m.cpu in cores(found), found, f"kernel command line: {name}={m.cpu}{_asked(m, name)}")
    threads = any(m.text(f"proc/{place.parent.name}/comm") == f"rcuop/{m.cpu}" for place in m.folders("proc/[0-9]*/comm"))
    asked = m.cpu in cores(m.words.get("rcu_nocbs", ""))
    yield Finding("rcu_nocbs", threads or asked, m.words.get("rcu_nocbs", ""), f"kernel command line: rcu_nocbs={m.cpu}")
    others = m.fields("proc/1/status").get("Cpus_allowed_list", "")
    kept = bool(cores(others)) and m.cpu not in cores(others)
    yield Finding("other processes elsewhere", kept, others, "systemd: CPUAffinity= of the other cores in system.conf.d; then a reboot")


def _asked(m: Machine, name: str) -> str:
    return "" if name not in m.words else f"; {name}={m.words[name]} is there and has no effect: this kernel was built without it"


def interrupts(m: Machine) -> Iterator[Finding]:
    default = m.text("proc/irq/default_smp_affinity")
    away = bool(mask(default)) and m.cpu not in mask(default)
    yield Finding("irqaffinity", away, default, f"kernel command line: irqaffinity= of every core but {m.cpu}")
    here = []
    for place in m.folders("proc/irq/[0-9]*"):
        served = m.text(f"proc/irq/{place.name}/effective_affinity_list") or m.text(f"proc/irq/{place.name}/smp_affinity_list")
        if cores(served) == {m.cpu}:
            here.append(place.name)
    hint = "write the other cores to /proc/irq/N/smp_affinity_list; a core's own timer and PMU interrupts do not count"
    yield Finding("no interrupt bound to the core", not here, " ".join(here) or "none", hint)


def falling(m: Machine) -> Iterator[Finding]:
    """What restarts a machine that no longer works."""
    for name, value in (("panic", 10), ("panic_on_oops", 1)):
        found = m.text(f"proc/sys/kernel/{name}")
        yield Finding(name, found.isdigit() and int(found) > 0, found, f"sysctl kernel.{name}={value}")
    state, timeout = m.text("sys/class/watchdog/watchdog0/state"), m.text("sys/class/watchdog/watchdog0/timeout")
    hint = "systemd: RuntimeWatchdogSec=10 in system.conf.d; without /dev/watchdog0 its driver is missing"
    yield Finding("hardware watchdog", state == "active", f"{state} {timeout}".strip(), hint)
    soft = m.text("proc/sys/kernel/watchdog")
    quiet = soft == "0" or m.cpu not in cores(m.text("proc/sys/kernel/watchdog_cpumask"))
    yield Finding("lockup detector off the core", quiet, soft, "kernel command line: nowatchdog (the hardware watchdog does its work)")


def power(m: Machine) -> Iterator[Finding]:
    place = f"sys/devices/system/cpu/cpu{m.cpu}"
    governor = m.text(f"{place}/cpufreq/scaling_governor")
    hint = "kernel command line: cpufreq.default_governor=performance"
    yield Finding("governor", governor in {"", "performance"}, governor or "the clock is fixed", hint)
    slow = []
    for state in m.folders(f"{place}/cpuidle/state[0-9]*"):
        latency = m.text(f"{place}/cpuidle/{state.name}/latency")
        if m.text(f"{place}/cpuidle/{state.name}/disable") != "1" and latency.isdigit() and int(latency) > IDLE_LATENCY_US:
            slow.append(f"{m.text(f'{place}/cpuidle/{state.name}/name')} {latency} us")
    hint = "kernel command line: cpuidle.off=1, or write 1 to the state's disable"
    yield Finding("idle states", not slow, ", ".join(slow) or "quick", hint)


def memory(m: Machine) -> Iterator[Finding]:
    swaps = m.text("proc/swaps").splitlines()[1:]
    yield Finding("no swap", bool(m.text("proc/swaps")) and not swaps, " ".join(line.split()[0] for line in swaps) or "none", "swapoff -a")
    pages = m.text("sys/kernel/mm/transparent_hugepage/enabled")
    hint = "kernel command line: transparent_hugepage=never (the kernel moves memory about)"
    yield Finding("huge pages not by force", "[always]" not in pages, pages, hint)


def process(m: Machine) -> Iterator[Finding]:
    """The loop as it runs."""
    place = m.loop()
    if place is None:
        yield Finding("the loop runs", False, "", "systemctl status bess-loop.service; what follows can be seen with the loop running")
        return
    stat = m.text(f"{place}/stat").rpartition(")")[2].split()
    policy, priority = (stat[38], stat[37]) if len(stat) > 38 else ("", "")
    unit = "bess-loop.service"
    yield Finding("SCHED_FIFO", policy == str(SCHED_FIFO), f"policy {policy} priority {priority}", f"{unit}: LimitRTPRIO=98")
    status, limits = m.fields(f"{place}/status"), m.text(f"{place}/limits")
    allowed = status.get("Cpus_allowed_list", "")
    yield Finding("affinity", cores(allowed) == {m.cpu}, allowed, f"{unit}: CPUAffinity={m.cpu}; site: loop.cpu")
    rtprio, memlock = _limit(limits, "Max realtime priority"), _limit(limits, "Max locked memory")
    enough = rtprio == "unlimited" or (rtprio.isdigit() and priority.isdigit() and int(rtprio) >= max(int(priority), 1))
    yield Finding("LimitRTPRIO", enough, rtprio, f"{unit}: LimitRTPRIO=98")
    yield Finding("LimitMEMLOCK", memlock == "unlimited", memlock, f"{unit}: LimitMEMLOCK=infinity")
    locked = status.get("VmLck", "0 kB").split()[0]
    yield Finding("memory locked", locked.isdigit() and int(locked) > 0, f"{locked} kB", f"{unit}: LimitMEMLOCK=infinity")
    slack = m.text(f"{place}/timerslack_ns")
    yield Finding("timer slack", slack in {"0", "1"}, slack, "the loop sets it at its start; see its log")


def _limit(limits: str, name: str) -> str:
    """The soft limit of a line of /proc/PID/limits."""
    return next((line.removeprefix(name).split()[0] for line in limits.splitlines() if line.startswith(name)), "")


PROMISES: tuple[Callable[[Machine], Iterator[Finding]], ...] = (kernel, isolation, interrupts, falling, power, memory, process)


def findings(machine: Machine) -> list[Finding]:
    return [finding for promise in PROMISES for finding in promise(machine)]


def loop_cpu(root: Path) -> int:
    """The first core that the kernel keeps free; 1 where it keeps none."""
    return min(cores(Machine(root).text("sys/devices/system/cpu/isolated")), default=1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bessctl-check-rt", description="Which promises of real time are in force on this machine.")
    parser.add_argument("--cpu", type=int, help="the loop's core; default: the first isolated one, else 1")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where proc and sys are")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    given = parser.parse_args(arguments)
    machine = Machine(given.root, loop_cpu(given.root) if given.cpu is None else given.cpu)
    found = findings(machine)
    if given.output == "json":
        print(json.dumps({"cpu": machine.cpu, "ok": all(f.ok for f in found), "checks": [asdict(f) for f in found]}, indent=2))
    else:
        print(f"core {machine.cpu} is the loop's")
        for f in found:
            print(f"{'ok ' if f.ok else 'NO '} {f.name:30} {f.found or '-'}" + ("" if f.ok else f"\n      {f.hint}"))
    return 0 if all(f.ok for f in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
