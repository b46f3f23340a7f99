"""What came back of a set point and what it proves; C declarations only, see proof.pxd."""
