"""The server's structure, for what drives it in invented time (dry.pyx)."""

from bessctl_core.sim.epoll_loop cimport Server

cdef class PlantServer:
    cdef Server* s
    cdef readonly list plants
    cdef readonly list ports
    cdef readonly list pty_paths
    cdef object thread
    cdef dict options
