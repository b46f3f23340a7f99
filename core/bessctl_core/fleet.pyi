"""All buses and devices; C declarations only, see fleet.pxd."""
