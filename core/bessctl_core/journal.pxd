# The journal: latches, the operator's stop, starts and energy, through restart, reboot and power cut (R6).
#
# Rules. There are two files, journal.a and journal.b, each one JournalRecord with its check sum. A record always goes to the file that
# does not hold the newest one: a write cut short spoils that file alone, and the other still rules. The first record of a file is written
# beside it, synced and renamed, so that a file that exists was whole once. At start the newest valid record wins; no file at all is a first
# start; files without one valid record are a broken journal, and so is a folder that kept one and has none; the machine then stands tripped
# until an operator resets it at the machine. The file `begun` remembers that a record was once on disk.
#
# The tick never touches a disk. It leaves a record in the JournalBox and goes on; an ordinary thread of the loop process writes what it
# finds there, the newest only, and then says in `on_disk` how far it came. What waits for the disk (a reset, a stop) waits for that number.

# A record is numbered by itself, not with the layout: an update that changes any other structure finds its journal again. Whoever changes
# JournalRecord, or what one of its fields means, raises JOURNAL_VERSION, keeps a way to read the former one, and adds a record of the
# new one to tests/core/journals. Layouts 7 to 12 wrote their own number into one and the same structure. A record of any other number is
# not believed, and the loop says what to do.

from libc.stdint cimport uint64_t

from .handover cimport HANDOVER_SLOTS, Handover
from .layout cimport JournalRecord

cdef enum:
    JOURNAL_VERSION = 12
    JOURNAL_OLDEST = 7

cdef struct JournalBox:
    uint64_t on_disk                            # seq of the newest record known to be on disk
    int wake_fd                                 # eventfd the writing thread sleeps on, or -1
    Handover box
    JournalRecord slot[HANDOVER_SLOTS + 1]      # the payload of `box`: four slots rounded up to 64 bytes

# The tick: leave a record and wake the writer. Loop, nogil, bounded: one copy, one system call.
cdef void journal_post(JournalBox* box, const JournalRecord* record) noexcept nogil

# The tick: how far the disk is.
cdef uint64_t journal_on_disk(const JournalBox* box) noexcept nogil


cdef class Journal:
    cdef JournalBox box
    cdef JournalRecord newest
    cdef readonly bint found
    cdef readonly bint broken
    cdef readonly list notes
    cdef str _folder
    cdef int _files[2]
    cdef int _next
    cdef bint _begun
    cdef void _seal(self, JournalRecord* record)
