"""What we know about devices: SunSpec point maps, what discovery found, and the read plan compiled from both. Data and pure functions;
only `sunspec` opens a socket or a serial line, and nothing here runs in the tick."""
