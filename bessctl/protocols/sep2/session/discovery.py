"""From /dcap to programs, DERs and mirrors: what each document leads to. Pure; finds and hands on, decides nothing about events.

    dcap -> time, end devices -> registration, function set assignments -> programs -> controls, defaults and curves
                              |                                         -> demand response programs -> their controls
                              -> DERs, granted flow reservations;  mirror usage points

Rules. Nothing but registration is asked beyond the EndDevice until the PIN agreed, where the server serves one (SEP2-3). A wrong PIN stops
every request but Registration's. A list is believed to lack something only when it was read whole. Empty assignments are normal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bessctl.protocols.sep2.messages import control, curves, demand, flow, reports, resources
from bessctl.protocols.sep2.messages.codec import Malformed
from bessctl.protocols.sep2.messages.der import DerSettings
from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.protocols.sep2.messages.modes import CURVES, Channel
from bessctl.protocols.sep2.messages.wishes import Control
from bessctl.protocols.sep2.session.tree import PAGE, PAGES_MAX, Node, Tree
from bessctl.protocols.sep2.session.urls import absolute, paged

RECORDS: dict[str, type[Any]] = {
    "dcap": resources.DeviceCapability, "time": resources.Time, "edevs": resources.EndDeviceList, "sdev": resources.EndDevice,
    "reg": resources.Registration, "fsas": resources.FunctionSetAssignmentsList, "derps": resources.DerProgramList,
    "dercs": control.DerControlList, "dderc": control.DefaultDerControl, "ders": resources.DerList, "dset": DerSettings,
    "mups": reports.MirrorUsagePointList, "mup": reports.MirrorUsagePoint, "curves": curves.DerCurveList,
    "drps": demand.DemandResponseProgramList, "edcs": demand.EndDeviceControlList, "flows": flow.FlowReservationResponseList,
}  # fmt: skip
LISTS = frozenset({"edevs", "fsas", "derps", "dercs", "ders", "mups", "curves", "drps", "edcs", "flows"})
PROGRAMS = ("derps", "drps")
BEFORE_PIN = frozenset({"dcap", "time", "edevs", "sdev", "reg"})
CONTROL = frozenset({"fsas", "derps", "dercs", "dderc"})
"""Reading these is evidence that the utility is there: the plan's lease stands on it."""
SEARCH_S, SEARCH_MAX_S = 60, 900


class Gate(StrEnum):
    """How far we are let in."""

    SEARCHING = "searching"
    UNREGISTERED = "unregistered"
    PIN_UNKNOWN = "pin_unknown"
    PIN_WRONG = "pin_wrong"
    OPEN = "open"


@dataclass(slots=True)
class Found:
    """What a document changed; the client acts on it."""

    controls: list[tuple[str, tuple[Control, ...], bool]] = field(default_factory=list)
    defaults: list[tuple[str, control.DefaultDerControl | None]] = field(default_factory=list)
    programs: tuple[dict[str, int], bool] | None = None
    curves: tuple[str, tuple[curves.DerCurve, ...]] | None = None
    time_s: int | None = None
    ders: tuple[resources.Der, ...] | None = None
    mirrors: tuple[tuple[reports.MirrorUsagePoint, ...], bool] | None = None
    mirror: reports.MirrorUsagePoint | None = None
    notes: list[str] = field(default_factory=list)


