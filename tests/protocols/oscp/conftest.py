"""One certificate for the whole run: making keys costs more than most tests."""

from pathlib import Path

import pytest

from bessctl.sim.oscp_cp import Tls
from tests.protocols.oscp.certificates import issue


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return issue(Path(tmp_path_factory.mktemp("tls")), "loopback")
