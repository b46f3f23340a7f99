"""Websockets and TLS toward a CSMS. Takes no decision of the protocol."""
