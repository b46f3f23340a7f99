"""What a session needs of the place where certificates are kept. The binding's vault has files; a link without one refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bessctl.protocols.ocpp.messages.device import CertificateHash, OcspName

OURS = "ChargingStationCertificate"
V2G = "V2GCertificate"


class Vault(Protocol):
    """Supervisor thread; short file operations, on disk when they return. Reasons name what is wrong and hold no secret."""

    def install(self, kind: str, pem: str) -> tuple[str, str]:
        """Keep a root certificate: Accepted, Rejected (not usable) or Failed (not kept), and why."""

    def installed(self, kinds: Sequence[str]) -> list[tuple[str, CertificateHash]]:
        """What is kept of these kinds (none given = all)."""

    def delete(self, wanted: CertificateHash) -> str:
        """Accepted, NotFound or Failed."""

    def csr(self, name: str, organisation: str, kind: str = OURS) -> str:
        """A new key pair, and the request (PEM) to sign its public half."""

    def accept(self, chain: str, name: str, kind: str = OURS) -> str | None:
        """Use a signed certificate from now on, if it belongs to the newest request and is valid; returns why not."""

    def expiring(self, kind: str = OURS) -> bool:
        """Is the certificate in use one that a CSMS gave us, and over soon?"""

    def begins_utc_ns(self) -> int | None:
        """When our own certificate that is kept for later begins; None = there is none, or it is in use."""

    def ocsp_names(self) -> tuple[OcspName, ...]:
        """Whom to ask about our V2G certificate and those above it (2.0.1 M06)."""

    def ocsp_answer(self, name: OcspName, result: str) -> tuple[str, int | None]:
        """Keep what a responder said: good, revoked, or why it is worth nothing; and until when (UTC ns)."""

    def contract(self, pem: str) -> tuple[tuple[OcspName, ...], str | None]:
        """A contract certificate with its chain: whom to ask about it, and why it is not good by the roots that are installed."""

    def firmware_signer(self, pem: str) -> str | None:
        """Is it a valid certificate below a manufacturer root we hold? Returns why not."""


class NoVault:
    """A link without a state directory keeps no certificates."""

    WHY = "this station has no place to keep certificates"

    def install(self, kind: str, pem: str) -> tuple[str, str]:
        return "Rejected", self.WHY

    def installed(self, kinds: Sequence[str]) -> list[tuple[str, CertificateHash]]:
        return []

    def delete(self, wanted: CertificateHash) -> str:
        return "NotFound"

    def csr(self, name: str, organisation: str, kind: str = OURS) -> str:
        return ""

    def accept(self, chain: str, name: str, kind: str = OURS) -> str | None:
        return self.WHY

    def expiring(self, kind: str = OURS) -> bool:
        return False

    def begins_utc_ns(self) -> int | None:
        return None

    def ocsp_names(self) -> tuple[OcspName, ...]:
        return ()

    def ocsp_answer(self, name: OcspName, result: str) -> tuple[str, int | None]:
        return self.WHY, None

    def contract(self, pem: str) -> tuple[tuple[OcspName, ...], str | None]:
        return (), self.WHY

    def firmware_signer(self, pem: str) -> str | None:
        return self.WHY
