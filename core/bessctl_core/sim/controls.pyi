"""Nothing for Python: see controls.pxd."""
