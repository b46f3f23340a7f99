"""Registers become measurements; C declarations only, see points.pxd."""
