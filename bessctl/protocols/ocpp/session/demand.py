"""What one link wants of the plant over time: magnitudes on the monotonic clock. The binding adds links up and turns the sign."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session import composite
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS, Direction
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Transactions

HORIZON_NS = 48 * 3600 * NS
MAX_STEPS = 128


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) monotonic ns; `watts` None = no statement; less than `least_w` is not worth having."""

    start_ns: int
    end_ns: int
    watts: float | None
    least_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Demand:
    """One link's part. `wanted`: by its transaction, in `direction`; `cap`: an owner's limit on the whole plant, both ways.

    What is wanted stands until `lease_until_ns` (0 = none stands); a cap stands as long as its profile says.
    """

    link: str
    lease_until_ns: int
    direction: Direction | None = None
    wanted: tuple[Stretch, ...] = ()
    cap: tuple[Stretch, ...] = ()
    rank: tuple[int, int] = (0, 0)
    """Who is served first: the ledger's order."""


def demand_of(core: Core, transactions: Transactions, profiles: Profiles, lease_until_ns: int) -> Demand | None:
    """The link's demand now, or None where it has none. `lease_until_ns` 0 = the link is not there to want anything."""
    tx = transactions.active() if lease_until_ns else None
    cap = _limits(core, profiles, profiles.frame(0, None), station_only=True) if core.link.role is Role.OWNER else []
    cap = [c for c in cap if c.watts is not None]
    if tx is None:
        return Demand(core.link.name, lease_until_ns, cap=tuple(cap)) if cap else None
    limits = _limits(core, profiles, profiles.frame(tx.connector, tx))
    most = 0.0 if tx.doubted or tx.waits else tx.claim_w
    wanted = tuple(Stretch(s.start_ns, s.end_ns, most if s.watts is None else min(most, s.watts), s.least_w) for s in limits)
    return Demand(core.link.name, lease_until_ns, CONNECTORS[tx.connector], wanted, tuple(cap), (-core.link.priority, tx.order))


def _limits(core: Core, profiles: Profiles, frame: composite.Frame, *, station_only: bool = False) -> list[Stretch]:
    now, utc = core.now, core.time.utc_ns(core.now)
    if utc is None:
        at = composite.station_rule_at if station_only else composite.rule_at
        return [Stretch(now.mono_ns, now.mono_ns + HORIZON_NS, *at(profiles.installed, frame, None))]
    # Where nothing is said of what is wanted, it is 0 W; a cap is never left open.
    most = None if station_only else MAX_STEPS
    steps = composite.compose(profiles.installed, frame, utc, utc + HORIZON_NS, station_only=station_only, most=most)
    shift = now.mono_ns - utc
    return [Stretch(s.start_ns + shift, s.end_ns + shift, s.limit_w, s.least_w) for s in steps]


class DemandMemo:
    """The last demand, kept while nothing can have changed it but its lease: composing 48 h of schedules is not free.

    Composed again when asked after `forget`, after `KEEP_NS`, when the link comes or goes, and when the date moved against
    CLOCK_MONOTONIC by more than `SLACK_NS` (the clock was corrected).
    """

    KEEP_NS = 60 * NS
    SLACK_NS = NS // 50

    def __init__(self, core: Core, transactions: Transactions, profiles: Profiles) -> None:
        self._core = core
        self._transactions = transactions
        self._profiles = profiles
        self._kept: Demand | None = None
        self._key: tuple[bool, int, int | None] | None = None

    def forget(self) -> None:
        """Something was said that changes the demand."""
        self._key = None

    def demand(self, lease_until_ns: int) -> Demand | None:
        """The link's demand now."""
        core, now = self._core, self._core.now
        utc = core.time.utc_ns(now)
        shift = None if utc is None else utc - now.mono_ns
        if not self._fresh(bool(lease_until_ns), now.mono_ns, shift):
            self._kept = demand_of(core, self._transactions, self._profiles, lease_until_ns)
            self._key = (bool(lease_until_ns), now.mono_ns, shift)
        return None if self._kept is None else replace(self._kept, lease_until_ns=lease_until_ns)

    def _fresh(self, standing: bool, mono_ns: int, shift: int | None) -> bool:
        if self._key is None or self._key[0] != standing or not 0 <= mono_ns - self._key[1] < self.KEEP_NS:
            return False
        kept = self._key[2]
        return kept is shift if kept is None or shift is None else abs(shift - kept) <= self.SLACK_NS
