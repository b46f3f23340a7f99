"""The latest value, from one writer to any number of readers; the rules stand in handover.pxd. `Channel` lets Python drive it."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from .atomics cimport (
    fence_acquire, fence_release, load_acquire_u64, load_relaxed_u64, store_release_u64, store_relaxed_u64,
)


cdef inline size_t rounded(size_t size) noexcept nogil:
    return (size + 63) & ~<size_t> 63


cdef inline char* slot_at(const Handover* h, uint64_t index, size_t size) noexcept nogil:
    return <char*> h + sizeof(Handover) + index * rounded(size)


cdef size_t handover_bytes(size_t payload) noexcept nogil:
    return sizeof(Handover) + HANDOVER_SLOTS * rounded(payload)


cdef inline uint64_t version_of(uint64_t index, uint64_t seq) noexcept nogil:
    return 0 if seq == 0 else seq * HANDOVER_SLOTS + index


cdef uint64_t handover_version(const Handover* h) noexcept nogil:
    cdef uint64_t index = load_acquire_u64(&h.published) % HANDOVER_SLOTS
    return version_of(index, load_acquire_u64(&h.seq[index]))


cdef void* handover_begin(Handover* h, size_t size) noexcept nogil:
    cdef uint64_t index = (load_relaxed_u64(&h.published) + 1) % HANDOVER_SLOTS
    # A slot left odd by a writer that died stays odd and still moves on, so that no reader takes the old number for the new one.
    store_relaxed_u64(&h.seq[index], (load_relaxed_u64(&h.seq[index]) + 1) | 1)
    fence_release()
    return slot_at(h, index, size)


cdef void handover_commit(Handover* h) noexcept nogil:
    cdef uint64_t index = (load_relaxed_u64(&h.published) + 1) % HANDOVER_SLOTS
    store_release_u64(&h.seq[index], load_relaxed_u64(&h.seq[index]) + 1)
    store_release_u64(&h.published, index)


cdef void handover_write(Handover* h, const void* payload, size_t size) noexcept nogil:
    memcpy(handover_begin(h, size), payload, size)
    handover_commit(h)


cdef bint handover_read(const Handover* h, void* payload, size_t size, uint64_t* version, uint64_t* retries) noexcept nogil:
    cdef uint64_t index, before
    cdef int attempt
    for attempt in range(HANDOVER_TRIES):
        index = load_acquire_u64(&h.published)
        if index < HANDOVER_SLOTS:
            before = load_acquire_u64(&h.seq[index])
            if before == 0:
                return False
            if not before & 1:
                memcpy(payload, slot_at(h, index, size), size)
                fence_acquire()
                if load_relaxed_u64(&h.seq[index]) == before:
                    if version != NULL:
                        version[0] = version_of(index, before)
                    return True
        if retries != NULL:
            retries[0] += 1
    return False


cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t> t.tv_sec * 1000000000 + t.tv_nsec


cdef class Channel:
    """One latest-value buffer in a writable or read-only buffer object, for tests, benches and tools. One writer; any thread reads."""

    cdef Handover* _h
    cdef size_t _size
    cdef object _owner
    cdef bytearray _copy
    cdef public unsigned long long retries
    """Tries that found the value changing under the copy, over the life of this object."""

    def __cinit__(self, buffer, size_t size):
        cdef const unsigned char[::1] view = buffer
        if <size_t> view.shape[0] < handover_bytes(size):
            raise ValueError(f"the buffer has {view.shape[0]} bytes, a value of {size} needs {handover_bytes(size)}")
        self._owner = view
        self._h = <Handover*> &view[0]
        self._size = size
        self._copy = bytearray(size)
        self.retries = 0

    @staticmethod
    def bytes_for(size_t size) -> int:
        """Bytes that a channel for values of `size` bytes takes."""
        return handover_bytes(size)

    def write(self, const unsigned char[::1] payload) -> None:
        """Publish a value of exactly the channel's size. The buffer must be writable memory."""
        if <size_t> payload.shape[0] != self._size:
            raise ValueError(f"the value has {payload.shape[0]} bytes, the channel carries {self._size}")
        with nogil:
            handover_write(self._h, &payload[0], self._size)

    def read(self):
        """The newest whole value as bytes, or None: nothing written, or torn four times in a row."""
        cdef unsigned char[::1] copy = self._copy
        cdef uint64_t tries = 0
        cdef bint whole
        with nogil:
            whole = handover_read(self._h, &copy[0], self._size, NULL, &tries)
        self.retries += tries
        return bytes(self._copy) if whole else None

    def time_writes(self, const unsigned char[::1] payload, long long[::1] batch_ns, int batch) -> None:
        """Benches: nanoseconds that each run of `batch` writes takes, one run per place in `batch_ns`."""
        cdef Py_ssize_t i
        cdef int k
        cdef int64_t before
        if <size_t> payload.shape[0] != self._size:
            raise ValueError(f"the value has {payload.shape[0]} bytes, the channel carries {self._size}")
        with nogil:
            for i in range(batch_ns.shape[0]):
                before = now_ns()
                for k in range(batch):
                    handover_write(self._h, &payload[0], self._size)
                batch_ns[i] = now_ns() - before

    def time_reads(self, long long[::1] batch_ns, int batch) -> None:
        """Benches: the same for reads; failed tries add to `retries`."""
        cdef unsigned char[::1] copy = self._copy
        cdef uint64_t tries = 0
        cdef Py_ssize_t i
        cdef int k
        cdef int64_t before
        with nogil:
            for i in range(batch_ns.shape[0]):
                before = now_ns()
                for k in range(batch):
                    handover_read(self._h, &copy[0], self._size, NULL, &tries)
                batch_ns[i] = now_ns() - before
        self.retries += tries

    def time_copies(self, unsigned char[::1] targets, long long[::1] batch_ns, int batch) -> None:
        """Benches: the reference. Plain memcpy of a value's size out of the channel's private copy into `targets`, one place after another."""
        cdef unsigned char[::1] copy = self._copy
        cdef size_t places = targets.shape[0] // self._size
        cdef size_t place = 0
        cdef Py_ssize_t i
        cdef int k
        cdef int64_t before
        if places == 0:
            raise ValueError(f"the targets have {targets.shape[0]} bytes, a value has {self._size}")
        with nogil:
            for i in range(batch_ns.shape[0]):
                before = now_ns()
                for k in range(batch):
                    memcpy(&targets[place * self._size], &copy[0], self._size)
                    place = place + 1 if place + 1 < places else 0
                batch_ns[i] = now_ns() - before

    @property
    def version(self) -> int:
        """The number of the published value; 0 = nothing was ever written."""
        return handover_version(self._h)
