"""Mutual TLS 1.2 as 2030.5 clause 6.7 has it, and the rules for a server's chain. Raises UsageError for what only a person can change.

OpenSSL verifies signatures, names, dates and that CAs may sign. What it lets pass and 2030.5 forbids is looked at here, within the
handshake, before a byte of ours goes out: a server that is its own root, chains shorter than 2 or longer than 4, policy mappings, a CA
without the right to sign certificates or without a name.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509

from bessctl.errors import UsageError
from bessctl.protocols.sep2.config import Tls
from bessctl.protocols.sep2.messages.identity import Identity

CCM8 = "ECDHE-ECDSA-AES128-CCM8"
DEPTHS = range(2, 5)
POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
PEM_END = "-----END CERTIFICATE-----"


class _Checked(ssl.SSLObject):
    """A TLS connection that judges the peer's chain as soon as it stands."""

    def do_handshake(self) -> None:
        super().do_handshake()
        reason = chain_fault(_verified_chain(self))
        if reason:
            raise ssl.SSLCertVerificationError(f"the server's certificate chain: {reason}")


def _verified_chain(connection: ssl.SSLObject) -> list[bytes]:
    """DER certificates, the server's own first. A public method from Python 3.13 on; the same one underneath before."""
    public: Any = getattr(connection, "get_verified_chain", None)
    if public is not None:
        return list(public())
    inner: Any = connection._sslobj  # type: ignore[attr-defined]
    return [certificate.public_bytes(2) for certificate in inner.get_verified_chain()]


def chain_fault(chain: list[bytes]) -> str:
    """Why a chain is refused; empty = it is not. The root is the last."""
    if len(chain) not in DEPTHS:
        return f"{len(chain)} certificates from server to root; 2 to 4 are allowed"
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    if certificates[0].subject == certificates[0].issuer and certificates[0].subject.rdns:
        return "the server's certificate is self-signed"
    for certificate in certificates[1:]:
        fault = _ca_fault(certificate)
        if fault:
            return f"{certificate.subject.rfc4514_string() or 'a CA'}: {fault}"
    return ""


def _ca_fault(certificate: x509.Certificate) -> str:
    if not certificate.subject.rdns:
        return "a CA without a name"
    extensions = {extension.oid: extension.value for extension in certificate.extensions}
    if POLICY_MAPPINGS in extensions:
        return "policy mappings are not allowed"
    basic = extensions.get(x509.oid.ExtensionOID.BASIC_CONSTRAINTS)
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        return "not a CA"
    usage = extensions.get(x509.oid.ExtensionOID.KEY_USAGE)
    if not isinstance(usage, x509.KeyUsage) or not usage.key_cert_sign:
        return "its key usage does not allow it to sign certificates"
    return ""


def certificates_of(path: Path) -> list[bytes]:
    """DER certificates of a PEM file, in its order. Raises UsageError."""
    try:
        text = path.read_text(encoding="ascii")
        blocks = [part[part.index("-----BEGIN") :] + PEM_END for part in text.split(PEM_END)[:-1]]
        found = [ssl.PEM_cert_to_DER_cert(block) for block in blocks]
    except (OSError, ValueError) as e:
        raise UsageError(f"sep2: {path}: no PEM certificates can be read: {e}") from e
    if not found:
        raise UsageError(f"sep2: {path} holds no certificate")
    return found


def identity_of(path: Path) -> Identity:
    """LFDI and SFDI of the first certificate in a PEM file. Raises UsageError."""
    return Identity.of(certificates_of(path)[0])


def own_faults(path: Path) -> list[str]:
    """What is doubtful about our own certificate, in sentences: a server may refuse us for it. Raises UsageError when it expired."""
    chain = [x509.load_der_x509_certificate(der) for der in certificates_of(path)]
    device, faults = chain[0], []
    now = datetime.now(UTC)
    if device.not_valid_after_utc < now or device.not_valid_before_utc > now:
        raise UsageError(f"sep2: {path}: valid from {device.not_valid_before_utc} to {device.not_valid_after_utc}, not now")
    for lower, upper in pairwise(chain):
        if lower.issuer != upper.subject:
            faults.append(f"{path}: {upper.subject.rfc4514_string()!r} did not issue the one before it (device, MICA, MCA, SERCA)")
    if len(chain) == 1 and device.issuer != device.subject:
        faults.append(f"{path} holds the device's certificate alone; servers want the whole chain (device, MICA, MCA, SERCA)")
    return faults


def client_context(tls: Tls) -> ssl.SSLContext:
    """A client context for TLS 1.2. Raises UsageError, naming the file or the cipher string."""
    if tls.cert_file is None or tls.key_file is None or tls.ca_file is None:
        raise UsageError("sep2: https needs cert_file, key_file and ca_file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_host_name
    context.sslobject_class = _Checked
    try:
        context.set_ciphers(tls.ciphers)
    except ssl.SSLError as e:
        raise UsageError(f"sep2: this OpenSSL ({ssl.OPENSSL_VERSION}) refuses the cipher string {tls.ciphers!r}: {e}") from e
    if CCM8 in tls.ciphers and CCM8 not in {str(cipher["name"]) for cipher in context.get_ciphers()}:
        raise UsageError(f"sep2: this OpenSSL ({ssl.OPENSSL_VERSION}) has no {CCM8}, which 2030.5 requires; install one that has it")
    load = partial(context.load_cert_chain, tls.cert_file, tls.key_file)
    for what, step in ((tls.ca_file, partial(context.load_verify_locations, tls.ca_file)), (tls.cert_file, load)):
        try:
            step()
        except (OSError, ssl.SSLError) as e:
            raise UsageError(f"sep2: {what}: cannot be used: {e}") from e
    return context
