"""Nothing for Python: see pcs.pxd."""
