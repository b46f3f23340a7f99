"""Logs up and firmware down: what is told of them and when (1.6 4.3-4.6, 5.9, 5.19, whitepaper 4; 2.0.1 N01, L01, L02; settled 5).

Log       asked -> Uploading -> (failed: again after the interval, as often as asked) -> Uploaded | UploadFailed
Firmware  asked -> DownloadScheduled -> Downloading -> Downloaded -> SignatureVerified -> InstallScheduled -> (no transaction runs)
          -> Installing -> InstallRebooting -> the updater's verdict after the start -> Installed | InstallationFailed
          Once installed and accepted by the CSMS, the updater is told that the image may stay.
A new wish takes the place of one under way (AcceptedCanceled); while the image is being installed it is Rejected. Firmware is the owner's
business. 1.6's unsigned messages know fewer states: what they have no word for is not told. The state is on disk: a firmware update goes
on after a power cut, an upload is begun again by who asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.answers import LogAnswer
from bessctl.protocols.ocpp.messages.commands import CallRefused, GetLog, UpdateFirmware
from bessctl.protocols.ocpp.messages.records import TransferStatus
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.messages.timestamps import format_utc
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.jobs import Done, Download, Install, Job, MarkGood, Outcome, Restart, Upload, Verify
from bessctl.protocols.ocpp.session.security import Security
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import DropDoc, PutDoc, PutState

KIND = "firmware"
PLAIN_16 = frozenset({"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"})
BOOTING = frozenset({"installing", "installed", "rebooting"})
GRACE_S = 10
"""How long a start into a new image waits for the CSMS to take what it was told."""
UPLOAD_ERRORS = {"permission": "PermissionDenied", "protocol": "NotSupportedOperation", "request": "BadMessage"}


@dataclass(frozen=True, slots=True)
class Update:
    """A firmware update under way. `step`: scheduled, downloading, downloaded, installing, installed, rebooting; `due_ns`: the next, UTC"""

    number: int
    wish: UpdateFirmware
    step: str = "scheduled"
    tried: int = 0
    due_ns: int = 0
    told: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """An upload under way. `due_ns` monotonic of the next try; 0 = one runs."""

    number: int
    wish: GetLog
    name: str
    tried: int = 0
    due_ns: int = 0
    told: str = "Uploading"


class Files:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, security: Security) -> None:
        self._core = core
        self._transactions = transactions
        self._security = security
        self._numbers = 0
        self._log: Log | None = None
        self._unmarked: int | None = None
        self._restart_ns: int | None = None
        saved = core.saved.docs.get(KIND, {}).get("update")
        self._update = None if saved is None else from_text(Update, saved)
        if self._update is not None:
            self._numbers = self._update.number
            self._resume()

    # What is asked.

    def log(self, wish: GetLog) -> LogAnswer:
        """GetDiagnostics, GetLog."""
        core = self._core
        if core.link.role is Role.OBSERVER or not wish.url:
            return LogAnswer("Rejected")
        canceled = self._log is not None
        if self._log is not None:
            self._tell_log("AcceptedCanceled" if core.traits.version != "1.6" else "")
        utc = core.time.utc_ns(core.now)
        date = "" if utc is None else format_utc(utc).replace(":", "").replace("-", "")
        self._numbers += 1
        name = f"{'security' if wish.what == 'SecurityLog' else 'diagnostics'}-{core.link.charge_point_id}-{date}.tar.gz"
        self._log = Log(self._numbers, wish, "".join(ch if ch.isalnum() or ch in "-._" else "_" for ch in name))
        self._upload()
        return LogAnswer("AcceptedCanceled" if canceled else "Accepted", self._log.name)

    def firmware(self, wish: UpdateFirmware) -> tuple[str, str]:
        """UpdateFirmware, SignedUpdateFirmware: status and why."""
        core = self._core
        if core.link.role is not Role.OWNER:
            core.audit("firmware_refused", "the CSMS is not the owner", None, 30)
            if wish.request is None:  # 1.6's answer has no status to say it with
                raise CallRefused("SecurityError", "role", "firmware is the owner's business")
            return "Rejected", "the CSMS is not the owner"
        if self._update is not None and self._update.step in BOOTING:
            return "Rejected", "an image is being installed"
        if (wish.certificate is None) is not (wish.signature is None):
            half = "signature" if wish.signature is None else "signing certificate"
            core.security("InvalidFirmwareSignature", f"there is no {half}")
            return "Rejected", f"there is no {half}: what is signed in half is not signed"
        if wish.certificate is not None:
            why = self._security.firmware_signer(wish.certificate)
            if why is not None:
                core.security("InvalidFirmwareSigningCertificate", why)
                return "Invalid", why
        canceled = self._update is not None
        self._numbers += 1
        self._keep(Update(self._numbers, wish, due_ns=wish.retrieve_ns))
        utc = core.time.utc_ns(core.now)
        if utc is not None and wish.retrieve_ns > utc:
            self._tell("DownloadScheduled")
        return "AcceptedCanceled" if canceled else "Accepted", ""

    def tell(self, what: str) -> str:
        """A triggered LogStatusNotification or FirmwareStatusNotification."""
        if what == "firmware":
            update = self._update
            status = update.told if update is not None and update.told else "Idle"
            self._report(update.wish if update and status != "Idle" else None, status, triggered=True)
            return "Accepted"
        log = self._log
        request = None if log is None else log.wish.request
        self._core.ask(TransferStatus(what, "Idle" if log is None else log.told, request), triggered=True)
        return "Accepted"

    def done(self, done: Done) -> None:
        """A job of ours came to its end."""
        job = done.job
        if isinstance(job, Upload):
            if self._log is not None and self._log.number == job.number:
                self._uploaded(done)
        elif isinstance(job, MarkGood):
            self._core.audit("firmware", done.detail or "the new image may stay", None, 20 if done.ok else 40)
        elif self._update is not None and self._update.number == job.number:
            self._advance(job, done)

    # Time.

    def step(self) -> None:
        """Begin what is due."""
        log, update, core = self._log, self._update, self._core
        if self._unmarked is not None and core.registration.accepted:
            core.out.jobs.append(MarkGood(self._unmarked))
            self._unmarked = None
        if log is not None and log.due_ns and core.now.mono_ns >= log.due_ns:
            self._upload()
        utc = core.time.utc_ns(core.now)
        if update is None or utc is None or utc < update.due_ns:
            return
        if update.step == "scheduled":
            self._keep(replace(update, step="downloading", tried=update.tried + 1))
            self._tell("Downloading")
            core.out.jobs.append(Download(update.number, update.wish.url))
        elif update.step == "downloaded" and self._transactions.active() is None:
            self._keep(replace(update, step="installing"))
            self._tell("Installing")
            core.out.jobs.append(Install(update.number))

    def wake_ns(self) -> int | None:
        """When something is due, monotonic."""
        core, update, times = self._core, self._update, []
        if self._log is not None and self._log.due_ns:
            times.append(self._log.due_ns)
        if self._restart_ns is not None:
            times.append(self._restart_ns)
        waits = update is not None and update.step in {"scheduled", "downloaded"}
        idle = update is None or update.step != "downloaded" or self._transactions.active() is None
        if update is not None and waits and idle and core.time.utc_ns(core.now) is not None:
            times.append(core.time.mono_ns(update.due_ns, core.now))
        return min(times, default=None)

    # Uploads.

    def _upload(self) -> None:
        log = self._log
        assert log is not None
        self._log = replace(log, tried=log.tried + 1, due_ns=0)
        if log.tried == 0:
            self._tell_log("Uploading")
        w = log.wish
        self._core.out.jobs.append(Upload(log.number, w.what, w.url, log.name, w.from_ns, w.to_ns))

    def _uploaded(self, done: Done) -> None:
        log = self._log
        assert log is not None
        core = self._core
        if not done.ok and log.tried < log.wish.attempts:
            core.audit("log_upload", f"try {log.tried} failed: {done.detail}", None, 30)
            self._log = replace(log, due_ns=core.now.mono_ns + max(1, log.wish.interval_s) * NS)
            return
        core.audit("log_upload", "uploaded" if done.ok else f"failed: {done.detail}", None, 20 if done.ok else 30)
        failure = "UploadFailed" if log.wish.what == "diagnostics" else UPLOAD_ERRORS.get(done.detail.split(":")[0], "UploadFailure")
        self._tell_log("Uploaded" if done.ok else failure)
        self._log = None

    def _tell_log(self, status: str) -> None:
        log = self._log
        assert log is not None
        if status:
            self._core.ask(TransferStatus("diagnostics" if log.wish.what == "diagnostics" else "log", status, log.wish.request))

    # Firmware.

    def _advance(self, job: Job, done: Done) -> None:
        match job:
            case Download():
                self._downloaded(done)
            case Verify():
                self._verified(done)
            case Install():
                self._installed(done)
            case Restart():
                self._restarting(done)
            case Outcome():
                self._verdict(done)

    def _downloaded(self, done: Done) -> None:
        update = self._update
        assert update is not None
        if not done.ok:
            self._core.audit("firmware", f"download try {update.tried} failed: {done.detail}", None, 30)
            utc = self._core.time.utc_ns(self._core.now)
            if update.tried < update.wish.attempts and utc is not None:
                self._keep(replace(update, step="scheduled", due_ns=utc + max(1, update.wish.interval_s) * NS))
            else:
                self._over("DownloadFailed", done.detail)
            return
        self._tell("Downloaded")
        w = update.wish
        if w.certificate is not None and w.signature is not None:
            self._core.out.jobs.append(Verify(update.number, w.certificate, w.signature))
        else:
            self._schedule()

    def _verified(self, done: Done) -> None:
        if done.ok:
            self._tell("SignatureVerified")
            self._schedule()
            return
        self._core.security("InvalidFirmwareSignature", done.detail)
        self._over("InvalidSignature", done.detail)

    def _schedule(self) -> None:
        update, core = self._update, self._core
        assert update is not None
        due = update.wish.install_ns or 0
        utc = core.time.utc_ns(core.now)
        self._keep(replace(update, step="downloaded", due_ns=due))
        if (utc is not None and due > utc) or self._transactions.active() is not None:
            self._tell("InstallScheduled")

    def _installed(self, done: Done) -> None:
        update = self._update
        assert update is not None
        if not done.ok:
            self._over("InstallationFailed", done.detail)
            return
        self._tell("InstallRebooting")
        self._keep(replace(self._update or update, step="installed"))
        self._core.out.writes.append(PutState("boot_reason", "FirmwareUpdate"))
        self._restart_ns = self._core.now.mono_ns + GRACE_S * NS

    def settle(self, idle: bool) -> None:
        """Restart into the new image once the CSMS has been told, or cannot be told now. `idle`: no CALL of ours is unanswered."""
        core, update = self._core, self._update
        if update is None or self._restart_ns is None:
            return
        if (idle and not core.asks) or not core.online or core.now.mono_ns >= self._restart_ns:
            self._restart_ns = None
            self._keep(replace(update, step="rebooting"))
            core.out.jobs.append(Restart(update.number))

    def _restarting(self, done: Done) -> None:
        if done.ok:
            self._core.security("ResetOrReboot", "into the new firmware")
            self._core.out.restart = "hard"
        else:
            self._over("InstallationFailed", done.detail)

    def _verdict(self, done: Done) -> None:
        update = self._update
        assert update is not None
        if done.again and update.step in {"installed", "rebooting"}:
            self._core.out.jobs.append(Restart(update.number))
            return
        self._over("Installed" if done.ok else "InstallationFailed", done.detail)
        self._unmarked = update.number if done.ok else None

    def _resume(self) -> None:
        """After a start: what was under way is begun again where that is safe, and asked about where it is not."""
        update = self._update
        assert update is not None
        if update.step in BOOTING:
            self._core.out.jobs.append(Outcome(update.number))
        elif update.step == "downloading":
            self._update = replace(update, step="scheduled")

    def _over(self, status: str, why: str) -> None:
        core = self._core
        self._tell(status)
        core.audit("firmware", f"{status}: {why}" if why else status, None, 20 if status == "Installed" else 30)
        if status == "Installed":
            core.security("FirmwareUpdated")
        self._update = None
        core.out.writes.append(DropDoc(KIND, "update"))

    def _keep(self, update: Update) -> None:
        self._update = update
        self._core.out.writes.append(PutDoc(KIND, "update", to_text(update)))

    def _tell(self, status: str) -> None:
        update = self._update
        assert update is not None
        self._report(update.wish, status)
        self._keep(replace(update, told=status))

    def _report(self, wish: UpdateFirmware | None, status: str, *, triggered: bool = False) -> None:
        signed = wish is not None and wish.request is not None
        if self._core.traits.version == "1.6" and not signed and status not in PLAIN_16:
            return
        what = "signed_firmware" if signed else "firmware"
        self._core.ask(TransferStatus(what, status, wish.request if wish else None), triggered=triggered)
