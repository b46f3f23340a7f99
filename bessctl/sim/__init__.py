"""Peers and plants to talk to without hardware: for the demo, the tests and commissioning."""
