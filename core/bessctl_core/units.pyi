"""C declarations only, see units.pxd."""
