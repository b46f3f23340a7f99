"""The update bundle: root and kernel with a manifest, signed; verity, so that each block is checked as it is read.

Whoever ships boards signs with a key of his own: `SIGNING_KEY`, `SIGNING_CERT` and the keyring that goes onto the boards, `KEYRING`.
Without them a development authority is made once below build/image and used again; its images take nobody else's bundle. It is never
committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from board.image.debs import ImageError

DAYS = "7300"
SUBJECT = "/O=bessctl development/CN="
LEAF = (
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n"
)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: key, certificate, and the authorities that boards trust."""

    key: Path
    certificate: Path
    keyring: Path


def signer(place: Path) -> Signer:
    """The one that the environment names, else the development one in this folder. Raises ImageError."""
    named = [os.environ.get(name, "") for name in ("SIGNING_KEY", "SIGNING_CERT", "KEYRING")]
    if all(named):
        for file in named:
            if not Path(file).is_file():
                raise ImageError(f"{file}: SIGNING_KEY, SIGNING_CERT and KEYRING name files in PEM")
        return Signer(*map(Path, named))
    if any(named):
        raise ImageError("SIGNING_KEY, SIGNING_CERT and KEYRING belong together: give all three or none")
    return development(place)


def development(place: Path) -> Signer:
    """An authority and a signer below it, made where there is none yet."""
    made = Signer(place / "signer.key", place / "signer.pem", place / "keyring.pem")
    if made.certificate.exists():
        return made
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = place / "authority.key"
    (place / "leaf.cnf").write_text(LEAF)
    _openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:3072",
        "-nodes",
        "-days",
        DAYS,
        "-subj",
        f"{SUBJECT}authority",
        "-keyout",
        authority,
        "-out",
        made.keyring,
    )
    request = place / "signer.csr"
    _openssl("req", "-newkey", "rsa:3072", "-nodes", "-subj", f"{SUBJECT}signer", "-keyout", made.key, "-out", request)
    part = place / "signer.part"
    below = ("-CA", made.keyring, "-CAkey", authority, "-CAcreateserial", "-extfile", place / "leaf.cnf")
    _openssl("x509", "-req", "-in", request, *below, "-days", DAYS, "-out", part)
    part.replace(made.certificate)
    return made


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle says and holds: for which boards, which version, {slot class: file}."""

    compatible: str
    version: str
    images: dict[str, Path]

    def manifest(self) -> str:
        """manifest.raucm, for images named after their slot class."""
        head = f"[update]\ncompatible={self.compatible}\nversion={self.version}\n\n[bundle]\nformat=verity\n"
        return head + "".join(f"\n[image.{slot}]\nfilename={slot}.img\n" for slot in self.images)


def make(out: Path, work: Path, contents: Contents, by: Signer) -> None:
    """A signed bundle. Its payload is packed already: the cheapest compression serves. Raises ImageError."""
    folder = work / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for slot, file in contents.images.items():
        os.link(file, folder / f"{slot}.img")
    (folder / "manifest.raucm").write_text(contents.manifest())
    out.unlink(missing_ok=True)
    signing = (f"--cert={by.certificate}", f"--key={by.key}", f"--keyring={by.keyring}")
    command = ["rauc", "bundle", *signing, "--mksquashfs-args=-comp zstd -Xcompression-level 1", str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(folder)
    if done.returncode:
        raise ImageError(f"rauc: {done.stderr.strip()[-800:]}")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"openssl: {done.stderr.strip()[-800:]}")
