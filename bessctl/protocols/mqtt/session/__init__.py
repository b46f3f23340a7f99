"""Rules and state of one broker; no I/O, time handed in."""
