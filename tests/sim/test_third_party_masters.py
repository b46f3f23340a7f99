"""Third-party masters read and write the simulated plant over real sockets: pysunspec2's client and mbpoll (CARD-6)."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
import sunspec2.modbus.client as sunspec

from bessctl_core.sim.server import PlantServer
from tests.sim.plants import M704, plant


@pytest.fixture
def server() -> Iterator[PlantServer]:
    with PlantServer([plant(pcs={"dead_time_s": 0, "lag_s": 0})]) as served:
        yield served


def test_pysunspec2_writes_a_set_point_and_reads_it_back(server: PlantServer) -> None:
    device = sunspec.SunSpecModbusClientDeviceTCP(1, "127.0.0.1", server.port, 2.0)
    device.scan()
    try:
        control = device.models[704][0]
        control.points["WSet"].cvalue = -42_000
        control.points["WSetMod"].cvalue = 1
        control.points["WSetEna"].cvalue = 1
        control.write()
        control.read()
        assert (control.points["WSet"].cvalue, control.points["WSetEna"].cvalue) == (-42_000, 1)
        assert server.plants[0].get()["wset_w"] == -42_000
    finally:
        device.close()


def mbpoll(server: PlantServer, *words: str) -> str:
    """Addresses as on the wire (-0), one poll."""
    command = ["mbpoll", "-m", "tcp", "-0", "-1", "-q", "-a", "1", "-p", str(server.port), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("mbpoll"), reason="Debian's mbpoll is not installed (make test does it)")
def test_mbpoll_reads_the_marker_and_writes_a_set_point(server: PlantServer) -> None:
    told = mbpoll(server, "-t", "4:hex", "-r", "40000", "-c", "2", "127.0.0.1")
    assert "0x5375" in told
    assert "0x6E53" in told
    mbpoll(server, "-t", "4", "-r", str(M704 + 22), "127.0.0.1", "1", "1", "0", "25000")
    assert server.plants[0].get()["wset_w"] == 25_000
    assert "25000" in mbpoll(server, "-t", "4", "-r", str(M704 + 25), "-c", "1", "127.0.0.1")
