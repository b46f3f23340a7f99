"""Who may use the plant, across all links: direction, power, energy. One ledger per plant, shared by every link's session.

Rules
- Interlock: while any transaction uses one direction, none starts in the other (settled question 2).
- A claim is the most a transaction may have of the plant, fixed when it begins: no more than the envelope leaves beside the claims that
  go before it, which are those of a higher priority and, at the same one, the earlier. One of a higher priority takes from those below it.
  Nothing left = refused, with the name of who bound the envelope. Where our own slot's limit binds, it does not count against us:
  a transaction may begin under a limit of 0 and waits (SuspendedEVSE).
- A grant is what a claim gets of the envelope now: by priority, then first come, nothing where it is not worth having. The sum of the
  grants never exceeds the envelope, and is the target of our slot (`dealt_w`). What is cut is told by each link: Power.Offered and
  SuspendedEVSE, in 2.0.1 also NotifyChargingLimit.
- Energy the plant metered is shared out by granted power, in whole mWh; the shares add up to it exactly (largest remainder).
  A link's register = the plant's register minus what others got: alone, a CSMS reads the plant's own register.
- A register of the plant that runs backward (its counter was lost) is continued, never turned back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bessctl.protocols.ocpp.session.plant import Direction, Reading
from bessctl.protocols.ocpp.session.writes import Account


@dataclass(slots=True)
class Claim:
    """One transaction's part of the plant. `now_w`: what its profiles and its CSMS's lease leave of it now. Orders are given in turn."""

    link: str
    tx: str
    direction: Direction
    claim_w: float
    order: int
    now_w: float
    least_w: float = 0.0
    """Below it power is not worth having (minChargingRate)."""
    grant_w: float = 0.0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Admitted:
    """The answer to who asks for a part; `claim_w` 0 = refused, `why` names who bound it."""

    claim_w: float
    why: str = ""
    order: int = 0


class Ledger:
    """The plant's ledger. Supervisor thread."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._claims: dict[tuple[str, str], Claim] = {}
        self._registers = {direction: _Register(direction) for direction in Direction}
        for account in accounts:
            self._registers[account.direction] = _Register.restored(account)
        self._reading: Reading | None = None
        self._order = 0
        self.moves = 0
        """How often the totals changed."""
        self._granted_w = self._claims_w = 0.0
        self._regranted: set[str] = set()
        self._claimed_w: dict[int, float] = {}
        self._of_link: dict[str, list[Claim]] = {}

    def direction(self) -> Direction | None:
        """The direction in use, if any."""
        for claim in self._claims.values():  # asked at each step of each link: no generator
            return claim.direction
        return None

    def regranted(self) -> set[str]:
        """Links whose grant is another than when this was asked last."""
        found, self._regranted = self._regranted, set()
        return found

    def claims(self) -> list[Claim]:
        """All claims in the order in which they are served."""
        return sorted(self._claims.values(), key=lambda c: (-c.priority, c.order))

    def ask(self, link: str, tx: str, direction: Direction, asked_w: float, priority: int = 0) -> Admitted:
        """Admit a transaction, or say who stands against it."""
        used = self.direction()
        if used is not None and used is not direction:
            return Admitted(0.0, f"interlock: the plant is in use for {used}")
        if self._reading is None:
            return Admitted(0.0, "no state of the plant: the loop is not attached")
        if not self._reading.running:
            return Admitted(0.0, f"plant mode {self._reading.mode}")
        side = self._reading.side(direction)
        free = asked_w if side.ours else max(0.0, side.offered_w - self._before(priority))
        watts = min(asked_w, free)
        if watts <= 0:
            why = side.bound_by if side.offered_w <= 0 else "every watt of the envelope is claimed"
            return Admitted(0.0, why)
        return Admitted(watts, "" if watts >= asked_w else side.bound_by, self._admit(link, tx, direction, watts, priority))

    def resume(self, link: str, tx: str, direction: Direction, claim_w: float, order: int, *, priority: int = 0) -> None:
        """Take a transaction of before a restart back in, whatever the envelope is: it was granted then."""
        self._order = max(self._order, order)
        self._claims[link, tx] = Claim(link, tx, direction, claim_w, order, claim_w, priority=priority)
        self._grant()

    def dealt_w(self) -> float:
        """What all claims together may have of the envelope now, at most all they are. Our own slot's limit is not counted, nor a plant
        that does not run or is not seen: the plan carries the one, and the loop gives nothing by itself in the other."""
        direction, plant = self.direction(), self._reading
        if direction is None or plant is None or not plant.running or plant.side(direction).ours:
            return self._claims_w
        return min(self._claims_w, plant.side(direction).offered_w)

    def release(self, link: str, tx: str) -> None:
        """The transaction is over."""
        self._claims.pop((link, tx), None)
        self._grant()

    def forget(self, link: str) -> None:
        """The link's station begins anew: its transactions are taken back in one by one."""
        gone = [key for key in self._claims if key[0] == link]
        for key in gone:
            del self._claims[key]
        if gone:
            self._grant()

    def limit(self, link: str, tx: str, now_w: float, least_w: float = 0.0) -> None:
        """What the transaction's profiles and its CSMS's lease leave of its claim now."""
        claim = self._claims.get((link, tx))
        if claim is not None and (claim.now_w, claim.least_w) != (now_w, least_w):
            claim.now_w, claim.least_w = now_w, least_w
            self._grant()

    def granted_w(self, link: str, tx: str) -> float:
        """What a transaction gets now."""
        claim = self._claims.get((link, tx))
        return claim.grant_w if claim else 0.0

    def share(self, link: str, tx: str) -> float:
        """A transaction's part of the plant's power, 0..1."""
        total = self._granted_w
        claim = self._claims.get((link, tx))
        if claim is None:
            return 0.0
        return claim.grant_w / total if total > 0 else 1.0 / len(self._claims)

    def observe(self, reading: Reading | None) -> bool:
        """Take the plant's newest state in; True when energy was accounted."""
        self._reading = reading
        moved = False
        if reading is not None:
            for direction, register in self._registers.items():
                moved |= register.observe(reading.side(direction).register_mwh, self._weights(direction))
        self._grant()
        self.moves += moved
        return moved

    def register_wh(self, link: str, direction: Direction) -> int:
        """What a link's connector meter shows, whole Wh."""
        return self._registers[direction].of(link) // 1000

    def accounts(self) -> list[Account]:
        """The totals as they must be kept."""
        return [register.account() for register in self._registers.values()]

    def offered_w(self, link: str, direction: Direction, priority: int = 0) -> float:
        """What a link could get in a direction now: the envelope less the claims of others that go before."""
        if self._reading is None or not self._reading.running:
            return 0.0
        own = sum(c.claim_w for c in self._of_link.get(link, ()) if c.priority >= priority)
        return max(0.0, self._reading.side(direction).offered_w - (self._before(priority) - own))

    def _before(self, priority: int) -> float:
        """All claims of a priority or a higher one; summed once for all links that ask (200 times a second, over 200 claims)."""
        if priority not in self._claimed_w:
            self._claimed_w[priority] = sum(c.claim_w for c in self._claims.values() if c.priority >= priority)
        return self._claimed_w[priority]

    def _admit(self, link: str, tx: str, direction: Direction, watts: float, priority: int) -> int:
        self._order += 1
        self._claims[link, tx] = Claim(link, tx, direction, watts, self._order, watts, priority=priority)
        self._grant()
        return self._order

    def _grant(self) -> None:
        """Deal the envelope out again: after every change of a claim, and of the plant."""
        self._claimed_w.clear()
        self._of_link = {}
        for claim in self._claims.values():
            self._of_link.setdefault(claim.link, []).append(claim)
        claims, direction, plant = self.claims(), self.direction(), self._reading
        there_w = plant.side(direction).offered_w if direction and plant and plant.running else 0.0
        for claim, grant_w in zip(claims, deal([(c.now_w, c.least_w) for c in claims], there_w), strict=True):
            if grant_w != claim.grant_w:
                claim.grant_w = grant_w
                self._regranted.add(claim.link)
        self._granted_w = sum(c.grant_w for c in self._claims.values())
        self._claims_w = sum(c.claim_w for c in self._claims.values())

    def _weights(self, direction: Direction) -> list[tuple[str, float]]:
        claims = [c for c in self.claims() if c.direction is direction]
        granted = any(c.grant_w > 0 for c in claims)
        return [(c.link, c.grant_w if granted else c.claim_w) for c in claims]


