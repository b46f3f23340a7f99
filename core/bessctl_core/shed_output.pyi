"""C declarations only, see shed_output.pxd."""
