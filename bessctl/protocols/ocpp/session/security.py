"""Certificates and security events of one link (whitepaper 2 and 3; 2.0.1 A01-A05, M03-M06).

- Certificates are the owner's business, and only over TLS: on a plain link every operation is refused.
- A certificate of our own: we ask (SignCertificate), the CSMS sends it (CertificateSigned), it is used from the next dialling on, which
  follows at once. No answer: asked again after CertSigningWaitMinimum, doubled each time, CertSigningRepeatTimes times (A02.FR.17-19).
- What could not be used is refused and told as a security event.
- Events of TLS (a wrong version, a weak suite, a bad certificate of the CSMS) are told after the next good connection, each kind once
  until then: a CSMS that is away for a day must not be met with ten thousand of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import CertificateSigned, InstallCertificate
from bessctl.protocols.ocpp.messages.device import CertificateHash
from bessctl.protocols.ocpp.messages.records import Judged, SignCertificate
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.vault import Vault

WAIT_S = 30
REPEATS = 3
DAY_S = 86_400
MAX_CHAIN = 10_000
OURS = "ChargingStationCertificate"
# 1.6's names of events that 2.0.1 renamed.
NAMES_16 = {
    "InvalidCsmsCertificate": "InvalidCentralSystemCertificate",
    "InvalidChargingStationCertificate": "InvalidChargePointCertificate",
}


class Security:
    """Supervisor thread; no I/O beside the vault's."""

    def __init__(self, core: Core, vault: Vault) -> None:
        self._core = core
        self._vault = vault
        self._told: set[str] = set()
        self._tries = 0
        self._again_ns: int | None = None
        self._look_ns = 0

    def count(self) -> int:
        """Certificates kept."""
        return len(self._vault.installed(()))

    def event(self, kind: str, info: str) -> None:
        """Something of TLS failed while dialling; told once until a good connection."""
        if kind not in self._told:
            self._told.add(kind)
            self._core.security(self._name(kind), info)

    def good(self) -> None:
        """A connection stands."""
        self._told.clear()

    def ask_for_certificate(self) -> str:
        """Trigger SignChargingStationCertificate, or our own wish; returns the answer's status."""
        if self._forbidden() is not None:
            return "Rejected"
        self._tries = 0
        self._ask()
        return "Accepted"

    def judged(self, reply: Judged) -> None:
        """The CSMS's word on the request."""
        if reply.status != "Accepted":
            self._again_ns = None
            self._core.audit("certificate", "the CSMS does not sign our certificate", None, 30)

    def signed(self, wish: CertificateSigned) -> tuple[str, str]:
        """CertificateSigned: status and why."""
        core = self._core
        why = self._forbidden()
        if why is None and (wish.kind != OURS or len(wish.chain) > MAX_CHAIN):
            why = "only the station's own certificate is taken" if wish.kind != OURS else "the chain is too long"
        if why is None:
            why = self._vault.accept(wish.chain, core.link.charge_point_id)
            if why is not None:
                core.security(self._name("InvalidChargingStationCertificate"), why)
        if why is not None:
            return "Failed", why
        self._again_ns = None
        core.audit("certificate", "a new certificate of the station is in use")
        core.out.redial = "a new certificate"
        return "Accepted", ""

    def install(self, wish: InstallCertificate) -> tuple[str, str]:
        """InstallCertificate: status and why."""
        why = self._forbidden()
        if why is not None:
            return "Rejected", why
        status, why = self._vault.install(wish.kind, wish.certificate)
        self._core.audit("certificate", f"install {wish.kind}: {status} {why}".rstrip())
        return status, why

    def installed(self, kinds: Sequence[str]) -> tuple[tuple[str, CertificateHash], ...]:
        """GetInstalledCertificateIds."""
        return tuple(self._vault.installed(kinds))

    def delete(self, wanted: CertificateHash) -> str:
        """DeleteCertificate."""
        if self._forbidden() is not None:
            return "Failed"
        status = self._vault.delete(wanted)
        self._core.audit("certificate", f"delete: {status}")
        return status

    def firmware_signer(self, pem: str) -> str | None:
        """Why firmware signed by it cannot be taken."""
        return self._vault.firmware_signer(pem)

    def step(self) -> None:
        """Ask again where no certificate came; once a day, ask for one where ours is over soon."""
        core = self._core
        if core.registration.accepted and core.now.mono_ns >= self._look_ns:
            self._look_ns = core.now.mono_ns + DAY_S * NS
            if self._forbidden() is None and self._again_ns is None and self._vault.expiring():
                self._tries = 0
                self._ask()
        if self._again_ns is not None and self._core.now.mono_ns >= self._again_ns:
            self._again_ns = None
            if self._tries <= REPEATS:
                self._ask()

    def wake_ns(self) -> int | None:
        """When to ask again."""
        return self._again_ns

    def _ask(self) -> None:
        core = self._core
        csr = self._vault.csr(core.link.charge_point_id, core.keys.text("CpoName"))
        if not csr:
            return
        core.ask(SignCertificate(csr), triggered=True)
        self._again_ns = core.now.mono_ns + WAIT_S * (1 << self._tries) * NS
        self._tries += 1

    def _forbidden(self) -> str | None:
        link = self._core.link
        if not link.url.startswith("wss://"):
            return "certificates are not handled over a plain link"
        return None if link.role is Role.OWNER else "the CSMS is not the owner"

    def _name(self, kind: str) -> str:
        return NAMES_16.get(kind, kind) if self._core.traits.version == "1.6" else kind