class Discovery:
    """The way in, as far as it is known."""

    def __init__(self, tree: Tree, identity: Identity, pin: int | None, der_index: int, enabled: frozenset[Channel]) -> None:
        self.tree = tree
        self.gate = Gate.SEARCHING
        self.device: resources.EndDevice | None = None
        self.device_url = ""
        self.list_url = ""
        self.mirrors_url = ""
        self._identity = identity
        self._pin = pin
        self._der_index = der_index
        self._enabled = enabled
        self._searches = 0
        self._programs: dict[str, dict[str, int]] = {}
        self._handlers: dict[str, Callable[[Node, Any, bool, Found, int], None]] = {
            "dcap": self._dcap, "time": self._time, "edevs": self._edevs, "sdev": self._sdev, "reg": self._reg, "fsas": self._fsas,
            "derps": self._derps, "dercs": self._dercs, "dderc": self._dderc, "ders": self._ders, "mups": self._mups, "mup": self._mup,
            "dset": self._nothing, "curves": self._curves, "drps": self._drps, "edcs": self._dercs, "flows": self._flows,
        }  # fmt: skip

    # --- asking ---------------------------------------------------------------------------------------------------------------------------

    def allowed(self) -> Iterable[Node]:
        """What may be asked now."""
        if self.gate is Gate.PIN_WRONG:
            return (node for node in self.tree.nodes() if node.kind == "reg")
        if self.gate is Gate.OPEN:
            return self.tree.nodes()
        return (node for node in self.tree.nodes() if node.kind in BEFORE_PIN)

    @staticmethod
    def url_of(node: Node) -> str:
        """Where to ask for it, or for its next page."""
        return paged(node.url, node.start, PAGE) if node.kind in LISTS else node.url

    def read(self, node: Node, record: Any, now_ns: int) -> Found:
        """A document arrived. Raises Malformed for a reference nobody can follow."""
        found = Found()
        if node.kind not in LISTS:
            self.tree.polled(node, getattr(record, "poll_rate_s", None), now_ns)
            self._handlers[node.kind](node, record, True, found, now_ns)
            return found
        node.polls += node.start == 0
        if node.start == 0:
            node.rate_s = getattr(record, "poll_rate_s", None)
        fresh = self._merge(node, record)
        total = record.all if record.all is not None else len(node.items)
        node.start += len(record.items)
        node.pages += 1
        if fresh and node.start < total and node.pages < PAGES_MAX:
            node.due_ns = now_ns
            return found
        items, whole = tuple(node.items.values()), len(node.items) >= total
        self.tree.polled(node, node.rate_s, now_ns)
        self._handlers[node.kind](node, items, whole, found, now_ns)
        return found

    @staticmethod
    def _merge(node: Node, page: Any) -> int:
        """Add a page; returns how many items were new. A list that shifts while it is read repeats some."""
        before = len(node.items)
        for place, item in enumerate(page.items):
            key = getattr(item, "mrid", None) or item.href or f"{node.start + place}"
            node.items[key] = item
        return len(node.items) - before

    def gone(self, node: Node, now_ns: int) -> Found:
        """404: a default that is not there is none; anything else is asked again later."""
        found = Found()
        if node.kind == "dderc":
            self.tree.polled(node, None, now_ns)
            found.defaults.append((node.context, None))
        else:
            self.tree.failed(node, now_ns)
        return found

    # --- what each document leads to ------------------------------------------------------------------------------------------------------

    def _nothing(self, node: Node, record: Any, whole: bool, found: Found, now_ns: int) -> None:
        """It was there; that was all we wanted to know."""

    def _dcap(self, node: Node, dcap: resources.DeviceCapability, whole: bool, found: Found, now_ns: int) -> None:
        wanted: list[tuple[str, str, Any]] = []
        if dcap.time is not None:
            wanted.append(("time", absolute(node.url, dcap.time.href), None))
        if dcap.end_device_list is not None:
            self.list_url = absolute(node.url, dcap.end_device_list.href)
            wanted.append(("edevs", self.list_url, None))
        elif dcap.self_device is not None:
            wanted.append(("sdev", absolute(node.url, dcap.self_device.href), None))
        if dcap.mirror_usage_point_list is not None:
            self.mirrors_url = absolute(node.url, dcap.mirror_usage_point_list.href)
            wanted.append(("mups", self.mirrors_url, None))
        if dcap.der_program_list is not None and self.device is not None and self.device.function_set_assignments_list is None:
            wanted.append(("derps", absolute(node.url, dcap.der_program_list.href), None))
        if not any(kind in {"edevs", "sdev"} for kind, _, _ in wanted):
            found.notes.append("DeviceCapability names neither EndDeviceList nor SelfDevice: nothing can be found")
        self.tree.expect(node, ("time", "edevs", "sdev", "mups", "derps"), wanted, now_ns)

    def _time(self, node: Node, time: resources.Time, whole: bool, found: Found, now_ns: int) -> None:
        found.time_s = time.current_s

    def _edevs(self, node: Node, items: tuple[resources.EndDevice, ...], whole: bool, found: Found, now_ns: int) -> None:
        mine = next((d for d in items if d.lfdi == self._identity.lfdi), None)
        mine = mine or next((d for d in items if d.lfdi is None and d.sfdi == self._identity.sfdi), None)
        if mine is not None:
            self._searches = 0
            self._known(node, mine, found, now_ns)
        elif whole:
            self._unknown(node, found, now_ns)

    def _sdev(self, node: Node, device: resources.EndDevice, whole: bool, found: Found, now_ns: int) -> None:
        self._known(node, device, found, now_ns)

    def _unknown(self, node: Node, found: Found, now_ns: int) -> None:
        if self.gate is not Gate.UNREGISTERED:
            found.notes.append(f"the server does not list LFDI {self._identity.lfdi}: not registered")
        self.gate, self.device, self.device_url = Gate.UNREGISTERED, None, ""
        self.tree.expect(node, ("reg", "fsas", "ders", "flows"), (), now_ns)
        if node.rate_s is None:
            self.tree.again(node, min(SEARCH_MAX_S, SEARCH_S * 2 ** min(self._searches, 8)), now_ns)
            self._searches += 1

    def _known(self, node: Node, device: resources.EndDevice, found: Found, now_ns: int) -> None:
        self.device = device
        self.device_url = absolute(node.url, device.href) if device.href else ""
        wanted: list[tuple[str, str, Any]] = []
        links = (
            ("reg", device.registration if self._pin is not None else None),
            ("fsas", device.function_set_assignments_list),
            ("ders", device.der_list),
            ("flows", device.flow_response_list if Channel.FLOW in self._enabled else None),
        )
        for kind, link in links:
            if link is not None:
                wanted.append((kind, absolute(node.url, link.href), None))
        self.tree.expect(node, ("reg", "fsas", "ders", "flows"), wanted, now_ns)
        if self.gate in {Gate.SEARCHING, Gate.UNREGISTERED}:
            checks = any(kind == "reg" for kind, _, _ in wanted)
            self.gate = Gate.PIN_UNKNOWN if checks else Gate.OPEN
            if not checks:
                found.notes.append(
                    "the registration's PIN cannot be checked: " + ("none configured" if self._pin is None else "not served")
                )
            if device.enabled is False:
                found.notes.append("the server lists this device as not enabled")

    def _reg(self, node: Node, registration: resources.Registration, whole: bool, found: Found, now_ns: int) -> None:
        right = registration.pin == self._pin
        was, self.gate = self.gate, Gate.OPEN if right else Gate.PIN_WRONG
        if was is not self.gate and not right:
            found.notes.append(
                f"the server registered another PIN ({registration.pin:06d}): nothing is asked, told or obeyed until it agrees"
            )

    def _fsas(self, node: Node, items: tuple[resources.FunctionSetAssignments, ...], whole: bool, found: Found, now_ns: int) -> None:
        wanted = [("derps", absolute(node.url, f.der_program_list.href), None) for f in items if f.der_program_list is not None]
        if Channel.DEMAND in self._enabled:
            wanted += [("drps", absolute(node.url, f.demand_program_list.href), None) for f in items if f.demand_program_list is not None]
        self.tree.expect(node, PROGRAMS, wanted, now_ns, whole=whole)
        known = {n.url for n in self.tree.nodes() if n.kind in PROGRAMS}
        self._programs = {url: programs for url, programs in self._programs.items() if url in known}
        if whole and not known:
            found.programs = ({}, True)

    def _derps(self, node: Node, items: tuple[resources.DerProgram, ...], whole: bool, found: Found, now_ns: int) -> None:
        wanted: list[tuple[str, str, Any]] = []
        programs: dict[str, int] = {}
        for program in items:
            link = program.control_list or program.default_control
            if link is None:
                continue
            ident = absolute(node.url, program.href or link.href)
            programs[ident] = program.primacy
            # Curves first: a control that refers to one is then read with it at hand.
            if program.curve_list is not None and self._enabled & CURVES:
                wanted.append(("curves", absolute(node.url, program.curve_list.href), ident))
            if program.control_list is not None:
                wanted.append(("dercs", absolute(node.url, program.control_list.href), ident))
            if program.default_control is not None:
                wanted.append(("dderc", absolute(node.url, program.default_control.href), ident))
        self.tree.expect(node, ("curves", "dercs", "dderc"), wanted, now_ns, whole=whole)
        self._found_programs(node, programs, whole, found)

    def _drps(self, node: Node, items: tuple[demand.DemandResponseProgram, ...], whole: bool, found: Found, now_ns: int) -> None:
        wanted: list[tuple[str, str, Any]] = []
        programs: dict[str, int] = {}
        for program in items:
            if program.control_list is not None:
                ident = absolute(node.url, program.href or program.control_list.href)
                programs[ident] = program.primacy
                wanted.append(("edcs", absolute(node.url, program.control_list.href), ident))
        self.tree.expect(node, ("edcs",), wanted, now_ns, whole=whole)
        self._found_programs(node, programs, whole, found)

    def _found_programs(self, node: Node, programs: dict[str, int], whole: bool, found: Found) -> None:
        """One list of several: all of them together are what the engine knows."""
        if whole:
            self._programs[node.url] = programs
        else:
            self._programs.setdefault(node.url, {}).update(programs)
        union = {ident: primacy for each in self._programs.values() for ident, primacy in each.items()}
        lists = {n.url for n in self.tree.nodes() if n.kind in PROGRAMS}
        found.programs = (union, whole and lists <= self._programs.keys())

    def _curves(self, node: Node, items: tuple[curves.DerCurve, ...], whole: bool, found: Found, now_ns: int) -> None:
        found.curves = (node.url, items)

    def _flows(self, node: Node, items: tuple[flow.FlowReservationResponse, ...], whole: bool, found: Found, now_ns: int) -> None:
        found.controls.append((node.url, items, whole))

    def _dercs(self, node: Node, items: tuple[Control, ...], whole: bool, found: Found, now_ns: int) -> None:
        found.controls.append((node.context, items, whole))

    def _dderc(self, node: Node, default: control.DefaultDerControl, whole: bool, found: Found, now_ns: int) -> None:
        found.defaults.append((node.context, default))

    def _ders(self, node: Node, items: tuple[resources.Der, ...], whole: bool, found: Found, now_ns: int) -> None:
        if not items:
            found.notes.append("the DERList is empty: nothing can be told of the DER")
            return
        der = items[min(self._der_index, len(items) - 1)]
        base = node.url
        links = {
            name: resources.Link(href=absolute(base, link.href))
            for name in ("availability", "capability", "settings", "status")
            if (link := getattr(der, name)) is not None
        }
        found.ders = (resources.Der(href=absolute(base, der.href) if der.href else None, **links),)
        if "settings" in links:
            fresh = self.tree.expect(node, ("dset",), [("dset", links["settings"].href, None)], now_ns)
            for new in fresh:  # before our first PUT there is nothing to be seen
                self.tree.again(new, self.tree.rate_s(new), now_ns)

    def _mups(self, node: Node, items: tuple[reports.MirrorUsagePoint, ...], whole: bool, found: Found, now_ns: int) -> None:
        found.mirrors = (tuple(_placed(node.url, item) for item in items), whole)

    def _mup(self, node: Node, item: reports.MirrorUsagePoint, whole: bool, found: Found, now_ns: int) -> None:
        found.mirror = _placed(node.url, item)

    def watch_mirrors(self, urls: Iterable[str], now_ns: int) -> None:
        """Our own mirrors are polled at their list's rate, to learn a new postRate."""
        mups = self.tree.find("mups", self.mirrors_url)
        if mups is not None:
            self.tree.expect(mups, ("mup",), [("mup", url, None) for url in urls], now_ns)


def _placed(base: str, item: reports.MirrorUsagePoint) -> reports.MirrorUsagePoint:
    """With its place in full. Raises Malformed."""
    if item.href is None:
        return item
    try:
        href = absolute(base, item.href)
    except Malformed:
        href = None
    return reports.MirrorUsagePoint(
        href=href, mrid=item.mrid, role_flags=item.role_flags, service_category=item.service_category, status=item.status,
        device_lfdi=item.device_lfdi, post_rate_s=item.post_rate_s,
    )  # fmt: skip
