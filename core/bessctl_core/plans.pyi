"""C declarations only, see plans.pxd."""
