"""What OCSP says of our V2G certificate, asked through the CSMS (2.0.1 M06): an ISO 15118 station shows it to a vehicle beside the
certificate.

- Asked for each certificate of the chain that names a responder: when the chain is new, at the start, a week after an answer or when it is
  over, whichever comes first (M06.FR.10), and a day after one that could not be had.
- Revoked: told as a security event, and a new certificate is asked for.
Only while Plug & Charge is enabled; answers are on disk, by the vault.
"""

from __future__ import annotations

from collections.abc import Callable

from bessctl.protocols.ocpp.messages.device import OcspName
from bessctl.protocols.ocpp.messages.records import AskStatus, StatusReply
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.vault import Vault

DAY_NS = 86_400 * NS
WEEK_NS = 7 * DAY_NS
SOONEST_NS = 3600 * NS


class Revocation:
    """Supervisor thread; no I/O beside the vault's. `renew` asks for a new V2G certificate."""

    def __init__(self, core: Core, vault: Vault, renew: Callable[[], object]) -> None:
        self._core = core
        self._vault = vault
        self._renew = renew
        self._due_ns: dict[OcspName, int] | None = None

    def anew(self) -> None:
        """The chain is another."""
        self._due_ns = None

    def step(self) -> None:
        """Ask what is due."""
        core = self._core
        if not (core.registration.accepted and core.online and core.keys.flag("ISO15118PnCEnabled")):
            return
        if self._due_ns is None:
            self._due_ns = dict.fromkeys(self._vault.ocsp_names(), core.now.mono_ns)
        for name, due in self._due_ns.items():
            if core.now.mono_ns >= due:
                self._due_ns[name] = core.now.mono_ns + DAY_NS
                core.ask(AskStatus(name))

    def wake_ns(self) -> int | None:
        """When the next is due."""
        return min(self._due_ns.values(), default=None) if self._due_ns and self._core.online else None

    def answered(self, asked: AskStatus, reply: StatusReply) -> None:
        """The CSMS passed an answer on, or could not get one."""
        core, name = self._core, asked.name
        if self._due_ns is None or name not in self._due_ns:
            return
        said, until = ("could not be had", None) if reply.result is None else self._vault.ocsp_answer(name, reply.result)
        utc = core.time.utc_ns(core.now)
        if said == "good":
            left = WEEK_NS if until is None or utc is None else min(WEEK_NS, until - utc)
            self._due_ns[name] = core.now.mono_ns + max(SOONEST_NS, left)
        core.audit("ocsp", f"V2G certificate {name.hash.serial}: {said}", None, 20 if said == "good" else 30)
        if said == "revoked":
            core.security("InvalidChargingStationCertificate", "the V2G certificate was revoked")
            self._renew()
