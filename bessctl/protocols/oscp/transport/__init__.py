"""HTTP and TLS of both directions. Takes no decision of the protocol."""
