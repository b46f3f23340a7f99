"""Cell chemistries of the simulated battery: rest voltage over SoC, and limits that go with it.

The shapes are drawn by hand after published rest curves, rounded to 5 mV; they are no product's data and no default of the controller.
LFP: two plateaus and steep ends, as in Prada et al. 2013 (doi 10.1149/2.053304jes). NMC: the sloped curve of Chen et al. 2020
(doi 10.1149/1945-7111/ab9050).
"""

from __future__ import annotations

from dataclasses import dataclass

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Chemistry:
    """`ocv`: cell volts over SoC in %. Voltages are where a BMS of this chemistry opens its contactors."""

    ocv: Points
    nominal_v: float
    high_v: float
    low_v: float
    fade_pct_per_kcycle: float
    fade_pct_per_year: float
    r_growth_pct: float


LFP = Chemistry(
    ocv=[
        (0, 2.500),
        (1, 2.800),
        (3, 3.020),
        (5, 3.120),
        (10, 3.200),
        (15, 3.225),
        (20, 3.250),
        (30, 3.280),
        (40, 3.290),
        (55, 3.295),
        (62, 3.305),
        (70, 3.325),
        (80, 3.330),
        (93, 3.335),
        (97, 3.360),
        (99, 3.450),
        (100, 3.600),
    ],
    nominal_v=3.2,
    high_v=3.65,
    low_v=2.5,
    fade_pct_per_kcycle=3.3,
    fade_pct_per_year=1.0,
    r_growth_pct=1.5,
)

NMC = Chemistry(
    ocv=[
        (0, 2.800),
        (2, 3.050),
        (5, 3.250),
        (10, 3.400),
        (20, 3.505),
        (30, 3.585),
        (40, 3.645),
        (50, 3.715),
        (60, 3.820),
        (70, 3.915),
        (80, 4.000),
        (90, 4.075),
        (97, 4.120),
        (100, 4.180),
    ],
    nominal_v=3.7,
    high_v=4.25,
    low_v=2.8,
    fade_pct_per_kcycle=8.0,
    fade_pct_per_year=1.5,
    r_growth_pct=2.0,
)

CHEMISTRIES = {"lfp": LFP, "nmc": NMC}
