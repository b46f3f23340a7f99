"""Carries out the session's jobs in worker threads: pack and upload logs, download, verify and install firmware, keep a password.

A log holds this link's audit, its settings and state, its queue's numbers, the files the site names, the controller's journal, and what the
composition root adds: the loop's state and events, the site's configuration without secrets. It holds no token, no password and nothing of
another CSMS (settled question 5).
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import ssl
import tarfile
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from bessctl.errors import BessctlError, OperationFailed
from bessctl.protocols.ocpp.binding.journal import of_link
from bessctl.protocols.ocpp.binding.passwords import put
from bessctl.protocols.ocpp.binding.processes import argv_of, run
from bessctl.protocols.ocpp.binding.threads import beside
from bessctl.protocols.ocpp.binding.updater import Fate, Updater
from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.session.jobs import Done, Download, Install, Job, MarkGood, Outcome, Password, Restart, Upload, Verify
from bessctl.protocols.ocpp.session.keys import Keys
from bessctl.protocols.ocpp.transport.files import TransferFailed, download, upload
from bessctl.store import Store

LogParts = Callable[[str], Mapping[str, bytes]]
"""What the composition root adds to the log of the link of that name."""
JOURNAL_S = 60.0
FOR_EVER_NS = 1 << 62
HASHED = Prehashed(hashes.SHA256())
FILE_BYTES = 20 * 1024 * 1024
"""Of each file the site adds to a log, the newest bytes."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What jobs of one link work with.

    `logs`: files the site adds to a log; `more`: what else it adds, by its name in the archive, asked for in the supervisor's thread;
    `journal`: a command whose output it takes along; `trust`: whom transfers trust, None = the system's authorities.
    """

    link: LinkConfig
    folder: Path
    store: Store
    updater: Updater
    log: logging.Logger
    logs: tuple[Path, ...] = ()
    more: LogParts | None = None
    journal: tuple[str, ...] = ()
    trust: Callable[[], ssl.SSLContext] | None = None

    @property
    def image(self) -> Path:
        """Where a firmware image is downloaded to."""
        return self.folder / "firmware.img"

    def secure(self) -> ssl.SSLContext | None:
        """Whom transfers trust now."""
        return None if self.trust is None else self.trust()


class NotYet(OperationFailed):
    """It is neither done nor failed."""


async def carry_out(job: Job, bench: Bench) -> Done:
    """Do it beside the event loop. Comes to an outcome whatever goes wrong: a job without one would be under way for ever."""
    error = (await asyncio.gather(_work(job, bench), return_exceptions=True))[0]
    if error is None:
        return Done(job, True)
    if isinstance(error, BessctlError | OSError):
        return Done(job, False, str(error), again=isinstance(error, NotYet))
    bench.log.error("ocpp link %s: %s failed by a fault of ours", bench.link.name, type(job).__name__, exc_info=error)
    return Done(job, False, f"a fault of the station: {type(error).__name__}")


async def _work(job: Job, bench: Bench) -> None:
    members = gather(job, bench) if isinstance(job, Upload) else {}
    await beside(partial(_do, job, bench, members), f"ocpp {bench.link.name}", in_turn=isinstance(job, Upload | Download))


def _do(job: Job, bench: Bench, members: dict[str, bytes]) -> None:
    match job:
        case Upload():
            upload(job.url, pack(job, bench, members), job.name, bench.secure())
        case Download():
            fetch(job.url, bench.image, bench.secure())
        case Verify():
            verify(bench.image, job.certificate, job.signature)
        case Install():
            bench.updater.install(bench.image, _progress(bench))
        case Restart():
            bench.updater.restart()
        case Outcome():
            fate, why = bench.updater.outcome()
            if fate is not Fate.RUNS:
                raise NotYet(why) if fate is Fate.NOT_YET else OperationFailed(f"install: {why}")
        case MarkGood():
            bench.updater.mark_good()
        case Password():
            if bench.link.password_file is None:
                raise TransferFailed("password", "the site has no password file")
            put(bench.link.password_file, job.text)


def _progress(bench: Bench) -> Callable[[int], None]:
    """Each tenth is a line of the log."""
    told = -1

    def progress(percent: int) -> None:
        nonlocal told
        if percent // 10 > told:
            told = percent // 10
            bench.log.info("ocpp link %s: firmware: %d %% installed", bench.link.name, percent)

    return progress


def fetch(url: str, image: Path, secure: ssl.SSLContext | None = None) -> None:
    """Download, going on with what an earlier try of the same url left."""
    image.parent.mkdir(parents=True, exist_ok=True)
    mark = image.with_name(image.name + ".url")
    wanted = hashlib.sha256(url.encode()).hexdigest()
    part = image.with_name(image.name + ".part")
    if not mark.exists() or mark.read_text() != wanted:
        part.unlink(missing_ok=True)
        mark.write_text(wanted)
    download(url, part, secure)
    part.replace(image)
    mark.unlink()


def verify(image: Path, certificate: str, signature: str) -> None:
    """Is the image signed by the certificate's key? RSA (PSS, or PKCS#1 v1.5) or ECDSA, over SHA-256. Raises TransferFailed."""
    with image.open("rb") as file:  # an image may be larger than our memory
        digest = hashlib.file_digest(file, "sha256").digest()
    try:
        signed = b64decode(signature, validate=True)
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (NotBase64, ValueError) as e:
        raise TransferFailed("signature", f"it cannot be read: {type(e).__name__}") from e
    if isinstance(key, ec.EllipticCurvePublicKey) and _ecdsa(key, signed, digest):
        return
    if isinstance(key, rsa.RSAPublicKey) and _rsa(key, signed, digest):
        return
    raise TransferFailed("signature", "the image is not what was signed")


