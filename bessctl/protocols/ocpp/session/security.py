"""Certificates and security events of one link (whitepaper 2 and 3; 2.0.1 A01-A05, M03-M06).

- Certificates are the owner's business, and only over TLS: on a plain link every operation is refused.
- A certificate of our own: we ask (SignCertificate), the CSMS sends it (CertificateSigned), it is used from the next dialling on, which
  follows at once; one that begins later is used by dialling anew at that instant. When none comes: `signing`.
- A V2G certificate (ISO 15118, Plug & Charge) goes the same way where Plug & Charge is enabled; it is kept for the EVSE that will need it,
  and what OCSP says of it is asked for: `revocation`.
- What could not be used is refused and told as a security event.
- Events of dialling (a wrong TLS version, a weak suite, a bad certificate of the CSMS, credentials refused) are told after the next good
  connection, each kind once until then: a CSMS that is away for a day must not be met with ten thousand of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import CertificateSigned, InstallCertificate
from bessctl.protocols.ocpp.messages.device import CertificateHash, OcspName
from bessctl.protocols.ocpp.messages.records import Judged, SignCertificate
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.revocation import Revocation
from bessctl.protocols.ocpp.session.signing import Signing
from bessctl.protocols.ocpp.session.vault import OURS, V2G, Vault

DAY_S = 86_400
HOUR_NS = 3600 * NS
STEP_NS = 10 * NS
# 1.6's names of events that 2.0.1 renamed.
NAMES_16 = {
    "FailedToAuthenticateAtCsms": "FailedToAuthenticateAtCentralSystem",
    "InvalidCsmsCertificate": "InvalidCentralSystemCertificate",
    "InvalidChargingStationCertificate": "InvalidChargePointCertificate",
}


class Security:
    """Supervisor thread; no I/O beside the vault's."""

    def __init__(self, core: Core, vault: Vault) -> None:
        self._core = core
        self._vault = vault
        self._told: set[str] = set()
        self._signing = {kind: Signing(core, vault, kind) for kind in (OURS, V2G)}
        self.revocation = Revocation(core, vault, lambda: self.ask_for_certificate(V2G))
        self._look_ns = 0
        self._clock_ns: int | None = None
        self._clock_quiet_ns = 0
        self._begins_utc_ns = vault.begins_utc_ns()

    def count(self) -> int:
        """Certificates kept."""
        return len(self._vault.installed(()))

    def event(self, kind: str, info: str) -> None:
        """Dialling failed in a way that bears on security; told once until a good connection."""
        if kind not in self._told:
            self._told.add(kind)
            self._core.security(self._name(kind), info)

    def good(self) -> None:
        """A connection stands."""
        self._told.clear()

    def ask_for_certificate(self, kind: str = OURS) -> str:
        """Trigger SignChargingStationCertificate or SignV2GCertificate, or our own wish; returns the answer's status."""
        if self._forbidden(kind) is not None:
            return "Rejected"
        self._signing[kind].begin()
        return "Accepted"

    def judged(self, asked: SignCertificate, reply: Judged) -> None:
        """The CSMS's word on the request."""
        if reply.status != "Accepted":
            self._signing[asked.kind].over()
            self._core.audit("certificate", f"the CSMS does not sign our {asked.kind}", None, 30)

    def signed(self, wish: CertificateSigned) -> tuple[str, str]:
        """CertificateSigned: status and why."""
        core = self._core
        why = self._forbidden(wish.kind)
        if why is None and len(wish.chain) > core.keys.number("CertificateSignedMaxChainSize"):
            why = "the chain is too long"
        if why is None:
            why = self._vault.accept(wish.chain, core.link.charge_point_id, wish.kind)
            if why is not None:
                core.security(self._name("InvalidChargingStationCertificate"), why)
        if why is not None:
            return "Failed", why
        self._signing[wish.kind].over()
        core.audit("certificate", f"a new {wish.kind} is kept")
        if wish.kind == V2G:
            self.revocation.anew()
            return "Accepted", ""
        self._begins_utc_ns = self._vault.begins_utc_ns()
        if self._begins_utc_ns is None:
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

    def contract(self, pem: str) -> tuple[tuple[OcspName, ...], str | None]:
        """Whom to ask about a contract certificate that was presented, and why it is not good by what is installed here."""
        return self._vault.contract(pem)

    def step(self) -> None:
        """Ask again where no certificate came; once a day, ask for those that are over soon; use one from the instant it is valid."""
        core = self._core
        if core.registration.accepted and core.now.mono_ns >= self._look_ns:
            self._look_ns = core.now.mono_ns + DAY_S * NS
            for kind, signing in self._signing.items():
                if self._forbidden(kind) is None:
                    signing.renew()
        for signing in self._signing.values():
            signing.step()
        utc = core.time.utc_ns(core.now)
        self._look_at_clock(utc)
        if self._begins_utc_ns is not None and utc is not None and utc >= self._begins_utc_ns:
            self._begins_utc_ns = None
            core.out.redial = "a new certificate"
        self.revocation.step()

    def _look_at_clock(self, utc_ns: int | None) -> None:
        """A date that came by the CSMS, or that jumped. Told once an hour at most: a clock that does not come to rest makes no storm."""
        core = self._core
        if utc_ns is None:
            return
        offset, before = utc_ns - core.now.mono_ns, self._clock_ns
        self._clock_ns = offset
        jumped = core.now.utc_ns is None if before is None else abs(offset - before) > STEP_NS
        if jumped and core.now.mono_ns >= self._clock_quiet_ns:
            self._clock_quiet_ns = core.now.mono_ns + HOUR_NS
            core.security("SettingSystemTime", "by the CSMS" if core.now.utc_ns is None else f"{(offset - (before or 0)) / NS:+.0f} s")

    def wake_ns(self) -> int | None:
        """When to ask again, or to use what begins later."""
        core = self._core
        times = [signing.again_ns for signing in self._signing.values()] + [self.revocation.wake_ns()]
        if self._begins_utc_ns is not None and core.time.utc_ns(core.now) is not None:
            times.append(core.time.mono_ns(self._begins_utc_ns, core.now))
        return min((t for t in times if t is not None), default=None)

    def _forbidden(self, kind: str = OURS) -> str | None:
        link = self._core.link
        if kind not in self._signing:
            return f"a {kind} is not kept here"
        if kind == V2G and not self._core.keys.flag("ISO15118PnCEnabled"):
            return "Plug & Charge is not enabled (ISO15118PnCEnabled)"
        if not link.url.startswith("wss://"):
            return "certificates are not handled over a plain link"
        return None if link.role is Role.OWNER else "the CSMS is not the owner"

    def _name(self, kind: str) -> str:
        return NAMES_16.get(kind, kind) if self._core.traits.version == "1.6" else kind
