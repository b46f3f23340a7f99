"""Certificates that live as long as a test run: one for every party on loopback."""

from __future__ import annotations

from pathlib import Path

from bessctl.sim.certificate import self_signed
from bessctl.sim.oscp_cp import Tls


def issue(path: Path, name: str, host: str = "127.0.0.1") -> Tls:
    """A self-signed certificate, its key, and itself as the issuer to be trusted."""
    tls = Tls(path / f"{name}.pem", path / f"{name}.key", path / f"{name}.pem")
    self_signed(tls.cert_file, tls.key_file, host)
    return tls
