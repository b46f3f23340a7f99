"""The modes of the machine: each transition, each request, what the journal must hold first, and how a start is told from a trip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bessctl_core import layout as L
from bessctl_core.journal import Journal, begin_commissioned
from tests.core.rig import PERIOD_NS, Q, Rig, Row, S, Slot, config

M = L.Mode
C = L.CommandCode
E = L.EventCode
T = L.Internal
UP, DOWN = L.DeviceState.DEV_UP, L.DeviceState.DEV_DOWN
NAN = float("nan")
HASH = bytes(range(32))
RUN, STANDBY = 1, 2

ROW = Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_STANDBY, reset=L.ResetRule.RESET_ANY)


def fresh(*, rows: tuple[Row, ...] = (ROW,), units: int = 1, site: dict[str, Any] | None = None, **facts: Any) -> Rig:
    """A machine before its first tick, with a source that wants 100 kW."""
    r = Rig(config(units, rows=rows, slots=(Slot(),), **(site or {})), **facts)
    r.offer(0, {"target_w": 100e3}, lease_until_ns=r.now_ns + 3000 * S)
    return r


def running(**words: Any) -> Rig:
    r = fresh(**words).run()
    r.tick(20)
    assert r.power_w > 0
    return r


def ask(r: Rig, code: int, *, local: bool = True, ident: int = 7) -> None:
    r.h.command(ident, code, local=local)
    r.tick()


def modes(r: Rig) -> list[int]:
    return [event["detail"] for event in r.events(E.EV_MODE)]


def restarted(r: Rig, **words: Any) -> Rig:
    """The same machine after its process ended: what the journal holds is all it knows."""
    rows = words.pop("rows", (ROW,))
    return fresh(rows=rows, journal=r.h.journal(), **words)


# --- acquire (R5) -------------------------------------------------------------------------------------------------------------------------


def test_R5_a_cold_start_gives_0_until_the_inputs_were_valid_for_settle() -> None:
    """CARD-1. settle_s is 0.1: the first complete tick and ten more."""
    r = fresh()
    for _ in range(10):
        assert r.tick()["mode"] == M.MODE_ACQUIRE
        assert (r.power_w, r.h.out["cmd_run"][0], r.h.out["silent"]) == (0, STANDBY, 0)
    assert r.tick()["mode"] == M.MODE_RUN
    assert r.codes().count(E.EV_ACQUIRED) == 1


def spoil(r: Rig, what: str) -> None:
    if what == "row":
        r.set(Q.Q_CELL_V_MAX, NAN)
    elif what == "pcs":
        r.h.set_devices(0, L.DeviceState.DEV_VERIFYING, UP, 1.0)
    elif what == "bms":
        r.h.set_devices(0, UP, DOWN, 1.0)
    else:
        r.h.set_meter(DOWN)


@pytest.mark.parametrize("what", ["row", "pcs", "bms", "meter"])
def test_R5_one_gap_starts_the_settling_anew_and_the_time_out_is_no_trip(what: str) -> None:
    r = fresh(site={"has_meter": 1})
    r.meter(0)
    r.tick(9)
    spoil(r, what)
    assert r.tick(490)["mode"] == M.MODE_ACQUIRE
    state = r.tick(3)
    assert (state["mode"], state["row_latched"][0], state["internal"], r.power_w) == (M.MODE_START_FAILED, 0, 0, 0)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    r.h.set_devices(0, UP, UP, 1.0)
    r.h.set_meter(UP)
    assert r.tick(10)["mode"] == M.MODE_START_FAILED
    assert r.tick()["mode"] == M.MODE_RUN, "it follows by itself as soon as the inputs are there"
    assert modes(r) == [M.MODE_START_FAILED, M.MODE_RUN]


def test_R5_a_value_that_comes_and_goes_never_starts() -> None:
    r = fresh()
    for _ in range(40):
        r.set(Q.Q_CELL_V_MAX, 3.3)
        r.tick(9)
        r.set(Q.Q_CELL_V_MAX, NAN)
        assert r.tick()["mode"] == M.MODE_ACQUIRE


def warm(measured_w: float, **words: Any) -> Rig:
    r = fresh(warm=True, **words)
    r.follow = False
    r.set(Q.Q_AC_W, measured_w)
    return r


@pytest.mark.parametrize(
    ("measured", "limit", "first"),
    [(80e3, 200e3, 80e3), (-80e3, 200e3, -80e3), (80e3, 30e3, 30e3), (0.0, 200e3, 0), (900e3, 200e3, 200e3), (NAN, 200e3, 0)],
)
@pytest.mark.parametrize("target", [None, 100e3, 20e3])
def test_R5_a_warm_start_first_commands_the_measured_power_within_the_envelope(
    measured: float, limit: float, first: float, target: float | None
) -> None:
    """CARD-1. Also when no source has a target yet: the target decides from the second command on. A PCS whose power is no number gives
    nothing."""
    r = warm(measured)
    r.offer(0, {"ess_hi_w": limit} | ({} if target is None else {"target_w": target}))
    assert r.tick()["mode"] == M.MODE_RUN
    assert (r.power_w, r.h.out["silent"]) == (first, 0)
    r.tick(40)
    assert r.power_w == (0 if math.isnan(measured) else min(target or 0, limit))


def test_R5_a_warm_start_is_silent_until_the_first_data_are_in() -> None:
    r = warm(80e3)
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(20)
    assert (r.h.out["silent"], r.state["mode"], r.power_w) == (1, M.MODE_ACQUIRE, 0)
    r.frozen.clear()
    r.tick()
    assert (r.h.out["silent"], r.state["mode"], r.power_w) == (0, M.MODE_RUN, 80e3)


def test_R5_a_warm_start_without_data_turns_cold_after_the_gap() -> None:
    r = warm(80e3)
    r.freeze(Q.Q_CELL_V_MAX)
    r.tick(200)
    assert r.h.out["silent"] == 1
    r.tick()
    assert (r.h.out["silent"], r.power_w, r.state["mode"]) == (0, 0, M.MODE_ACQUIRE)
    r.frozen.clear()
    r.offer(0, {})
    r.tick(11)
    assert (r.state["mode"], r.power_w) == (M.MODE_RUN, 0)


def test_R5_a_row_that_sees_its_violation_ends_the_silence_at_once() -> None:
    """Any doubt: 0. The other input may never come, and the PCS must not go on for the whole gap."""
    r = warm(80e3, rows=(ROW, Row(Q.Q_CELL_V_MIN, 2.8, 2.9, above=False)))
    r.freeze(Q.Q_CELL_V_MIN)
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert (r.h.out["silent"], r.power_w) == (0, 0)


@pytest.mark.parametrize("why", ["stopped", "latched", "internal", "rt"])
def test_R5_nothing_warm_about_a_machine_that_was_not_running(why: str) -> None:
    before = running()
    if why == "stopped":
        ask(before, C.CMD_STOP)
    elif why == "latched":
        before.set(Q.Q_CELL_V_MAX, 3.7)
        before.tick()
    elif why == "internal":
        before = fresh(journal_broken=True)
        before.tick()
    r = restarted(before, warm=True, rt_refused=why == "rt", site={"rt_required": int(why == "rt")}, realtime_s=1_800_000_000)
    r.set(Q.Q_AC_W, 80e3)
    r.tick()
    assert (r.h.out["silent"], r.power_w) == (0, 0)
    assert r.state["mode"] not in (M.MODE_RUN, M.MODE_ACQUIRE)


# --- requests -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "mode"), [(C.CMD_STOP, M.MODE_STOPPED), (C.CMD_OUT_OF_SERVICE, M.MODE_OUT_OF_SERVICE)])
def test_R15_stop_and_out_of_service_act_at_once_are_journalled_and_only_a_local_start_ends_them(code: int, mode: int) -> None:
    r = running()
    ask(r, code, ident=5)
    assert (r.state["mode"], r.power_w, r.h.out["cmd_run"][0]) == (mode, 0, STANDBY)
    assert (r.h.out["journal_due"], r.record["operator_mode"]) == (1, mode)
    assert not r.events(E.EV_COMMAND_DONE), "R6: acknowledged once journalled"
    r.disk()
    r.tick()
    assert [event["value"] for event in r.events(E.EV_COMMAND_DONE)] == [5]
    # nothing else ends it
    ask(r, C.CMD_START, local=False)
    ask(r, C.CMD_RESET)
    r.disk()
    assert r.tick(100)["mode"] == mode
    after = restarted(r)
    assert after.tick(100)["mode"] == mode, "nor a restart"
    # R6: a start counts when the journal holds it
    ask(after, C.CMD_START, ident=6)
    assert after.tick(100)["mode"] == mode
    after.disk()
    assert after.tick()["mode"] == M.MODE_ACQUIRE
    assert after.tick(20)["mode"] == M.MODE_RUN
    assert [event["value"] for event in after.events(E.EV_COMMAND_DONE)] == [6]
    assert restarted(after, realtime_s=1_700_001_000, boot_id=(1, 3)).run()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 6, 7, 8, 100, 200, 255])
def test_R15_the_network_may_ask_for_nothing_but_a_reset(code: int) -> None:
    """OCPP-9."""
    r = running()
    before = r.power_w
    ask(r, code, local=False, ident=9)
    assert (r.state["mode"], r.power_w) == (M.MODE_RUN, before)
    assert [event["value"] for event in r.events(E.EV_COMMAND_REFUSED)] == [9]
    assert r.state["slot_state"][0] == L.SlotState.SLOT_LIVE, "and no plan was removed"


@pytest.mark.parametrize("code", [C.CMD_NONE, 8, 99, 255])
def test_an_unknown_request_is_refused_from_the_operator_too(code: int) -> None:
    r = running()
    ask(r, code)
    assert (r.state["mode"], len(r.events(E.EV_COMMAND_REFUSED))) == (M.MODE_RUN, 1)


def test_out_of_service_is_stronger_than_stop() -> None:
    r = running()
    ask(r, C.CMD_OUT_OF_SERVICE)
    ask(r, C.CMD_STOP)
    assert (r.state["mode"], r.record["operator_mode"]) == (M.MODE_OUT_OF_SERVICE, M.MODE_OUT_OF_SERVICE)


def test_a_newer_request_replaces_one_that_still_waits() -> None:
    """A stop overtakes a start that is not yet on disk, and the start never comes to life."""
    r = running()
    ask(r, C.CMD_STOP, ident=1)
    r.disk()
    r.tick()
    ask(r, C.CMD_START, ident=2)
    ask(r, C.CMD_STOP, ident=3)
    r.disk()
    assert r.tick(50)["mode"] == M.MODE_STOPPED
    assert [event["value"] for event in r.events(E.EV_COMMAND_DONE)] == [1, 3]
    assert [event["value"] for event in r.events(E.EV_COMMAND_REFUSED)] == [2]


def test_a_start_with_the_number_0_counts_like_any_other() -> None:
    r = running()
    ask(r, C.CMD_STOP, ident=0)
    ask(r, C.CMD_START, ident=0)
    r.disk()
    assert r.tick(20)["mode"] == M.MODE_RUN


# --- trips --------------------------------------------------------------------------------------------------------------------------------


def test_a_latched_row_trips_and_a_journalled_reset_acquires_anew() -> None:
    """CARD-1: the whole way round."""
    r = running()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    assert r.tick()["mode"] == M.MODE_TRIPPED
    assert (r.power_w, r.h.out["cmd_run"][0], r.h.out["journal_due"], r.record["latched"][0]) == (0, STANDBY, 1, 1)
    r.set(Q.Q_CELL_V_MAX, 3.3)
    assert r.tick(100)["mode"] == M.MODE_TRIPPED
    ask(r, C.CMD_RESET, local=False)
    assert r.record["latched"][0] == 0
    r.disk()
    assert r.tick()["mode"] == M.MODE_ACQUIRE
    assert r.tick(10)["mode"] == M.MODE_ACQUIRE
    assert r.tick()["mode"] == M.MODE_RUN
    r.tick(20)
    assert r.power_w == 100e3


def test_a_plant_runs_while_one_unit_is_left() -> None:
    rows = tuple(Row(Q.Q_CELL_V_MAX, 3.6, 3.5, action=L.Action.ACT_ZERO, reset=L.ResetRule.RESET_ANY, unit=unit) for unit in range(3))
    r = running(rows=rows, units=3)
    for unit, mode in ((1, M.MODE_RUN), (0, M.MODE_RUN), (2, M.MODE_TRIPPED)):
        r.set(Q.Q_CELL_V_MAX, 3.7, place=unit)
        assert r.tick()["mode"] == mode


def test_R6_latches_survive_the_process() -> None:
    r = running()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    after = restarted(r)
    state = after.tick(100)
    assert (state["mode"], state["row_latched"][0], state["row_active"][0], after.power_w) == (M.MODE_TRIPPED, 1, 0, 0)
    ask(after, C.CMD_RESET)
    after.disk()
    assert after.tick(20)["mode"] == M.MODE_RUN


def test_R6_a_trip_is_journalled_once_not_in_each_tick() -> None:
    r = running()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    due = []
    for _ in range(20):
        r.tick()
        due.append(r.h.out["journal_due"])
    assert due == [1] + [0] * 19


def test_R6_energy_is_journalled_each_ten_seconds_and_carried_on() -> None:
    r = running()
    r.tick(10)
    before = r.h.out["journal_seq"]
    r.tick(1000)
    assert r.h.out["journal_seq"] == before + 1
    r.tick(990)
    wh = r.state["unit_export_wh"][0]
    assert wh == pytest.approx(100e3 * 20 / 3600, rel=0.03)
    after = restarted(r)
    assert after.tick()["unit_export_wh"][0] == wh
    assert after.state["unit_import_wh"][0] == 0


def test_R6_the_record_of_energy_leaves_the_disk_a_second_of_the_ten() -> None:
    r = running()
    r.tick(1, 9 * S)
    assert r.h.out["journal_due"] == 1
    r.tick(1, 9 * S - 1)
    assert r.h.out["journal_due"] == 0
    r.tick(1, 1)
    assert r.h.out["journal_due"] == 1


def test_energy_counts_real_time_and_only_what_was_measured() -> None:
    r = running()
    r.follow = False
    r.set(Q.Q_AC_W, -36e3)
    r.tick(200)
    before = r.state["unit_import_wh"][0]
    r.tick(1, S)
    assert r.state["unit_import_wh"][0] - before == pytest.approx(10.0)
    r.set(Q.Q_AC_W, NAN)
    before = r.state["unit_import_wh"][0]
    assert r.tick(100)["unit_import_wh"][0] == before


def test_R6_the_sequence_of_records_carries_on() -> None:
    r = running()
    seq = r.h.out["journal_seq"]
    after = restarted(r)
    after.tick()
    assert (after.h.out["journal_due"], after.h.out["journal_seq"]) == (1, seq + 1), "a start is journalled in its first tick"


@pytest.mark.parametrize(("journal_broken", "internal"), [(True, T.TRIP_JOURNAL), (False, 0)])
def test_R6_an_unreadable_journal_is_a_trip_of_its_own_and_none_at_all_is_a_first_start(journal_broken: bool, internal: int) -> None:
    r = fresh(journal_broken=journal_broken)
    state = r.tick(30)
    assert (state["internal"], state["mode"]) == (internal, M.MODE_TRIPPED if internal else M.MODE_RUN)
    assert [event["detail"] for event in r.events(E.EV_INTERNAL)] == ([internal] if internal else [])


def test_R6_internal_trips_are_reset_by_the_operator_alone() -> None:
    """OCPP-9."""
    r = fresh(journal_broken=True)
    r.tick(5)
    ask(r, C.CMD_RESET, local=False, ident=3)
    r.disk()
    assert r.tick(5)["internal"] == T.TRIP_JOURNAL
    assert [event["row"] for event in r.events(E.EV_COMMAND_REFUSED)] == [-1]
    assert restarted(r).tick()["internal"] == T.TRIP_JOURNAL, "it survives the process"
    ask(r, C.CMD_RESET, local=True, ident=4)
    assert (r.state["internal"], r.record["internal"]) == (T.TRIP_JOURNAL, 0)
    r.disk()
    assert r.tick(20)["mode"] == M.MODE_RUN


CLOCK = 1_700_000_000
BOOT, UP_S = 0, 30  # a start in the first boot; how long a machine is up before its loop starts


@dataclass(frozen=True)
class Start:
    """One start: in which boot, when (seconds of the story), and what the wall clock says of it."""

    boot: int
    at_s: float
    clock_s: float | None = None  # None: right
    trusted: bool = True


def same_boot(*seconds: float, **words: Any) -> tuple[Start, ...]:
    return tuple(Start(0, s, **words) for s in seconds)


def boots(*seconds: float, **words: Any) -> tuple[Start, ...]:
    return tuple(Start(boot, s, **words) for boot, s in enumerate(seconds))


STARTS: list[tuple[str, tuple[Start, ...], float, bool]] = [
    # story, starts, how long each ran, tripped
    ("one", same_boot(0), 1, False),
    ("two", same_boot(0, 300), 1, False),
    ("three within the window", same_boot(0, 300, 599), 1, True),
    ("just beyond it", same_boot(0, 300, 603), 1, False),
    ("at once", same_boot(0, 1, 2), 0.5, True),
    ("the first is long ago", same_boot(0, 500, 700), 1, False),
    ("four", same_boot(0, 500, 700, 900), 1, True),
    ("within a boot the wall clock says nothing", same_boot(0, 300, 599, clock_s=5e6), 1, True),
    ("nor that they were close together", same_boot(0, 300, 603, clock_s=5e6), 1, False),
    # across boots
    ("a clock that is right", boots(0, 300, 900), 1, False),
    ("three boots within the window", boots(0, 200, 400), 1, True),
    ("a trusted clock that ran backwards: unknown is the safe side", (*boots(5000, 5100), Start(2, 5200, clock_s=10)), 1, True),
    # R8: no battery behind the clock, each boot begins at the same instant of the wall clock
    ("three cold boots, each ran an hour", boots(0, 4000, 8000, clock_s=0, trusted=False), 3600, False),
    ("three cold boots in a row", boots(0, 100, 200, clock_s=0, trusted=False), 20, True),
    ("a clock that is set after the first of them", (Start(0, 0, clock_s=-1e6, trusted=False), *boots(0, 100, 200)[1:]), 1, True),
    ("a clock that is lost after the first of them", (Start(0, 0), *boots(0, 100, 200, clock_s=1e6, trusted=False)[1:]), 1, True),
    ("cold boots a year apart that ran for a minute", boots(0, 3e7, 6e7, clock_s=0, trusted=False), 60, True),
]


def started(start: Start, journal: bytes | None) -> Rig:
    since_boot_s = start.at_s if start.boot == 0 else 0.0
    wall = start.at_s if start.clock_s is None else start.clock_s
    return fresh(
        journal=journal, now_ns=int((UP_S + since_boot_s) * S), boot_id=(1, 2 + start.boot), realtime_s=CLOCK + int(wall),
        clock_trusted=start.trusted,
    )  # fmt: skip


@pytest.mark.parametrize(("story", "starts", "ran_s", "tripped"), STARTS, ids=[row[0] for row in STARTS])
def test_R6_three_starts_in_ten_minutes_are_a_latched_trip(story: str, starts: tuple[Start, ...], ran_s: float, tripped: bool) -> None:
    """R8: counted by what is sure: the monotonic clock within a boot, a trusted wall clock across boots, else the time the loops ran."""
    journal = None
    for start in starts:
        r = started(start, journal)
        r.tick()
        r.tick(1, int(ran_s * S))
        journal = r.h.journal()
    assert (r.state["internal"] == T.TRIP_STARTS) is tripped
    if tripped:
        assert r.tick(50)["mode"] == M.MODE_TRIPPED
        ask(r, C.CMD_RESET, local=False)
        r.disk()
        assert r.tick(20)["mode"] == M.MODE_TRIPPED
        ask(r, C.CMD_RESET)
        r.disk()
        assert r.tick(20)["mode"] == M.MODE_RUN


@pytest.mark.parametrize("up_s", [20, 3600])
def test_R6_a_first_journal_tells_of_no_starts(tmp_path: Path, up_s: int) -> None:
    """As begun for simulated units (R16), also on a controller that was just switched on."""
    array = config(1, slots=(Slot(),))
    assert begin_commissioned(str(tmp_path), HASH, 1)
    written = Journal(str(tmp_path))
    written.close()
    r = Rig(array, journal=written.newest_bytes, now_ns=up_s * S, config_hash=HASH).run()
    assert (r.state["internal"], r.state["mode"], r.state["unit_commissioned"][0]) == (0, M.MODE_RUN, 1)


def test_R6_an_orderly_stop_is_no_failed_start() -> None:
    journal = None
    for _ in range(6):
        r = fresh(journal=journal).run()
        r.h.ask_stop()
        r.tick(5)
        journal = r.h.journal()
    assert fresh(journal=journal).tick()["internal"] == 0


def test_R6_latches_of_another_configuration_trip_the_machine_as_a_whole() -> None:
    r = running()
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    after = restarted(r, config_hash=HASH)
    assert (after.tick(30)["internal"], after.state["row_latched"][0]) == (T.TRIP_OTHER_CONFIG, 0)
    assert after.state["mode"] == M.MODE_TRIPPED
    healthy = restarted(running(), config_hash=HASH)
    assert healthy.tick(30)["internal"] == 0, "without latches a new configuration is nothing special"


def test_the_journal_says_whose_it_is() -> None:
    r = fresh(config_hash=HASH, boot_id=(11, 12), realtime_s=CLOCK)
    r.tick()
    record = r.record
    assert (bytes(record["config_hash"]), record["boot_id_hi"], record["boot_id_lo"]) == (HASH, 11, 12)
    assert (record["seq"], record["at_realtime_s"]) == (1, CLOCK)
    assert (list(record["start_age_s"]), record["clock_trusted"], record["at_ns"]) == ([0, -1, -1], 1, r.now_ns)


def test_the_journal_says_when_it_was_written() -> None:
    r = fresh(realtime_s=CLOCK)
    r.tick(1, S)
    r.tick(1, 6 * S)
    assert (r.record["at_realtime_s"], r.record["at_ns"], list(r.record["start_age_s"])) == (CLOCK + 7, r.now_ns, [7, -1, -1])


# --- stopping -----------------------------------------------------------------------------------------------------------------------------


def stopping(r: Rig) -> Rig:
    r.h.ask_stop()
    r.tick()
    assert r.state["mode"] == M.MODE_STOPPING
    return r


def test_R15_an_orderly_stop_ramps_to_0_then_standby_and_is_finished_when_measured_so() -> None:
    r = running(site={"ramp_w_per_s": 1e6})
    stopping(r)
    powers = [r.power_w]
    while r.power_w:
        assert r.h.out["cmd_run"][0] == RUN
        r.tick()
        powers.append(r.power_w)
    assert powers == [90e3 - 10e3 * i for i in range(10)], "the plant's own ramp"
    assert (r.h.out["cmd_run"][0], r.h.stopped) == (STANDBY, False), "the PCS says it still runs"
    r.set(Q.Q_PCS_STATE, 7)
    r.tick()
    assert r.h.stopped
    assert r.record["operator_mode"] == M.MODE_RUN, "no operator asked for it: the next start runs"


@pytest.mark.parametrize(
    ("state", "watts", "stopped"),
    [
        *((state, 0.0, state in (0, 1, 7)) for state in range(8)),
        (7, 1999.0, True),
        (7, 2001.0, False),
        (7, -2001.0, False),
        (7, NAN, False),
    ],
)
def test_R15_stopped_is_what_each_pcs_that_answers_says(state: int, watts: float, stopped: bool) -> None:
    r = running()
    r.follow = False
    stopping(r)
    r.set(Q.Q_PCS_STATE, state)
    r.set(Q.Q_AC_W, watts)
    r.tick(15)
    assert r.h.stopped is stopped


def test_R15_a_pcs_that_does_not_answer_does_not_hold_the_stop_up() -> None:
    r = stopping(running())
    r.freeze(Q.Q_PCS_STATE, Q.Q_AC_W)
    r.tick(150)
    assert r.h.stopped


@pytest.mark.parametrize("code", [C.CMD_STOP, C.CMD_OUT_OF_SERVICE, None])
def test_R15_sigterm_is_heard_in_every_mode_and_gives_no_power(code: int | None) -> None:
    r = running()
    if code is None:
        r.set(Q.Q_CELL_V_MAX, 3.7)
        r.tick()
        r.set(Q.Q_CELL_V_MAX, 3.3)
    else:
        ask(r, code)
    r.set(Q.Q_PCS_STATE, 7)
    r.tick(3)
    stopping(r)
    r.tick(30)
    assert (r.power_w, r.h.out["cmd_run"][0], r.h.stopped) == (0, STANDBY, True)


def test_R15_limits_that_force_power_give_way_to_an_orderly_stop() -> None:
    r = Rig(config(slots=(Slot(klass=L.SlotClass.CLASS_GRID, may_force=3),), has_meter=1))
    r.meter(0)
    r.run()
    r.offer(0, {"pcc_lo_w": 50e3})
    r.tick(30)
    assert r.power_w == 50e3
    stopping(r)
    r.tick(20)
    assert (r.power_w, r.h.out["cmd_run"][0]) == (0, STANDBY)
    r.tick(50)
    assert r.power_w == 0


def test_a_trip_while_stopping_is_faster_than_the_ramp() -> None:
    r = running(site={"ramp_w_per_s": 1e6})
    stopping(r)
    assert r.power_w > 0
    r.set(Q.Q_CELL_V_MAX, 3.7)
    r.tick()
    assert r.power_w == 0


# --- real-time priority -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("required", "refused"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_real_time_priority_required_and_refused_is_standby(required: int, refused: int) -> None:
    r = fresh(site={"rt_required": required}, rt_refused=bool(refused))
    state = r.tick(50)
    blocked = required and refused
    assert (state["mode"], bool(state["flags"] & L.Flag.FLAG_RT_REFUSED)) == (M.MODE_STANDBY if blocked else M.MODE_RUN, bool(refused))
    assert (r.power_w == 0) is bool(blocked)
    if blocked:
        ask(r, C.CMD_START)
        r.disk()
        assert r.tick(20)["mode"] == M.MODE_STANDBY, "no request lifts it"
        r.set(Q.Q_PCS_STATE, 7)
        stopping(r)
        r.tick()
        assert (r.power_w, r.h.stopped) == (0, True)


# --- flags --------------------------------------------------------------------------------------------------------------------------------


def test_local_control_and_unconfirmed_set_points_are_flags() -> None:
    r = running()
    assert r.state["flags"] == 0
    r.set(Q.Q_LOC_REM, 1)
    r.h.set_unconfirmed(0, True)
    assert r.tick()["flags"] == L.Flag.FLAG_LOCAL_CONTROL | L.Flag.FLAG_UNCONFIRMED
    r.set(Q.Q_LOC_REM, 0)
    r.h.set_unconfirmed(0, False)
    assert r.tick()["flags"] == 0


def test_R15_local_control_gives_nothing_until_it_ends_and_then_ramps() -> None:
    r = running(site={"ramp_w_per_s": 1e6})
    r.set(Q.Q_LOC_REM, 1)
    r.tick(10)
    assert r.power_w == 0
    r.set(Q.Q_LOC_REM, 0)
    r.tick()
    assert r.power_w == 10e3


def test_each_change_of_mode_is_one_event() -> None:
    r = fresh().run()
    ask(r, C.CMD_STOP)
    ask(r, C.CMD_START)
    r.disk()
    r.tick(20)
    stopping(r)
    assert modes(r) == [M.MODE_RUN, M.MODE_STOPPED, M.MODE_ACQUIRE, M.MODE_RUN, M.MODE_STOPPING]
    assert r.now_ns % PERIOD_NS == 0
