"""A utility's 2030.5 server without a socket: resources that a script changes, and one function that answers requests.

Its XML is written by hand here and shares no code with the client's codec, so that one can judge the other. What clients send is kept as it
came (`received`), what they asked for is in `log`.

    tree = Tree(lfdi, now_s=clock)
    tree.program("a", primacy=1)
    tree.event("a", "E1", start_s=100, duration_s=60, target_w=50_000)
    tree.cancel("E1")
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bessctl.sim.sep2_forms import MODES, base
from bessctl.sim.sep2_services import Services

NS = 'xmlns="urn:ieee:std:2030.5:ns" xmlns:csipaus="https://csipaus.org/ns"'
BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'
HOSTILE = {
    "bomb": BOMB,
    "external": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Time xmlns="urn:ieee:std:2030.5:ns">&x;</Time>',
    "deep": b"<a>" * 100_000,
    "huge": b" " * (2 << 20),
    "cut": b'<DERControlList xmlns="urn:ieee:std:2030.5:ns" all="1" results="1"><DERCon',
    "other": b"<html><body>Welcome</body></html>",
    "empty": b"",
}


@dataclass(slots=True)
class Event:
    """One DERControl as the server keeps it. `modes` by the names in MODES."""

    mrid: str
    program: str
    creation_s: int
    start_s: int
    duration_s: int
    modes: dict[str, Any]
    status: int = 0
    status_s: int = 0
    randomize_start: int | None = None
    randomize_duration: int | None = None
    required: int = 3
    category: int | None = None
    sticky: bool = False
    """The status stays what the script set."""


@dataclass(slots=True)
class Program:
    """One DERProgram."""

    name: str
    primacy: int
    default: dict[str, Any] | None = None
    settings: dict[str, int] = field(default_factory=dict)
    """setES* and setGradW of the default, by their names in SETTINGS."""


SETTINGS = {
    "es_delay": "setESDelay", "es_high_freq": "setESHighFreq", "es_high_volt": "setESHighVolt", "es_low_freq": "setESLowFreq",
    "es_low_volt": "setESLowVolt", "es_ramp_tms": "setESRampTms", "es_random_delay": "setESRandomDelay", "grad_w": "setGradW",
}  # fmt: skip
"""Of a DefaultDERControl, in the order of the schema."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came. `page` is the list's s parameter."""

    at_s: float
    method: str
    path: str
    page: int
    status: int


