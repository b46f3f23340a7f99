"""C declarations only, see pcc.pxd."""
