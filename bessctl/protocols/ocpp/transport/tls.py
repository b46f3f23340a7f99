"""TLS of a link (OCPP-2; settled question 1). Contexts are shared by links of the same settings: 200 links, few contexts."""

from __future__ import annotations

import ssl
from functools import lru_cache

from bessctl.errors import UsageError
from bessctl.protocols.ocpp.config import Tls

# ECDHE first; the RSA suites are those OCPP 2.0.1 A00.FR.318/319 names and Python's default leaves out.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384"


def client_context(tls: Tls) -> ssl.SSLContext:
    """A client context: TLS 1.2 or 1.3, the server's name and certificate checked. Raises UsageError, naming the file.

    Files that were changed (a new certificate) make a new context.
    """
    files = (tls.ca_file, tls.cert_file, tls.key_file, tls.extra_ca_file, tls.crl_file)
    return _context(tls, tuple(f.stat().st_mtime_ns if f is not None and f.exists() else 0 for f in files))


@lru_cache(maxsize=16)
def _context(tls: Tls, changed: tuple[int, ...]) -> ssl.SSLContext:
    files = (tls.ca_file, tls.extra_ca_file, tls.crl_file, tls.cert_file, tls.key_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        if tls.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca_file)
        if tls.extra_ca_file is not None:
            context.load_verify_locations(tls.extra_ca_file)
        if tls.crl_file is not None:
            context.load_verify_locations(tls.crl_file)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as e:
        raise UsageError(f"ocpp tls: cannot use {' '.join(str(f) for f in files if f)}: {e}") from e
    return context


def security_event(error: BaseException) -> str:
    """The security event that a failed handshake is (2.0.1 part 2, appendix 1), or nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "InvalidCsmsCertificate"
    if not isinstance(error, ssl.SSLError):
        return ""
    reason = (error.reason or str(error)).upper()
    if "VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return "InvalidTLSVersion"
    return "InvalidTLSCipherSuite" if "CIPHER" in reason or "HANDSHAKE_FAILURE" in reason else ""
