"""A client and a scripted server in invented time, no socket between them; and the real step behind the client's plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import urlsplit

from bessctl.model.plan import Block, Plan
from bessctl.protocols.sep2.binding.plans import Planner, Site
from bessctl.protocols.sep2.config import Ratings, Sep2Config
from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.protocols.sep2.messages.modes import Channel
from bessctl.protocols.sep2.messages.wire import NoReply, Reply, Request
from bessctl.protocols.sep2.profiles import WATTSMART, Profile
from bessctl.protocols.sep2.session.client import Client
from bessctl.protocols.sep2.session.discovery import Gate
from bessctl.protocols.sep2.session.plant import Reading
from bessctl.protocols.sep2.session.settings import Settings
from bessctl.sim.sep2_tree import Answer, Tree
from tests.core.rig import BITS, Rig, Slot, config

S = 1_000_000_000
MONO_NS = 1_000 * S
"""When the tests' machine starts its story; also START_NS of the step's rig."""
EPOCH_S = 1_800_000_000
"""The server's time at that instant."""
URL = "https://utility.example/dcap"
IDENTITY = Identity("3E4F45AB31EDFE5B67E343E5E4562E31984E23E5", 167261211391)
RATINGS = Ratings(max_w=200_000, charge_w=160_000, discharge_w=200_000, max_va=210_000, max_wh=400_000, max_var=100_000)
READING = Reading(
    values={"w": 12_345.0, "hz": 49.987, "var": 0.0, "v": 230.4}, soc_pct=55.5, running=True, connected=True, available=True,
    charge_now_w=160_000.0, discharge_now_w=200_000.0, capacity_wh=400_000.0,
)  # fmt: skip
LATENCY_NS = 20_000_000


@dataclass
class World:
    """Both ends, and the time they share."""

    profile: Profile = WATTSMART
    pin: int | None = None
    seed: int = 1
    registered: bool = True
    skew_s: float = 0.25
    """The server's clock is this far into its second when the story begins."""
    now_ns: int = MONO_NS
    silent: bool = False
    """Nobody answers."""
    reading: Reading = READING
    curves: dict[Channel, int] = field(default_factory=dict)
    """Curves that the plant's PCS takes."""
    reactive: bool = False
    """Its PCS takes reactive power."""
    opens: bool = True
    """Its contactors are ours."""
    enter_service: bool = True
    """Its PCS takes enter-service settings."""
    utc_offset_ns: int | None = None
    """What this machine's own clock says, where it is trusted."""
    planner: Planner | None = None
    notes: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree = Tree(IDENTITY.lfdi, IDENTITY.sfdi, self.server_s, pin=self.pin, registered=self.registered)
        self.client = self.new_client()

    def new_client(self, **changes: Any) -> Client:
        can = Sep2Config(URL, RATINGS, self.profile, curves=self.curves, reactive=self.reactive, opens=self.opens)
        settings = Settings(
            URL, self.profile, IDENTITY, RATINGS, self.profile.points, can.supported, can.enabled, self.curves, self.enter_service,
            pin=self.pin, pen=40732,
        )  # fmt: skip
        return Client(replace(settings, **changes), Random(self.seed))

    def server_s(self) -> float:
        return EPOCH_S + self.skew_s + (self.now_ns - MONO_NS) / S

    def at(self, seconds: float) -> int:
        """Server second so far into the story."""
        return EPOCH_S + round(seconds)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * S)
        while self.now_ns < end_ns:
            self.client.tick(self.reading, self.now_ns)
            request = self.client.request(self.now_ns)
            while request is not None:
                request = self.exchange(request)
            self.notes += self.client.take_changes().notes
            wake_ns = self.client.wake_ns(self.now_ns)
            self.now_ns = min(end_ns, max(self.now_ns + 1_000_000, wake_ns))
        self.client.tick(self.reading, self.now_ns)
        self.notes += self.client.take_changes().notes

    def exchange(self, request: Request) -> Request | None:
        """One request, one answer."""
        self.asked.append(request)
        sent_ns = self.now_ns
        self.now_ns += LATENCY_NS // 2
        reply: Reply | NoReply
        if self.silent:
            reply = NoReply("nobody there")
        else:
            parts = urlsplit(request.url)
            reply = as_reply(self.tree.handle(request.method, f"{parts.path}?{parts.query}", request.body), sent_ns, 0)
        self.now_ns += LATENCY_NS // 2
        if isinstance(reply, Reply):
            reply = replace(reply, got_ns=self.now_ns, utc_offset_ns=self.utc_offset_ns)
        return self.client.answered(request, reply, self.now_ns)

    def open(self) -> World:
        """Until everything there is to find was found."""
        self.run(10)
        assert self.client.discovery.gate is Gate.OPEN, self.notes
        return self

    def plan(self, local: Block | None = None, lease_s: float = 86_400) -> Plan:
        """What the client would write now."""
        schedule = self.client.schedule(self.now_ns)
        assert schedule is not None
        if self.planner is None or local is not None:
            self.planner = Planner(Site(RATINGS, local or Block(0, 1)))
        return self.planner.plan(schedule, self.client.clock.mono_ns, self.now_ns, self.now_ns + round(lease_s * S))


def as_reply(answer: Answer, sent_ns: int, got_ns: int) -> Reply:
    retry = answer.headers.get("Retry-After")
    return Reply(
        answer.status, answer.body, sent_ns, got_ns, answer.headers.get("Content-Type", "application/sep+xml"),
        answer.headers.get("Location", ""), float(retry) if retry else None,
    )  # fmt: skip


# --- the step behind the plans ------------------------------------------------------------------------------------------------------------


def step(load_w: float | None = None, **site: Any) -> Rig:
    """The real step with one slot of class grid for us, in RUN. `load_w`: a meter at the connection sees this load beside the BESS."""
    slot = Slot(klass=0, priority=1, scopes=3, max_lease_s=100_000)
    rig = Rig(config(slots=(slot,), has_meter=int(load_w is not None), **({"ramp_w_per_s": 1e9, "reversal_dead_ns": 0} | site)))
    if load_w is not None:
        rig.meter(load_w)
    return rig.run()


def offer(rig: Rig, plan: Plan) -> None:
    """Hand a plan to the step, as the writer would."""
    rig.offer(
        0, *(words(b) for b in plan.blocks), fallback=tuple(words(b) for b in plan.fallback), lease_until_ns=plan.lease_until_ns,
        lapse=int(plan.lapse),
    )  # fmt: skip
    assert rig.h.state["slot_fault"][0] == 0


def words(block: Block) -> dict[str, Any]:
    stated = {key: getattr(block, key) for key in BITS if getattr(block, key) is not None}
    return {"start_ns": block.start_ns, "end_ns": block.end_ns, "target_scope": int(block.target_scope), **stated}
