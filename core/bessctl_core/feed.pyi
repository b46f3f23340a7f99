"""C declarations only, see feed.pxd."""
