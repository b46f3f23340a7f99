"""The events of one tick; C declarations only, see events.pxd."""
