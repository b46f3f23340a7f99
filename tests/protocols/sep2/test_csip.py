"""SunSpec's CSIP conformance tests for a client (V1.3), by their ids: events as its server scripts them (SEP2-4).

Judged at the plan and at the responses. The system program (SY) has primacy 9, the service point's (SP) 1; times are the story's seconds.
Not the certified procedures: those drive a device in a laboratory.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.sep2.rig import World

SY, SP = "sy", "sp"
DONE, NEVER, CUT = [1, 2, 3], [1, 7], [1, 2, 7]


class Grid:
    """A server with two programs, each with its default, and the plan of whoever listens."""

    def __init__(self, *programs: str, defaults: bool = True) -> None:
        self.world = World()
        self.world.tree.rates["derp"] = 10
        for name in programs or (SY, SP):
            default = {"max_lim_w": 9_000 if name == SY else 8_000} if defaults else None
            self.world.tree.program(name, 9 if name == SY else 1, default)

    def event(self, program: str, mrid: str, start: float, end: float, **modes: Any) -> None:
        self.world.tree.event(program, mrid, self.world.at(start), round(end - start), required=7, **modes)

    def open(self) -> Grid:
        self.world.open()
        return self

    def to(self, second: float) -> Grid:
        self.world.run(second - (self.world.server_s() - self.world.at(0)))
        return self

    def line(self, *seconds: float) -> list[tuple[float | None, float | None]]:
        """Target and upper limit as the plan has them now, at seconds to come."""
        blocks = self.world.plan().blocks
        found = []
        for second in seconds:
            at_ns = self.world.client.clock.mono_ns(self.world.at(second)) + 500_000_000
            block = next((b for b in blocks if b.start_ns <= at_ns < b.end_ns), None)
            found.append((None, None) if block is None else (block.target_w, block.ess_hi_w))
        return found

    def codes(self, mrid: str) -> list[int]:
        return [code for _, code in self.world.tree.responses(mrid)]


SY_LIMIT, SP_LIMIT = 180_000, 160_000


def test_BASIC_016_two_defaults_and_no_event() -> None:
    """The service point's default rules."""
    assert Grid().open().line(20, 500) == [(None, SP_LIMIT)] * 2


def test_BASIC_017_one_event_and_no_default() -> None:
    grid = Grid(SP, defaults=False)
    grid.event(SP, "E1", 30, 60, target_w=10_000)
    assert grid.open().line(20, 40, 70) == [(None, None), (10_000, None), (None, None)]
    assert grid.to(90).codes("E1") == DONE


def test_BASIC_018_one_event_and_its_default() -> None:
    grid = Grid(SP)
    grid.event(SP, "E1", 30, 60, max_lim_w=5_000)
    assert grid.open().line(20, 40, 70) == [(None, SP_LIMIT), (None, 100_000), (None, SP_LIMIT)]
    assert grid.to(90).codes("E1") == DONE


@pytest.mark.parametrize("second", [SP, SY], ids=["BASIC-019", "BASIC-020"])
def test_BASIC_019_020_two_events_apart(second: str) -> None:
    """Of one program, and of two: each runs, the better default between and after them."""
    grid = Grid()
    grid.event(SP, "E1", 30, 50, max_lim_w=5_000)
    grid.event(second, "E2", 70, 90, max_lim_w=4_000)
    assert grid.open().line(40, 60, 80, 95) == [(None, 100_000), (None, SP_LIMIT), (None, 80_000), (None, SP_LIMIT)]
    grid.to(120)
    assert (grid.codes("E1"), grid.codes("E2")) == (DONE, DONE)


@pytest.mark.parametrize(
    ("first", "second"), [((SY, 60, 120), (SP, 60, 120)), ((SP, 60, 120), (SY, 80, 140))], ids=["BASIC-021", "BASIC-022"]
)
def test_BASIC_021_022_overlapping_alike_and_known_before(first: tuple[str, int, int], second: tuple[str, int, int]) -> None:
    """The service point's alone runs, whichever was scheduled first; the system's is superseded and never started."""
    grid = Grid()
    for program, start, end in (first, second):
        grid.event(program, f"E{'12'[program == SP]}", start, end, max_lim_w=5_000 if program == SP else 2_000)
        grid.to(20) if grid.world.asked else grid.open()
    assert grid.line(90) == [(None, 100_000)]
    grid.to(200)
    assert (grid.codes("E1"), grid.codes("E2")) == (NEVER, DONE)


def test_BASIC_023_the_better_one_comes_while_the_other_runs() -> None:
    grid = Grid()
    grid.event(SY, "E1", 30, 120, max_lim_w=2_000)
    grid.open().to(40)
    grid.event(SP, "E2", 60, 90, max_lim_w=5_000)
    grid.to(55)
    assert grid.line(58, 70, 100) == [(None, 40_000), (None, 100_000), (None, SP_LIMIT)]
    grid.to(130)
    assert (grid.codes("E1"), grid.codes("E2")) == (CUT, DONE)


