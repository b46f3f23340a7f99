"""What the client knows and decides: discovery, polling, events, reports. No I/O; time and randomness are handed in."""
