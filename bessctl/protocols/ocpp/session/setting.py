"""What follows when a setting is changed, by ChangeConfiguration or SetVariables: kept on disk, and at work."""

from __future__ import annotations

from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.jobs import Password
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.network import PRIORITY, Network
from bessctl.protocols.ocpp.session.writes import PutKey

COUNTED_ANEW = {
    "MeterValueSampleInterval",
    "ClockAlignedDataInterval",
    "SampledDataCtrlr.TxEndedInterval",
    "AlignedDataCtrlr.TxEndedInterval",
}
AUTHORIZATION_KEY = "AuthorizationKey"
"""Comes as the hexadecimal digits that a file of `password_encoding: hex` holds."""
PASSWORDS = {AUTHORIZATION_KEY, "SecurityCtrlr.BasicAuthPassword"}


class Settings:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, metering: Metering, network: Network) -> None:
        self._core = core
        self._metering = metering
        self._network = network

    def changed(self, name: str, kept: str) -> bool:
        """Keep it and do what it asks for. False = it cannot be done, and the old value stands."""
        core = self._core
        if name in PASSWORDS:
            # The value is the credential: it goes to its file and nowhere else.
            core.keys.put(name, "")
            hexed = core.link.password_encoding == "hex" and name != AUTHORIZATION_KEY
            core.out.jobs.append(Password(0, kept.encode().hex() if hexed else kept))
            core.security("ReconfigurationOfSecurityParameters", name)
            return True
        if name == "SecurityProfile":
            return self._network.upgrade(int(kept))
        if name == PRIORITY and not self._network.prefer(kept):
            return False
        core.out.writes.append(PutKey(name, kept))
        if name in COUNTED_ANEW:
            self._metering.changed()
        return True
