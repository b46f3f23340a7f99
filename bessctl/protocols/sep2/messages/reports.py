"""What we post: mirrored meter readings, responses to events, log events."""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import HEX16, IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.control import Interval
from bessctl.protocols.sep2.messages.resources import PolledListing


@record()
class ReadingType:
    """What a number means. uom 38 W, 33 Hz, 63 var, 29 V; accumulationBehaviour 12 instantaneous; dataQualifier 0 default."""

    accumulation: int = el("accumulationBehaviour", INT)
    commodity: int = el("commodity", INT)
    qualifier: int = el("dataQualifier", INT)
    flow_direction: int = el("flowDirection", INT)
    interval_s: int = el("intervalLength", INT)
    kind: int = el("kind", INT)
    multiplier: int = el("powerOfTenMultiplier", INT)
    uom: int = el("uom", INT)


@record()
class Reading:
    """One sample. `local_id` numbers the readings of a set."""

    quality: int | None = el("qualityFlags", HEX16, default=None)
    period: Interval | None = el("timePeriod", of(Interval), default=None)
    value: int | None = el("value", INT, default=None)
    local_id: int | None = el("localID", HEX16, default=None)


@record()
class MirrorReadingSet:
    """The samples of one period."""

    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    period: Interval = el("timePeriod", of(Interval))
    readings: tuple[Reading, ...] = el("Reading", of(Reading), many=True, default=())


@record("MirrorMeterReading")
class MirrorMeterReading:
    """One quantity. The first post carries its type."""

    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    last_update_s: int | None = el("lastUpdateTime", INT, default=None)
    sets: tuple[MirrorReadingSet, ...] = el("MirrorReadingSet", of(MirrorReadingSet), many=True, default=())
    next_update_s: int | None = el("nextUpdateTime", INT, default=None)
    reading: Reading | None = el("Reading", of(Reading), default=None)
    type: ReadingType | None = el("ReadingType", of(ReadingType), default=None)


@record("MirrorUsagePoint")
class MirrorUsagePoint:
    """A data point the server keeps for us; its postRate says how often it wants data."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    role_flags: int = el("roleFlags", HEX16)
    service_category: int = el("serviceCategoryKind", INT)
    status: int = el("status", INT)
    device_lfdi: str | None = el("deviceLFDI", IDENT, default=None)
    meter_readings: tuple[MirrorMeterReading, ...] = el("MirrorMeterReading", of(MirrorMeterReading), many=True, default=())
    post_rate_s: int | None = el("postRate", INT, default=None)


@record("MirrorUsagePointList")
class MirrorUsagePointList(PolledListing):
    """Those of this certificate."""

    items: tuple[MirrorUsagePoint, ...] = el("MirrorUsagePoint", of(MirrorUsagePoint), many=True, default=())


@record()
class Response:
    """What became of an event, in server time; `subject` is its mRID."""

    created_s: int = el("createdDateTime", INT)
    lfdi: str = el("endDeviceLFDI", IDENT)
    status: int = el("status", INT)
    subject: str = el("subject", IDENT)


@record("DERControlResponse")
class DerControlResponse(Response):
    """Of a DERControl."""


@record("DrResponse")
class DrResponse(Response):
    """Of an EndDeviceControl."""


@record("FlowReservationResponseResponse")
class FlowReservationResponseResponse(Response):
    """Of a FlowReservationResponse."""


@record("LogEvent")
class LogEvent:
    """An alarm. functionSet 11 = DER, profileID 2 = 2030.5."""

    created_s: int = el("createdDateTime", INT)
    details: str | None = el("details", TEXT, default=None)
    extended: int | None = el("extendedData", INT, default=None)
    function_set: int = el("functionSet", INT)
    code: int = el("logEventCode", INT)
    ident: int = el("logEventID", INT)
    pen: int = el("logEventPEN", INT)
    profile: int = el("profileID", INT)
