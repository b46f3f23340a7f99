"""Event and command rings between the loop and its readers; C declarations only, see ring.pxd."""
