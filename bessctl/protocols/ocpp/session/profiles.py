"""Charging profiles of one link: which may be installed, which go, and the demand that follows (1.6 3.13, 5.16, 5.5, 5.7; 2.0.1 K01, K10).

Rules of acceptance
- STATION_MAX on connector 0 alone; TX on a connector with a running transaction, and that one if it is named; TX_DEFAULT on any.
- Stack level, number of periods and of profiles within what the keys say; the first period starts at 0, the rest ascend.
- A recurring profile needs a start and its recurrence; STATION_MAX cannot be relative.
- Negative limits (old notation for discharge): on connector 1 the magnitude; on 0 and 2, and with mixed signs, Rejected.
- 2.0.1 alone: an absolute or recurring schedule needs its start (K01.FR.40), a relative one has none (FR.41); no phase is named, for a PCS
  does not switch phases (FR.20).
A profile replaces the one of the same id. One of another id, but the same purpose, stack level and connector (and transaction), it
replaces in 1.6 (3.13.2). In 2.0.1 it is refused beside it, where both can be valid at the same instant (K01.FR.06; of one transaction
always, FR.39), and a TxDefaultProfile of an EVSE beside one of all EVSEs on the same stack level too (FR.52, FR.53).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

from bessctl.protocols.ocpp.messages.commands import ClearProfiles
from bessctl.protocols.ocpp.messages.profile import Kind, Profile, Purpose
from bessctl.protocols.ocpp.session import composite
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS
from bessctl.protocols.ocpp.session.writes import DropProfile, Installed, PutProfile, StoredTx

MAX_LIMIT = 1e9


def unacceptable(profile: Profile, connector: int) -> str | None:
    """What is wrong with a profile by itself, or None."""
    schedule = profile.schedule
    starts = [p.start_s for p in schedule.periods]
    limits = [p.limit for p in schedule.periods]
    checks = (
        (connector in (0, *CONNECTORS), f"there is no connector {connector}"),
        (profile.purpose is not Purpose.EXTERNAL, "ChargingStationExternalConstraints are the station's own to set"),
        (profile.purpose is not Purpose.STATION_MAX or connector == 0, "ChargePointMaxProfile goes to connector 0"),
        (profile.purpose is not Purpose.TX or connector != 0, "a TxProfile needs a connector"),
        (abs(profile.id) < 2**31, "chargingProfileId has more than 32 bits"),
        (all(abs(limit) <= MAX_LIMIT for limit in limits), f"a limit is above {MAX_LIMIT:.0f}"),
        (profile.stack >= 0, "stackLevel is below 0"),
        (bool(starts), "the schedule has no period"),
        (starts[:1] == [0], "the first period does not start at 0"),
        (all(a < b for a, b in pairwise(starts)), "periods do not ascend"),
        (
            profile.kind is not Kind.RECURRING or bool(profile.every_s and schedule.start_ns is not None),
            "a recurring profile needs startSchedule and recurrencyKind",
        ),
        (profile.kind is not Kind.RELATIVE or profile.purpose is not Purpose.STATION_MAX, "ChargePointMaxProfile cannot be relative"),
        (schedule.duration_s is None or schedule.duration_s > 0, "the duration is not above 0"),
        (not any(limit < 0 for limit in limits) or connector == 1, "a negative limit (discharge) belongs to connector 1"),
        (not (any(limit < 0 for limit in limits) and any(limit > 0 for limit in limits)), "limits of both signs"),
        (all(p.phases is None or 1 <= p.phases <= 3 for p in schedule.periods), "numberPhases is not within 1..3"),
    )
    return next((why for holds, why in checks if not holds), None)


def unacceptable_201(profile: Profile) -> str | None:
    """What 2.0.1 refuses beside, or None."""
    dated = profile.schedule.start_ns is not None
    checks = (
        (dated or profile.kind is Kind.RELATIVE, "an absolute or recurring profile needs startSchedule"),
        (not dated or profile.kind is not Kind.RELATIVE, "a relative profile has no startSchedule"),
        (all(p.phase is None for p in profile.schedule.periods), "phaseToUse: this station does not switch phases"),
    )
    return next((why for holds, why in checks if not holds), None)


class Profiles:
    """What is installed. Supervisor thread; no I/O."""

    def __init__(self, core: Core, saved: Iterable[Installed]) -> None:
        self._core = core
        self._all: list[Installed] = list(saved)

    @property
    def installed(self) -> list[Installed]:
        return self._all

    def install(self, connector: int, profile: Profile, tx: StoredTx | None, *, with_start: bool = False) -> str | None:
        """Put a profile in force; returns why not. `tx` is the connector's running transaction; `with_start`: it came with it."""
        new = Installed(connector, self._anchored(profile), tx.id if tx and profile.purpose is Purpose.TX else None)
        why = self.unacceptable(profile, connector) or self._misplaced(profile, tx, with_start) or self._beside(new)
        if why is not None:
            return why
        of_16 = self._core.traits.version == "1.6"

        def gone(old: Installed) -> bool:
            return new.profile.id == old.profile.id or (of_16 and _same_place(new, old))

        stays = [i for i in self._all if not gone(i)]
        if len(stays) >= self._core.keys.number("MaxChargingProfilesInstalled"):
            return f"{len(stays)} profiles are installed"
        self._drop(gone)
        self._all.append(new)
        self._core.out.writes.append(PutProfile(new))
        self._core.out.plan_changed = True
        return None

    def unacceptable(self, profile: Profile, connector: int) -> str | None:
        """What is wrong with a profile by itself in the agreed version, or None."""
        core = self._core
        stack, periods = (core.keys.number(name) for name in ("ChargeProfileMaxStackLevel", "ChargingScheduleMaxPeriods"))
        if profile.stack > stack:
            return f"stackLevel is above {stack}"
        if len(profile.schedule.periods) > periods:
            return f"the schedule has {len(profile.schedule.periods)} periods, {periods} are taken"
        return unacceptable(profile, connector) or (unacceptable_201(profile) if core.traits.version != "1.6" else None)

    def clear(self, wish: ClearProfiles) -> bool:
        """Remove what meets every criterion given; False = nothing did."""
        return self._drop(
            lambda i: (
                wish.id in (None, i.profile.id)
                and wish.connector in (None, i.connector)
                and wish.purpose in (None, i.profile.purpose)
                and wish.stack in (None, i.profile.stack)
            )
        )

    def forget_tx(self, tx_id: str) -> None:
        """The transaction is over: its profiles go with it."""
        self._drop(lambda i: i.tx == tx_id)

    def frame(self, connector: int, tx: StoredTx | None) -> composite.Frame:
        """Whose limits to compose."""
        core = self._core
        start = None
        if core.time.utc_ns(core.now) is not None:
            start = core.time.resolve(tx.started, core.now) if tx else core.time.utc_ns(core.now)
        return composite.Frame(connector, core.link.phase_voltage_v, tx.id if tx else None, start)

    def limit_w(self, tx: StoredTx) -> float | None:
        """What the profiles leave the transaction now; None = no limit."""
        return self.rule(tx)[0]

    def rule(self, tx: StoredTx) -> composite.Rule:
        """What the profiles leave the transaction now, and below what it is not worth having."""
        core = self._core
        if not self._all:
            return composite.NO_RULE
        return composite.rule_at(self._all, self.frame(tx.connector, tx), core.time.utc_ns(core.now))

    def _misplaced(self, profile: Profile, tx: StoredTx | None, with_start: bool) -> str | None:
        if profile.purpose is not Purpose.TX:
            return None
        if tx is None:
            return "a TxProfile without a running transaction"
        if profile.tx is None and self._core.traits.station_names_tx and not with_start:
            return "a TxProfile must name its transaction"  # 2.0.1 K01.FR.03
        return "the TxProfile names another transaction" if profile.tx not in (None, tx.peer) else None

    def _beside(self, new: Installed) -> str | None:
        """2.0.1: which other profile stands in its way, or None."""
        if self._core.traits.version == "1.6":
            return None
        other = next((i for i in self._all if i.profile.id != new.profile.id and _conflict(new, i)), None)
        return None if other is None else f"profile {other.profile.id} has this purpose and stack level"

    def _anchored(self, profile: Profile) -> Profile:
        """A station's absolute schedule without start begins now; it has no transaction to begin with."""
        schedule, utc = profile.schedule, self._core.time.utc_ns(self._core.now)
        if profile.purpose is not Purpose.STATION_MAX or schedule.start_ns is not None or utc is None:
            return profile
        return replace(profile, schedule=replace(schedule, start_ns=utc))

    def _drop(self, gone: Callable[[Installed], bool]) -> bool:
        dropped = [i for i in self._all if gone(i)]
        self._all = [i for i in self._all if not gone(i)]
        self._core.out.writes += [DropProfile(i.connector, i.profile.id) for i in dropped]
        self._core.out.plan_changed |= bool(dropped)
        return bool(dropped)


def _same_place(new: Installed, old: Installed) -> bool:
    a, b = new.profile, old.profile
    return (a.purpose, a.stack, new.connector, new.tx) == (b.purpose, b.stack, old.connector, old.tx)


def _conflict(new: Installed, old: Installed) -> bool:
    a, b = new.profile, old.profile
    if _same_place(new, old):
        return a.purpose is Purpose.TX or _overlap(a, b)
    default = a.purpose is b.purpose is Purpose.TX_DEFAULT and a.stack == b.stack
    return default and new.connector != old.connector and 0 in {new.connector, old.connector}


def _overlap(a: Profile, b: Profile) -> bool:
    """Is there an instant at which both are valid?"""
    starts = [ns for ns in (a.valid_from_ns, b.valid_from_ns) if ns is not None]
    ends = [ns for ns in (a.valid_to_ns, b.valid_to_ns) if ns is not None]
    return not starts or not ends or max(starts) < min(ends)
