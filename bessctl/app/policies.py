"""The site's sections as the keeper's own configuration, and the files of the policy, read again when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bessctl.config import policy as section
from bessctl.config import tables as files
from bessctl.config.site import Site
from bessctl.config.sources import Source
from bessctl.config.storage import Storage
from bessctl.errors import BessctlError, NotReachable, Refused, UsageError
from bessctl.model.plan import Block
from bessctl.policy.config import Connection, PolicyConfig, SlotFacts
from bessctl.policy.needs import Need
from bessctl.policy.problem import Band, Battery, Force, PeakShaving
from bessctl.policy.schedule import Once, Schedule, Weekly, clock, day_number, moment
from bessctl.policy.situation import Tables


def battery(site: Site, storage: Storage) -> Battery:
    """What is planned with; what section storage leaves open follows from the units."""
    window = (storage.soc_max_pct - storage.soc_min_pct) / 100
    return Battery(
        capacity_wh=storage.operational_capacity_wh or window * sum(unit.capacity_wh for unit in site.units),
        charge_max_w=storage.charging_max_w or sum(unit.charge_max_w for unit in site.units),
        discharge_max_w=storage.discharging_max_w or sum(unit.discharge_max_w for unit in site.units),
        charge_efficiency=storage.charging_efficiency,
        discharge_efficiency=storage.discharging_efficiency,
    )


def policies(site: Site, policy: section.Policy, storage: Storage, folder: Path) -> PolicyConfig:
    """Relative file names count from `folder`, the site file's."""
    own = next(source for source in site.sources if source.name == policy.source)
    return PolicyConfig(
        battery=battery(site, storage),
        soc_min_pct=storage.soc_min_pct,
        soc_max_pct=storage.soc_max_pct,
        source=policy.source,
        priority=own.priority,
        pcc="pcc" in own.scopes,
        slots=tuple(slot(source) for source in site.sources if source is not own),
        connection=connection(site, policy, storage),
        bands=tuple(band(entry) for entry in policy.bands),
        forces=tuple(Force(e.name, schedule(e.at), e.power_w, e.for_s, e.priority) for e in policy.forces),
        peak_shaving=None if policy.peak_shaving is None else PeakShaving(policy.peak_shaving.import_max_w),
        self_consumption=policy.self_consumption,
        reserve_pct=policy.reserve_pct,
        reserve_hysteresis_pct=policy.reserve_hysteresis_pct,
        soc_tolerance_pct=policy.soc_tolerance_pct,
        tariff_file=None if policy.tariff_file is None else folder / policy.tariff_file,
        forecast_file=None if policy.forecast_file is None else folder / policy.forecast_file,
        ask_more=policy.ask_capacity != "off",
        ask_less=policy.ask_capacity == "more_and_less",
        time_zone=policy.time_zone,
        horizon_s=policy.horizon_h * 3600,
        step_s=float(policy.step_s),
        margin=policy.margin_pct / 100,
        derating_holds_s=policy.derating_holds_s,
        replan_s=policy.replan_s,
        lease_s=policy.lease_s,
        minimum_w=policy.minimum_w,
    )


def slot(source: Source) -> SlotFacts:
    """Another source, as it is sealed."""
    limits = source.default_limits
    default = Block(0, 0, ess_lo_w=limits.ess_lo_w, ess_hi_w=limits.ess_hi_w, pcc_lo_w=limits.pcc_lo_w, pcc_hi_w=limits.pcc_hi_w)
    return SlotFacts(source.name, source.priority, source.class_ in {"grid", "contract"}, default)


def connection(site: Site, policy: section.Policy, storage: Storage) -> Connection:
    """Who has our priority or a higher one (10 is served first) takes its power before us."""
    others = policy.other_devices
    return Connection(
        site.pcc.import_max_w,
        site.pcc.export_max_w,
        sum(d.charging_max_w for d in others if d.charging_priority >= storage.charging_priority),
        sum(d.discharging_max_w for d in others if d.discharging_priority >= storage.discharging_priority),
    )


def band(entry: section.Band) -> Band:
    """One band."""
    return Band(entry.name, schedule(entry.at), entry.minimum_pct, entry.maximum_pct, entry.hold_s, entry.priority)


def schedule(when: section.When) -> Schedule:
    """The rules have seen to it that exactly one is there."""
    if when.weekly is not None:
        days = frozenset(day_number(day) for day in when.weekly.days)
        return Weekly(days, clock(when.weekly.time), when.weekly.time_zone)
    return Once(tuple(moment(text) for text in when.once or []))


def asker(commands: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]], utc_ns: Callable[[], int]) -> Callable[[Need], None]:
    """The way of a policy's need to the capacity providers of its slot: the operator's own command. Raises BessctlError for a refusal."""

    def ask(need: Need) -> None:
        oscp = commands.get("oscp")
        if oscp is None:
            raise Refused(f"nobody gives capacity to source {need.source!r}")
        in_s = max(0.0, (need.start_ns - utc_ns()) / 1e9)
        words = {"source": need.source, "charging": need.charging, "ess_w": need.ess_w, "pcc_w": need.pcc_w}
        oscp({"action": "need", **words, "in_s": in_s, "for_s": (need.end_ns - need.start_ns) / 1e9})

    return ask


class Files:
    """Tariff and forecast; a file is read again when its time or size changed."""

    def __init__(self, config: PolicyConfig) -> None:
        self._config = config
        self._seen: object = None
        self._tables: Tables | BessctlError = Tables()

    def tables(self) -> Tables:
        """Raises ConfigError, NotReachable, as long as a file is wrong; each change of one is judged once."""
        paths = (self._config.tariff_file, self._config.forecast_file)
        seen = tuple(_stamp(path) for path in paths)
        if seen != self._seen:
            self._seen, self._tables = seen, self._read(*paths)
        if isinstance(self._tables, BessctlError):
            raise self._tables.with_traceback(None)
        return self._tables

    @staticmethod
    def _read(tariff: Path | None, forecast: Path | None) -> Tables | BessctlError:
        try:
            return Tables(None if tariff is None else files.tariff(tariff), None if forecast is None else files.forecast(forecast))
        except (UsageError, NotReachable) as e:
            return e


def _stamp(path: Path | None) -> object:
    try:
        return None if path is None else (path.stat().st_mtime_ns, path.stat().st_size)
    except OSError:
        return "unreadable"
