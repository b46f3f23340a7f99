"""The set point of one PCS; C declarations only, see setpoint.pxd."""
