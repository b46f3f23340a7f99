"""DERControl, DefaultDERControl and what they carry."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import AUS, BOOL, HEX8, HEX32, IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.resources import Link, Listing
from bessctl.protocols.sep2.messages.values import FixedVar, PowerFactor, Scaled

CURVES = (
    "opModFreqWatt", "opModHFRTMayTrip", "opModHFRTMustTrip", "opModHVRTMayTrip", "opModHVRTMomentaryCessation", "opModHVRTMustTrip",
    "opModLFRTMayTrip", "opModLFRTMustTrip", "opModLVRTMayTrip", "opModLVRTMomentaryCessation", "opModLVRTMustTrip", "opModVoltVar",
    "opModVoltWatt", "opModWattPF", "opModWattVar",
)  # fmt: skip


@record()
class Interval:
    """From `start_s`, server time, for `duration_s`."""

    duration_s: int = el("duration", INT)
    start_s: int = el("start", INT)


@record()
class EventStatus:
    """0 scheduled, 1 active, 2 cancelled, 3 cancelled with randomisation, 4 superseded."""

    current: int = el("currentStatus", INT)
    at_s: int | None = el("dateTime", INT, default=None)
    potentially_superseded: bool | None = el("potentiallySuperseded", BOOL, default=None)
    potentially_superseded_s: int | None = el("potentiallySupersededTime", INT, default=None)
    reason: str | None = el("reason", TEXT, default=None)


@record()
class Event:
    """The head of every event. `response_required`: bit 0 received, bit 1 specific response, bit 2 the customer's."""

    href: str | None = attr("href", TEXT, default=None)
    reply_to: str | None = attr("replyTo", TEXT, default=None)
    response_required: int | None = attr("responseRequired", HEX8, default=None)
    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    creation_s: int = el("creationTime", INT)
    status: EventStatus = el("EventStatus", of(EventStatus))
    interval: Interval = el("interval", of(Interval))


@record()
class RandomizableEvent(Event):
    """Signed windows, in seconds, that its start and its duration are drawn from."""

    randomize_duration_s: int | None = el("randomizeDuration", INT, default=None)
    randomize_start_s: int | None = el("randomizeStart", INT, default=None)


@record()
class FreqDroop:
    """Named so that we see it was asked for; its numbers are not used."""

    open_loop_tms: int | None = el("openLoopTms", INT, default=None)


@record()
class DerControlBase:
    """What is asked for. Percentages are hundredths; powers at the inverter, positive = discharge."""

    connect: bool | None = el("opModConnect", BOOL, default=None)
    energize: bool | None = el("opModEnergize", BOOL, default=None)
    fixed_pf_absorb: PowerFactor | None = el("opModFixedPFAbsorbW", of(PowerFactor), default=None)
    fixed_pf_inject: PowerFactor | None = el("opModFixedPFInjectW", of(PowerFactor), default=None)
    fixed_var: FixedVar | None = el("opModFixedVar", of(FixedVar), default=None)
    fixed_w: int | None = el("opModFixedW", INT, default=None)
    freq_droop: FreqDroop | None = el("opModFreqDroop", of(FreqDroop), default=None)
    freq_watt: Link | None = el("opModFreqWatt", of(Link), default=None)
    hfrt_may_trip: Link | None = el("opModHFRTMayTrip", of(Link), default=None)
    hfrt_must_trip: Link | None = el("opModHFRTMustTrip", of(Link), default=None)
    hvrt_may_trip: Link | None = el("opModHVRTMayTrip", of(Link), default=None)
    hvrt_momentary: Link | None = el("opModHVRTMomentaryCessation", of(Link), default=None)
    hvrt_must_trip: Link | None = el("opModHVRTMustTrip", of(Link), default=None)
    lfrt_may_trip: Link | None = el("opModLFRTMayTrip", of(Link), default=None)
    lfrt_must_trip: Link | None = el("opModLFRTMustTrip", of(Link), default=None)
    lvrt_may_trip: Link | None = el("opModLVRTMayTrip", of(Link), default=None)
    lvrt_momentary: Link | None = el("opModLVRTMomentaryCessation", of(Link), default=None)
    lvrt_must_trip: Link | None = el("opModLVRTMustTrip", of(Link), default=None)
    max_lim_w: int | None = el("opModMaxLimW", INT, default=None)
    target_var: Scaled | None = el("opModTargetVar", of(Scaled), default=None)
    target_w: Scaled | None = el("opModTargetW", of(Scaled), default=None)
    volt_var: Link | None = el("opModVoltVar", of(Link), default=None)
    volt_watt: Link | None = el("opModVoltWatt", of(Link), default=None)
    watt_pf: Link | None = el("opModWattPF", of(Link), default=None)
    watt_var: Link | None = el("opModWattVar", of(Link), default=None)
    ramp_tms: int | None = el("rampTms", INT, default=None)
    import_limit: Scaled | None = el("opModImpLimW", of(Scaled), ns=AUS, default=None)
    export_limit: Scaled | None = el("opModExpLimW", of(Scaled), ns=AUS, default=None)
    generation_limit: Scaled | None = el("opModGenLimW", of(Scaled), ns=AUS, default=None)
    load_limit: Scaled | None = el("opModLoadLimW", of(Scaled), ns=AUS, default=None)


@record("DERControl")
class DerControl(RandomizableEvent):
    """What a DER is to do for a time."""

    base: DerControlBase = el("DERControlBase", of(DerControlBase))
    device_category: int | None = el("deviceCategory", HEX32, default=None)


@record("DERControlList")
class DerControlList(Listing):
    """Has no pollRate: it is polled at that of its DERProgramList."""

    items: tuple[DerControl, ...] = el("DERControl", of(DerControl), many=True, default=())


@record("DefaultDERControl")
class DefaultDerControl:
    """What holds while no event speaks. setGradW: hundredths of a percent of setMaxW per second, 0 = no limit."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str | None = el("mRID", IDENT, default=None)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    base: DerControlBase = el("DERControlBase", of(DerControlBase))
    es_delay: int | None = el("setESDelay", INT, default=None)
    es_high_freq: int | None = el("setESHighFreq", INT, default=None)
    es_high_volt: int | None = el("setESHighVolt", INT, default=None)
    es_low_freq: int | None = el("setESLowFreq", INT, default=None)
    es_low_volt: int | None = el("setESLowVolt", INT, default=None)
    es_ramp_tms: int | None = el("setESRampTms", INT, default=None)
    es_random_delay: int | None = el("setESRandomDelay", INT, default=None)
    grad_w: int | None = el("setGradW", INT, default=None)
    soft_grad_w: int | None = el("setSoftGradW", INT, default=None)
