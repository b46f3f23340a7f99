"""Wire <-> typed, no state."""
