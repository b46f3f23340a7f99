"""CARD-4, OCPP-7: the other slot, confirmed only after proof; plant and old system are left alone when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.device.update import OVER, Sight, Update, after_start, begin, fail, proof
from board.device.updater import Places, Updater, load, outcome, store

UNDER_WAY = Update("restarting", "r", "2.0.0", "A", "B", stopped=True)


@pytest.mark.parametrize(
    ("phase", "slot", "then"),
    [
        # Nothing is under way: a start changes nothing.
        ("idle", "A", "idle"),
        ("good", "B", "good"),
        ("failed", "A", "failed"),
        # Power went before the new system was there.
        ("checking", "A", "failed"),
        ("installing", "A", "failed"),
        # The boot loader's choice is the verdict.
        ("restarting", "B", "trying"),
        ("restarting", "A", "failed"),
        ("trying", "B", "trying"),
        ("trying", "A", "failed"),
        # It did not prove itself: over only once the old one runs.
        ("given_up", "A", "failed"),
        ("given_up", "B", "given_up"),
    ],
)
def test_what_a_start_makes_of_an_update(phase: str, slot: str, then: str) -> None:
    before = replace(UNDER_WAY, phase=phase)
    after = after_start(before, slot)
    assert after.phase == then
    assert bool(after.why) == (then == "failed" and phase not in {"failed", "given_up"})
    assert replace(after, phase=phase, why="") == before, "who was stopped, and for what, is kept"


@pytest.mark.parametrize(("running", "target"), [("A", "B"), ("B", "A")])
def test_the_slot_that_does_not_run_takes_the_new_system(running: str, target: str) -> None:
    assert begin("r", running).target == target


LOOKS = st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 50), st.integers(0, 2)), max_size=30)


@given(LOOKS, st.integers(1, 20))
def test_a_proof_has_no_hole(looks: list[tuple[bool, int | None, int]], good_s: int) -> None:
    """Whatever came before: proved means active, ticking and not restarted in every look of the last good_s seconds."""
    seen = [Sight(float(at), active, ticks, starts) for at, (active, ticks, starts) in enumerate(looks)]
    if proof(good_s, seen):
        last = [look for look in seen if look.at_s >= seen[-1].at_s - good_s]
        assert all(look.active and look.ticks is not None for look in last)
        assert len({look.starts for look in last}) == 1
        ticks = [look.ticks or 0 for look in last]
        assert ticks == sorted(set(ticks)), "the loop ticked from look to look"


def test_a_healthy_run_is_a_proof_after_the_set_time_and_not_before() -> None:
    looks = [Sight(float(at), True, 100 * at, 0) for at in range(0, 61, 5)]
    assert proof(60, looks)
    assert not proof(61, looks)
    assert not proof(60, [])


# --- root's part, with the board's commands played ----------------------------------------------------------------------------------------


RUN, STOPPED, OUT_OF_SERVICE = 1, 3, 4


@dataclass
class Board:
    """Answers of the board's commands by their first words, and of the loop; what was run and asked, in order."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    mode: int = RUN
    obeys: bool = True

    def run(self, *command: str, timeout_s: float = 60.0) -> tuple[int, str]:
        line = " ".join(command)
        self.ran.append(line)
        for start, answer in self.answers.items():
            if line.startswith(start):
                return answer
        if line.startswith("rauc info"):
            return 0, json.dumps({"compatible": "bessctl-qemu-virt-arm64", "version": "2.0.0"})
        return 0, "qemu-virt-arm64" if line.startswith("cat ") else ""

    def ask(self, command: str) -> dict[str, Any]:
        """The loop's socket."""
        if command == "status":
            return {"ok": True, "outcome": "done", "reason": "", "status": {"mode": self.mode, "tick": 1}}
        self.ran.append(f"loop {command}")
        if self.obeys:
            self.mode = {"stop": STOPPED, "start": RUN}[command]
        return {"ok": True, "outcome": "done", "reason": ""}

    def did(self, start: str) -> bool:
        return any(line.startswith(start) for line in self.ran)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "update/inbox").mkdir(parents=True)
    (tmp_path / "cmdline").write_text("console=ttyAMA0 rauc.slot=A bess.good_s=10 bess.give_up_s=30\n")
    (tmp_path / "bundle.raucb").write_text("a bundle")
    return Places(tmp_path / "update", tmp_path / "cmdline")


