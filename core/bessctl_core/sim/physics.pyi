"""Nothing for Python: see physics.pxd."""
