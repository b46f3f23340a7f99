"""C declarations only, see dispatch.pxd."""
