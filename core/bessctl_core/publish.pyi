"""C declarations only, see publish.pxd."""
