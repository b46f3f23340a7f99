"""C declarations only, see protect.pxd."""
