"""The simulated plant: compiled physics and a compiled Modbus server. It knows nothing of the drivers it is used to test."""
