"""What survives a power cut: two records in turn, the newest whole one rules (R6)."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bessctl_core import layout as L
from bessctl_core.journal import BEGUN, NAMES, OLDEST, REMEDY, VERSION, Journal, check_sum

SIZE = L.SIZES["JournalRecord"]
KEPT = Path(__file__).with_name("journals")


def record(seq: int) -> bytes:
    """A record as the step fills it; every row's latch and the energy tell its number."""
    r = np.zeros(1, L.dtype("JournalRecord"))[0]
    r["seq"], r["operator_mode"] = seq, L.Mode.MODE_STOPPED
    r["latched"][:] = seq % 2
    r["export_wh"][:] = seq
    return bytes(r.tobytes())


def seq_of(journal: Journal) -> int | None:
    data = journal.newest_bytes
    return None if data is None else int(np.frombuffer(data, L.dtype("JournalRecord"))[0]["seq"])


def written(folder: Path, *seqs: int) -> None:
    journal = Journal(str(folder))
    for seq in seqs:
        journal.post(record(seq))
        assert journal.write_due()
        assert journal.on_disk == seq
    journal.close()


def reread(folder: Path) -> tuple[int | None, bool]:
    journal = Journal(str(folder))
    journal.close()
    return seq_of(journal), journal.broken


def test_no_file_is_a_first_start(tmp_path: Path) -> None:
    assert reread(tmp_path) == (None, False)


def test_a_journal_that_is_gone_is_no_first_start(tmp_path: Path) -> None:
    """R6: whoever took the plant out of service must not find it running because two files were deleted."""
    written(tmp_path, 1, 2)
    for name in NAMES:
        (tmp_path / name).unlink()
    journal = Journal(str(tmp_path))
    assert (journal.found, journal.broken) == (False, True)
    assert "is gone" in journal.notes[0]
    journal.post(record(3))
    assert journal.write_due(), "after a reset a new one begins"
    journal.close()
    assert reread(tmp_path) == (3, False)


def test_a_journal_of_an_older_release_is_remembered_from_its_next_record_on(tmp_path: Path) -> None:
    written(tmp_path, 1)
    (tmp_path / BEGUN).unlink()
    assert reread(tmp_path) == (1, False)
    written(tmp_path, 2)
    assert (tmp_path / BEGUN).exists()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_the_newest_record_rules(tmp_path: Path, count: int) -> None:
    written(tmp_path, *range(1, count + 1))
    assert reread(tmp_path) == (count, False)


def test_only_the_newest_of_many_waits_for_the_disk(tmp_path: Path) -> None:
    """The tick never waits: it leaves the next record over the one that was not written yet."""
    journal = Journal(str(tmp_path))
    for seq in range(1, 8):
        journal.post(record(seq))
    assert journal.on_disk == 0, "nothing is promised before it is on disk"
    assert journal.write_due()
    assert not journal.write_due()
    assert journal.on_disk == 7
    journal.close()
    assert reread(tmp_path) == (7, False)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 23, 24, 63, 64, 511, 512, SIZE // 2, SIZE - 1])
def test_a_write_cut_short_leaves_the_other_record(tmp_path: Path, cut: int) -> None:
    """Power fails while record 4 goes over record 2: up to `cut` bytes are new, the file may be shorter."""
    written(tmp_path, 1, 2, 3)
    victim = tmp_path / NAMES[1]
    old = victim.read_bytes()
    fresh = record(4)
    for torn in (fresh[:cut] + old[cut:], fresh[:cut], fresh[:cut] + bytes(SIZE - cut)):
        victim.write_bytes(torn)
        seq, broken = reread(tmp_path)
        assert not broken
        assert seq in (2, 3), "an old whole record, never a mixture"
        assert seq == 3


@pytest.mark.parametrize("at", range(0, SIZE, 37))
def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path, at: int) -> None:
    written(tmp_path, 1, 2)
    victim = tmp_path / NAMES[1]
    data = bytearray(victim.read_bytes())
    data[at] ^= 0x10
    victim.write_bytes(data)
    journal = Journal(str(tmp_path))
    assert seq_of(journal) == 1
    assert any(NAMES[1] in note for note in journal.notes)
    journal.close()


def test_the_next_record_goes_over_the_spoilt_one(tmp_path: Path) -> None:
    written(tmp_path, 1, 2)
    (tmp_path / NAMES[1]).write_bytes(b"")
    written(tmp_path, 3)
    assert (tmp_path / NAMES[1]).stat().st_size == SIZE
    (tmp_path / NAMES[0]).unlink()
    assert reread(tmp_path) == (3, False)


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(SIZE), bytes(SIZE + 1)])
def test_files_without_one_good_record_are_a_broken_journal(tmp_path: Path, content: bytes) -> None:
    """Unreadable = tripped: the loop is told that something was there."""
    for name in NAMES:
        (tmp_path / name).write_bytes(content)
    assert reread(tmp_path) == (None, True)


