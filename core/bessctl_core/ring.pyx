"""Event and command rings; the rules stand in ring.pxd."""

from .atomics cimport (
    fence_acquire, fence_release, load_acquire_u64, load_relaxed_u64, store_release_u64, store_relaxed_u64,
)


cdef void event_push(EventRing* ring, const Event* event) noexcept nogil:
    cdef uint64_t seq = load_relaxed_u64(&ring.newest) + 1
    cdef Event* entry = &ring.entry[seq % EVENT_ENTRIES]
    # While the entry is rewritten its number is 0: a reader that copies it then sees the change and takes it as gone.
    store_relaxed_u64(&entry.seq, 0)
    fence_release()
    entry.at_ns, entry.value, entry.limit, entry.detail = event.at_ns, event.value, event.limit, event.detail
    entry.place, entry.row, entry.slot, entry.code, entry.level = event.place, event.row, event.slot, event.code, event.level
    store_release_u64(&entry.seq, seq)
    store_release_u64(&ring.newest, seq)


cdef int event_read(const EventRing* ring, uint64_t seq, Event* event) noexcept nogil:
    cdef const Event* entry = &ring.entry[seq % EVENT_ENTRIES]
    if seq > load_acquire_u64(&ring.newest):
        return 0
    if load_acquire_u64(&entry.seq) != seq:
        return -1
    event[0] = entry[0]
    fence_acquire()
    return 1 if load_relaxed_u64(&entry.seq) == seq else -1


cdef uint64_t command_push(CommandRing* ring, const Command* command, uint64_t taken) noexcept nogil:
    cdef uint64_t head = load_relaxed_u64(&ring.head)
    cdef Command* entry = &ring.entry[head % COMMAND_ENTRIES]
    if head - taken >= COMMAND_ENTRIES:
        return 0
    entry[0] = command[0]
    entry.id = head + 1
    store_release_u64(&ring.head, head + 1)
    return head + 1


cdef bint command_take(const CommandRing* ring, uint64_t* tail, Command* command) noexcept nogil:
    cdef uint64_t head = load_acquire_u64(&ring.head)
    if head == tail[0]:
        return False
    if head - tail[0] > COMMAND_ENTRIES:
        # The head ran ahead by more than fits, or backwards: nothing of what waits can be believed.
        tail[0] = head
        return False
    command[0] = ring.entry[tail[0] % COMMAND_ENTRIES]
    tail[0] += 1
    return command.id == tail[0]
