"""What dry.pyx shares with the ports: how blocks become a series."""

from .layout cimport Series

# Raises ValueError, TypeError or OverflowError for what a series cannot hold. With the GIL.
cdef int fill(Series* series, blocks) except -1
