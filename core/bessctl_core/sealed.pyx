"""Reads and writes the sealed configuration file; its shape stands in sealed.pxd. Standard library only: the loop process imports this."""

import json
import os
import struct

from libc.string cimport memcpy

try:
    # hashlib would load OpenSSL, and an mlocked process keeps all 6 MB of it in memory for this one sum.
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256      # Python 3.11
    except ImportError:
        from hashlib import sha256      # an interpreter built without its own

from .layout cimport BUS_TCP, LAYOUT_VERSION, MAX_BUSES, TEXT, SiteConfig

MAGIC = b"BESSEAL1"
HEADER = struct.Struct("<8sIIII32s")


class SealError(ValueError):
    """The file is not a sealed configuration this build can run; the message says what was found, what was expected and what to do."""


cdef class SealedSite:
    """A sealed configuration, checked: `digest` (sha256, 32 bytes) and the names of units, sources and rows as JSON. Immutable."""

    def __cinit__(self, const unsigned char[::1] config, bytes names_json, bytes digest):
        if <size_t> config.shape[0] != sizeof(SiteConfig):
            raise SealError(f"the configuration has {config.shape[0]} bytes, this build expects {sizeof(SiteConfig)}; seal it again")
        memcpy(&self.config, &config[0], sizeof(SiteConfig))
        self.names_json = names_json
        self.digest = digest

    @property
    def names(self) -> dict:
        """What the numbers in events and states are called: {"units": [...], "slots": [...], "rows": [...], "devices": [...], ...}."""
        return json.loads(self.names_json)

    @property
    def identity(self) -> bytes:
        """What is configured, 32 bytes, the same in every layout; where the file says none, its own hash."""
        found = bytes.fromhex(self.names.get("identity", ""))
        return found if len(found) == 32 else self.digest

    @property
    def config_bytes(self) -> bytes:
        """The SiteConfig structure as it stands in the file; layout.dtype("SiteConfig") reads it."""
        return (<const char*> &self.config)[:sizeof(SiteConfig)]

    @property
    def buses(self) -> list:
        """Where each bus leads: [{"kind": "tcp", "path": host, "port": port}, {"kind": "rtu", "path": device, "port": 0}, ...]."""
        found = []
        for i in range(min(max(self.config.n_buses, 0), MAX_BUSES)):
            path = (&self.config.bus_path[i * TEXT])[:TEXT].split(b"\0")[0].decode(errors="replace")
            kind = "tcp" if self.config.bus_kind[i] == BUS_TCP else "rtu"
            found.append({"kind": kind, "path": path, "port": self.config.bus_port[i]})
        return found


def pack(config_bytes: bytes, names: dict) -> bytes:
    """The whole file for a SiteConfig structure (as numpy wrote it) and its names."""
    names_json = json.dumps(names, sort_keys=True, separators=(",", ":")).encode()
    if len(config_bytes) != sizeof(SiteConfig):
        raise SealError(f"the configuration has {len(config_bytes)} bytes, this build expects {sizeof(SiteConfig)}")
    body = config_bytes + names_json
    digest = sha256(body).digest()
    return HEADER.pack(MAGIC, LAYOUT_VERSION, len(config_bytes), len(names_json), 0, digest) + body


def opened(data: bytes, place: str) -> tuple:
    """(layout version, size of its structure, structure and names, hash) of a whole file, of whatever layout. Raises SealError."""
    if len(data) < HEADER.size or data[:8] != MAGIC:
        raise SealError(f"{place}: not a sealed configuration; write one with `bessctl check --seal`")
    _, version, size, names_size, _, digest = HEADER.unpack_from(data)
    body = data[HEADER.size:]
    if len(body) != size + names_size or sha256(body).digest() != digest:
        raise SealError(f"{place}: its content does not match its hash; it was changed or cut short after sealing. Seal it again")
    return version, size, body, digest


def look(data: bytes, place: str = "sealed configuration") -> tuple:
    """(layout version, names) of a whole file, of whatever layout: what its release said of it. Raises SealError."""
    version, size, body, _ = opened(data, place)
    return version, json.loads(body[size:])


def unpack(data: bytes, place: str = "sealed configuration") -> SealedSite:
    """Check a whole file and return it as SealedSite; raises SealError, naming `place`, for anything that is not exactly what was sealed."""
    version, size, body, digest = opened(data, place)
    if version != LAYOUT_VERSION or size != sizeof(SiteConfig):
        raise SealError(
            f"{place}: sealed for layout {version} ({size} bytes), this build has layout {LAYOUT_VERSION} ({sizeof(SiteConfig)} bytes); "
            "seal it again with this version"
        )
    return SealedSite(body[:size], body[size:], digest)


def load(path: str) -> SealedSite:
    """Read and check a sealed file. Raises OSError, SealError."""
    with open(path, "rb") as file:
        return unpack(file.read(4 << 20), path)


def store(path: str, data: bytes) -> None:
    """Put a sealed file in place at once and for good: written beside it, synced, renamed. Mode 0444."""
    beside = f"{path}.new"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(beside, path)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
