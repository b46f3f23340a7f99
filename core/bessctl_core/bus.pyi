"""Nothing for Python here: buses are driven by the loop, and by bessctl_core.master in tests, benches and tools."""
