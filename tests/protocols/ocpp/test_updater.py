"""Firmware by the site's own commands, as real processes: done, refused, hung, interrupted, rolled back (OCPP-7; what board/ builds on)."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bessctl.app.stations import station
from bessctl.config.ocpp import Ocpp
from bessctl.errors import OperationFailed, UsageError
from bessctl.protocols.ocpp.binding import station as station_module
from bessctl.protocols.ocpp.binding import tables
from bessctl.protocols.ocpp.binding.processes import argv_of, run
from bessctl.protocols.ocpp.binding.updater import CommandUpdater, Fate, FileUpdater, Updater
from bessctl.protocols.ocpp.binding.workers import Bench, carry_out
from bessctl.protocols.ocpp.config import Role, StationConfig, UpdaterCommands
from bessctl.protocols.ocpp.session.jobs import Done, Install, Job, MarkGood, Outcome, Restart
from bessctl.store import Store
from tests.protocols.ocpp.harness import LOG
from tests.protocols.ocpp.sansio import LINK, Talk
from tests.protocols.ocpp.test_files import FakeVault, told, update

# A board of one file: two slots, the one that runs, the one to boot next, whether it was marked good.
BOARD = """
import json, sys, time, pathlib
board, what, *rest = pathlib.Path(sys.argv[1]), *sys.argv[2:]
state = json.loads(board.read_text())
if what == "install":
    image = pathlib.Path(rest[0]).read_bytes()
    print("installing", flush=True)
    if image == b"hangs":
        time.sleep(3600)
    for percent in (0, 40, 100):
        print(f" {percent}% Copying image", flush=True)
    if image == b"bad":
        sys.exit("LastError: signature verification failed")
    state["next"] = state["installed"] = "B" if state["runs"] == "A" else "A"
elif what == "running":
    print("slot", state["runs"])
elif what == "outcome":
    if state["runs"] != state.get("installed"):
        sys.exit("the new system did not prove itself: the loop is not active")
elif what == "reboot":
    state["asked"] = True
elif what == "good":
    state["good"] = state["runs"]
board.write_text(json.dumps(state))
"""


class Board:
    """The machine around it: boots what it was told to, or falls back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.boots = folder, folder / "board.json", 1
        (folder / "board.py").write_text(BOARD)
        self.write(runs="A", next="A", asked=False, good="A")

    def write(self, **state: object) -> None:
        import json  # noqa: PLC0415

        self.file.write_text(json.dumps(state))

    def read(self) -> dict[str, object]:
        import json  # noqa: PLC0415

        found: dict[str, object] = json.loads(self.file.read_text())
        return found

    def command(self, *words: str) -> tuple[str, ...]:
        return (sys.executable, str(self.folder / "board.py"), str(self.file), *words)

    def commands(self, **changes: object) -> UpdaterCommands:
        made = UpdaterCommands(
            self.command("install", "{image}"), self.command("running"), restart=self.command("reboot"), mark_good=self.command("good")
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def updater(self, **changes: object) -> CommandUpdater:
        return CommandUpdater(self.commands(**changes), self.folder / "kept", f"boot-{self.boots}")

    def reboots(self, *, comes_up: bool = True) -> None:
        """The machine starts; a slot that does not come up is left for the other."""
        self.boots += 1
        state = self.read()
        self.write(**{**state, "runs": state["next"] if comes_up else state["runs"], "next": state["runs"], "asked": False})


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def image(board: Board, content: bytes = b"new") -> Path:
    path = board.folder / "an image; with 'words'"
    path.write_bytes(content)
    return path


def test_an_image_is_installed_started_and_stays(board: Board) -> None:
    """The path is one word whatever it holds: there is no shell."""
    percents: list[int] = []
    updater = board.updater()
    updater.install(image(board), percents.append)
    assert percents == [0, 40, 100]
    assert updater.outcome() == (Fate.NOT_YET, "the machine was not restarted")
    updater.restart()
    assert board.read()["asked"]
    board.reboots()
    assert board.updater().outcome() == (Fate.RUNS, "")
    board.updater().mark_good()
    assert board.read()["good"] == "B"


def test_an_image_that_does_not_boot_is_known_after_the_fall_back(board: Board) -> None:
    board.updater().install(image(board), lambda percent: None)
    board.reboots(comes_up=False)
    assert board.updater().outcome() == (Fate.ROLLED_BACK, "the new image did not boot, the old one runs")


def test_an_installation_that_fails_says_why(board: Board) -> None:
    with pytest.raises(OperationFailed, match="exit code 1: LastError: signature verification failed"):
        board.updater().install(image(board, b"bad"), lambda percent: None)
    assert board.read()["next"] == "A"


def test_an_installation_that_hangs_is_ended(board: Board) -> None:
    """With everything it began: nothing may go on writing into a slot."""
    with pytest.raises(OperationFailed, match=r"no end within 0\.7 s; it was stopped"):
        board.updater(timeout_s=0.7).install(image(board, b"hangs"), lambda percent: None)


def test_a_child_of_a_command_ends_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)']); \
open({str(mark)!r}, 'w').write(str(p.pid)); time.sleep(3600)"
    with pytest.raises(OperationFailed, match="no end within"):
        run([sys.executable, "-c", child], 1.0)
    state = Path(f"/proc/{mark.read_text()}/stat")
    until_s = time.monotonic() + 30
    while not ended(state):
        assert time.monotonic() < until_s, "the child lives on"


