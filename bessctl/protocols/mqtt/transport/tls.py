"""TLS of a broker: 1.2 or 1.3, the broker's name and certificate checked. Files are read at each connect, so rotation needs no restart."""

from __future__ import annotations

import ssl

from bessctl.errors import UsageError
from bessctl.protocols.mqtt.config import Broker


def client_context(broker: Broker) -> ssl.SSLContext | None:
    """None without TLS. Raises UsageError, naming the file."""
    tls = broker.tls
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as e:
        files = " ".join(str(f) for f in (tls.ca_file, tls.cert_file, tls.key_file) if f)
        raise UsageError(f"mqtt broker {broker.name}: tls: cannot use {files}: {e}") from e
    return context
