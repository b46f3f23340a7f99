"""C declarations only, see gpio.pxd."""
