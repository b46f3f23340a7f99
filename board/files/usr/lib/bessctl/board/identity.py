"""identity FOLDER [--owner USER]: what makes this device itself, made here at the first start, once, and never shipped.

    device.id          its name: `bess-` and 16 hex digits, drawn
    NAME.key, NAME.csr a P-256 key and a signing request for each of ocpp, oscp, sep2; the key never leaves the device
    ocpp.password      40 hex digits: a BasicAuth password of OCPP 2.0.1 as text, or 1.6's AuthorizationKey as hex

1. A file that is there is never written again: it may be known to a CA or a CSMS. One that is there and unusable is an error for a person.
2. A file appears whole or not at all: written beside, synced, linked to its name. A power cut costs nothing but this start.
3. Keys and passwords have mode 0600; names and requests 0644. Nothing has a default.
4. A request is made again from its key where it is missing, so a cut between the two leaves no key without its request.

Exit codes: 0 all there, 1 a file is unusable or the folder cannot be written.
"""

from __future__ import annotations

import os
import pwd
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROTOCOLS = ("ocpp", "oscp", "sep2")
PASSWORD_DIGITS = 40
"""OCPP 1.6 security whitepaper 2.1: AuthorizationKey, 16 to 20 bytes as hex. OCPP 2.0.1 A00.FR.205: 16 to 40 characters."""


class IdentityError(Exception):
    """The identity cannot be made or used; says which file and what to do."""


class Folder:
    """Where the files are. `owner` None = who runs this."""

    def __init__(self, place: Path, owner: str | None = None) -> None:
        self.place = place
        self.uid = self.gid = -1
        if owner is not None:
            try:
                account = pwd.getpwnam(owner)
            except KeyError:
                raise IdentityError(f"this machine has no user {owner}; create it, or name another with --owner") from None
            self.uid, self.gid = account.pw_uid, account.pw_gid

    def once(self, name: str, mode: int, make: Callable[[], bytes]) -> bytes:
        """The file's content, made now if there is none. Raises IdentityError for an empty one."""
        place = self.place / name
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            content = make()
            self._put(place, mode, content)
        if not content.strip():
            raise IdentityError(f"{place} is empty; if nobody was told of it yet, remove it and start again")
        return content

    def _put(self, place: Path, mode: int, content: bytes) -> None:
        beside = place.with_name(f".{place.name}.new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(handle, self.uid, self.gid)
            os.fchmod(handle, mode)
            os.write(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.link(beside, place)  # refuses to take the place of a file, which a rename would not
        beside.unlink()
        folder = os.open(self.place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def device_id(folder: Folder) -> str:
    """The device's name. Raises IdentityError."""
    return folder.once("device.id", 0o644, f"bess-{secrets.token_hex(8)}\n".encode).decode().strip()


def key(folder: Folder, protocol: str) -> ec.EllipticCurvePrivateKey:
    """A protocol's private key: P-256, the curve of IEEE 2030.5 (6.11) and OCPP (A00.FR.506). Raises IdentityError."""
    name = f"{protocol}.key"
    content = folder.once(name, 0o600, _new_key)
    try:
        found = serialization.load_pem_private_key(content, None)
    except ValueError as e:
        raise IdentityError(f"{folder.place / name} holds no key ({e}); restore it, or remove it to get a new one") from e
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise IdentityError(f"{folder.place / name} holds no elliptic-curve key; remove it to get one")
    return found


def _new_key() -> bytes:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def request(folder: Folder, protocol: str, name: str) -> bytes:
    """The signing request for a protocol's key. Raises IdentityError."""
    signer = key(folder, protocol)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, protocol)])

    def make() -> bytes:
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    return folder.once(f"{protocol}.csr", 0o644, make)


def make(folder: Folder) -> str:
    """Everything that is missing; returns the device's name. Raises IdentityError."""
    try:
        name = device_id(folder)
        for protocol in PROTOCOLS:
            request(folder, protocol, name)
        folder.once("ocpp.password", 0o600, lambda: secrets.token_hex(PASSWORD_DIGITS // 2).encode() + b"\n")
    except OSError as e:
        raise IdentityError(f"{e.filename or folder.place}: {e.strerror}; the folder must be there and writable") from e
    return name


def main(arguments: list[str]) -> int:
    match arguments:
        case [place]:
            owner = None
        case [place, "--owner", owner]:
            pass
        case _:
            print("usage: bessctl-identity FOLDER [--owner USER]", file=sys.stderr)
            return 2
    try:
        print(f"this device is {make(Folder(Path(place), owner))}")
    except IdentityError as e:
        print(f"bessctl-identity: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
