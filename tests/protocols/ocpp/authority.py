"""A certificate authority for tests: roots, what they sign, their revocation lists and OCSP answers."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

RESPONDER = "http://ocsp.example.org"


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def files(self, folder: Path, name: str) -> tuple[Path, Path]:
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_text(self.pem)
        plain = serialization.NoEncryption()
        key.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return cert, key


def make(
    name: str, issuer: Signed | None = None, *, days: int = 10, public: Any = None, uses: list[x509.ObjectIdentifier] | None = None
) -> Signed:
    """A certificate; without issuer a root. `public`: for somebody else's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer.certificate.subject if issuer else named(name))
        .public_key(public or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=public is None and uses is None, path_length=None), critical=True)
    )
    if issuer is not None:
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(RESPONDER))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def responder_of(issuer: Signed) -> Signed:
    """A responder that the issuer gave the right to answer."""
    return make("responder", issuer, uses=[ExtendedKeyUsageOID.OCSP_SIGNING])


def revocation_list(issuer: Signed, path: Path, *gone: Signed, days: int = 1) -> Path:
    """The issuer's CRL."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(days=2))
        .next_update(now + timedelta(days=days))
    )
    for each in gone:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number).revocation_date(now - timedelta(days=2))
        builder = builder.add_revoked_certificate(entry.build())
    path.write_bytes(builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def ocsp_answer(certificate: x509.Certificate, issuer: Signed, *, good: bool = True, hours: int = 48, by: Signed | None = None) -> str:
    """What a responder says, DER in base64; `by`: another than the issuer signed it."""
    now, signer = datetime.now(UTC), by or issuer
    answer = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD if good else ocsp.OCSPCertStatus.REVOKED,
        this_update=now - timedelta(hours=72),
        next_update=now + timedelta(hours=hours),
        revocation_time=None if good else now - timedelta(hours=72),
        revocation_reason=None,
    )
    answer = answer.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if by is not None:
        answer = answer.certificates([by.certificate])
    return b64encode(answer.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


def inner(payload: dict[str, Any]) -> dict[str, Any]:
    """What is in a DataTransfer's envelope."""
    found: dict[str, Any] = json.loads(payload["data"])
    return found
