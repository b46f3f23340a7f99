"""How a transaction begins: by the CSMS's start or by a token at the station (1.6 4.1, 4.8, 5.11; 2.0.1 C, E, F01-F03; settled 3, 13, 17).

A start goes through: asked -> authorised -> plugged in -> begun. Power is claimed when it is asked for, given back when it fails.

The CSMS's start, first row that holds:
    Rejected  the CSMS is an observer; not registered (Pending); no such connector (0 included); connector inoperative, faulted, in use
              or kept for another token; the profile is no TxProfile or not acceptable; there is nothing left to claim
    Accepted  else. With AuthorizeRemoteTxRequests the token is asked about first
A token at the station:
    on a running transaction   `stopping`
    online    LocalPreAuthorize and locally known as Accepted: begins at once; else the CSMS is asked
    offline   LocalAuthorizeOffline and locally Accepted, or unknown and AllowOfflineTxForUnknownId: begins; else refused
A contract certificate with the token (ISO 15118, 2.0.1 C07; the hand stands for the vehicle), where Plug & Charge is enabled:
    online    the CSMS is asked, with what names the chain for OCSP; with the chain itself where CentralContractValidationAllowed and it is
              not good by the roots installed here, without which such a chain is refused. A certificateStatus other than Accepted refuses
    offline   ContractValidationOffline and good by the roots installed here, then as any token; else refused
Where `armed_by_hand` is set a start waits for the plug, at most ConnectionTimeOut (0 = without end); in 2.0.1 the transaction may begin by
either (`txpoints`). Whatever is refused is audited with what refused it; a claim of less than asked is Accepted, and audited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.answers import Answer
from bessctl.protocols.ocpp.messages.commands import RemoteStart
from bessctl.protocols.ocpp.messages.device import OcspName
from bessctl.protocols.ocpp.messages.profile import Purpose
from bessctl.protocols.ocpp.messages.records import Authorize, TokenReply
from bessctl.protocols.ocpp.session import txpoints
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.connectors import Connectors
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.ending import Ending
from bessctl.protocols.ocpp.session.metering import Metering
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.reservations import Reservations
from bessctl.protocols.ocpp.session.stopping import Stopping
from bessctl.protocols.ocpp.session.tokens import Tokens
from bessctl.protocols.ocpp.session.transactions import Begin, Transactions
from bessctl.protocols.ocpp.session.writes import StoredTx

WARNING = 30


@dataclass(frozen=True, slots=True)
class Pending:
    """A start on its way. `until_ns` monotonic: when it is given up; 0 = not before it is authorised or without end."""

    wish: RemoteStart
    tx: str
    connector: int
    claim_w: float
    order: int
    trigger: str
    authorised: bool = False
    until_ns: int = 0
    parent: str | None = None
    contract: str = ""
    """The contract certificate that came with the token (PEM)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a start has to do with."""

    transactions: Transactions
    profiles: Profiles
    connectors: Connectors
    metering: Metering
    tokens: Tokens
    reservations: Reservations
    ending: Ending
    contract: Callable[[str], tuple[tuple[OcspName, ...], str | None]] = lambda pem: ((), "contracts are not judged here")


def begun_by(pending: Pending, tx: str) -> Begin:
    """What a start that was allowed begins transaction `tx` with, or goes on with where plugging in began it."""
    wish = pending.wish
    return Begin(
        tx,
        pending.connector,
        wish.id_token,
        claim_w=pending.claim_w,
        order=pending.order,
        token_type=wish.token_type,
        parent=pending.parent,
        trigger=pending.trigger,
        remote_start_id=wish.remote_start_id,
    )


class Starting:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, parts: Parts) -> None:
        self._core = core
        self._p = parts
        self._pending: Pending | None = None
        self._stopping = Stopping(core, parts.transactions, parts.tokens, parts.ending)

    def remote(self, wish: RemoteStart) -> Answer:
        """The CSMS's start."""
        connector = 1 if wish.connector is None else wish.connector
        why = self._against_csms(wish) or self._against(wish, connector)
        if why is not None:
            return self._refuse(why, connector)
        pending = self._claim(wish, connector, "RemoteStart")
        if isinstance(pending, str):
            return self._refuse(pending, connector)
        if self._core.keys.flag("AuthorizeRemoteTxRequests"):
            self._authorise(pending)
        else:
            self._authorised(pending)
        named = pending.tx if self._core.traits.station_names_tx and self._p.transactions.running(pending.tx) else None
        return Answer("Accepted", tx=named)

    def swipe(self, token: str, connectors: tuple[int, ...], contract: str, kind: str) -> str | None:
        """A token of a kind (IdTokenEnumType) was presented at the station; returns why it does nothing."""
        running = next((t for n in connectors or tuple(CONNECTORS) if (t := self._p.transactions.active(n)) and t.waits != "token"), None)
        if running is not None:
            return (
                "the transaction had its energy and waits to be plugged out"
                if running.waits == "unplug"
                else self._stopping.by(token, running, kind)
            )
        connector = connectors[0] if connectors else 1
        wish = RemoteStart(token, connector, token_type=kind)
        why = self._against(wish, connector) or self._unknown_offline(token) or (self._against_contract(contract) if contract else None)
        if why is not None:
            return why
        pending = self._claim(wish, connector, "Authorized")
        if isinstance(pending, str):
            return pending
        known = self._p.tokens.known(token)
        accepted = known is not None and known.status == "Accepted" and not contract
        if self._away() or (accepted and self._core.keys.flag("LocalPreAuthorize")):
            self._authorised(pending)
        else:
            self._authorise(replace(pending, contract=contract))
        return None

    def plugged(self, connector: int) -> None:
        """The connector was armed: what waited for it begins, or goes on; or it begins by this itself (TxStartPoint)."""
        pending, tx = self._pending, self._p.transactions.active(connector)
        if pending is not None and pending.connector == connector and pending.authorised:
            self._begin(pending)
        elif tx is not None and tx.waits == "plug":
            self._p.transactions.go(tx, "CablePluggedIn")
        elif self._p.transactions.active() is None and txpoints.CONNECTED in self._start_points() and self._usable(connector) is None:
            self._begun_by_plug(connector)

    def answered(self, token: str, reply: TokenReply | None) -> None:
        """The CSMS's word on a token; None = no word came."""
        if reply is not None:
            self._p.tokens.learn(token, reply)
        if self._stopping.asked(token):
            self._stopping.answered(reply)
            return
        pending = self._pending
        if pending is None or pending.authorised or pending.wish.id_token != token:
            return
        if reply is not None and reply.certificate not in (None, "Accepted"):
            self._drop(f"the CSMS answered {reply.certificate} of the contract certificate")
            return
        if reply is not None and reply.status == "Accepted":
            parent = None if reply.parent is None else self._core.digest(reply.parent)
            if parent is not None and parent == self._stopping.master():
                self._drop("a master pass begins no transaction")
                return
            if not self._p.reservations.fits(pending.connector, self._core.digest(token), parent):
                self._drop("the connector is kept for another token")
                return
            self._authorised(replace(pending, parent=parent))
            return
        self._drop(f"the CSMS answered {reply.status if reply else 'nothing'}")

    def drop(self, connector: int, why: str) -> None:
        """Give a waiting start of a connector up."""
        if self._pending is not None and self._pending.connector == connector:
            self._drop(why)

    def give_up(self, why: str) -> None:
        """Give whatever start is on its way up."""
        if self._pending is not None:
            self._drop(why)

    def step(self) -> None:
        """Give up what waited too long for the plug."""
        pending = self._pending
        if pending is not None and pending.until_ns and self._core.now.mono_ns >= pending.until_ns:
            self._drop("nobody plugged in within ConnectionTimeOut")
        tx, due = self._p.transactions.active(), self._plug_due_ns()
        if tx is not None and due is not None and self._core.now.mono_ns >= due:
            self._p.ending.end(tx, "Timeout", trigger="EVConnectTimeout")

    def wake_ns(self) -> int | None:
        """When a waiting start is given up."""
        return (self._pending.until_ns or None) if self._pending else self._plug_due_ns()

    def _plug_due_ns(self) -> int | None:
        """When a transaction that began by its authorisation is given up for want of a plug; None = it is not."""
        core, tx = self._core, self._p.transactions.active()
        if tx is None or tx.waits != "plug":
            return None
        wait, utc = core.keys.number("ConnectionTimeOut"), core.time.utc_ns(core.now)
        if not wait or utc is None:
            return None
        return core.time.mono_ns(core.time.resolve(tx.started, core.now) + wait * NS, core.now)

    def link_broke(self) -> None:
        """An answer about a token does not come any more."""
        self._stopping.forget()
        if self._pending is not None and not self._pending.authorised:
            self._drop("the CSMS went away before it answered")

    def waits(self) -> bool:
        """Is a start on its way?"""
        return self._pending is not None

    # Steps of a start.

    def _claim(self, wish: RemoteStart, connector: int, trigger: str) -> Pending | str:
        core, begun = self._core, self._p.transactions.active(connector)
        tx, asked = begun.id if begun else core.new_id(), core.link.remote_start_w
        admitted = core.ledger.ask(core.link.name, tx, CONNECTORS[connector], asked, core.link.priority)
        if admitted.claim_w <= 0:
            return f"nothing to grant, bound by {admitted.why}"
        if admitted.why:
            core.audit("remote_start_reduced", f"claims {admitted.claim_w:.0f} of {asked:.0f} W, bound by {admitted.why}", connector)
        return Pending(wish, tx, connector, admitted.claim_w, admitted.order, trigger, parent=self._parent(wish))

    def _parent(self, wish: RemoteStart) -> str | None:
        return self._core.digest(wish.parent) if wish.parent is not None else self._p.tokens.parent(wish.id_token)

    def _authorise(self, pending: Pending) -> None:
        self._pending = pending
        self._p.connectors.preparing.add(pending.connector)
        names, why = self._p.contract(pending.contract) if pending.contract else ((), None)
        whole = pending.contract if why is not None and self._core.keys.flag("CentralContractValidationAllowed") else None
        self._core.ask(Authorize(pending.wish.id_token, pending.wish.token_type, names, whole))

    def _authorised(self, pending: Pending) -> None:
        tx = self._p.transactions.active(pending.connector)
        if tx is not None:
            self._begun_is_authorised(tx, pending)
            return
        if self._p.connectors.armed(pending.connector):
            self._begin(pending)
            return
        if txpoints.AUTHORIZED in self._start_points():
            self._begin(pending, waits="plug")
            return
        wait = self._core.keys.number("ConnectionTimeOut")
        until = self._core.now.mono_ns + wait * NS if wait else 0
        self._pending = replace(pending, authorised=True, until_ns=until)
        self._p.connectors.preparing.add(pending.connector)

    def _start_points(self) -> tuple[str, ...]:
        """1.6 knows of none: there a transaction begins when both are so."""
        return self._core.keys.words(txpoints.START) if self._core.traits.tells_updates else (txpoints.CLOSED,)

    def _begun_by_plug(self, connector: int) -> None:
        begin = Begin(
            self._core.new_id(), connector, "", claim_w=0.0, order=0, trigger="CablePluggedIn", state="EVConnected", waits="token"
        )
        self._p.transactions.begin(begin, self._p.metering.first(connector))

    def _begun_is_authorised(self, tx: StoredTx, pending: Pending) -> None:
        self._pending = None
        wish = pending.wish
        self._p.connectors.preparing.discard(pending.connector)
        self._p.reservations.use(pending.connector, self._core.digest(wish.id_token), pending.parent)
        self._with_profile(wish, pending.connector, self._p.transactions.authorise(tx, begun_by(pending, tx.id)))

    def _with_profile(self, wish: RemoteStart, connector: int, tx: StoredTx) -> None:
        why = None if wish.profile is None else self._p.profiles.install(connector, wish.profile, tx, with_start=True)
        if why is not None:
            self._core.audit("profile_refused", why, connector, WARNING)

    def _begin(self, pending: Pending, *, waits: str = "") -> None:
        self._pending = None
        core, connector, wish = self._core, pending.connector, pending.wish
        self._p.connectors.preparing.discard(connector)
        if core.traits.passes_states and not core.keys.number("MinimumStatusDuration"):
            self._p.connectors.report(connector, status="Preparing")
        token = core.digest(wish.id_token)
        reservation = self._p.reservations.use(connector, token, pending.parent)
        state = "Idle" if waits else "Charging"
        begin = replace(begun_by(pending, pending.tx), reservation=reservation, state=state, waits=waits)
        values = self._p.metering.first(connector)
        tx = self._p.transactions.begin(begin, values)
        self._p.metering.health(tx, "Begin")
        self._with_profile(wish, connector, tx)

    def _drop(self, why: str) -> None:
        pending, self._pending = self._pending, None
        assert pending is not None
        core = self._core
        self._p.connectors.preparing.discard(pending.connector)
        core.ledger.release(core.link.name, pending.tx)
        core.audit("start_dropped", why, pending.connector, WARNING)

    # Against it.

    def _against_csms(self, wish: RemoteStart) -> str | None:
        core, profile = self._core, wish.profile
        checks = (
            (core.link.role is not Role.OBSERVER, "the CSMS is an observer"),
            (core.registration.accepted, "the station is not registered"),
            (profile is None or profile.purpose is Purpose.TX, "the profile of a RemoteStart must be a TxProfile"),
        )
        why = next((reason for holds, reason in checks if not holds), None)
        return why or (self._p.profiles.unacceptable(profile, wish.connector or 1) if profile else None)

    def _usable(self, connector: int) -> str | None:
        core, p = self._core, self._p
        checks = (
            (not core.resetting, "the station is about to restart"),
            (connector in CONNECTORS, f"there is no connector {connector} to start"),
            (p.connectors.operative(connector), f"connector {connector} is inoperative"),
            (not p.connectors.error(connector).faulted, f"the plant is faulted: {p.connectors.error(connector).vendor}"),
        )
        return next((reason for holds, reason in checks if not holds), None)

    def _against(self, wish: RemoteStart, connector: int) -> str | None:
        core, p = self._core, self._p
        why = self._usable(connector)
        if why is not None:
            return why
        tx = p.transactions.active(connector)
        checks = (
            (self._pending is None and (tx is None or tx.waits == "token"), f"connector {connector} is in use"),
            (p.transactions.active() in (None, tx), "the other connector is in use"),
            (p.reservations.fits(connector, core.digest(wish.id_token), self._parent(wish)), "the connector is kept for another token"),
        )
        return next((reason for holds, reason in checks if not holds), None)

    def _away(self) -> bool:
        return not (self._core.online and self._core.registration.accepted)

    def _against_contract(self, contract: str) -> str | None:
        keys = self._core.keys
        if not keys.flag("ISO15118PnCEnabled"):
            return "Plug & Charge is not enabled (ISO15118PnCEnabled)"
        if self._away() and not keys.flag("ContractValidationOffline"):
            return "contracts are not judged while the CSMS is away (ContractValidationOffline)"
        why = self._p.contract(contract)[1]
        return None if why is None or (keys.flag("CentralContractValidationAllowed") and not self._away()) else why

    def _unknown_offline(self, token: str) -> str | None:
        core = self._core
        if not self._away():
            return None
        known = self._p.tokens.known(token)
        if known is not None and core.keys.flag("LocalAuthorizeOffline"):
            return None if known.status == "Accepted" else f"the token is {known.status}, and the CSMS is away"
        if known is None and core.keys.flag("AllowOfflineTxForUnknownId"):
            return None
        return "the token is not known here, and the CSMS is away"

    def _refuse(self, why: str, connector: int) -> Answer:
        self._core.audit("remote_start_refused", why, connector, WARNING)
        return Answer("Rejected", why)
