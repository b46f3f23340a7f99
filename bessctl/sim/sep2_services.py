"""What the scripted 2030.5 server has beside DER controls: curves, demand response, flow reservations. No socket.

services.curve("a", "1", "volt_var", [(9200, 4400), (10800, -4400)])          then: tree.event(..., volt_var="/derp/a/dc/1")
services.demand("D1", start_s=100, duration_s=60, duty_cycle=50)
services.grant("F1", start_s=100, duration_s=3600, power_w=20_000, energy_wh=10_000)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bessctl.sim import sep2_forms as forms

STORAGE = 1 << 25


@dataclass(slots=True)
class Control:
    """An EndDeviceControl or a FlowReservationResponse; `body` is what follows its interval."""

    mrid: str
    start_s: int
    duration_s: int
    body: str
    status: int = 0


@dataclass
class Services:
    """`prefix` gives an absolute server where the tree has one, `rate` the pollRate of its lists: that of the programs."""

    now_s: Callable[[], float]
    prefix: Callable[[], str]
    rate: Callable[[], int | None]
    grants_at_once: bool = False
    """A request is granted as it was made."""
    curves: dict[str, dict[str, str]] = field(default_factory=dict)
    demands: dict[str, Control] = field(default_factory=dict)
    grants: dict[str, Control] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    has_flow: bool = False

    # --- the script -----------------------------------------------------------------------------------------------------------------------

    def curve(
        self, program: str, name: str, kind: str, points: list[tuple[int, int]], *, reference: int = 2, open_loop_tms: int | None = None
    ) -> str:
        """Add or change a curve of a program; returns its href."""
        place = f"/derp/{program}/dc/{name}"
        self.curves.setdefault(program, {})[name] = forms.curve(place, kind, points, reference, open_loop_tms)
        return place

    def demand(self, mrid: str, start_s: int, duration_s: int, *, category: int = STORAGE, **asks: Any) -> None:
        """Add an EndDeviceControl."""
        self.demands[mrid] = Control(mrid, start_s, duration_s, forms.demand(asks, category))

    def grant(self, mrid: str, start_s: int, duration_s: int, *, power_w: int, energy_wh: int, subject: str = "00") -> None:
        """Answer a reservation. Positive = charging."""
        self.has_flow = True
        power, energy = forms.power("powerAvailable", power_w), forms.power("energyAvailable", energy_wh)
        self.grants[mrid] = Control(mrid, start_s, duration_s, f"{energy}{power}<subject>{subject}</subject>")

    # --- the tree -------------------------------------------------------------------------------------------------------------------------

    def device_links(self) -> str:
        """In an EndDevice, before its FunctionSetAssignmentsListLink."""
        if not self.has_flow:
            return ""
        return '<FlowReservationRequestListLink href="/edev/1/frq" all="0"/><FlowReservationResponseListLink href="/edev/1/frp" all="0"/>'

    def assignment_links(self) -> str:
        """In FunctionSetAssignments, before the DERProgramListLink."""
        return '<DemandResponseProgramListLink href="/edev/1/fsa/1/drp" all="1"/>' if self.demands else ""

    def curve_link(self, program: str) -> str:
        """In a DERProgram, before its primacy."""
        return f'<DERCurveListLink href="/derp/{program}/dc" all="0"/>' if program in self.curves else ""

    def list_at(self, path: str) -> tuple[str, int | None, list[str]] | None:
        """A list: its element, pollRate and items; None = not one of these."""
        found = re.fullmatch(r"/derp/(\w+)/dc", path)
        if found is not None and found[1] in self.curves:
            return "DERCurveList", None, list(self.curves[found[1]].values())
        if path == "/edev/1/fsa/1/drp" and self.demands:
            link = '<EndDeviceControlListLink href="/drp/1/edc" all="0"/>'
            program = f'<DemandResponseProgram href="/drp/1"><mRID>D0</mRID>{link}<primacy>1</primacy></DemandResponseProgram>'
            return "DemandResponseProgramList", self.rate(), [program]
        if path == "/drp/1/edc":
            return "EndDeviceControlList", None, [self._control("EndDeviceControl", c) for c in self.demands.values()]
        if path == "/edev/1/frp" and self.has_flow:
            return "FlowReservationResponseList", self.rate(), [self._control("FlowReservationResponse", c) for c in self.grants.values()]
        return None

    def _control(self, tag: str, control: Control) -> str:
        if control.status in {0, 1}:
            control.status = int(self.now_s() >= control.start_s)
        return (
            f'<{tag} href="/x/{control.mrid}" replyTo="{self.prefix()}/rsps/1/rsp" responseRequired="03"><mRID>{control.mrid}</mRID>'
            f"<creationTime>1</creationTime><EventStatus><currentStatus>{control.status}</currentStatus><dateTime>1</dateTime>"
            f"<potentiallySuperseded>false</potentiallySuperseded></EventStatus><interval><duration>{control.duration_s}</duration>"
            f"<start>{control.start_s}</start></interval>{control.body}</{tag}>"
        )

    def posted(self, path: str, body: bytes) -> str | None:
        """A FlowReservationRequest; None = nothing is there to post to."""
        if path != "/edev/1/frq" or not self.has_flow:
            return None
        self.requests.append(body)
        if self.grants_at_once:
            self._grant_as_asked(body)
        return f"{path}/{len(self.requests)}"

    def _grant_as_asked(self, body: bytes) -> None:
        number = {tag: int(_text(body, tag)) for tag in ("start", "duration")}
        scaled = {
            tag: int(_text(part, "value")) * 10 ** int(_text(part, "multiplier"))
            for tag in ("energyRequested", "powerRequested")
            for part in (_text(body, tag).encode(),)
        }
        self.grant(
            f"F{len(self.requests)}", number["start"], number["duration"], power_w=scaled["powerRequested"],
            energy_wh=scaled["energyRequested"], subject=_text(body, "mRID"),
        )  # fmt: skip


def _text(body: bytes, tag: str) -> str:
    """What stands in the first element of that name."""
    found = re.search(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), body, re.DOTALL)
    if found is None:
        raise ValueError(f"no {tag} in {body[:80]!r}")
    return found[1].decode()
