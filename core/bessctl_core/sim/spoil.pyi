"""Nothing for Python: see spoil.pxd."""