class Tree:
    """The server's resources."""

    def __init__(self, lfdi: str, sfdi: int, now_s: Callable[[], float], *, pin: int | None = None, registered: bool = True) -> None:
        self.lfdi, self.sfdi, self.pin, self.registered = lfdi, sfdi, pin, registered
        self.now_s = now_s
        self.programs: dict[str, Program] = {}
        self.events: dict[str, Event] = {}
        self.rates: dict[str, int | None] = {
            "dcap": 900, "tm": 900, "edev": 900, "rg": 900, "fsa": 900, "derp": 300, "der": 900, "mup": 900,
        }  # fmt: skip
        self.post_rate: int | None = 300
        self.page_max = 255
        self.assigned = True
        self.endless = False
        """`all` says a million, whatever is there."""
        self.quality = 4
        self.absolute = ""
        """Prefix of hrefs and Locations, e.g. https://host:port; empty = relative."""
        self.forced: dict[str, Answer] = {}
        """Answers that a script puts in place of ours, by path; "*" = of all."""
        self.mirrors: dict[str, tuple[str, bytes]] = {}
        self.put: dict[str, bytes] = {}
        self.received: list[tuple[str, str, bytes]] = []
        self.log: list[Asked] = []
        self._extra = 0
        self.services = Services(lambda: self.now_s(), lambda: self.absolute, lambda: self.rates["derp"])  # noqa: PLW0108 - tests exchange it

    # --- the script -----------------------------------------------------------------------------------------------------------------------

    def program(self, name: str, primacy: int, default: dict[str, Any] | None = None, **settings: int | None) -> None:
        """Add or change a program. `settings`: grad_w, es_delay and the others of SETTINGS."""
        if unknown := settings.keys() - SETTINGS.keys():
            raise ValueError(f"no setting {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
        stated = {each: value for each, value in settings.items() if value is not None}
        self.programs[name] = Program(name, primacy, default, stated)

    def event(self, program: str, mrid: str, start_s: int, duration_s: int, **words: Any) -> Event:
        """Add an event: modes by their names in MODES, and creation_s, randomize_start, randomize_duration, required, category."""
        if program not in self.programs:
            raise ValueError(f"no program {program!r}")
        modes = {name: words.pop(name) for name in MODES if name in words}
        creation_s = words.pop("creation_s", int(self.now_s()))
        made = Event(mrid, program, creation_s, start_s, duration_s, modes, **words)
        base(modes)
        self.events[mrid] = made
        return made

    def cancel(self, mrid: str, *, randomized: bool = False) -> None:
        """Cancel an event; it stays in the list."""
        self.status(mrid, 3 if randomized else 2)

    def status(self, mrid: str, status: int) -> None:
        """Set currentStatus."""
        event = self.events[mrid]
        event.status, event.status_s, event.sticky = status, int(self.now_s()), True

    def remove(self, mrid: str) -> None:
        """Take an event out of its list; that cancels nothing."""
        del self.events[mrid]

    def responses(self, mrid: str = "") -> list[tuple[str, int]]:
        """(mRID, status) of the responses that came, in their order."""
        found = []
        for _, path, body in self.received:
            if path.startswith("/rsps"):
                text = body.decode()
                subject, status = re.search(r"<subject>(\w+)<", text), re.search(r"<status>(\d+)<", text)
                assert subject is not None
                assert status is not None
                found.append((subject[1], int(status[1])))
        return [pair for pair in found if not mrid or pair[0] == mrid]

    def polls(self, path: str, method: str = "GET") -> list[float]:
        """When a resource's first page was asked for."""
        return [asked.at_s for asked in self.log if asked.path == path and asked.method == method and asked.page == 0]

    # --- answering ------------------------------------------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, body: bytes = b"") -> Answer:
        """One request."""
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        start, length = int(query.get("s", ["0"])[0]), int(query.get("l", ["1"])[0])
        forced = self.forced.get(parts.path) or self.forced.get("*")
        answer = forced or self._answer(method, parts.path, start, length, body)
        self.log.append(Asked(self.now_s(), method, parts.path, start, answer.status))
        return answer

    def _answer(self, method: str, path: str, start: int, length: int, body: bytes) -> Answer:
        if method in {"PUT", "POST"}:
            return self._take(method, path, body)
        if method != "GET":
            return Answer(405)
        document = self._document(path, start, min(length, self.page_max))
        return Answer(404, b"<Error " + NS.encode() + b"><reasonCode>0</reasonCode></Error>") if document is None else Answer(200, document)

    def _take(self, method: str, path: str, body: bytes) -> Answer:
        self.received.append((method, path, body))
        if method == "PUT":
            if not path.startswith("/edev/1/der/1/"):
                return Answer(404)
            self.put[path] = body
            return Answer(204)
        place = self._posted(path, body)
        return Answer(404) if place is None else Answer(201, headers={"Location": self.absolute + place})

    def _posted(self, path: str, body: bytes) -> str | None:
        """Where a POST made something; None = nothing is there to post to."""
        if path == "/mup":
            found = re.search(rb"<mRID>(\w+)<", body)
            assert found is not None
            mrid = found[1].decode()
            place = next((p for p, (known, _) in self.mirrors.items() if known == mrid), f"/mup/{len(self.mirrors) + 1}")
            self.mirrors[place] = (mrid, body)
            return place
        if path == "/edev":
            self.registered = True
            return "/edev/1"
        asked = self.services.posted(path, body)
        if asked is not None:
            return asked
        return f"{path}/{len(self.received)}" if path in {"/rsps/1/rsp", "/edev/1/lel", *self.mirrors} else None

    def _document(self, path: str, start: int, length: int) -> bytes | None:
        fixed = {"/dcap": self._dcap, "/tm": self._tm, "/edev/1/rg": self._rg}
        made = fixed.get(path)
        if made is None and path in self.mirrors:
            made = partial(self._mirror, path, NS)
        if made is not None:
            return made().encode()
        lists = {
            "/edev": self._edev,
            "/edev/1/fsa": self._fsa,
            "/edev/1/fsa/1/derp": self._derp,
            "/edev/1/der": self._der,
            "/mup": self._mup,
        }
        listed = lists[path]() if path in lists else self.services.list_at(path)
        if listed is not None:
            tag, rate, items = listed
            return self._list(f"{tag} {NS}", path, rate, items, (start, length))
        found = re.fullmatch(r"/derp/(\w+)/(derc|dderc)", path)
        if found is None or found[1] not in self.programs:
            return self.put.get(path)
        program = self.programs[found[1]]
        if found[2] == "dderc":
            return None if program.default is None else self._dderc(program).encode()
        items = [self._derc(event) for event in self.events.values() if event.program == program.name]
        return self._list(f"DERControlList {NS}", path, None, items, (start, length))

    def _list(self, opening: str, path: str, rate: int | None, items: list[str], place: tuple[int, int]) -> bytes:
        start, length = place
        page = items[start : start + length]
        if self.endless and not page and items:
            page = items[-1:]
        total = 1_000_000 if self.endless else len(items)
        poll = f' pollRate="{rate}"' if rate is not None else ""
        head = f'<{opening} href="{path}" all="{total}" results="{len(page)}"{poll}>'
        return f"{head}{''.join(page)}</{opening.split(maxsplit=1)[0]}>".encode()

    def _rate(self, kind: str) -> str:
        rate = self.rates[kind]
        return f' pollRate="{rate}"' if rate is not None else ""

    def _dcap(self) -> str:
        return (
            f'<DeviceCapability {NS} href="/dcap"{self._rate("dcap")}><TimeLink href="{self.absolute}/tm"/>'
            f'<EndDeviceListLink href="{self.absolute}/edev" all="1"/><MirrorUsagePointListLink href="/mup" all="0"/></DeviceCapability>'
        )

    def _tm(self) -> str:
        now = int(self.now_s())
        return (
            f'<Time {NS} href="/tm"{self._rate("tm")}><currentTime>{now}</currentTime><dstEndTime>0</dstEndTime><dstOffset>0</dstOffset>'
            f"<dstStartTime>0</dstStartTime><quality>{self.quality}</quality><tzOffset>0</tzOffset></Time>"
        )

    def _edev(self) -> tuple[str, int | None, list[str]]:
        others = [
            f'<EndDevice href="/edev/{n}"><sFDI>{n}</sFDI><changedTime>0</changedTime></EndDevice>' for n in range(100, 100 + self._extra)
        ]
        if not self.registered:
            return "EndDeviceList", self.rates["edev"], others
        registration = '<RegistrationLink href="/edev/1/rg"/>' if self.pin is not None else ""
        mine = (
            f'<EndDevice href="/edev/1"><DERListLink href="/edev/1/der" all="1"/><lFDI>{self.lfdi}</lFDI>'
            f'<LogEventListLink href="/edev/1/lel"/><sFDI>{self.sfdi}</sFDI><changedTime>0</changedTime><enabled>true</enabled>'
            f'{self.services.device_links()}<FunctionSetAssignmentsListLink href="/edev/1/fsa" all="1"/>{registration}</EndDevice>'
        )
        return "EndDeviceList", self.rates["edev"], [*others, mine]

    def _rg(self) -> str:
        return (
            f'<Registration {NS} href="/edev/1/rg"{self._rate("rg")}><dateTimeRegistered>0</dateTimeRegistered>'
            f"<pIN>{self.pin or 0}</pIN></Registration>"
        )

    def _fsa(self) -> tuple[str, int | None, list[str]]:
        one = (
            f'<FunctionSetAssignments href="/edev/1/fsa/1">{self.services.assignment_links()}'
            '<DERProgramListLink href="/edev/1/fsa/1/derp" all="0"/>'
            "<TimeLink href='/tm'/><mRID>F5A1</mRID></FunctionSetAssignments>"
        )
        return "FunctionSetAssignmentsList", self.rates["fsa"], [one] if self.assigned else []

    def _derp(self) -> tuple[str, int | None, list[str]]:
        items = [
            f'<DERProgram href="/derp/{p.name}"><mRID>{p.name.encode().hex().upper()}</mRID>'
            f'<DefaultDERControlLink href="/derp/{p.name}/dderc"/><DERControlListLink href="/derp/{p.name}/derc" all="0"/>'
            f"{self.services.curve_link(p.name)}<primacy>{p.primacy}</primacy></DERProgram>"
            for p in sorted(self.programs.values(), key=lambda p: p.primacy)
        ]
        return "DERProgramList", self.rates["derp"], items

    def _dderc(self, program: Program) -> str:
        stated = "".join(f"<{tag}>{program.settings[name]}</{tag}>" for name, tag in SETTINGS.items() if name in program.settings)
        inside = f"<mRID>DD</mRID>{base(program.default or {})}{stated}"
        return f'<DefaultDERControl {NS} href="/derp/{program.name}/dderc">{inside}</DefaultDERControl>'

    def _derc(self, event: Event) -> str:
        now = int(self.now_s())
        if not event.sticky:
            event.status = int(now >= event.start_s)
        optional = "".join(
            f"<{tag}>{value}</{tag}>"
            for tag, value in (("randomizeDuration", event.randomize_duration), ("randomizeStart", event.randomize_start))
            if value is not None
        )
        category = f"<deviceCategory>{event.category:08X}</deviceCategory>" if event.category is not None else ""
        return (
            f'<DERControl href="/derp/{event.program}/derc/{event.mrid}" replyTo="{self.absolute}/rsps/1/rsp" '
            f'responseRequired="{event.required:02X}"><mRID>{event.mrid}</mRID><description>as scripted</description>'
            f"<creationTime>{event.creation_s}</creationTime><EventStatus><currentStatus>{event.status}</currentStatus>"
            f"<dateTime>{event.status_s}</dateTime><potentiallySuperseded>false</potentiallySuperseded></EventStatus>"
            f"<interval><duration>{event.duration_s}</duration><start>{event.start_s}</start></interval>{optional}{base(event.modes)}{category}"
            "</DERControl>"
        )

    def _der(self) -> tuple[str, int | None, list[str]]:
        links = "".join(
            f'<DER{name}Link href="/edev/1/der/1/{place}"/>'
            for name, place in (("Availability", "dera"), ("Capability", "dercap"), ("Settings", "derg"), ("Status", "ders"))
        )
        return "DERList", self.rates["der"], [f'<DER href="/edev/1/der/1">{links}</DER>']

    def _mup(self) -> tuple[str, int | None, list[str]]:
        return "MirrorUsagePointList", self.rates["mup"], [self._mirror(place, "") for place in self.mirrors]

    def _mirror(self, place: str, names: str) -> str:
        mrid, _ = self.mirrors[place]
        rate = f"<postRate>{self.post_rate}</postRate>" if self.post_rate is not None else ""
        return (
            f'<MirrorUsagePoint {names} href="{place}"><mRID>{mrid}</mRID><roleFlags>0049</roleFlags>'
            f"<serviceCategoryKind>0</serviceCategoryKind><status>1</status><deviceLFDI>{self.lfdi}</deviceLFDI>{rate}</MirrorUsagePoint>"
        )

    def others(self, count: int) -> None:
        """So many EndDevices of other sites before ours."""
        self._extra = count
