"""Wire <-> typed, no state. `records` and `commands` are the station model's words; `v16` maps them to OCPP 1.6."""
