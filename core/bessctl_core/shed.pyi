"""C declarations only, see shed.pxd."""
