# Two rings of fixed entries.
#
# EventRing: one writer, any number of readers that cannot write (the state segment is read-only for them). Each entry carries its own
# sequence number, counted from 1, written last; the writer never waits and overwrites the oldest. A reader asks for number n and gets it,
# or learns that it is not there yet, or that it is gone (and how many are lost): the drop counter is the reader's own arithmetic.
#
# CommandRing: one writer (the supervisor), one reader (the loop), in memory both may write. The reader keeps its own tail in private memory,
# publishes it elsewhere, and believes of the shared head only that at most COMMAND_ENTRIES entries wait. Commands are numbered from 1; an
# entry whose id is not the number that is due was never written whole and is skipped.

from libc.stdint cimport uint64_t

from .layout cimport Command, Event

cdef enum:
    EVENT_ENTRIES = 1024
    COMMAND_ENTRIES = 64

cdef struct EventRing:
    uint64_t newest                 # seq of the newest whole entry
    uint64_t reserved[7]
    Event entry[EVENT_ENTRIES]

cdef struct CommandRing:
    uint64_t head                   # entries ever written
    uint64_t reserved[7]
    Command entry[COMMAND_ENTRIES]

# Writer of events. Bounded, never waits. Gives the event its number.
cdef void event_push(EventRing* ring, const Event* event) noexcept nogil

# Reader: 1 and the event, 0 when `seq` is not written yet, -1 when it was overwritten.
cdef int event_read(const EventRing* ring, uint64_t seq, Event* event) noexcept nogil

# Writer of commands. Gives the command its id and returns it; 0 when the reader is COMMAND_ENTRIES behind (`taken` is its published tail).
cdef uint64_t command_push(CommandRing* ring, const Command* command, uint64_t taken) noexcept nogil

# Reader of commands: True and the next command, or False. `tail` is the reader's own; entries the writer overran are skipped. Looks at one
# entry, so False may also mean that one was skipped.
cdef bint command_take(const CommandRing* ring, uint64_t* tail, Command* command) noexcept nogil
