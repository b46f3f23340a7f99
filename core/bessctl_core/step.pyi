"""C declarations only, see step.pxd."""
