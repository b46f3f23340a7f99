"""Rules and state of a charging station, without I/O: time, randomness and what is on disk are handed in."""
