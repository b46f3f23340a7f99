"""bessctl-update install BUNDLE | outcome | status | serve | confirm

The board's side of an update (rules: update.py). The first two are what OCPP's UpdateFirmware calls, as the supervisor's user:

    install BUNDLE   exit code 0 when the bundle is in the other slot; the board restarts GRACE_S later, so that this can still be told.
                     1 with one line of reason on stderr: refused, or the writing failed; then the old system and the plant are as before
    outcome          waits for the verdict on the newest update. 0: it runs and is confirmed. 1 with the reason on stderr: the old one runs
    status           what is known of the newest update, as JSON

The others are units of root: `serve` (bess-update.service) does what was asked for, `confirm` (bess-mark-good.service) follows each start.
Whoever asks puts a file into the inbox, and reads the answer out of the state; nothing unprivileged reaches RAUC.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from board.device import loop
from board.device.health import Services, Watch, look
from board.device.update import OVER, Sight, Update, after_start, begin, fail, missing, proof

GRACE_S = 15
STANDBY_S = 90.0
INSTALL_S = 3600.0
OUTCOME_S = 7200.0
POLL_S = 1.0
AT_REST = frozenset({loop.STOPPED, loop.OUT_OF_SERVICE})


class Refused(Exception):
    """The update is not done; says why."""


@dataclass(frozen=True, slots=True)
class Places:
    """Files of an update. The inbox is the supervisor's, everything else root's."""

    folder: Path = Path("/data/bessctl/update")
    cmdline: Path = Path("/proc/cmdline")

    @property
    def request(self) -> Path:
        return self.folder / "inbox/request.json"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    def word(self, name: str, default: str) -> str:
        """A word `name=value` of the kernel's command line."""
        words = dict(word.split("=", 1) for word in self.cmdline.read_text().split() if "=" in word)
        return words.get(name, default)


def store(file: Path, content: dict[str, object]) -> None:
    """Whole or not at all, and on disk."""
    part = file.with_name(file.name + ".part")
    with part.open("w") as out:
        json.dump(content, out)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def load(places: Places) -> Update:
    """The newest update; an unreadable state counts as none."""
    try:
        return Update(**json.loads(places.state.read_text()))
    except (OSError, ValueError, TypeError):
        return Update()


