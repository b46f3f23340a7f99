"""What the project claims about speed, measured: `python -m benches NAME [--json]`.

A bench prints one JSON object with --json, text and a PNG otherwise. It measures a reference in the same windows and
gives the ratio, because a figure without one says more about the machine than about the code. It judges nothing; where
too few windows were calm it says `judged: false`.
"""
