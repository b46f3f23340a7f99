"""C declarations only, see wear.pxd."""
