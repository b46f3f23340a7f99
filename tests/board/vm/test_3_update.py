"""CARD-4, OCPP-7: a bundle from inside, by the very command that OCPP's UpdateFirmware calls; and every bundle that must be refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.board.vm.bundles import SECOND
from tests.board.vm.machine import Vm
from tests.board.vm.test_2_plant import RUN, until_mode

SHELF = "/run/shelf"
AS_SUPERVISOR = "setpriv --reuid bess-supervisor --regid bess-supervisor --clear-groups"
INSTALL_S = 1200.0


@pytest.fixture(scope="module", autouse=True)
def settled(vm: Vm) -> None:
    """The first start is confirmed, and the plant runs."""
    vm.until("systemctl show -p SubState --value bess-mark-good | grep -qx dead", within_s=900)
    until_mode(vm, RUN)


def update(vm: Vm) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vm.ask("bessctl-update status"))
    return found


def boot_order(vm: Vm) -> str:
    return vm.ask("fw_printenv BOOT_ORDER")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unsigned", "signature"),
        ("stranger", "signature|certificate|verif"),
        ("old", "0.0.1 is older than"),
        ("wrong-board", "bessctl-toaster"),
    ],
)
def test_a_bundle_is_refused_before_anything_is_touched(vm: Vm, name: str, why: str) -> None:
    before = boot_order(vm)
    code, said = vm.run(f"{AS_SUPERVISOR} bessctl-update install {SHELF}/{name}.raucb", INSTALL_S)
    assert code == 1, said
    assert update(vm)["phase"] == "failed"
    assert update(vm)["stopped"] is False
    assert re.search(why, said.splitlines()[-1], re.IGNORECASE), said
    assert boot_order(vm) == before
    assert vm.run("journalctl -b -u bess-update -o cat | grep standby")[0] == 1, "the plant was not even stopped"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("unsigned", "signature"),
        ("stranger", "signature|certificate|verif"),
        ("old", r"0\.0\.1"),
        ("wrong-board", "compatible"),
    ],
)
def test_rauc_itself_refuses_them_too(vm: Vm, name: str, why: str) -> None:
    """Root at the shell gets no further than the supervisor."""
    before = boot_order(vm)
    code, said = vm.run(f"rauc install {SHELF}/{name}.raucb", INSTALL_S)
    assert code != 0, said
    assert re.search(why, said, re.IGNORECASE), said
    assert boot_order(vm) == before


def test_only_root_reaches_rauc(vm: Vm) -> None:
    code, said = vm.run(f"{AS_SUPERVISOR} rauc install {SHELF}/good.raucb", INSTALL_S)
    assert code != 0, said
    assert "denied" in said.lower() or "rejected" in said.lower() or "not allowed" in said.lower(), said


def test_a_tampered_bundle_is_found_out_as_it_is_read_and_the_old_system_stays(vm: Vm) -> None:
    """Its signature is good; one bit of its payload is not what was signed."""
    until_mode(vm, RUN)
    code, said = vm.run(f"{AS_SUPERVISOR} bessctl-update install {SHELF}/tampered.raucb", INSTALL_S)
    assert code == 1, said
    assert update(vm)["phase"] == "failed"
    assert vm.ask("rauc status --output-format=json | tr ',' '\n' | grep -c '\"boot_primary\":\"rootfs.0\"'") == "1"
    until_mode(vm, RUN)


def test_a_good_bundle_is_installed_tried_proved_and_confirmed(vm: Vm) -> None:
    """The plant is in standby and says so from before the writing until the new system has proved itself."""
    until_mode(vm, RUN)
    here = len(vm.said())
    vm.ask(f"{AS_SUPERVISOR} bessctl-update install {SHELF}/good.raucb", INSTALL_S)
    assert update(vm) | {"request": ""} == {
        "phase": "restarting", "request": "", "version": SECOND, "running": "A", "target": "B", "stopped": True, "why": "",
    }  # fmt: skip
    assert "the plant is in standby until the new system is proved" in vm.ask("journalctl -b -u bess-update -o cat --no-pager")
    vm.wait_console("slot B", after=here, within_s=900)
    vm.wait_shell()
    vm.shelf()
    assert vm.ask("tr ' ' '\n' </proc/cmdline | grep rauc.slot") == "rauc.slot=B"
    vm.until("bessctl-update status | grep -q good", within_s=1500)
    assert vm.ask(f"{AS_SUPERVISOR} bessctl-update outcome && echo installed") == "installed"
    until_mode(vm, RUN)
    assert f'"version":"{SECOND}"' in vm.ask("rauc status --detailed --output-format=json")
    assert vm.ask("fw_printenv BOOT_ORDER") == "BOOT_ORDER=B A"
