"""Nothing for Python: see battery.pxd."""
