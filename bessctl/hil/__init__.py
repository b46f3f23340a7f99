"""Scenarios: one file in simulated time, in real time against the simulated plant, and on a rig. docs/howto/hil.md."""
