"""The rules of an update, without files or processes. A board has two slots, A and B; the one that does not run takes the new system.

    request            -> checking     the bundle's signature, board and version, before anything is touched
    checking, refused  -> failed       the plant was not touched
    checking, allowed  -> installing   the plant is in standby from here on, and stays so until the new system is proved or given up
    installing, failed -> failed       the slot that runs is as it was; the plant is started again
    installing, done   -> restarting   the boot loader tries the new slot three times at most
    a start in the new slot            -> trying
    a start in the old slot            -> failed: the boot loader gave up the new one; the plant is started again
    a start while installing           -> failed: power went; the slot that runs is as it was
    trying, proved     -> good         loop and supervisor ran for the set time; the slot is confirmed, the plant is started again
    trying, not proved -> given_up     the slot is marked bad, and the board restarts into the old one; there it is failed

The plant is started again only if the update stopped it: an operator's stop stays (R15).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

OVER = frozenset({"idle", "good", "failed"})
"""No update is under way."""


@dataclass(frozen=True, slots=True)
class Update:
    """What is known of the newest update; written to disk at each change.

    request   names it, as who asked chose
    running   the slot that ran when it was asked for; target: the other one
    stopped   the plant was stopped for it
    why       why it failed, for people
    """

    phase: str = "idle"
    request: str = ""
    version: str = ""
    running: str = ""
    target: str = ""
    stopped: bool = False
    why: str = ""


def begin(request: str, running: str) -> Update:
    """A request came while none is under way."""
    return Update("checking", request, running=running, target="B" if running == "A" else "A")


def fail(update: Update, why: str) -> Update:
    """It came to nothing. Whether the plant must be started again says `stopped`."""
    return replace(update, phase="failed", why=why)


def after_start(update: Update, slot: str) -> Update:
    """The board started in this slot."""
    match update.phase:
        case "checking":
            return fail(update, "the board was restarted before the bundle was checked")
        case "installing":
            return fail(update, "the board was restarted while the bundle was being written; the old system is as it was")
        case "restarting" | "trying" if slot == update.target:
            return replace(update, phase="trying")
        case "restarting" | "trying":
            return fail(update, "the new system did not start or was not confirmed in time; the old one runs again")
        case "given_up" if slot != update.target:
            return fail(update, update.why)
        case _:
            return update


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the two services. `ticks`: of the loop, None = it publishes nothing; `starts`: how often systemd started them."""

    at_s: float
    active: bool
    ticks: int | None
    starts: int


def proof(good_s: float, looks: list[Sight]) -> bool:
    """Did loop and supervisor run for so long up to the newest look: active throughout, none restarted, the loop's ticks growing?"""
    run: list[Sight] = []
    for look in looks:
        if not look.active or look.ticks is None:
            run = []
        elif run and (look.starts != run[-1].starts or look.ticks <= (run[-1].ticks or 0)):
            run = [look]
        else:
            run.append(look)
    return bool(run) and run[-1].at_s - run[0].at_s >= good_s


def missing(look: Sight | None) -> str:
    """What the newest look lacks, for people."""
    if look is None:
        return "nothing was seen"
    if not look.active:
        return "bess-loop or bess-supervisor does not run"
    return "the loop publishes nothing" if look.ticks is None else "loop or supervisor was restarted"
