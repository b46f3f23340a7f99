"""CARD-4: a board that was flashed starts by itself, with a key and an identity of its own, and is closed to everybody else."""

from __future__ import annotations

import re
import socket

import pytest

from tests.board.vm.machine import Vm
from tests.board.vm.rig import HOST

UNITS = (
    "bess-identity",
    "bess-site",
    "bess-field-lan",
    "bess-loop",
    "bess-supervisor",
    "nftables",
    "systemd-networkd",
    "chrony",
)


def prop(vm: Vm, unit: str, name: str) -> str:
    return vm.ask(f"systemctl show --value -p {name} {unit}")


def pid(vm: Vm, unit: str) -> str:
    return prop(vm, unit, "MainPID")


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_controller_needs_runs(vm: Vm, unit: str) -> None:
    code, said = vm.run(f"systemctl is-active {unit}.service || journalctl -b -u {unit} -o cat --no-pager | tail -30")
    assert said == "active", (code, said)


def test_the_slot_is_confirmed(vm: Vm) -> None:
    """By a unit that ends when it has seen loop and supervisor run for long enough."""
    vm.until("systemctl show -p SubState --value bess-mark-good | grep -qx dead", within_s=900)
    assert prop(vm, "bess-mark-good", "Result") == "success"
    assert vm.ask("fw_printenv BOOT_A_LEFT") == "BOOT_A_LEFT=3"


def test_nothing_failed(vm: Vm) -> None:
    assert vm.ask("systemctl --failed --no-legend --plain") == ""


def test_it_runs_the_real_time_kernel_with_the_loops_core_to_itself(vm: Vm) -> None:
    assert vm.ask("cat /sys/kernel/realtime") == "1"
    assert vm.ask("cat /sys/devices/system/cpu/isolated") == "1"
    assert "nohz_full=1" in vm.ask("cat /proc/cmdline")
    assert vm.ask("cat /sys/devices/system/cpu/nohz_full") == "1"


def test_the_device_made_its_own_keys_and_machine_id(vm: Vm) -> None:
    for name in ("ocpp.key", "oscp.key", "sep2.key", "ocpp.password"):
        assert vm.ask(f"stat -c %U:%a /data/bessctl/secrets/{name}") == "bess-supervisor:600"
    assert re.fullmatch(r"bess-[0-9a-f]{16}", vm.ask("cat /data/bessctl/secrets/device.id"))
    assert re.fullmatch(r"[0-9a-f]{32}", vm.ask("cat /etc/machine-id"))
    assert vm.ask("cmp /etc/machine-id /data/machine-id && echo same") == "same"


def test_nobody_has_a_password_and_no_console_asks_for_one(vm: Vm) -> None:
    assert vm.ask("cut -d: -f2 /etc/shadow | sort -u") == "!*"
    assert vm.run("systemctl list-units --no-legend 'getty@*' 'serial-getty@*' 'ssh*' | grep .")[0] == 1
    assert prop(vm, "bess-console", "ConditionResult") == "no"


def test_the_root_cannot_be_written_and_data_can(vm: Vm) -> None:
    assert vm.ask("findmnt -no FSTYPE /") == "squashfs"
    for place in ("/usr/x", "/etc/x", "/x"):
        assert vm.run(f"touch {place}")[0] != 0, place
    assert vm.ask("findmnt -no FSTYPE /data") == "ext4"
    assert vm.ask("touch /data/x && rm /data/x && echo done") == "done"


def test_the_log_is_in_ram_with_a_bound(vm: Vm) -> None:
    assert vm.run("ls /var/log/journal")[0] != 0
    assert vm.ask("ls /run/log/journal") != ""
    assert "RuntimeMaxUse=32M" in vm.ask("systemd-analyze cat-config systemd/journald.conf")


def test_the_hardware_watchdog_is_armed_by_systemd(vm: Vm) -> None:
    assert vm.ask("cat /sys/class/watchdog/watchdog0/state") == "active"
    assert "6300" in vm.ask("cat /sys/class/watchdog/watchdog0/identity")
    assert prop(vm, "", "RuntimeWatchdogUSec") == "1min"
    assert vm.ask("readlink /proc/1/fd/* | grep watchdog") == "/dev/watchdog0"


# --- the loop -----------------------------------------------------------------------------------------------------------------------------


def test_the_loop_is_in_real_time_on_its_core_with_its_memory_locked(vm: Vm) -> None:
    loop = pid(vm, "bess-loop")
    assert "SCHED_FIFO" in vm.ask(f"chrt -p {loop}")
    assert vm.ask(f"grep Cpus_allowed_list /proc/{loop}/status").split() == ["Cpus_allowed_list:", "1"]
    locked = int(vm.ask(f"grep VmLck /proc/{loop}/status").split()[1])
    assert locked > 4000, "kB"
    assert vm.ask(f"grep Cpus_allowed_list /proc/{pid(vm, 'bess-supervisor')}/status").split()[1] == "0"


def test_the_loop_listens_on_no_tcp_port_and_reaches_its_devices_alone(vm: Vm) -> None:
    loop = pid(vm, "bess-loop")
    assert vm.run(f"ss -ltnupH | grep 'pid={loop},'")[0] == 1
    assert prop(vm, "bess-loop", "IPAddressAllow").split() == [f"{HOST}/32"]
    assert prop(vm, "bess-loop", "RestrictAddressFamilies").split() == ["AF_INET", "AF_UNIX"]


@pytest.mark.parametrize("unit", ["bess-loop", "bess-supervisor"])
def test_the_units_are_shut_in(vm: Vm, unit: str) -> None:
    """systemd-analyze security: exposure below 2.0."""
    said = vm.ask(f"systemd-analyze security --no-pager {unit}.service | tail -1")
    level = re.search(r"(\d+\.\d+)", said)
    assert level is not None, said
    assert float(level[1]) < 2.0, said


def test_the_field_lan_is_apart_from_the_uplink(vm: Vm) -> None:
    """Its address is static and no network daemon's business; nothing comes in by it, nothing is passed on."""
    assert vm.ask("networkctl --no-legend list enp0s5 | grep -o unmanaged") == "unmanaged"
    assert vm.ask("ip -4 -o address show dev enp0s5 | grep -o 10.0.2.15/24") == "10.0.2.15/24"
    assert "enp0s5" in vm.ask("nft list set inet bessctl field")
    assert vm.ask("cat /proc/sys/net/ipv4/ip_forward") == "0"


# --- the firewall -------------------------------------------------------------------------------------------------------------------------


def answered(vm: Vm) -> bool:
    """Does something behind the board's port 8080 answer?"""
    try:
        with socket.create_connection(("127.0.0.1", vm.outer_port), 20) as link:
            link.settimeout(20)
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(link.recv(1))
    except OSError:
        return False


def test_only_configured_listeners_are_reached(vm: Vm) -> None:
    assert "policy drop" in vm.ask("nft list chain inet bessctl input")
    vm.ask("systemd-run -q --unit=probe python3.13 -m http.server -d /usr/share/licences 8080")
    vm.until("ss -ltnH | grep -q :8080")
    vm.until("ip -4 -o address show dev enp0s6 | grep -q 10.0.3.")
    assert not answered(vm), "nothing is open that was not configured"
    vm.ask("nft add element inet bessctl listeners '{ 8080 }'")
    assert answered(vm), "what is configured is open"
    vm.ask("nft delete element inet bessctl listeners '{ 8080 }'; systemctl stop probe")