def updater(places: Places, board: Board) -> Updater:
    clock: Iterator[int] = iter(range(100_000))
    return Updater(places, run=board.run, ask=board.ask, sleep=lambda _: None, now=lambda: float(next(clock)))


def ask(places: Places) -> None:
    store(places.request, {"request": "r1", "image": str(places.folder.parent / "bundle.raucb")})


def test_an_update_is_installed_with_the_plant_in_standby_and_the_board_restarted(places: Places) -> None:
    board = Board()
    ask(places)
    assert updater(places, board).serve() == load(places) == Update("restarting", "r1", "2.0.0", "A", "B", stopped=True)
    order = [line for line in board.ran if line.startswith(("rauc install", "loop ", "systemd-run"))]
    assert [line.split()[1] for line in order] == ["stop", "install", "--on-active=15"], "standby first, restart last, and no start between"
    assert not places.request.exists(), "it is not tried twice"


@pytest.mark.parametrize(
    ("what", "answers", "why"),
    [
        ("unsigned", {"rauc info": (1, "signature verification failed")}, "signature verification failed"),
        ("another board's", {"rauc info": (0, '{"compatible": "bessctl-other", "version": "2.0.0"}')}, "the bundle is for bessctl-other"),
        ("too old", {"/usr/lib/bessctl/board/allow-bundle": (1, "version 0.0.1 is older than 0.1.0")}, "older than"),
    ],
)
def test_a_bundle_that_may_not_be_installed_never_touches_the_plant(
    places: Places, what: str, answers: dict[str, tuple[int, str]], why: str
) -> None:
    board = Board(answers)
    ask(places)
    update = updater(places, board).serve()
    assert (update.phase, why in update.why) == ("failed", True), what
    assert not board.did("loop stop")
    assert not board.did("rauc install")
    assert not board.did("systemctl reboot")


def test_a_bundle_that_fails_while_it_is_written_leaves_the_plant_running(places: Places) -> None:
    board = Board({"rauc install": (1, "LastError: a block is not what was signed")})
    ask(places)
    update = updater(places, board).serve()
    assert (update.phase, update.why, update.stopped) == ("failed", "LastError: a block is not what was signed", False)
    assert board.mode == RUN


@pytest.mark.parametrize("mode", [STOPPED, OUT_OF_SERVICE])
def test_an_operators_stop_outlives_an_update(places: Places, mode: int) -> None:
    """R15: only a local start ends a stop; the update's end is none."""
    board = Board(mode=mode)
    ask(places)
    updater(places, board).serve()
    places.cmdline.write_text("rauc.slot=B bess.good_s=10")
    update = updater(places, board).confirm(Watched(places.folder, healthy=True))
    assert update.phase == "good"
    assert not board.did("loop start")


def test_a_loop_that_is_down_is_not_stopped(places: Places) -> None:
    board = Board({"systemctl is-active": (3, "inactive")})
    ask(places)
    assert not updater(places, board).serve().stopped
    assert not board.did("loop stop")


def test_a_plant_that_does_not_come_to_standby_is_not_updated(places: Places) -> None:
    board = Board(obeys=False)
    ask(places)
    assert "standby" in updater(places, board).serve().why
    assert not board.did("rauc install")


def test_a_power_cut_right_after_the_stop_does_not_leave_the_plant_stopped(places: Places) -> None:
    """That the update stops the plant is on disk before it does."""
    board = Board()

    def cut(command: str) -> dict[str, Any]:
        if command == "stop":
            board.mode = STOPPED
            raise KeyboardInterrupt
        return board.ask(command)

    ask(places)
    it = updater(places, board)
    it.ask = cut
    with pytest.raises(KeyboardInterrupt):
        it.serve()
    update = updater(places, board).confirm(Watched(places.folder, healthy=True))
    assert (update.phase, board.mode) == ("failed", RUN)


