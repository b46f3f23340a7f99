"""Nothing for Python: see slave.pxd."""
