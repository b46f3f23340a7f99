"""TLS 1.2 and 1.3 on both sides (OSCP 2.0 4.1.1): server certificates alone, no client certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

from bessctl.errors import UsageError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """Our listener's. Raises UsageError, naming the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as e:
        raise UsageError(f"oscp tls: cannot use {cert_file} with {key_file}: {e}") from e
    return context


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Towards a peer: its name and certificate are checked against `ca_file`, or the system's store. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as e:
        raise UsageError(f"oscp tls: cannot use {ca_file}: {e}") from e
    return context
