"""Wire <-> typed, no state.

`records`, `commands`, `answers`, `device` and `profile` are the station model's words; `v16` and `v201` map them to their wires.
"""
