"""C declarations only, see modes.pxd."""
