"""Section `storage`: the battery as optimisers and policies see it: its name, the window that may be used, efficiencies, priorities.

Every SoC that leaves or enters the controller by an optimiser or a policy is on the window between `soc_min_pct` and `soc_max_pct`, the
BMS's SoC that count as 0 % and 100 % (PLV-5). What is absent here follows from the units.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from bessctl.config.base import Percent, PositiveWatts, Share, Strict

AssetName = Annotated[str, StringConstraints(pattern=r"^[^+#/\s\x00]{1,64}$")]
"""An asset's name is part of topics: without wildcards, slashes and spaces."""

Priority = Annotated[int, Field(ge=1, le=10)]


class Storage(Strict):
    """One entry of the optimiser's device list."""

    name: AssetName
    """The device's name in the site configuration; the assetId of its measurements."""
    collector: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "main_collector"
    """The meter it is connected behind, in the site configuration."""
    soc_min_pct: Percent = 0.0
    """The BMS's SoC that counts as 0 %."""
    soc_max_pct: Percent = 100.0
    """The BMS's SoC that counts as 100 %."""
    operational_capacity_wh: Annotated[float, Field(gt=0, le=1e10)] | None = None
    """Energy between the two; absent = the units' capacity times the window."""
    charging_max_w: PositiveWatts | None = None
    """Absent = the units' ratings."""
    discharging_max_w: PositiveWatts | None = None
    charging_efficiency: Share = 0.95
    discharging_efficiency: Share = 0.95
    charging_priority: Priority = 10
    """10 is served first."""
    discharging_priority: Priority = 10
