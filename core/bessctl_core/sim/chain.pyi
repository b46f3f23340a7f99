"""Nothing for Python: see chain.pxd."""
