"""Sessions -> voices: every peer's series of a group as profiles, and until when they are believed. Profiles are made once per message."""

from __future__ import annotations

from math import inf

from bessctl.model.snapshot import PlantSnapshot
from bessctl.protocols.oscp.binding.plans import Voice
from bessctl.protocols.oscp.binding.tracks import Tracks
from bessctl.protocols.oscp.config import GroupConfig, ProviderConfig, Role, Scope
from bessctl.protocols.oscp.messages.records import BlockUnit, CapacityForecastType
from bessctl.protocols.oscp.session.evaluate import Electrics, Profile, Rules, profile
from bessctl.protocols.oscp.session.kept import StoredSeries
from bessctl.protocols.oscp.session.peer import Peer
from bessctl.protocols.oscp.session.provider import Provider

T = CapacityForecastType
UNMEASURED_V = 0.85
"""Share of the nominal voltage that amperes are counted with while none is measured: the lowest that EN 50160 lets a grid have."""
VOLT_STEP, VAR_STEP = 2.0, 500.0


class Measured:
    """Voltage and reactive power for amperes (row 13), held until they get worse, or better by a step: plans do not follow every sample."""

    def __init__(self, nominal_v: float) -> None:
        self._nominal_v = nominal_v
        self.voltage_v = UNMEASURED_V * nominal_v
        self.reactive_var = 0.0

    def look(self, plant: PlantSnapshot | None) -> bool:
        """Take a snapshot; True when amperes mean other watts now."""
        volts = _volts(plant) if plant else []
        vars_ = [unit.ac_var for unit in plant.units] if plant else []
        known = [v for v in volts if v is not None]
        voltage_v = min([self._nominal_v, *known]) if known and len(known) == len(volts) else UNMEASURED_V * self._nominal_v
        reactive_var = abs(sum(v for v in vars_ if v is not None))
        moved = False
        if voltage_v < self.voltage_v or voltage_v >= self.voltage_v + VOLT_STEP or voltage_v == self._nominal_v != self.voltage_v:
            self.voltage_v, moved = voltage_v, True
        if reactive_var > self.reactive_var or reactive_var <= self.reactive_var - 2 * VAR_STEP:
            self.reactive_var, moved = (reactive_var // VAR_STEP + 1) * VAR_STEP if reactive_var else 0.0, True
        return moved


def _volts(plant: PlantSnapshot) -> list[float | None]:
    """Phase voltages at the connection point where its meter measures them all, else the units' too: a silent phase is not skipped."""
    phases = plant.meter.phase_v
    return list(phases) if phases and None not in phases else [*(unit.ac_v for unit in plant.units), *(v for v in phases if v is not None)]


class Voices:
    """Builds the voices of a slot."""

    def __init__(self, config: ProviderConfig, provider: Provider, measured: Measured) -> None:
        self._config, self._provider, self._measured = config, provider, measured
        self._profiles: dict[tuple[str, str, T], tuple[StoredSeries, Electrics | None, Profile]] = {}
        self._tracks: dict[tuple[str, str], tuple[tuple[object, ...], Tracks]] = {}

    def of(self, source: str) -> list[Voice]:
        """Everything that is said to one slot: limits of its groups, and the OPTIMUM of the groups whose targets it takes."""
        found = []
        for group in self._config.groups:
            limits, optimum = group.source == source, (group.optimum_source or group.source) == source
            if limits or optimum:
                voices = (self.voice(peer, group, limits=limits, optimum=optimum) for peer in self._provider.members(group.ident))
                found += [voice for voice in voices if voice is not None]
        return found

    def voice(self, peer: Peer, group: GroupConfig, *, limits: bool = True, optimum: bool = True) -> Voice | None:
        """One peer about one group; None while it has said nothing that counts there."""
        stored = peer.forecasts.of(group.ident)
        limiting = Role.CP in peer.config.roles and bool(stored.keys() - {T.OPTIMUM})
        counts = (limits and limiting) or (optimum and T.OPTIMUM in stored)
        if not counts:
            return None
        rules = Rules(group.no_forecast_limit_w, group.missing_generation == "site_limit", limiting)
        series = {kind: self._profile(peer, group, it) for kind, it in stored.items()}
        return Voice(
            peer.config.name, group.scope, series, rules, peer.lease_ns(group.ident), peer.config.optimum_priority, limits and limiting,
            optimum, tracks=self._made(peer, group, series, rules),
        )  # fmt: skip

    def _made(self, peer: Peer, group: GroupConfig, series: dict[T, Profile], rules: Rules) -> Tracks:
        """The tracks of these very profiles; an unchanged peer keeps its own."""
        key, subject = (peer.config.name, group.ident), (rules, *map(id, series.values()))
        known = self._tracks.get(key)
        if known is None or known[0] != subject:
            known = self._tracks[key] = (subject, Tracks(series, rules))
        return known[1]

    def _profile(self, peer: Peer, group: GroupConfig, stored: StoredSeries) -> Profile:
        key = (peer.config.name, stored.group, stored.type)
        known, electrics = self._profiles.get(key), self._electrics(peer, group)
        if known is not None and known[0] is stored and known[1] in (None, electrics):
            return known[2]
        amps = any(block.unit is BlockUnit.A for block in stored.blocks)
        made = profile(stored.type, stored.blocks, electrics, stored.received_utc_ns)
        self._profiles[key] = (stored, electrics if amps else None, made)
        return made

    def _electrics(self, peer: Peer, group: GroupConfig) -> Electrics:
        yields_below_va = self._config.reactive_va.get(group.source, 0.0)
        if yields_below_va and group.scope is Scope.PCC:
            yields_below_va = inf  # the site's other loads draw on the same current
        return Electrics(self._measured.voltage_v, self._measured.reactive_var, peer.config.quirks.amps_per_phase, yields_below_va)
