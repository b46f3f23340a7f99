"""One device over its bus; C declarations only, see driver.pxd."""
