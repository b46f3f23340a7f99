"""Nothing for Python here: a part of bus.pyx."""
