"""OSCP 2.0 flexibility provider: capacity providers limit the plant, a capacity optimizer proposes targets.

messages/   JSON and headers <-> typed records, strict both ways
session/    rules and state of each peer, and the one pure function from forecasts to limits; no I/O, time and randomness handed in
transport/  aiohttp and TLS; no decisions
binding/    sessions <-> plans, snapshots and store; here signs, units and clocks are turned

Entry points: `config.ProviderConfig`, `binding.provider.run_provider`.
"""