def numbered(folder: Path, version: int) -> Journal:
    """A folder whose only record has this number, read."""
    written(folder, 1)
    r = np.frombuffer((folder / NAMES[0]).read_bytes(), L.dtype("JournalRecord")).copy()
    r[0]["layout_version"] = version
    r[0]["crc32"] = check_sum(r.tobytes())
    (folder / NAMES[0]).write_bytes(r.tobytes())
    journal = Journal(str(folder))
    journal.close()
    return journal


@pytest.mark.parametrize("version", [OLDEST - 1, VERSION + 1, 0, 2**32 - 1])
def test_a_record_of_another_structure_is_not_believed_and_says_what_to_do(tmp_path: Path, version: int) -> None:
    journal = numbered(tmp_path, version)
    assert (journal.broken, journal.found) == (True, False)
    assert f"a journal of version {version}, this release reads {OLDEST} to {VERSION}; {REMEDY}" in journal.notes[0]


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
def test_a_record_written_under_another_layout_of_the_rest_is_read(tmp_path: Path, version: int) -> None:
    """R6: an update changes some other structure and LAYOUT_VERSION with it; the journal is none the wiser."""
    journal = numbered(tmp_path, version)
    assert (journal.found, journal.notes, seq_of(journal)) == (True, [], 1)


def test_what_is_written_is_numbered_by_the_journals_own_version(tmp_path: Path) -> None:
    """Not by the layout's: the next release may raise that, and the release before may have to read it after a fall back."""
    written(tmp_path, 1)
    r = np.frombuffer((tmp_path / NAMES[0]).read_bytes(), L.dtype("JournalRecord"))[0]
    assert r["layout_version"] == VERSION


def kept(version: int) -> bytes:
    return (KEPT / f"{version}.journal").read_bytes()


def test_the_record_of_each_version_is_kept() -> None:
    """Whoever changes JournalRecord raises JOURNAL_VERSION and keeps a record of the new one here, beside those before it."""
    assert max(int(path.stem) for path in KEPT.iterdir()) == VERSION


def test_a_record_kept_from_another_day_says_what_it_said_then(tmp_path: Path) -> None:
    """Written once by the loop of layout 12: out of service, row 2 latched, two of 16 units tried, energy on both ways."""
    (tmp_path / NAMES[0]).write_bytes(kept(12))
    journal = Journal(str(tmp_path))
    journal.close()
    assert (journal.found, journal.notes) == (True, [])
    assert journal.newest_bytes is not None
    r = np.frombuffer(journal.newest_bytes, L.dtype("JournalRecord"))[0]
    assert (r["seq"], r["operator_mode"], r["internal"], r["clock_trusted"]) == (4711, L.Mode.MODE_OUT_OF_SERVICE, 0, 1)
    assert (r["boot_id_hi"], r["boot_id_lo"], r["at_ns"], r["at_realtime_s"]) == (11, 12, 987_654_321_000, 1_750_000_000)
    assert bytes(r["config_hash"]) == bytes(range(32))
    assert list(r["start_age_s"]) == [60, 3600, -1]
    assert [row for row, latched in enumerate(r["latched"]) if latched] == [2]
    assert list(r["commissioned"]) == [1, 1, *[0] * 14]
    assert list(r["unit_key"][:3]) == [101, 102, 0]
    assert (r["import_wh"][0], r["export_wh"][1], r["import_wh"][16]) == (1000.5, 2000.25, 4000.0)
    assert (r["import_seen_wh"][0], r["export_seen_wh"][16]) == (900.0, 70.0)
    journal.close()


def test_a_full_disk_promises_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """EFBIG stands for every error of a disk: the number on disk stays, the next try writes the record that waits."""
    written(tmp_path, 1, 2)
    journal = Journal(str(tmp_path))
    journal.post(record(3))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            journal.write_due()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert journal.on_disk == 2
    assert journal.write_due()
    assert journal.on_disk == 3
    journal.close()


def test_a_writer_killed_at_any_instant_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    """kill -9 in the middle of writing, again and again: what was acknowledged, or newer, is read back whole."""
    program = """
import sys, numpy as np
from bessctl_core import layout as L
from bessctl_core.journal import Journal
journal = Journal(sys.argv[1])
r = np.zeros(1, L.dtype("JournalRecord"))[0]
seq = journal.on_disk
while True:
    seq += 1
    r["seq"] = seq
    r["export_wh"][:] = seq
    journal.post(r.tobytes())
    journal.write_due()
    print(journal.on_disk, flush=True)
"""
    acknowledged = 0
    for lines in (1, 2, 3, 10, 31):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "core"}
        ) as child:
            assert child.stdout is not None
            for _ in range(lines):
                acknowledged = int(child.stdout.readline())
            child.kill()
        journal = Journal(str(tmp_path))
        journal.close()
        assert (seq_of(journal) or 0) >= acknowledged
        assert journal.newest_bytes is not None
        r = np.frombuffer(journal.newest_bytes, L.dtype("JournalRecord"))[0]
        assert set(r["export_wh"]) == {float(r["seq"])}
