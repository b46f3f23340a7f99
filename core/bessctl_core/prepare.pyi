"""C declarations only, see prepare.pxd."""