@pytest.mark.parametrize(
    ("early", "late"), [((SY, 30), (SP, 50)), ((SP, 30), (SY, 50)), ((SY, 30), (SP, 60))], ids=["BASIC-024", "BASIC-025", "BASIC-026"]
)
def test_BASIC_024_025_026_overlapping_but_independent(early: tuple[str, int], late: tuple[str, int]) -> None:
    """Different modes run side by side, each with its own answers; the last case is scheduled while the first runs."""
    grid = Grid()
    grid.event(early[0], "E1", early[1], 120, target_w=10_000)
    if late[1] == 60:
        grid.open().to(40)
    grid.event(late[0], "E2", late[1], 100, max_lim_w=5_000)
    grid.to(55) if late[1] == 60 else grid.open()
    assert grid.line(80, 110) == [(10_000, 100_000), (10_000, SP_LIMIT)]
    grid.to(150)
    assert (grid.codes("E1"), grid.codes("E2")) == (DONE, DONE)


def test_BASIC_015_twenty_four_events_in_a_row_of_which_most_are_cancelled() -> None:
    """One follows the other without a gap; those cancelled never start; the default comes back."""
    grid = Grid()
    for n in range(24):
        grid.event(SP, f"{n + 16:02X}", 60 + 30 * n, 90 + 30 * n, target_w=1_000 * (n + 1))
    grid.open()
    assert [target for target, _ in grid.line(*(75 + 30 * n for n in range(24)))] == [1_000 * (n + 1) for n in range(24)]
    grid.to(100)
    for n in range(2, 24):
        grid.world.tree.cancel(f"{n + 16:02X}")
    grid.to(200)
    assert grid.line(210, 700) == [(None, SP_LIMIT)] * 2
    assert [grid.codes(f"{n + 16:02X}") for n in (0, 1, 2, 23)] == [DONE, DONE, [1, 6], [1, 6]]


@pytest.mark.parametrize(("start", "duration"), [(0, 0), (30, 30), (-30, -30)], ids=["none", "later", "earlier"])
def test_CORE_021_randomised_events(start: int, duration: int) -> None:
    """The effective time lies in the window, and what is said is said at the effective times."""
    grid = Grid()
    grid.event(SP, "E1", 100, 200, target_w=10_000, randomize_start=start, randomize_duration=duration)
    grid.open()
    (block,) = [b for b in grid.world.plan().blocks if b.target_w]
    zero = grid.world.client.clock.mono_ns(grid.world.at(0))
    begins, lasts = (block.start_ns - zero) / 1e9, (block.end_ns - block.start_ns) / 1e9
    assert min(100, 100 + start) <= begins <= max(100, 100 + start)
    assert min(100, 100 + duration) <= lasts <= max(100, 100 + duration)
    assert grid.to(300).codes("E1") == DONE


def test_CORE_022_every_state_is_answered_and_a_cancellation_too() -> None:
    grid = Grid()
    grid.event(SP, "E1", 30, 60, target_w=1)
    grid.event(SP, "E2", 100, 300, target_w=1)
    grid.open().to(150)
    grid.world.tree.cancel("E2")
    grid.to(170)
    assert (grid.codes("E1"), grid.codes("E2")) == (DONE, [1, 2, 6])


def test_CORE_023_of_three_at_once_the_best_runs() -> None:
    grid = Grid(SY, SP, "mid")
    grid.world.tree.program("mid", 5)
    for name, program in (("E1", SY), ("E2", SP), ("E3", "mid")):
        grid.event(program, name, 30, 60, target_w=1)
    grid.open().to(90)
    assert (grid.codes("E1"), grid.codes("E2"), grid.codes("E3")) == (NEVER, DONE, NEVER)


def test_CORE_013_ten_programs_with_ten_events_each() -> None:
    """In the order of their times, the default between them; all hundred are answered to the end."""
    grid = Grid()
    for p in range(10):
        grid.world.tree.program(f"p{p}", 20 + p)
        for n in range(10):
            grid.event(f"p{p}", f"{p * 16 + n + 256:04X}", 60 + 100 * n + 10 * p, 63 + 100 * n + 10 * p, target_w=1_000 + p)
    grid.open()
    assert grid.line(61, 66, 81, 161) == [(1_000, SP_LIMIT), (None, SP_LIMIT), (1_002, SP_LIMIT), (1_000, SP_LIMIT)]
    grid.to(1_200)
    assert all(grid.codes(f"{p * 16 + n + 256:04X}") == DONE for p in range(10) for n in range(10))


def test_BASIC_003_MAINT_003_005_a_program_is_exchanged_before_its_event() -> None:
    """The new list's default and event rule from the next poll on."""
    grid = Grid()
    grid.event(SP, "E1", 200, 260, target_w=5_000)
    grid.open()
    del grid.world.tree.programs[SP]
    del grid.world.tree.events["E1"]
    grid.world.tree.program("new", 2, {"max_lim_w": 7_000})
    grid.event("new", "E2", 200, 260, target_w=6_000)
    grid.to(60)
    assert grid.line(100, 220) == [(None, 140_000), (6_000, 140_000)]
