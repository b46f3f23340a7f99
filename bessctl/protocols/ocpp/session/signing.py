"""One certificate of ours on its way: asked for, asked again while none comes (2.0.1 A02.FR.17-19: after CertSigningWaitMinimum, doubled
each time, CertSigningRepeatTimes times), taken, renewed 30 days before its end."""

from __future__ import annotations

from bessctl.protocols.ocpp.messages.records import SignCertificate
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.vault import Vault


class Signing:
    """Supervisor thread; no I/O beside the vault's. `kind`: ChargingStationCertificate or V2GCertificate."""

    def __init__(self, core: Core, vault: Vault, kind: str) -> None:
        self._core = core
        self._vault = vault
        self._kind = kind
        self._tries = 0
        self.again_ns: int | None = None

    def begin(self) -> None:
        """Ask for a new one, with a new key."""
        self._tries = 0
        self._ask()

    def over(self) -> None:
        """One came, or none will."""
        self.again_ns = None

    def renew(self) -> None:
        """Ask where ours is over soon and no other is on its way."""
        if self.again_ns is None and self._vault.expiring(self._kind):
            self.begin()

    def step(self) -> None:
        """Ask again where none came."""
        if self.again_ns is not None and self._core.now.mono_ns >= self.again_ns:
            self.again_ns = None
            if self._tries <= self._core.keys.number("CertSigningRepeatTimes"):
                self._ask()

    def _ask(self) -> None:
        core = self._core
        csr = self._vault.csr(core.link.charge_point_id, core.keys.text("CpoName"), self._kind)
        if not csr:
            return
        core.ask(SignCertificate(csr, self._kind), triggered=True)
        self.again_ns = core.now.mono_ns + core.keys.number("CertSigningWaitMinimum") * (1 << self._tries) * NS
        self._tries += 1
