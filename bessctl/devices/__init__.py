"""What we know about devices: profiles (YAML) and their schema, what discovery found, and the plan compiled from both. Data and pure
functions; only `sunspec` and `registers` open a socket or a serial line, and nothing here runs in the tick."""
