"""Section `loop`: rate, real-time wishes, start and stop. Defaults are those of the design; R numbers are its rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bessctl.config.base import NotNegativeWatts, Positive, PositiveWatts, Seconds, Strict, Text
from bessctl.config.load_shed import LoadShed


class Loop(Strict):
    """How the loop runs."""

    rate_hz: Annotated[float, Field(ge=10, le=1000)] = 100.0
    rt: Literal["required", "preferred"] = "preferred"
    """required: without real-time priority the plant stays in standby; preferred: it runs, and says so loudly."""
    rt_priority: Annotated[int, Field(ge=1, le=98)] = 80
    cpu: Annotated[int, Field(ge=0, le=1023)] | None = None
    """The core the loop is bound to; absent = the scheduler's choice."""
    settle_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """R5: how long every required point must have been valid before power is allowed."""
    acquire_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    stop_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    warm_gap_s: Annotated[float, Field(ge=0, le=2)] = 2.0
    """R5: a restart within this time goes on from measured power."""
    reversal_dead_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    """R2: how long power rests at 0 between charge and discharge."""
    frozen_s: Annotated[float, Field(ge=3, le=60)] = 5.0
    """R4: a heartbeat that stands still this long makes its device stale. Heartbeats count seconds: at least 3."""
    max_uncontrolled_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    """R11: the longest a PCS may keep its power after the loop died."""
    ramp_w_per_s: Annotated[float, Field(gt=0, le=1e9)]
    """R2: away from zero, the whole plant. Toward zero is never ramped by us."""
    reactive_ramp_var_per_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """The same for reactive power; absent = as many var as ramp_w_per_s has watts."""
    priority: Literal["active", "reactive"] = "active"
    """What goes first where apparent power is not enough for both."""
    min_power_w: NotNegativeWatts = 0.0
    """Commands below this magnitude are sent as 0, forced ones too: a limit exceeded by less than this is told as unmet."""
    reversal_min_pct: Annotated[float, Field(ge=0, le=20)] = 1.0
    """Of the units' power: a smaller target in the other direction is given only 10 s after power came to rest; nothing chatters."""
    reentry_pct: Annotated[float, Field(ge=0, le=50)] = 5.0
    """Of a unit's power: a direction that BMS or protection brought to 0 opens again once so much is allowed ..."""
    reentry_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    """... and so long after it closed; nothing ping-pongs at the lowest SoC."""
    balance_soc_pct: Annotated[float, Field(ge=0, le=100)] = 10.0
    """So many points above the mean SoC a unit takes double its share in discharge and nearly none in charge, below it the other way
    round; 0 = shares do not follow SoC."""
    soc_stuck_pct: Annotated[float, Field(ge=1, le=50)] = 5.0
    """R4: a SoC that stands still while so much of the capacity is counted at the battery is not believed."""


class Pcc(Strict):
    """Section `pcc`: the connection point. Magnitudes; which way power flows is in the key."""

    meter: str | None = None
    """Name of the meter device; absent = no source may use scope pcc."""
    import_max_w: NotNegativeWatts | None = None
    export_max_w: NotNegativeWatts | None = None
    load_max_w: NotNegativeWatts | None = None
    """Largest load behind the connection: R10 counts with it when the meter is stale."""
    pv_max_w: NotNegativeWatts | None = None
    unheld: Text | None = None
    """What protects the connection while nobody controls, where load_max_w or pv_max_w alone are more than it carries."""
    phase_max_a: Positive | None = None
    """What each phase of the connection may carry, either way; the meter must measure W, V and A of each phase."""
    meter_data_age_s: Seconds | None = None
    """R10: a meter sample older than this is stale; absent = three refresh times of the meter, at least 1 s."""
    meter_hold_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """R10: how long after the last sample what it said still stands; then the worst load and PV of the site count."""
    meter_delay_s: Annotated[float, Field(ge=0, le=5)] = 0.0
    """How much older than its question a sample may be because the meter averages. A meter that merely measures less often than it is
    asked needs nothing here: its repetitions are seen."""
    load_shed: LoadShed | None = None
    """R3: the output that sheds load while a limit stays unmet; absent = a flag and an event alone."""


class Unit(Strict):
    """One PCS with its battery. Power ratings are magnitudes at the AC terminals."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    pcs: str
    """Device name."""
    bms: str | None = None
    """Device name; absent = the PCS answers for its battery (models 802 and 803 in its own chain)."""
    discharge_max_w: PositiveWatts
    charge_max_w: PositiveWatts
    apparent_max_va: PositiveWatts
    reactive_max_var: PositiveWatts | None = None
    """Either way; absent = apparent_max_va. Only sources with the scope `reactive` ask for it."""
    capacity_wh: Annotated[float, Field(gt=0, le=1e10)]
    pack_min_v: Annotated[float, Field(gt=0, le=3000)]
    """R14: the lowest voltage the pack may have in operation; amps become watts with it."""
    efficiency: Annotated[float, Field(ge=0.5, le=1)]
    """One way between AC terminals and battery, at worst."""
    reversion_s: Annotated[int, Field(ge=1, le=3600)]
    """R11: SunSpec 704 WSetRvrtTms: the PCS goes to 0 W when no command came for so long. Whole seconds."""
    ramp_to_zero_s: Annotated[float, Field(ge=0, le=60)]
    """How long the PCS takes from full power to 0 by its own ramp (704 WRmp)."""
    own_control: Text | None = None
    """The reason why this PCS may take its own control when nobody commands it; needed where its profile says that it does so."""
    confirm_s: Seconds = 2.0
    """R11: a command not seen in the read-back for so long is unconfirmed."""
    data_age_s: Seconds
    """R4: PCS or BMS data older than this is a violation."""
    contactor_open_a: Annotated[float, Field(gt=0, le=1000)] = 5.0
    """R13: contactors are opened once the current is below this, with the PCS at rest."""
    contactor_open_wait_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    """R13: and after so long whatever flows."""
    contactor_close_wait_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """R13: how long the BMS may take to precharge and connect; three tries, then it waits for the operator."""