class _Register:
    """One direction's energy: the plant's total and who got what of it."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._seen: int | None = None
        self._offset = 0
        self._shared = 0
        self._parts: dict[str, int] = {}

    @classmethod
    def restored(cls, account: Account) -> _Register:
        register = cls(account.direction)
        register._seen, register._offset, register._shared = account.seen_mwh, account.offset_mwh, account.shared_mwh
        register._parts = dict(account.parts)
        return register

    def observe(self, plant_mwh: int, weights: list[tuple[str, float]]) -> bool:
        before = self._seen
        self._seen = plant_mwh
        if before is None or plant_mwh == before:
            return before is None
        if plant_mwh < before:
            self._offset += before - plant_mwh
            return True
        shares = split(plant_mwh - before, [w for _, w in weights])
        for (link, _), share in zip(weights, shares, strict=True):
            self._parts[link] = self._parts.get(link, 0) + share
        self._shared += sum(shares)
        return True

    def of(self, link: str) -> int:
        return (self._seen or 0) + self._offset - self._shared + self._parts.get(link, 0)

    def account(self) -> Account:
        return Account(self._direction, self._seen or 0, self._offset, self._shared, tuple(sorted(self._parts.items())))


def deal(wants: Iterable[tuple[float, float]], there_w: float) -> list[float]:
    """What each gets, in turn: what it wants of what is left; nothing where that is below what is worth having to it."""
    parts: list[float] = []
    for want_w, least_w in wants:
        part_w = max(0.0, min(want_w, there_w))
        parts.append(0.0 if part_w < least_w else part_w)
        there_w -= parts[-1]
    return parts


def split(whole: int, weights: list[float]) -> list[int]:
    """Whole units by weight; the parts add up to `whole` (largest remainder, first come on a tie). No weight = nothing shared."""
    total = sum(weights)
    if not weights or total <= 0:
        return [0] * len(weights)
    exact = [whole * (w / total) for w in weights]
    parts = [min(whole, int(e)) for e in exact]
    rest = whole - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: parts[i] - exact[i])
    for i in range(abs(rest)):
        parts[by_remainder[i % len(parts)]] += 1 if rest > 0 else -1
    return parts
