"""Start, stop, heartbeat, contactor; C declarations only, see orders.pxd."""
