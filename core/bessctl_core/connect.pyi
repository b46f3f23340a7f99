"""C declarations only, see connect.pxd."""
