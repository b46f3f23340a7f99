"""The site's 2030.5 section as the client's own configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bessctl.config import sep2 as section
from bessctl.config.site import Site
from bessctl.model.plan import Block
from bessctl.protocols.sep2.config import CIPHERS, Ratings, Sep2Config, Tls
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.profiles import PROFILES

if TYPE_CHECKING:
    from bessctl.corelink.words import Site as Sealed

LEAST_VAR = 0.44
"""Of the apparent power: what an inverter of IEEE 1547-2018 category B can at least inject (clause 5.2). Told where no rating is stated."""


def client(site: Site, sep2: section.Sep2, folder: Path, sealed: Sealed | None = None) -> Sep2Config:
    """Relative file names count from `folder`, the site file's. `sealed`: what the plant's devices take; without it nothing is claimed."""
    slot = next(source for source in site.sources if source.name == sep2.source)
    limits = slot.default_limits
    return Sep2Config(
        url=sep2.url,
        ratings=ratings(site, sep2.ratings),
        profile=PROFILES[sep2.profile],
        source=sep2.source,
        tls=Tls(folder / sep2.cert_file, folder / sep2.key_file, folder / sep2.ca_file, sep2.ciphers or CIPHERS, sep2.check_host_name),
        pin=sep2.pin,
        pen=sep2.pen,
        der_index=sep2.der_index,
        lease_s=sep2.lease_s,
        reactive="reactive" in slot.scopes,
        curves={Channel(kind): points for kind, points in (sealed.curves if sealed else {}).items()},
        enter_service=sealed is not None and sealed.enter_service,
        opens=sealed is not None and sealed.opens,
        disabled=frozenset(Channel(mode) for mode in sep2.disabled_modes),
        extra_points=tuple(sep2.extra_points),
        redirect_hosts=frozenset(sep2.redirect_hosts),
        local=Block(0, 1, limits.ess_lo_w, limits.ess_hi_w, limits.pcc_lo_w, limits.pcc_hi_w),
        pv_max_w=(site.pcc.pv_max_w if sep2.pv_max_w is None else sep2.pv_max_w) or 0.0,
        load_max_w=(site.pcc.load_max_w if sep2.load_max_w is None else sep2.load_max_w) or 0.0,
        timeout_s=sep2.timeout_s,
    )


def ratings(site: Site, stated: section.Ratings) -> Ratings:
    """Those of the battery inverter: what is not stated is what its unit can do."""
    units = site.units
    discharge_w = stated.discharge_w or sum(u.discharge_max_w for u in units)
    return Ratings(
        max_w=stated.max_w or discharge_w,
        charge_w=stated.charge_w or sum(u.charge_max_w for u in units),
        discharge_w=discharge_w,
        max_va=stated.max_va or sum(u.apparent_max_va for u in units),
        max_wh=stated.max_wh or sum(u.capacity_wh or 0.0 for u in units),
        max_var=stated.max_var or sum(LEAST_VAR * u.apparent_max_va if u.reactive_max_var is None else u.reactive_max_var for u in units),
    )
