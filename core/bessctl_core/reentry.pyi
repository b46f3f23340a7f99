"""C declarations only, see envelope.pxd."""
