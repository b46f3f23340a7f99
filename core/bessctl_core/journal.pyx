"""The journal on disk; its rules stand in journal.pxd."""

import os
import zlib

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from .atomics cimport load_acquire_u64, store_release_u64
from .handover cimport handover_read, handover_write
from .layout cimport MAX_UNITS, MODE_RUN, JournalRecord
from .rt cimport wake

NAMES = ("journal.a", "journal.b")
BEGUN = "begun"
VERSION = JOURNAL_VERSION
OLDEST = JOURNAL_OLDEST
REMEDY = (
    "install the release that wrote it again, or reset at the machine (`bessctl reset`): latches, an operator's stop and commissioning are then "
    "forgotten, and the energy registers begin at 0"
)

cdef uint64_t MAGIC = 0x314C4E4A53534542      # "BESSJNL1" as it lies on disk


cdef void journal_post(JournalBox* box, const JournalRecord* record) noexcept nogil:
    handover_write(&box.box, record, sizeof(JournalRecord))
    wake(box.wake_fd)


cdef uint64_t journal_on_disk(const JournalBox* box) noexcept nogil:
    return load_acquire_u64(&box.on_disk)


def check_sum(data: bytes) -> int:
    """CRC-32 of a record's bytes with its crc32 field taken as 0."""
    cdef JournalRecord record
    if len(data) != sizeof(JournalRecord):
        raise ValueError(f"a journal record has {sizeof(JournalRecord)} bytes, not {len(data)}")
    memcpy(&record, <const char*> data, sizeof(JournalRecord))
    record.crc32 = 0
    return zlib.crc32((<const char*> &record)[:sizeof(JournalRecord)])


cdef str fault_of(bytes data):
    """Why these bytes are no record to believe, or None."""
    cdef JournalRecord record
    memset(&record, 0, sizeof(JournalRecord))
    memcpy(&record, <const char*> data, min(<size_t> len(data), sizeof(JournalRecord)))
    if record.magic != MAGIC:
        return "not a journal"
    if not JOURNAL_OLDEST <= record.layout_version <= JOURNAL_VERSION:
        return f"a journal of version {record.layout_version}, this release reads {JOURNAL_OLDEST} to {JOURNAL_VERSION}; {REMEDY}"
    if len(data) != sizeof(JournalRecord):
        return f"{len(data)} bytes instead of {sizeof(JournalRecord)}"
    if record.crc32 != check_sum(data):
        return "its check sum is wrong"
    return None


cdef class Journal:
    """The two files of a state folder, read once and then written by one thread.

    `found`: a valid record was read; `broken`: there are files and none can be believed; `notes`: what to tell the operator.
    Start-up and the journal thread; the tick uses journal_post and journal_on_disk alone.
    """

    def __cinit__(self, str folder, int wake_fd=-1):
        self._folder = folder
        self._files = [-1, -1]
        self.notes = []
        memset(&self.box, 0, sizeof(JournalBox))
        self.box.wake_fd = wake_fd
        self._read()

    def _read(self):
        cdef JournalRecord record
        present = 0
        for index, name in enumerate(NAMES):
            path = os.path.join(self._folder, name)
            try:
                self._files[index] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                data = os.read(self._files[index], 2 * sizeof(JournalRecord))
                fault = fault_of(data)
            except FileNotFoundError:
                continue
            except OSError as error:
                fault = str(error)
            present += 1
            if fault is not None:
                self.notes.append(f"{path}: {fault}")
                continue
            memcpy(&record, <const char*> data, sizeof(JournalRecord))
            if not self.found or record.seq > self.newest.seq:
                self.newest, self.found, self._next = record, True, 1 - index
        self._begun = os.path.exists(os.path.join(self._folder, BEGUN))
        if self._begun and present == 0:
            self.notes.append(f"{self._folder}: a journal was kept here and is gone")
        self.broken = (present > 0 or self._begun) and not self.found
        if self.found:
            store_release_u64(&self.box.on_disk, self.newest.seq)

    cdef void _seal(self, JournalRecord* record):
        record.magic, record.layout_version, record.crc32 = MAGIC, JOURNAL_VERSION, 0
        record.crc32 = zlib.crc32((<const char*> record)[:sizeof(JournalRecord)])

    @property
    def newest_bytes(self) -> bytes | None:
        """The record that rules, as it was read at start or last written; None when there is none."""
        return (<const char*> &self.newest)[:sizeof(JournalRecord)] if self.found else None

    @property
    def on_disk(self) -> int:
        """The sequence number of the newest record on disk."""
        return load_acquire_u64(&self.box.on_disk)

    def post(self, bytes data):
        """Leave a record as the tick does (tests)."""
        if len(data) != sizeof(JournalRecord):
            raise ValueError(f"a journal record has {sizeof(JournalRecord)} bytes, not {len(data)}")
        journal_post(&self.box, <const JournalRecord*> <const char*> data)

    def write_due(self) -> bool:
        """Write the newest record the tick left, if it is not on disk yet; True when one was written. Raises OSError: try again."""
        cdef JournalRecord record
        if not handover_read(&self.box.box, &record, sizeof(JournalRecord), NULL, NULL) or record.seq == self.newest.seq:
            return False
        self._seal(&record)
        self._put(self._next, (<const char*> &record)[:sizeof(JournalRecord)])
        self.newest, self.found, self._next = record, True, 1 - self._next
        store_release_u64(&self.box.on_disk, record.seq)
        self._remember()
        return True

    def _remember(self):
        """From the first record on, a folder without a journal is one that lost it. Tried again with the next record where it fails."""
        if not self._begun:
            try:
                os.close(create(os.path.join(self._folder, BEGUN), b""))
                self._begun = True
            except OSError:
                return

    def _put(self, int index, bytes data):
        if self._files[index] >= 0:
            if os.pwrite(self._files[index], data, 0) != len(data):
                raise OSError(f"{os.path.join(self._folder, NAMES[index])}: written in part")
            os.fdatasync(self._files[index])
        else:
            self._files[index] = create(os.path.join(self._folder, NAMES[index]), data)

    def close(self):
        """Close the files; nothing may be written afterwards."""
        for index in range(2):
            if self._files[index] >= 0:
                os.close(self._files[index])
                self._files[index] = -1


def begin_commissioned(str folder, bytes config_hash, int units) -> bool:
    """A first journal that says that these units were tried under this configuration (R16): for simulated plants, where nobody could be
    mistaken about a cable. False, and nothing done, where there is a journal already. Raises OSError.
    """
    cdef JournalRecord record
    if len(config_hash) != 32 or not 0 <= units <= MAX_UNITS:
        raise ValueError("a hash has 32 bytes, a plant at most 16 units")
    journal = Journal(folder)
    try:
        if journal.found or journal.broken:
            return False
        memset(&record, 0, sizeof(JournalRecord))
        record.seq, record.operator_mode = 1, MODE_RUN
        memcpy(record.config_hash, <const char*> config_hash, 32)
        memset(record.commissioned, 1, units)
        record.start_age_s[0] = record.start_age_s[1] = record.start_age_s[2] = -1     # it was never started: R6 counts nothing
        journal.post((<const char*> &record)[:sizeof(JournalRecord)])
        return journal.write_due()
    finally:
        journal.close()


cdef int create(str path, bytes data) except -1:
    """A file that is whole from its first moment: written beside, synced, renamed, the folder synced. Returns it open."""
    beside = path + ".new"
    cdef int handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
        os.rename(beside, path)
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        os.close(handle)
        raise
    return handle
