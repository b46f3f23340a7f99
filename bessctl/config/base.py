"""What all sections are built from: the strict model and number types that carry their range. The unit stands in each key's name."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Strict(BaseModel):
    """A section: unknown keys are errors, a string is no number, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_:-]{0,31}$")]
"""Names appear in logs, alarms and protocols: lower case, digits, _ - :, at most 32."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Watts = Annotated[float, Field(ge=-1e9, le=1e9)]
PositiveWatts = Annotated[float, Field(gt=0, le=1e9)]
NotNegativeWatts = Annotated[float, Field(ge=0, le=1e9)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
DelaySeconds = Annotated[float, Field(ge=0, le=3600)]
