"""What limits an EVSE beside its CSMS, told to it (2.0.1 K11-K13; OCPP-6), and what is installed, reported (K09).

External constraints are written by us alone: whoever binds the envelope below what the CSMS asked for is told with NotifyChargingLimit and,
when it is over, with ClearedChargingLimit. OSCP and IEEE 2030.5 are the source SO, a local EMS is EMS, everything else Other. A change of
less than LimitChangeSignificance percent is not told.

    a transaction runs on the EVSE   whoever leaves it less than it would have, with ChargingRateChanged (K11)
    none does                        another source's limit below what a start would get (K12); the plant's own limits are its normal state
"""

from __future__ import annotations

import orjson

from bessctl.protocols.ocpp.messages.commands import GetProfiles
from bessctl.protocols.ocpp.messages.profile import Purpose
from bessctl.protocols.ocpp.messages.records import LimitTold, Paged
from bessctl.protocols.ocpp.messages.v201.fields import profile_payload
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import PutState

SOURCES = {"oscp": "SO", "oscp_co": "SO", "sep2": "SO", "ems": "EMS"}
EXTERNAL = ("source:", "fallback:", "default:")
"""Bindings that are another source's word, live, lapsed or sealed; the rest is the plant's own."""
PAGE = 5
TOLD = "limits_told"
"""What the CSMS was told of, on disk: it must learn that a limit is over, also where we were killed meanwhile."""


def source_of(binding: str) -> str:
    """ChargingLimitSourceEnumType of a binding such as "source:oscp:dso"."""
    kind, _, name = binding.partition(":")
    return SOURCES.get(name.split(":")[0], "Other") if kind in {"source", "fallback", "default"} else "Other"


class Limits:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, profiles: Profiles) -> None:
        self._core = core
        self._transactions = transactions
        self._profiles = profiles
        saved: dict[str, tuple[str, float]] = orjson.loads(core.saved.state.get(TOLD, "{}"))
        self._told = {int(evse): (source, watts) for evse, (source, watts) in saved.items()}
        self._asked: dict[int, tuple[str, float] | None] = {}
        """What this connection was told, or will be once its turn has come; `_told` is what the CSMS answered to."""

    def step(self) -> None:
        """Tell a limit that came, changed or went."""
        core = self._core
        if core.traits.version == "1.6" or not core.online or not core.registration.accepted:
            return
        for evse in CONNECTORS:
            self._tell(evse, self._limit(evse))

    def _tell(self, evse: int, now: tuple[str, float] | None) -> None:
        core, told = self._core, self._asked[evse] if evse in self._asked else self._told.get(evse)
        if now == told or (now and told and now[0] == told[0] and not self._significant(now[1], told[1])):
            return
        if told is not None and (now is None or now[0] != told[0]):
            core.ask(LimitTold(evse, told[0], None, core.time.stamp(core.now)))
        if now is not None:
            core.ask(LimitTold(evse, *now, core.time.stamp(core.now)))
            tx = self._transactions.active(evse)
            if tx is not None:
                self._transactions.told(tx, "ChargingRateChanged")
        self._asked[evse] = now

    def acknowledged(self, told: LimitTold) -> None:
        """The CSMS has it."""
        if told.limit_w is not None:
            self._told[told.connector] = (told.source, told.limit_w)
        elif self._told.get(told.connector, ("", 0.0))[0] == told.source:
            del self._told[told.connector]
        self._core.out.writes.append(PutState(TOLD, orjson.dumps(self._told, option=orjson.OPT_NON_STR_KEYS).decode()))

    def lost(self) -> None:
        """The connection is gone, and with it what was not answered: it is told again where it still holds."""
        self._asked.clear()

    def report(self, wish: GetProfiles) -> str:
        """GetChargingProfiles; ReportChargingProfiles follow, one for each EVSE and page."""
        if wish.sources and "CSO" not in wish.sources:
            return "NoProfiles"
        found = [
            i
            for i in self._profiles.installed
            if wish.connector in (None, i.connector)
            and (not wish.ids or i.profile.id in wish.ids)
            and (wish.ids or (wish.purpose in (None, i.profile.purpose) and wish.stack in (None, i.profile.stack)))
        ]
        if not found or wish.purpose is Purpose.EXTERNAL:
            return "NoProfiles"
        pages = [
            (connector, group[at : at + PAGE])
            for connector in sorted({i.connector for i in found})
            for group in [[i for i in found if i.connector == connector]]
            for at in range(0, len(group), PAGE)
        ]
        for seq, (connector, page) in enumerate(pages):
            head = (("requestId", wish.request), ("chargingLimitSource", "CSO"), ("evseId", connector))
            rows = tuple(profile_payload(i.profile) for i in page)
            self._core.ask(Paged("ReportChargingProfiles", "chargingProfile", rows, seq, seq + 1 < len(pages), head), triggered=True)
        return "Accepted"

    def _limit(self, evse: int) -> tuple[str, float] | None:
        """Who limits the EVSE now, and to how much, W."""
        core, tx = self._core, self._transactions.active(evse)
        if core.reading is None:
            return None
        side = core.reading.side(CONNECTORS[evse])
        if tx is None:
            external = side.bound_by.startswith(EXTERNAL) and not side.ours
            return (source_of(side.bound_by), side.offered_w) if external and side.offered_w < core.link.remote_start_w else None
        wanted = self._profiles.limit_w(tx)
        asked = core.link.remote_start_w if wanted is None else min(wanted, core.link.remote_start_w)
        granted = core.ledger.granted_w(core.link.name, tx.id)
        if granted >= asked or side.ours or tx.doubted or tx.waits:
            return None
        return (source_of(side.bound_by), granted)

    def _significant(self, a: float, b: float) -> bool:
        percent = float(self._core.keys.text("SmartChargingCtrlr.LimitChangeSignificance"))
        return abs(a - b) > percent / 100 * max(abs(a), abs(b))
