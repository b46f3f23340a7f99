"""IEEE 2030.5-2018 client: the site as a DER of a utility's server. Polls it, obeys its DERControls, tells it what the plant does.

messages/   XML <-> typed records, written by hand in schema order; identities of certificates
session/    discovery, polling, events, reports; no I/O, time and randomness handed in
transport/  mutual TLS 1.2 and HTTP; no decisions
binding/    session <-> plans, snapshots and store; here signs, units and clocks are turned

Utilities differ: `profiles` is the table of how. Entry points: `config.Sep2Config`, `binding.client.run_client`.
"""
