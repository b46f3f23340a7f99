"""The set point of one PCS and its proof; C declarations only, see setpoint.pxd."""
