"""XML <-> typed records, and the identities of certificates. No state, no I/O."""
