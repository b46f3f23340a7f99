"""The vault of one link: certificates as files (whitepaper 3; 2.0.1 A02, A05, M03-M05).

    roots/KIND-HASH.pem    what was installed; CSMSRootCertificate ones are trusted beside the site's
    next.key               the key of the newest request
    client.pem, client.key the certificate in use instead of the site's
    v2g-next.key, v2g.pem, v2g.key, v2g-SERIAL.ocsp   the same for ISO 15118, with what OCSP responders said of it

A certificate is taken if it was made for our newest key, names this station, is not expired, and its chain ends below a root that is known
here (2.0.1 A02.FR.06); one valid later is kept and used from then on. Known are what was installed of the kind, and for our own also
whom the site trusts and who is above the certificate that we have.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bessctl.protocols.ocpp.binding.ocsp import hash_of, names_of, verdict
from bessctl.protocols.ocpp.binding.secrets import write_private
from bessctl.protocols.ocpp.config import Tls
from bessctl.protocols.ocpp.messages.answers import V2G_CHAIN
from bessctl.protocols.ocpp.messages.device import CertificateHash, OcspName
from bessctl.protocols.ocpp.session.keys import MAX_CERTIFICATES
from bessctl.protocols.ocpp.session.vault import OURS, V2G

MANUFACTURER = "ManufacturerRootCertificate"
CSMS = "CSMSRootCertificate"
CONTRACTS = "MORootCertificate"
V2G_ROOT = "V2GRootCertificate"
FILES = {OURS: "", V2G: "v2g-"}
OWN = {OURS: "client", V2G: "v2g"}
RENEW = timedelta(days=30)
"""So long before its end a new certificate is asked for (2.0.1 A03)."""


def utc_now() -> datetime:
    """The wall clock: certificates are valid by it."""
    return datetime.now(UTC)


class FileVault:
    """Supervisor thread. `folder` is the link's own, `site` the link's TLS as the site configured it."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = utc_now, site: Tls | None = None) -> None:
        self._folder = folder
        self._site = site
        self._roots = folder / "roots"
        self._now = now

    # What the session asks.

    def install(self, kind: str, pem: str) -> tuple[str, str]:
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
        except ValueError as e:
            return "Rejected", f"no certificate: {e}"
        why = self._expired(certificate)
        if why is None and len(list(self._kept())) >= MAX_CERTIFICATES:
            why = f"{MAX_CERTIFICATES} certificates are installed"
        if why is not None:
            return "Rejected", why
        try:
            self._roots.mkdir(parents=True, exist_ok=True)
            write_private(self._roots / f"{kind}-{certificate.fingerprint(hashes.SHA256()).hex()[:32]}.pem", pem.encode())
            self._bundle()
        except OSError as e:
            return "Failed", f"it cannot be kept: {e.strerror}"
        return "Accepted", ""

    def installed(self, kinds: Sequence[str]) -> list[tuple[str, CertificateHash]]:
        found = [(kind, hash_of(certificate)) for kind, certificate, _ in self._kept()]
        chain = self._own(V2G)
        found += [(V2G_CHAIN, hash_of(c, "SHA256", issuer)) for c, issuer in pairwise([*chain, *chain[-1:]])]
        return [(kind, hashed) for kind, hashed in found if not kinds or kind in kinds]

    def delete(self, wanted: CertificateHash) -> str:
        for _, certificate, path in self._kept():
            if hash_of(certificate, wanted.algorithm) == wanted:
                path.unlink()
                self._bundle()
                return "Accepted"
        return "Accepted" if self._delete_chain(wanted) else "NotFound"

    def _delete_chain(self, wanted: CertificateHash) -> bool:
        """The V2G certificate with its chain and what responders said of it, by the hash of its first."""
        chain = self._own(V2G)
        if not chain or hash_of(chain[0], wanted.algorithm, chain[min(1, len(chain) - 1)]) != wanted:
            return False
        for path in (self._folder / f"{OWN[V2G]}.pem", self._folder / f"{OWN[V2G]}.key", *self._folder.glob("v2g-*.ocsp")):
            path.unlink(missing_ok=True)
        return True

    def csr(self, name: str, organisation: str, kind: str = OURS) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]
        if organisation:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64]))
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
        self._folder.mkdir(parents=True, exist_ok=True)
        plain = serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        write_private(self._folder / f"{FILES[kind]}next.key", text)
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def accept(self, chain: str, name: str, kind: str = OURS) -> str | None:
        key_file = self._folder / f"{FILES[kind]}next.key"
        try:
            certificates = x509.load_pem_x509_certificates(chain.encode())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        except (ValueError, OSError) as e:
            return f"no certificate for a request of ours: {type(e).__name__}"
        leaf = certificates[0]
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        checks = (
            (_public(leaf.public_key()) == _public(key.public_key()), "the certificate is for another key than our newest"),
            (bool(names) and names[0].value == name, "the certificate names another station"),
            (leaf.not_valid_after_utc > self._now(), "the certificate is expired"),
            (_linked(certificates), "the chain is broken"),
            (self._below_a_root(certificates[-1], kind), "no root that is known here is above its chain"),
        )
        why = next((text for holds, text in checks if not holds), None)
        if why is None:
            write_private(self._folder / f"{OWN[kind]}.key", key_file.read_bytes())
            write_private(self._folder / f"{OWN[kind]}.pem", chain.encode())
        return why

    def expiring(self, kind: str = OURS) -> bool:
        leaf = self._own(kind)[:1]
        return bool(leaf) and leaf[0].not_valid_after_utc - self._now() < RENEW

    def begins_utc_ns(self) -> int | None:
        leaf = self._own(OURS)[:1]
        begins = leaf[0].not_valid_before_utc if leaf else self._now()
        return None if begins <= self._now() else round(begins.timestamp()) * 10**9

    # OCSP and contracts (2.0.1 M06, C07).

    def ocsp_names(self) -> tuple[OcspName, ...]:
        return names_of(self._own(V2G))

    def ocsp_answer(self, name: OcspName, result: str) -> tuple[str, int | None]:
        chain = self._own(V2G)
        for certificate, issuer in pairwise(chain):
            if hash_of(certificate, "SHA256", issuer) == name.hash:
                said, until = verdict(result, certificate, issuer, self._now())
                if said in {"good", "revoked"}:
                    write_private(self._folder / f"v2g-{certificate.serial_number:x}.ocsp", result.encode())
                return said, None if until is None else round(until.timestamp()) * 10**9
        return "the certificate is not ours any more", None

    def contract(self, pem: str) -> tuple[tuple[OcspName, ...], str | None]:
        try:
            chain = x509.load_pem_x509_certificates(pem.encode())
        except ValueError:
            return (), "the contract certificate cannot be read"
        whole = [*chain, *(root for kind, root, _ in self._kept() if kind == CONTRACTS and _linked([chain[-1], root]))][: len(chain) + 1]
        expired = next((why for c in chain if (why := self._expired(c))), None)
        broken = None if _linked(chain) else "the chain of the contract certificate is broken"
        unknown = None if len(whole) > len(chain) else "no MORootCertificate that is installed here is above the contract certificate"
        return names_of(whole), expired or broken or unknown

    def firmware_signer(self, pem: str) -> str | None:
        try:
            signer = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            return "the signing certificate cannot be read"
        roots = [certificate for kind, certificate, _ in self._kept() if kind == MANUFACTURER]
        if not any(_linked([signer, root]) for root in roots):
            return "no manufacturer root that is installed here signed the signing certificate"
        return self._expired(signer)

    # What dialling asks.

    def tls(self, site: Tls) -> Tls:
        """The site's TLS with what the CSMS installed: its roots beside the site's, the newer certificate once it is valid."""
        extra, cert = self._folder / "csms-roots.pem", self._folder / "client.pem"
        changes: dict[str, Path] = {}
        if extra.exists() and extra.stat().st_size:
            changes["extra_ca_file"] = extra
        if cert.exists() and self._usable(cert):
            changes |= {"cert_file": cert, "key_file": self._folder / "client.key"}
        return replace(site, **changes)

    def _usable(self, path: Path) -> bool:
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
        return leaf.not_valid_before_utc <= self._now() < leaf.not_valid_after_utc

    def _below_a_root(self, last: x509.Certificate, kind: str) -> bool:
        wanted = CSMS if kind == OURS else V2G_ROOT
        roots = [root for found, root, _ in self._kept() if found == wanted]
        if kind == OURS:
            roots += [*self._own(OURS)[1:], *trusted(self._site)]
        return any(self._expired(root) is None and (root == last or _linked([last, root])) for root in roots)

    def _own(self, kind: str) -> list[x509.Certificate]:
        """Our certificate of a kind and those above it; empty = there is none."""
        path = self._folder / f"{OWN[kind]}.pem"
        return x509.load_pem_x509_certificates(path.read_bytes()) if path.exists() else []

    def _kept(self) -> Iterator[tuple[str, x509.Certificate, Path]]:
        for path in sorted(self._roots.glob("*.pem")):
            yield path.name.partition("-")[0], x509.load_pem_x509_certificate(path.read_bytes()), path

    def _bundle(self) -> None:
        found = [path.read_bytes() for kind, _, path in self._kept() if kind == CSMS]
        write_private(self._folder / "csms-roots.pem", b"\n".join(found))

    def _expired(self, certificate: x509.Certificate) -> str | None:
        return None if certificate.not_valid_after_utc > self._now() else "the certificate is expired"


def trusted(site: Tls | None) -> list[x509.Certificate]:
    """Whom the site trusts: its own file or the system's authorities, and who is above the certificate it gave us."""
    if site is None:
        return []
    above = [] if site.cert_file is None else x509.load_pem_x509_certificates(site.cert_file.read_bytes())[1:]
    if site.ca_file is not None:
        return [*x509.load_pem_x509_certificates(site.ca_file.read_bytes()), *above]
    found = above
    for der in ssl.create_default_context().get_ca_certs(binary_form=True):
        with suppress(ValueError):  # of an algorithm that nobody signs by any more
            found.append(x509.load_der_x509_certificate(der))
    return found


def _public(key: object) -> bytes:
    public_bytes = getattr(key, "public_bytes")  # noqa: B009 - every kind of public key has it, their common type does not say so
    found: bytes = public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return found


def _linked(chain: Sequence[x509.Certificate]) -> bool:
    """Is each signed by the next?"""
    try:
        for below, above in pairwise(chain):
            below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
