"""C declarations only, see ramp.pxd."""
