from libc.stdint cimport int64_t

from bessctl_core.sim.types cimport SimPlant

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t*, const void*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)

cdef class Plant:
    cdef SimPlant* p
    cdef pthread_mutex_t lock
    cdef int64_t due_ns              # simulated time asked for so far
    cdef readonly dict config
    cdef public bint served          # a server steps it in real time; step() is refused
    cdef dict doubles
    cdef dict bytes_
    cdef dict ints
    cdef int64_t _first_after(self, int64_t since_ns)
