"""One unit as R9 has it: whether it obeys, and what it may be giving when it does not. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from tests.properties.model_rows import Sample

S = 1_000_000_000
RUNNING, THROTTLED = 3, 4
RESTING = (0, 1, 7)
"""SunSpec 701 InvSt: off, sleeping, standby."""
CONNECTED, SUSPENDING = 3, 6
"""SunSpec 802 State: from connected to suspending the battery hangs on the DC side."""
REST_SHARE, REST_NS = 0.01, S
"""A hundredth of the rating is none; a PCS that reports rest has a second to get there."""


@dataclass
class Unit:
    """What is known of it. `rated_va`, its reversion timer and its own ramp to 0 as sealed."""

    rated_va: float
    reversion_ns: int = 0
    ramp_ns: int = 0
    age_ns: int = S
    alone: bool = False
    """It has no BMS: its PCS answers for the battery."""
    pcs_up: bool = False
    bms_up: bool = False
    heard: bool = False
    measured_w: float = 0.0
    measured_ns: int = 0
    told: tuple[float, float] = (0.0, 0.0)
    """Least and greatest command since the last measurement, the last one before it included."""
    command_w: float = 0.0
    silent_ns: int | None = None
    resting_ns: int | None = None

    def listen(self, power: Sample, state: Sample, now_ns: int) -> None:
        """Each tick, before anything asks what it gives."""
        self.heard = self.pcs_up and power.seen(now_ns, self.age_ns)
        if self.heard:
            self.silent_ns = None
            if power.at_ns > self.measured_ns:
                self.measured_w, self.measured_ns, self.told = power.value, power.at_ns, (self.command_w, self.command_w)
        elif self.silent_ns is None:
            self.silent_ns = now_ns
        if not (self.pcs_up and state.value in RESTING and state.seen(now_ns, self.age_ns)):
            self.resting_ns = None
        elif self.resting_ns is None:
            self.resting_ns = now_ns

    def command(self, w: float) -> None:
        """At the end of the tick."""
        self.command_w = w
        if not self.told[0] <= w <= self.told[1]:
            self.told = min(self.told[0], w), max(self.told[1], w)

    @property
    def up(self) -> bool:
        """All of its devices are there."""
        return self.pcs_up and (self.bms_up or self.alone)

    def obeys(self, power: Sample, state: Sample, switch: Sample, grid: Sample, now_ns: int) -> bool:
        """There, running, its power measured; where it says who controls it, and whether it is on the grid, it says so now."""
        return (
            self.pcs_up
            and power.seen(now_ns, self.age_ns)
            and state.seen(now_ns, self.age_ns)
            and state.value in (RUNNING, THROTTLED)
            and (switch.at_ns == 0 or (switch.seen(now_ns, self.age_ns) and switch.value == 0))
            and (grid.at_ns == 0 or (grid.seen(now_ns, self.age_ns) and grid.value != 0))
        )

    def loadable(self, bank: Sample, now_ns: int) -> bool:
        """Its battery is there and connected; a BMS without such a point cannot say otherwise."""
        connected = bank.seen(now_ns, self.age_ns) and CONNECTED <= bank.value <= SUSPENDING
        return (self.bms_up or self.alone) and (bank.at_ns == 0 or connected)

    def giving(self, now_ns: int) -> tuple[float, float]:
        """What it may give beside the commands of the others, while it does not obey."""
        if self.resting_ns is not None and (not self.heard or now_ns - self.resting_ns < REST_NS):
            return 0.0, 0.0
        if self.heard:
            w = self.measured_w if abs(self.measured_w) > REST_SHARE * self.rated_va else 0.0
            return min(0.0, w), max(0.0, w)
        late_ns = self.reversion_ns + self.reversion_ns // 2 + self.ramp_ns
        if self.silent_ns is not None and now_ns - self.silent_ns >= late_ns:
            return 0.0, 0.0
        return min(0.0, self.told[0], self.measured_w), max(0.0, self.told[1], self.measured_w)


@dataclass
class Body:
    """One PCS as it really is, whatever anybody hears of it: a PCS we cannot reach holds its last command until its reversion timer, which
    may run late by half, and ramps to 0 by itself."""

    late: float
    """Its timer takes so much of the stated time: 1 to 1.5."""
    rated_w: float
    reversion_ns: int
    ramp_ns: int
    period_ns: int
    told_ns: int
    w: float = 0.0
    told_w: float = 0.0
    runs: bool = True

    def tell(self, w: float, now_ns: int) -> None:
        self.told_w, self.told_ns = w, now_ns

    def move(self, now_ns: int) -> None:
        """First-order towards what it was told; after its timer by its own ramp to 0."""
        if not self.runs:
            self.w = 0.0
        elif now_ns - self.told_ns > self.reversion_ns * self.late:
            step = self.rated_w * self.period_ns / self.ramp_ns
            self.w = max(0.0, self.w - step) if self.w > 0 else min(0.0, self.w + step)
        else:
            self.w += (self.told_w - self.w) * 0.2
