"""Flow reservations: what we ask for, and how much of what was granted is used. Pure.

A grant is an event of its own schedule: from its start we may charge at up to powerAvailable until energyAvailable is used. The plan that
goes out ends when it would be used up at full power, so that a loop left alone never takes more; as long as we are there, what was measured
moves the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bessctl.protocols.sep2.messages.codec import encode
from bessctl.protocols.sep2.messages.control import Interval
from bessctl.protocols.sep2.messages.flow import REQUESTED, WITHDRAWN, FlowReservationRequest, RequestStatus
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.messages.values import scaled
from bessctl.protocols.sep2.session.board import Segment
from bessctl.protocols.sep2.session.events import Phase, Run
from bessctl.protocols.sep2.session.mirrors import ident

LONGEST_STEP_S = 60.0
"""Between two looks at the plant: what was not seen is not counted as used."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Energy to be charged within a stretch of server time."""

    energy_wh: float
    power_w: float
    start_s: int
    end_s: int

    @property
    def duration_s(self) -> int:
        return min(0xFFFF, round(self.energy_wh / self.power_w * 3600))


@dataclass(slots=True)
class Flows:
    """Our requests and what we used."""

    lfdi: str
    pen: int
    asked: dict[str, tuple[Wanted, int]] = field(default_factory=dict)
    """By mRID: what, and when it was asked for."""
    used_wh: dict[str, float] = field(default_factory=dict)
    """By the mRID of the grant."""
    _seen_s: float = 0.0

    def request(self, wanted: Wanted, now_s: float) -> tuple[str, bytes]:
        """A new request: its mRID and document."""
        mrid = ident(self.pen, self.lfdi, "flow", str(wanted.start_s), str(int(now_s)), str(len(self.asked)))
        self.asked[mrid] = (wanted, int(now_s))
        return mrid, self._document(mrid, REQUESTED, now_s)

    def withdraw(self, mrid: str, now_s: float) -> bytes:
        """The same request, cancelled. Raises KeyError."""
        body = self._document(mrid, WITHDRAWN, now_s)
        del self.asked[mrid]
        return body

    def _document(self, mrid: str, status: int, now_s: float) -> bytes:
        wanted, created_s = self.asked[mrid]
        return encode(
            FlowReservationRequest(
                mrid=mrid,
                creation_s=created_s,
                duration_s=wanted.duration_s,
                energy=scaled(wanted.energy_wh),
                within=Interval(duration_s=wanted.end_s - wanted.start_s, start_s=wanted.start_s),
                power=scaled(wanted.power_w),
                status=RequestStatus(at_s=int(now_s), status=status),
            )
        )

    def count(self, runs: Iterable[Run], w: float | None, now_s: float) -> None:
        """What was charged since the last look belongs to the grant that runs. `w` positive = discharge."""
        step_s, self._seen_s = now_s - self._seen_s, now_s
        if w is None or w >= 0 or not 0 < step_s <= LONGEST_STEP_S:
            return
        for run in runs:
            if run.phase is Phase.RUNNING and Channel.FLOW in run.holds:
                self.used_wh[run.event.mrid] = self.used_wh.get(run.event.mrid, 0.0) - w * step_s / 3600

    def cut(self, segments: Iterable[Segment], now_s: float) -> tuple[Segment, ...]:
        """Granted stretches, each no longer than its energy lasts at its full power from now on."""
        out = []
        for segment in segments:
            setting = segment.setting
            left_wh = setting.energy_wh - self.used_wh.get(segment.mrid, 0.0)
            lasts_s = max(0.0, left_wh) / abs(setting.value) * 3600 if setting.value else 0.0
            end_s = min(segment.end_s, max(segment.start_s, now_s) + lasts_s)
            if end_s > segment.start_s:
                out.append(replace(segment, end_s=end_s))
        return tuple(out)

    def forget(self, runs: Mapping[str, Run]) -> None:
        """Grants that are gone."""
        self.used_wh = {mrid: used for mrid, used in self.used_wh.items() if mrid in runs}
