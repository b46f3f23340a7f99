"""Names of certificates in OCSP (RFC 6960), and what a responder's answer is worth. Pure but for the clock handed in."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from bessctl.protocols.ocpp.messages.device import CertificateHash, OcspName

ALGORITHMS = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}


def hash_of(certificate: x509.Certificate, algorithm: str = "SHA256", issuer: x509.Certificate | None = None) -> CertificateHash:
    """RFC 6960's name of a certificate; without an issuer it is its own (roots)."""
    digest = ALGORITHMS[algorithm]
    spki = (issuer or certificate).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return CertificateHash(
        algorithm,
        digest(certificate.issuer.public_bytes()).hexdigest(),
        digest(_key_bits(spki)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def names_of(chain: Sequence[x509.Certificate]) -> tuple[OcspName, ...]:
    """What may be asked of each certificate of a chain whose issuer is in it and that names a responder; at most four (2.0.1 3.36)."""
    found = []
    for certificate, issuer in pairwise(chain):
        url = responder(certificate)
        if url is not None:
            found.append(OcspName(hash_of(certificate, "SHA256", issuer), url))
    return tuple(found[:4])


def responder(certificate: x509.Certificate) -> str | None:
    """Where its issuer says who knows about it."""
    try:
        access = certificate.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    except x509.ExtensionNotFound:
        return None
    assert isinstance(access, x509.AuthorityInformationAccess)
    urls = [d.access_location.value for d in access if d.access_method == AuthorityInformationAccessOID.OCSP]
    return next((str(url) for url in urls if len(str(url)) <= 512), None)


def verdict(text: str, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> tuple[str, datetime | None]:
    """What an OCSP response (DER, base64) says of a certificate: good, revoked, or why it says nothing; and until when."""
    try:
        answer = ocsp.load_der_ocsp_response(b64decode(text, validate=True))
    except (NotBase64, ValueError):
        return "the answer cannot be read", None
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return f"the responder answered {answer.response_status.name.lower()}", None
    until = answer.next_update_utc
    checks = (
        (answer.serial_number == certificate.serial_number, "the answer is about another certificate"),
        (_signed(answer, issuer), "nobody whom the issuer trusts signed the answer"),
        (until is None or until > now, "the answer is over"),
        (answer.certificate_status is not ocsp.OCSPCertStatus.UNKNOWN, "the responder does not know the certificate"),
    )
    why = next((text for holds, text in checks if not holds), None)
    if why is not None:
        return why, None
    return ("good" if answer.certificate_status is ocsp.OCSPCertStatus.GOOD else "revoked"), until


def _signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """By the issuer itself, or by a responder that the issuer gave the right to (RFC 6960 4.2.2.2)."""
    signers = [issuer, *(c for c in answer.certificates if _delegated(c, issuer))]
    return any(_verifies(signer, answer) for signer in signers)


def _delegated(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return isinstance(usage, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verifies(signer: x509.Certificate, answer: ocsp.OCSPResponse) -> bool:
    key, algorithm = signer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm or hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm or hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _key_bits(spki: bytes) -> bytes:
    """The BIT STRING's content of a SubjectPublicKeyInfo: what RFC 6960 hashes."""
    _, body = _der(spki)
    _, first, rest = _der_split(body)
    del first
    _, bits = _der(rest)
    return bits[1:]


def _der(data: bytes) -> tuple[int, bytes]:
    tag, content, _ = _der_split(data)
    return tag, content


def _der_split(data: bytes) -> tuple[int, bytes, bytes]:
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    return data[0], data[start : start + length], data[start + length :]