def _ecdsa(key: ec.EllipticCurvePublicKey, signature: bytes, digest: bytes) -> bool:
    try:
        key.verify(signature, digest, ec.ECDSA(HASHED))
    except InvalidSignature:
        return False
    return True


def _rsa(key: rsa.RSAPublicKey, signature: bytes, digest: bytes) -> bool:
    for pad in (padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), padding.PKCS1v15()):
        try:
            key.verify(signature, digest, pad, HASHED)
        except InvalidSignature:
            continue
        return True
    return False


def gather(job: Upload, bench: Bench) -> dict[str, bytes]:
    """What the store holds for a log of the time asked for. Supervisor thread."""
    link, store = bench.link, bench.store
    begin, end = job.from_ns or 0, job.to_ns or FOR_EVER_NS
    kinds = ("security",) if job.what == "SecurityLog" else ()
    where = "link = ? AND (utc_ns IS NULL OR utc_ns BETWEEN ? AND ?)" + (" AND kind = ?" if kinds else "")
    rows = store.read(
        f"SELECT utc_ns, mono_ns, kind, connector, detail FROM ocpp_audit WHERE {where} ORDER BY id", (link.name, begin, end, *kinds)
    )
    audit = b"\n".join(orjson.dumps(dict(zip(("utc_ns", "mono_ns", "kind", "connector", "detail"), row, strict=True))) for row in rows)
    members = {"audit.jsonl": audit + b"\n"}
    if job.what != "SecurityLog":
        members["settings.json"] = orjson.dumps(settings(bench), option=orjson.OPT_INDENT_2)
        members |= bench.more(link.name) if bench.more else {}
    return members


def pack(job: Upload, bench: Bench, members: dict[str, bytes]) -> bytes:
    """The log as a .tar.gz. What the site adds and cannot be had is said in its place."""
    found = dict(members)
    if job.what != "SecurityLog":
        found |= {f"files/{path.name}": of_link(_tail(path), bench.link.name) for path in bench.logs if path.is_file()}
        if bench.journal:
            found["journal.txt"] = of_link(_journal(job, bench), bench.link.name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def _journal(job: Upload, bench: Bench) -> bytes:
    since, until = (job.from_ns or 0) // 10**9, min(job.to_ns or FOR_EVER_NS, FOR_EVER_NS) // 10**9
    try:
        text = run(argv_of(bench.journal, {"since": str(since), "until": str(until)}), JOURNAL_S)
    except OperationFailed as e:
        text = f"the journal is not to be had: {e}\n"
    return text.encode()[-FILE_BYTES:]


def settings(bench: Bench) -> dict[str, object]:
    """Settings and counts; secrets and tokens are not among them."""
    link, store = bench.link, bench.store
    saved = dict(store.read("SELECT name, value FROM ocpp_key WHERE link = ?", (link.name,)))
    keys = Keys(link, saved)
    state = dict(store.read("SELECT name, value FROM ocpp_state WHERE link = ?", (link.name,)))
    waiting = store.read("SELECT kind, count(*) FROM ocpp_queue WHERE link = ? GROUP BY kind", (link.name,))
    shown = {key.name: keys.shown(key) for key in keys.all() if not key.secret}
    return {"charge_point_id": link.charge_point_id, "url": link.url, "keys": shown, "state": state, "queue": dict(waiting)}


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, io.SEEK_END)
        file.seek(max(0, file.tell() - FILE_BYTES))
        return file.read()
