# Ordered loads and stores for memory that two processes share. Any thread, nogil, bounded.
from libc.stdint cimport uint64_t

cdef extern from "atomics.h" nogil:
    uint64_t load_acquire_u64(const uint64_t* p) noexcept
    uint64_t load_relaxed_u64(const uint64_t* p) noexcept
    void store_release_u64(uint64_t* p, uint64_t v) noexcept
    void store_relaxed_u64(uint64_t* p, uint64_t v) noexcept
    void fence_acquire() noexcept
    void fence_release() noexcept
