"""Mutual TLS and HTTP toward the server. Takes no decision of the protocol."""
