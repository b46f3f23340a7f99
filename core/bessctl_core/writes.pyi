"""C declarations only, see writes.pxd."""