def test_what_cannot_be_understood_of_a_bundle_is_refused(places: Places) -> None:
    board = Board({"rauc info": (0, "no such output format")})
    ask(places)
    assert "cannot be read" in updater(places, board).serve().why


@pytest.mark.parametrize("phase", ["checking", "installing", "restarting", "trying", "given_up"])
def test_a_second_wish_waits_its_turn_elsewhere(places: Places, phase: str) -> None:
    store(places.state, asdict(replace(UNDER_WAY, phase=phase)))
    ask(places)
    board = Board()
    assert updater(places, board).serve() == replace(UNDER_WAY, phase=phase)
    assert board.ran == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"image": "x"}', '{"request": "", "image": "x"}'])
def test_a_wish_that_makes_no_sense_is_dropped(places: Places, text: str) -> None:
    places.request.write_text(text)
    assert updater(places, Board()).serve() == Update()
    assert not places.request.exists()


# --- each start ---------------------------------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """The two services as a test wants them."""

    folder: Path
    healthy: bool
    site: bool = True
    ticked: int = 0

    def expected(self) -> bool:
        return self.site

    def active(self) -> bool:
        return self.healthy

    def ticks(self) -> int | None:
        self.ticked += 1
        return self.ticked

    def starts(self) -> int:
        return 0


def test_a_new_system_that_proves_itself_is_confirmed_and_the_plant_started(places: Places) -> None:
    store(places.state, asdict(UNDER_WAY))
    places.cmdline.write_text("rauc.slot=B bess.good_s=10 bess.give_up_s=30")
    board = Board(mode=STOPPED)
    update = updater(places, board).confirm(Watched(places.folder, healthy=True))
    assert (update.phase, update.stopped, board.mode) == ("good", False, RUN)
    assert board.ran.index("rauc status mark-good") < board.ran.index("loop start"), "the plant waits for the proof"
    assert outcome(places) == 0


def test_a_new_system_that_does_not_is_given_up_and_the_old_one_starts_the_plant(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    store(places.state, asdict(UNDER_WAY))
    places.cmdline.write_text("rauc.slot=B bess.good_s=10 bess.give_up_s=30")
    board = Board(mode=STOPPED)
    assert updater(places, board).confirm(Watched(places.folder, healthy=False)).phase == "given_up"
    assert board.ran[-2:] == ["rauc status mark-bad", "systemctl reboot"]
    assert not board.did("loop start")

    places.cmdline.write_text("rauc.slot=A bess.good_s=10 bess.give_up_s=30")
    update = updater(places, board).confirm(Watched(places.folder, healthy=True))
    assert (update.phase, board.mode) == ("failed", RUN)
    assert outcome(places) == 1
    assert "did not prove itself" in capsys.readouterr().err


def test_an_ordinary_start_is_never_given_up(places: Places) -> None:
    """Devices that are off line, or a loop that waits, are no reason to restart a board that nobody updated."""
    watched = Watched(places.folder, healthy=False)
    board = Board()
    it = updater(places, board)
    it.sleep = lambda _: setattr(watched, "healthy", it.now() > 5000)
    assert it.confirm(watched).phase == "idle"
    assert board.did("rauc status mark-good")
    assert not board.did("systemctl reboot")


def test_a_board_without_a_site_is_confirmed_at_once(places: Places) -> None:
    board = Board()
    updater(places, board).confirm(Watched(places.folder, healthy=False, site=False))
    assert board.ran == ["rauc status mark-good"]


def test_the_state_survives_a_cut_at_any_write(places: Places) -> None:
    """What is on disk is the old state or the new one; a half of a file beside it does not matter."""
    store(places.state, asdict(UNDER_WAY))
    places.state.with_name("state.json.part").write_text('{"phase": "go')
    assert load(places) == UNDER_WAY
    assert fail(UNDER_WAY, "x").phase in OVER
