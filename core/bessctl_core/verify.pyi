"""C declarations only, see verify.pxd."""
