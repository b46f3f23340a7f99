"""Flow reservation: we ask for energy within a time, the utility says when and how fast. Positive = charging, opposite to DER."""

from __future__ import annotations

from typing import ClassVar

from bessctl.protocols.sep2.messages.codec import HEX8, IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.control import EventStatus, Interval
from bessctl.protocols.sep2.messages.values import Scaled

REQUESTED, WITHDRAWN = 0, 1


@record()
class RequestStatus:
    """0 requested, 1 cancelled."""

    at_s: int = el("dateTime", INT)
    status: int = el("requestStatus", INT)


@record("FlowReservationRequest")
class FlowReservationRequest:
    """What we would like. `duration_s`: how long it will take at `power`."""

    href: str | None = attr("href", TEXT, default=None)
    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    creation_s: int = el("creationTime", INT)
    duration_s: int | None = el("durationRequested", INT, default=None)
    energy: Scaled = el("energyRequested", of(Scaled))
    within: Interval = el("intervalRequested", of(Interval))
    power: Scaled = el("powerRequested", of(Scaled))
    status: RequestStatus = el("RequestStatus", of(RequestStatus))


@record("FlowReservationResponse")
class FlowReservationResponse:
    """An event: from the interval's start up to `power`, until `energy` is used. `subject` is the request's mRID."""

    href: str | None = attr("href", TEXT, default=None)
    reply_to: str | None = attr("replyTo", TEXT, default=None)
    response_required: int | None = attr("responseRequired", HEX8, default=None)
    mrid: str = el("mRID", IDENT)
    description: str | None = el("description", TEXT, default=None)
    version: int | None = el("version", INT, default=None)
    creation_s: int = el("creationTime", INT)
    status: EventStatus = el("EventStatus", of(EventStatus))
    interval: Interval = el("interval", of(Interval))
    energy: Scaled = el("energyAvailable", of(Scaled))
    power: Scaled = el("powerAvailable", of(Scaled))
    subject: str = el("subject", IDENT)
    # No reservation is randomised, nor for devices of one category.
    randomize_start_s: ClassVar[None] = None
    randomize_duration_s: ClassVar[None] = None
    device_category: ClassVar[None] = None


@record("FlowReservationResponseList")
class FlowReservationResponseList:
    """What was granted to us."""

    href: str | None = attr("href", TEXT, default=None)
    all: int | None = attr("all", INT, default=None)
    results: int | None = attr("results", INT, default=None)
    poll_rate_s: int | None = attr("pollRate", INT, default=None)
    items: tuple[FlowReservationResponse, ...] = el("FlowReservationResponse", of(FlowReservationResponse), many=True, default=())


@record("FlowReservationResponseResponse")
class FlowReservationResponseResponse:
    """What became of a FlowReservationResponse, in server time."""

    created_s: int = el("createdDateTime", INT)
    lfdi: str = el("endDeviceLFDI", IDENT)
    status: int = el("status", INT)
    subject: str = el("subject", IDENT)
