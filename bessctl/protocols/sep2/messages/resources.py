"""What discovery reads: DeviceCapability, Time, EndDevice, Registration, FunctionSetAssignments, DERProgram, DER.

Links we have no use for are not named here and so are skipped. Class names are the standard's.
"""

from __future__ import annotations

from bessctl.protocols.sep2.messages.codec import BOOL, HEX8, HEX32, IDENT, INT, TEXT, attr, el, of, record


@record()
class Link:
    """Where something is."""

    href: str = attr("href", TEXT)


@record()
class ListLink:
    """Where a list is, and how long it is said to be."""

    href: str = attr("href", TEXT)
    all: int | None = attr("all", INT, default=None)


@record()
class Listing:
    """What every list says of itself; `all` counts what there is, `results` what came."""

    href: str | None = attr("href", TEXT, default=None)
    all: int | None = attr("all", INT, default=None)
    results: int | None = attr("results", INT, default=None)


@record()
class PolledListing(Listing):
    """A list with a rate of its own."""

    poll_rate_s: int | None = attr("pollRate", INT, default=None)


@record("DeviceCapability")
class DeviceCapability:
    """/dcap: the way in."""

    href: str | None = attr("href", TEXT, default=None)
    poll_rate_s: int | None = attr("pollRate", INT, default=None)
    demand_program_list: ListLink | None = el("DemandResponseProgramListLink", of(ListLink), default=None)
    der_program_list: ListLink | None = el("DERProgramListLink", of(ListLink), default=None)
    response_set_list: ListLink | None = el("ResponseSetListLink", of(ListLink), default=None)
    time: Link | None = el("TimeLink", of(Link), default=None)
    end_device_list: ListLink | None = el("EndDeviceListLink", of(ListLink), default=None)
    mirror_usage_point_list: ListLink | None = el("MirrorUsagePointListLink", of(ListLink), default=None)
    self_device: Link | None = el("SelfDeviceLink", of(Link), default=None)


@record("Time")
class Time:
    """The server's clock, UTC seconds. quality 7 = intentionally uncoordinated; we never step a clock by it either way."""

    href: str | None = attr("href", TEXT, default=None)
    poll_rate_s: int | None = attr("pollRate", INT, default=None)
    current_s: int = el("currentTime", INT)
    dst_end_s: int | None = el("dstEndTime", INT, default=None)
    dst_offset_s: int | None = el("dstOffset", INT, default=None)
    dst_start_s: int | None = el("dstStartTime", INT, default=None)
    local_s: int | None = el("localTime", INT, default=None)
    quality: int | None = el("quality", INT, default=None)
    tz_offset_s: int | None = el("tzOffset", INT, default=None)


@record("EndDevice")
class EndDevice:
    """Us, as the server knows us."""

    href: str | None = attr("href", TEXT, default=None)
    der_list: ListLink | None = el("DERListLink", of(ListLink), default=None)
    device_category: int | None = el("deviceCategory", HEX32, default=None)
    lfdi: str | None = el("lFDI", IDENT, default=None)
    log_event_list: ListLink | None = el("LogEventListLink", of(ListLink), default=None)
    sfdi: int = el("sFDI", INT)
    changed_s: int | None = el("changedTime", INT, default=None)
    enabled: bool | None = el("enabled", BOOL, default=None)
    flow_request_list: ListLink | None = el("FlowReservationRequestListLink", of(ListLink), default=None)
    flow_response_list: ListLink | None = el("FlowReservationResponseListLink", of(ListLink), default=None)
    function_set_assignments_list: ListLink | None = el("FunctionSetAssignmentsListLink", of(ListLink), default=None)
    post_rate_s: int | None = el("postRate", INT, default=None)
    registration: Link | None = el("RegistrationLink", of(Link), default=None)


@record("EndDeviceList")
class EndDeviceList(PolledListing):
    """Every device this certificate may see."""

    items: tuple[EndDevice, ...] = el("EndDevice", of(EndDevice), many=True, default=())


@record("Registration")
class Registration:
    """The PIN under which the utility registered us."""

    href: str | None = attr("href", TEXT, default=None)
    poll_rate_s: int | None = attr("pollRate", INT, default=None)
    registered_s: int | None = el("dateTimeRegistered", INT, default=None)
    pin: int = el("pIN", INT)


@record("FunctionSetAssignments")
class FunctionSetAssignments:
    """What was assigned to us."""

    href: str | None = attr("href", TEXT, default=None)
    demand_program_list: ListLink | None = el("DemandResponseProgramListLink", of(ListLink), default=None)
    der_program_list: ListLink | None = el("DERProgramListLink", of(ListLink), default=None)
    response_set_list: ListLink | None = el("ResponseSetListLink", of(ListLink), default=None)
    time: Link | None = el("TimeLink", of(Link), default=None)
    mrid: str | None = el("mRID", IDENT, default=None)
    description: str | None = el("description", TEXT, default=None)


@record("FunctionSetAssignmentsList")
class FunctionSetAssignmentsList(PolledListing):
    """Empty until the utility assigns something."""

    items: tuple[FunctionSetAssignments, ...] = el("FunctionSetAssignments", of(FunctionSetAssignments), many=True, default=())


@record("DERProgram")
class DerProgram:
    """A source of DERControls; the lower its primacy number, the more it has to say."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str | None = el("mRID", IDENT, default=None)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    default_control: Link | None = el("DefaultDERControlLink", of(Link), default=None)
    control_list: ListLink | None = el("DERControlListLink", of(ListLink), default=None)
    curve_list: ListLink | None = el("DERCurveListLink", of(ListLink), default=None)
    primacy: int = el("primacy", INT)


@record("DERProgramList")
class DerProgramList(PolledListing):
    """Its pollRate is also that of the controls below."""

    items: tuple[DerProgram, ...] = el("DERProgram", of(DerProgram), many=True, default=())


@record("DER")
class Der:
    """Where the reports of one DER go."""

    href: str | None = attr("href", TEXT, default=None)
    availability: Link | None = el("DERAvailabilityLink", of(Link), default=None)
    capability: Link | None = el("DERCapabilityLink", of(Link), default=None)
    settings: Link | None = el("DERSettingsLink", of(Link), default=None)
    status: Link | None = el("DERStatusLink", of(Link), default=None)


@record("DERList")
class DerList(PolledListing):
    """The DERs of an EndDevice."""

    items: tuple[Der, ...] = el("DER", of(Der), many=True, default=())


@record("Error")
class Error:
    """A refusal in sep+xml."""

    max_retry_s: int | None = el("maxRetryDuration", INT, default=None)
    reason: int | None = el("reasonCode", INT, default=None)


RESPONSE_REQUIRED = HEX8
"""Bits of an event's responseRequired: 0 received, 1 specific response, 2 the customer's response."""
