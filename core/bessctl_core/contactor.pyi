"""C declarations only, see contactor.pxd."""
