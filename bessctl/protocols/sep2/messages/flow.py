"""Flow reservation: we ask for energy within a time, the utility says when and how fast. Positive = charging, opposite to DER."""

from __future__ import annotations

from typing import ClassVar

from bessctl.protocols.sep2.messages.codec import IDENT, INT, TEXT, attr, el, of, record
from bessctl.protocols.sep2.messages.control import Event, Interval
from bessctl.protocols.sep2.messages.resources import PolledListing
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
class FlowReservationResponse(Event):
    """An event: from the interval's start up to `power`, until `energy` is used. `subject` is the request's mRID."""

    energy: Scaled = el("energyAvailable", of(Scaled))
    power: Scaled = el("powerAvailable", of(Scaled))
    subject: str = el("subject", IDENT)
    # No reservation is randomised, nor for devices of one category.
    randomize_start_s: ClassVar[None] = None
    randomize_duration_s: ClassVar[None] = None
    device_category: ClassVar[None] = None


@record("FlowReservationResponseList")
class FlowReservationResponseList(PolledListing):
    """What was granted to us."""

    items: tuple[FlowReservationResponse, ...] = el("FlowReservationResponse", of(FlowReservationResponse), many=True, default=())
