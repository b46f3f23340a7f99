"""C declarations only, see confirm.pxd."""
