"""C declarations only, see derive.pxd."""