def ended(state: Path) -> bool:
    """Gone, or waiting only to be told to whoever inherited it. A killed process needs its turn to die."""
    try:
        return state.read_text().rsplit(") ", 1)[1][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_power_cut_in_the_middle_of_an_installation(board: Board) -> None:
    """What ran is written down before the first byte is."""
    with pytest.raises(OperationFailed):
        board.updater(timeout_s=0.3).install(image(board, b"hangs"), lambda percent: None)
    board.reboots()
    assert board.updater().outcome()[0] is Fate.ROLLED_BACK


def test_without_a_command_to_restart_our_own_is_enough(board: Board) -> None:
    commands = {"restart": (), "mark_good": ()}
    updater = board.updater(**commands)
    updater.install(image(board), lambda percent: None)
    updater.restart()
    updater.mark_good()
    assert not board.read()["asked"]
    assert updater.outcome()[0] is Fate.ROLLED_BACK, "the same runs as before"
    state = board.read()
    board.write(**{**state, "runs": "B"})
    assert updater.outcome()[0] is Fate.RUNS


@pytest.mark.parametrize("comes_up", [True, False])
def test_a_board_that_judges_and_restarts_by_itself(comes_up: bool, board: Board) -> None:
    """As `bessctl-update install` and `outcome` do: no word on the running system, no order to restart, no mark of ours."""
    commands = {"running": (), "outcome": board.command("outcome"), "restart": (), "mark_good": ()}
    updater = board.updater(**commands)
    updater.install(image(board), lambda percent: None)
    updater.restart()
    board.reboots(comes_up=comes_up)
    fate, why = board.updater(**commands).outcome()
    assert fate is (Fate.RUNS if comes_up else Fate.ROLLED_BACK)
    assert comes_up or "did not prove itself" in why


def test_a_verdict_that_never_comes_is_none(board: Board) -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(3600)")
    fate, why = board.updater(running=(), outcome=hangs, outcome_s=0.3).outcome()
    assert (fate, "no end within 0.3 s" in why) == (Fate.ROLLED_BACK, True)


@pytest.mark.parametrize("given", [{}, {"running": ["a"], "outcome": ["b"]}])
def test_the_way_to_a_verdict_is_one(given: dict[str, list[str]], tmp_path: Path) -> None:
    link = {"name": "cpo", "url": "wss://x", "charge_point_id": "B"}
    with pytest.raises(UsageError, match="one of `running` and `outcome`"):
        station(Ocpp.model_validate({"links": [link], "updater": {"install": ["i"], **given}}), tmp_path)


def test_a_board_that_thinks_delays_nobodys_end(board: Board, store: Store) -> None:
    """The threads of jobs are daemons: the supervisor ends, and is started anew by the machine's own restart."""

    async def story() -> None:
        hangs = board.updater(running=(), outcome=(sys.executable, "-c", "import time; time.sleep(20)"))
        task = asyncio.create_task(carry_out(Outcome(1), Bench(LINK, board.folder, store, hangs, LOG)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("ocpp"))


def test_nobody_knows_what_was_handed_over(board: Board) -> None:
    assert board.updater().outcome() == (Fate.ROLLED_BACK, "it is not known what was handed over")


def test_commands_that_cannot_be_run_are_named() -> None:
    with pytest.raises(OperationFailed, match="no/such/program: it cannot be run"):
        run(["no/such/program"], 1.0)
    with pytest.raises(OperationFailed, match="it cannot be run"):
        run([], 1.0)
    with pytest.raises(OperationFailed, match="exit code 3: it said nothing"):
        run([sys.executable, "-c", "raise SystemExit(3)"], 30.0)


def test_words_stay_words() -> None:
    assert argv_of(["a", "--x={image}", "{other}"], {"image": "b c;$(d)"}) == ["a", "--x=b c;$(d)", "{other}"]


# --- the same, through the station


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "s.sqlite")
    store.migrate(tables.NAMESPACE, tables.LADDER)
    yield store
    store.close()


def carried_out(job: Job, updater: Updater, store: Store, folder: Path) -> Done:
    return asyncio.run(carry_out(job, Bench(LINK, folder, store, updater, LOG)))


def owner(version: str) -> Talk:
    return Talk(replace(LINK, role=Role.OWNER, version=(version,)), version=version, vault=FakeVault()).booted()


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("comes_up", [True, False])
def test_what_a_csms_is_told_of_a_board(version: str, comes_up: bool, board: Board, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """L01: installed by real processes, rebooted, and the verdict of the new boot: Installed and marked good, or InstallationFailed."""
    caplog.set_level(logging.INFO)
    image(board).rename(board.folder / "firmware.img")
    t = owner(version)
    update(t)
    t.done(t.jobs[-1])
    t.done(t.jobs[-1])
    for kind in (Install, Restart):
        assert isinstance(t.jobs[-1], kind)
        t.take(t.station.job_done(carried_out(t.jobs[-1], board.updater(), store, board.folder), t.now))
    assert board.read()["asked"]
    assert told(t)[-2:] == ["Installing", "InstallRebooting"]
    assert "40 % installed" in caplog.text
    board.reboots(comes_up=comes_up)
    again = t.restarted().booted()
    assert isinstance(again.jobs[-1], Outcome)
    again.take(again.station.job_done(carried_out(again.jobs[-1], board.updater(), store, board.folder), again.now))
    assert told(again) == ["Installed" if comes_up else "InstallationFailed"]
    if comes_up:
        assert isinstance(again.jobs[-1], MarkGood)
        assert carried_out(again.jobs[-1], board.updater(), store, board.folder).ok
    assert board.read()["good"] == ("B" if comes_up else "A")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_board_that_refuses_an_image(version: str, board: Board, store: Store) -> None:
    image(board, b"bad").rename(board.folder / "firmware.img")
    t = owner(version)
    update(t)
    t.done(t.jobs[-1])
    t.done(t.jobs[-1])
    t.take(t.station.job_done(carried_out(t.jobs[-1], board.updater(), store, board.folder), t.now))
    assert told(t)[-2:] == ["Installing", "InstallationFailed"]
    assert t.restarts == []
    assert "signature verification failed" in str(t.writes)


def test_a_supervisor_that_died_before_the_machine_restarted(board: Board, store: Store) -> None:
    t = owner("2.0.1")
    image(board).rename(board.folder / "firmware.img")
    update(t)
    for _ in range(2):
        t.done(t.jobs[-1])
    for _ in range(2):
        t.take(t.station.job_done(carried_out(t.jobs[-1], board.updater(), store, board.folder), t.now))
    board.write(**{**board.read(), "asked": False})
    again = t.restarted().booted()
    done = carried_out(again.jobs[-1], board.updater(), store, board.folder)
    assert done.again
    again.take(again.station.job_done(done, again.now))
    assert isinstance(again.jobs[-1], Restart)


def test_a_site_without_updater_says_that_nothing_was_installed(tmp_path: Path) -> None:
    """No commands, no Installed; playing it is a switch of development."""
    site = StationConfig(())
    updater = station_module._updater(site, tmp_path, "boot")
    (tmp_path / "image").write_bytes(b"x")
    with pytest.raises(OperationFailed, match="no updater"):
        updater.install(tmp_path / "image", lambda percent: None)
    assert updater.outcome()[0] is Fate.ROLLED_BACK
    assert isinstance(station_module._updater(replace(site, play_updates=True), tmp_path, "boot"), FileUpdater)


def test_the_files_updater_of_development(tmp_path: Path) -> None:
    updater: Updater = FileUpdater(tmp_path / "fw")
    (tmp_path / "image").write_bytes(b"x")
    told_percents: list[int] = []
    updater.install(tmp_path / "image", told_percents.append)
    updater.restart()
    updater.mark_good()
    assert (told_percents, updater.outcome()) == ([100], (Fate.RUNS, ""))
    (tmp_path / "fw" / "outcome").write_text("failed\n")
    assert updater.outcome()[0] is Fate.ROLLED_BACK
    with pytest.raises(OperationFailed, match="cannot be installed"):
        updater.install(tmp_path / "none", told_percents.append)


def test_the_site_names_the_commands(tmp_path: Path) -> None:
    link = {"name": "cpo", "url": "wss://x", "charge_point_id": "B"}
    given = Ocpp.model_validate(
        {
            "links": [link],
            "updater": {"install": ["rauc", "install", "{image}"], "running": ["cat", "/proc/cmdline"], "restart": ["reboot"]},
        }
    )
    assert station(given, tmp_path).updater == UpdaterCommands(
        ("rauc", "install", "{image}"), ("cat", "/proc/cmdline"), restart=("reboot",)
    )
    assert station(Ocpp.model_validate({"links": [link]}), tmp_path).updater is None
