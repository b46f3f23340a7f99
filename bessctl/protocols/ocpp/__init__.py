"""OCPP charge point: the plant as a charging station with two connectors (1 discharges, 2 charges), one station model, dialects on top.

messages/   wire <-> typed records; the records are the station model's words, each dialect (v16, ...) maps them to its wire
session/    rules and state of one link and of the ledger that all links share; no I/O, time and randomness handed in
transport/  websockets and TLS; no decisions
binding/    session <-> plans, snapshots and store; here signs, units and clocks are turned

Entry points: `config.StationConfig`, `binding.station.run_station`.
"""
