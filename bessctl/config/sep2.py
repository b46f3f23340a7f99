"""Section `sep2`: the utility's IEEE 2030.5 server. File names count from the site file's folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import NotNegativeWatts, PositiveWatts, Seconds, Strict

Mode = Literal[
    "power", "max_limit", "connect", "energize", "var", "pf_inject", "pf_absorb", "volt_var", "volt_watt", "watt_var",
    "export", "import", "generation", "load", "demand", "flow",
]  # fmt: skip


class Ratings(Strict):
    """What DERCapability tells of the battery inverter; absent keys follow from `units`."""

    max_w: PositiveWatts | None = None
    charge_w: PositiveWatts | None = None
    discharge_w: PositiveWatts | None = None
    max_va: PositiveWatts | None = None
    max_wh: PositiveWatts | None = None
    max_var: PositiveWatts | None = None


class Sep2(Strict):
    """The client."""

    source: str = "sep2"
    """The slot it writes."""
    profile: Literal["wattsmart", "csip", "csipaus"] = "wattsmart"
    """Which utility's reading of the standard."""
    url: Annotated[str, Field(pattern=r"^https://[^\s/?#]+/[^\s?#]*$", max_length=500)]
    """The server's DeviceCapability: https://HOST[:PORT]/dcap."""
    cert_file: str
    """PEM: our certificate first, then its whole chain (MICA, MCA, SERCA)."""
    key_file: str
    ca_file: str
    """PEM: the roots a server's chain must end in."""
    ciphers: Annotated[str, Field(min_length=4, max_length=500)] | None = None
    """OpenSSL's cipher string; absent = ECDHE-ECDSA-AES128-CCM8 first, GCM second."""
    check_host_name: bool = True
    pin: Annotated[int, Field(ge=0, le=999999)] | None = None
    """The registration PIN with its check digit, where the utility gave one."""
    pen: Annotated[int, Field(ge=0, le=4294967295)] = 0
    """Our IANA Private Enterprise Number: the low 32 bits of what we name."""
    der_index: Annotated[int, Field(ge=0, le=99)] = 0
    """Which DER of our EndDevice we are, where the server lists several."""
    lease_s: Seconds = 86400.0
    """How long the utility's schedule stands without any answer from it."""
    ratings: Ratings = Ratings()
    disabled_modes: list[Mode] = Field(default=[])
    """Modes that are supported and switched off: answered with 252."""
    extra_points: list[Literal["var", "v"]] = Field(default=[])
    """Data points beyond the profile's."""
    redirect_hosts: list[Annotated[str, Field(pattern=r"^[^\s:/]+:[0-9]+$")]] = Field(default=[])
    """HOST:PORT that a redirect may take our certificate to."""
    timeout_s: Annotated[float, Field(ge=1, le=300)] = 30.0
    pv_max_w: NotNegativeWatts | None = None
    load_max_w: NotNegativeWatts | None = None
    """Absent = those of pcc: gross limits count with them."""
