"""Nothing for Python: see commission.pxd."""