def run(*command: str, timeout_s: float = 60.0) -> tuple[int, str]:
    """Exit code and what it said; if it failed, the line with RAUC's last error, else the last one."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return 127, str(e)
    if done.returncode == 0:
        return 0, done.stdout.strip()
    said = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    why = [line for line in said if "LastError" in line] or said or [f"exit code {done.returncode}"]
    return done.returncode, why[-1].strip()


Run = Callable[..., tuple[int, str]]


@dataclass
class Updater:
    """Root's part. `run`, `ask`, `sleep`, `now` are given by tests."""

    places: Places
    run: Run = run
    ask: loop.Ask = loop.ask
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    # --- what was asked for ---------------------------------------------------------------------------------------------------------------

    def serve(self) -> Update:
        """Do what lies in the inbox. The request is taken out first: a bundle that crashes us is not tried again and again."""
        try:
            wish = json.loads(self.places.request.read_text())
            request, image = str(wish["request"]), Path(str(wish["image"]))
        except (OSError, ValueError, KeyError, TypeError):
            request, image = "", Path()
        self.places.request.unlink(missing_ok=True)
        update = load(self.places)
        if not request or update.phase not in OVER:
            return update
        update = self.keep(begin(request, self.places.word("rauc.slot", "A")))
        try:
            update = replace(update, version=self.check(image), phase="installing", stopped=self.runs())
            self.keep(update)  # before the stop: a power cut after it must not leave the plant stopped for ever
            if update.stopped:
                self.standby()
            self.say(f"update to {update.version}: the plant is in standby until the new system is proved")
            self.must("rauc", "install", str(image), timeout_s=INSTALL_S)
        except Refused as e:
            return self.over(fail(load(self.places), str(e)))
        update = self.keep(replace(update, phase="restarting"))
        self.say(f"update to {update.version}: written to slot {update.target}; restart in {GRACE_S} s")
        if self.run("systemd-run", f"--on-active={GRACE_S}", "--timer-property=AccuracySec=1s", "systemctl", "reboot")[0]:
            self.must("systemctl", "reboot")
        return update

    def check(self, image: Path) -> str:
        """The version of a bundle that may be installed here: signature, board, age. Raises Refused."""
        if not image.is_file():
            raise Refused(f"{image}: no such file")
        told = self.must("rauc", "info", "--output-format=json", str(image))
        try:
            bundle = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
            compatible, version = str(bundle["compatible"]), str(bundle["version"])
        except (ValueError, KeyError, TypeError, StopIteration) as e:
            raise Refused(f"{image}: what RAUC tells of it cannot be read") from e
        mine = self.compatible()
        if compatible != mine:
            raise Refused(f"the bundle is for {compatible}, this board is {mine}")
        self.must("/usr/lib/bessctl/board/allow-bundle", version)
        return version

    def compatible(self) -> str:
        """What a bundle must say to be for this board."""
        return f"bessctl-{self.must('cat', '/etc/bessctl-board')}"

    def runs(self) -> bool:
        """Must the plant be stopped? Not where it is at rest already, nor where the loop is down: then the devices have reverted."""
        return self.run("systemctl", "is-active", "bess-loop.service")[0] == 0 and self.mode() not in AT_REST

    def standby(self) -> None:
        """Bring the plant to standby. Raises Refused."""
        answer = self.ask("stop")
        until = self.now() + STANDBY_S
        while answer["ok"] and self.mode() not in AT_REST and self.now() < until:
            self.sleep(POLL_S)
        if self.mode() not in AT_REST:
            raise Refused(f"the plant did not come to standby within {STANDBY_S:g} s{': ' if answer['reason'] else ''}{answer['reason']}")

    def mode(self) -> int | None:
        """The loop's mode; None when it cannot be asked."""
        return loop.status(self.ask).get("mode")

    # --- each start -----------------------------------------------------------------------------------------------------------------------

    def confirm(self, services: Watch) -> Update:
        """Follow a start: judge the update under way, and mark the slot good once loop and supervisor have proved themselves."""
        slot = self.places.word("rauc.slot", "A")
        update = self.keep(after_start(load(self.places), slot))
        if update.phase == "failed":
            update = self.over(update)
        limit = float(self.places.word("bess.give_up_s", "1800")) if update.phase == "trying" else None
        newest = self.prove(services, float(self.places.word("bess.good_s", "300")), limit)
        if newest is None:
            self.must("rauc", "status", "mark-good")
            return self.over(replace(update, phase="good")) if update.phase == "trying" else update
        update = self.keep(replace(update, phase="given_up", why=f"the new system did not prove itself: {missing(newest)}"))
        self.say(f"{update.why}; back to slot {update.running}")
        self.must("rauc", "status", "mark-bad")
        self.must("systemctl", "reboot")
        return update

    def prove(self, services: Watch, good_s: float, limit_s: float | None) -> Sight | None:
        """Wait for the proof. None: it is there, or the board has no site to run. Else the newest look when the time is over."""
        looks: list[Sight] = []
        began = self.now()
        while services.expected():
            looks = [*looks[-2000:], look(services, self.now())]
            if proof(good_s, looks):
                break
            if limit_s is not None and self.now() - began > limit_s:
                return looks[-1]
            self.sleep(5 * POLL_S)
        return None

    # --- helpers --------------------------------------------------------------------------------------------------------------------------

    def over(self, update: Update) -> Update:
        """The end of an update: the plant is started again if the update had stopped it."""
        if update.stopped:
            answer = self.ask("start")
            done = "is started again" if answer["ok"] else f"could not be started again: {answer['reason']}; type: bessctl start"
            self.say(f"the plant {done}")
        self.say(f"update to {update.version or 'a bundle'}: {update.phase}{': ' if update.why else ''}{update.why}")
        return self.keep(replace(update, stopped=False))

    def keep(self, update: Update) -> Update:
        store(self.places.state, asdict(update))
        return update

    def must(self, *command: str, timeout_s: float = 60.0) -> str:
        """What the command said. Raises Refused with its last line."""
        code, said = self.run(*command, timeout_s=timeout_s)
        if code:
            raise Refused(said)
        return said

    def say(self, what: str) -> None:
        print(what, flush=True)


# --- who asks -----------------------------------------------------------------------------------------------------------------------------


def install(places: Places, image: Path) -> int:
    """Ask for an update and wait until the bundle is in the other slot."""
    request = f"{os.getpid()}-{time.time_ns()}"
    store(places.request, {"request": request, "image": str(image.absolute())})
    until = time.monotonic() + INSTALL_S
    while time.monotonic() < until:
        time.sleep(POLL_S)
        update = load(places)
        if update.request == request and update.phase not in {"checking", "installing"}:
            return told(update, good=update.phase == "restarting")
        if update.request != request and not places.request.exists():
            time.sleep(POLL_S)
            if load(places).request != request:
                print("another update is under way", file=sys.stderr)
                return 1
    print("the updater does not answer; see: journalctl -u bess-update", file=sys.stderr)
    return 1


def outcome(places: Places) -> int:
    """Wait for the verdict on the newest update. The restart that is due ends this too; the next start asks again."""
    until = time.monotonic() + OUTCOME_S
    while (update := load(places)).phase not in OVER and time.monotonic() < until:
        time.sleep(POLL_S)
    return told(update, good=update.phase == "good")


def told(update: Update, *, good: bool) -> int:
    if not good:
        print(update.why or f"the update is {update.phase}", file=sys.stderr)
    return 0 if good else 1


def main(arguments: list[str]) -> int:
    """Exit code of the command."""
    places = Places()
    try:
        match arguments:
            case ["install", image]:
                return install(places, Path(image))
            case ["outcome"]:
                return outcome(places)
            case ["status"]:
                print(json.dumps(asdict(load(places))))
            case ["serve"]:
                Updater(places).serve()
            case ["confirm"]:
                Updater(places).confirm(Services())
            case _:
                print((__doc__ or "").splitlines()[0], file=sys.stderr)
                return 2
    except (Refused, OSError) as e:
        print(f"bessctl-update: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
