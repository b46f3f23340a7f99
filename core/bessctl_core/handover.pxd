# The latest value, from one writer to any number of readers, without a lock.
#
# Rules. There are four slots and one published index. The writer never touches the published slot: it takes the next one, makes its
# sequence number odd, fills it, makes the number even, publishes the index. A reader copies the published slot and believes the copy when
# the slot's number was even and did not change meanwhile; otherwise it tries again, at most four times, and then keeps what it had.
# A writer that dies anywhere leaves the published slot whole: the next writer starts over in the slot that was left odd.
# Nothing here trusts the other side: an index outside 0..3 reads as "torn", and no size is ever taken from shared memory.

from libc.stdint cimport uint64_t

cdef enum:
    HANDOVER_SLOTS = 4
    HANDOVER_TRIES = 4

# The control words; the four slots of payload follow, each rounded up to 64 bytes.
cdef struct Handover:
    uint64_t published      # slot index; changes with every write
    uint64_t reserved[7]
    uint64_t seq[HANDOVER_SLOTS]
    uint64_t reserved2[4]

# Bytes that a buffer for `payload` bytes takes.
cdef size_t handover_bytes(size_t payload) noexcept nogil

# Writer, one thread alone. Bounded: one copy.
cdef void handover_write(Handover* h, const void* payload, size_t size) noexcept nogil

# The same without a copy: where to build the next value in place, and to publish it.
cdef void* handover_begin(Handover* h, size_t size) noexcept nogil
cdef void handover_commit(Handover* h) noexcept nogil

# Which value is published: another number for each, 0 = nothing was ever written. Tells a reader, without a copy, that there is nothing new.
cdef uint64_t handover_version(const Handover* h) noexcept nogil

# Any reader. True and a whole copy in `payload`, or False: nothing written yet, or no whole copy within HANDOVER_TRIES. `version`
# (may be NULL) gets the number of the value copied; `retries` (may be NULL) is increased by each failed try.
cdef bint handover_read(const Handover* h, void* payload, size_t size, uint64_t* version, uint64_t* retries) noexcept nogil
