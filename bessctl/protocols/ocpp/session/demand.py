"""What one link wants of the plant over time: magnitudes on the monotonic clock. The binding adds links up and turns the sign."""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.session import composite
from bessctl.protocols.ocpp.session.clock import NS
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.plant import CONNECTORS, Direction
from bessctl.protocols.ocpp.session.profiles import Profiles
from bessctl.protocols.ocpp.session.transactions import Transactions

HORIZON_NS = 48 * 3600 * NS


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) monotonic ns; `watts` None = no statement."""

    start_ns: int
    end_ns: int
    watts: float | None


@dataclass(frozen=True, slots=True)
class Demand:
    """One link's part. `target`: of its transaction, in `direction`; `cap`: an owner's limit on the whole plant, both ways.

    A target stands until `lease_until_ns` (0 = none stands); a cap stands as long as its profile says.
    """

    link: str
    lease_until_ns: int
    direction: Direction | None = None
    target: tuple[Stretch, ...] = ()
    cap: tuple[Stretch, ...] = ()


def demand_of(core: Core, transactions: Transactions, profiles: Profiles, lease_until_ns: int) -> Demand | None:
    """The link's demand now, or None where it has none. `lease_until_ns` 0 = the link is not there to want anything."""
    tx = transactions.active() if lease_until_ns else None
    cap = _limits(core, profiles, profiles.frame(0, None), station_only=True) if core.link.role is Role.OWNER else []
    cap = [c for c in cap if c.watts is not None]
    if tx is None:
        return Demand(core.link.name, lease_until_ns, cap=tuple(cap)) if cap else None
    target = _limits(core, profiles, profiles.frame(tx.connector, tx))
    wanted = tuple(Stretch(s.start_ns, s.end_ns, tx.claim_w if s.watts is None else min(tx.claim_w, s.watts)) for s in target)
    return Demand(core.link.name, lease_until_ns, CONNECTORS[tx.connector], wanted, tuple(cap))


def _limits(core: Core, profiles: Profiles, frame: composite.Frame, *, station_only: bool = False) -> list[Stretch]:
    now, utc = core.now, core.time.utc_ns(core.now)
    if utc is None:
        at = composite.station_limit_at if station_only else composite.limit_at
        return [Stretch(now.mono_ns, now.mono_ns + HORIZON_NS, at(profiles.installed, frame, None))]
    steps = composite.compose(profiles.installed, frame, utc, utc + HORIZON_NS, station_only=station_only)
    shift = now.mono_ns - utc
    return [Stretch(s.start_ns + shift, s.end_ns + shift, s.limit_w) for s in steps]
