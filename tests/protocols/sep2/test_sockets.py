"""Real TLS sockets: the cipher suite, certificates good and bad both ways, the whole client against a server, restarts and power cuts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bessctl.cli.program import run
from bessctl.errors import NotReachable, UsageError
from bessctl.protocols.sep2.binding.client import Ways, run_client
from bessctl.protocols.sep2.binding.enrol import enrol
from bessctl.protocols.sep2.config import Sep2Config, Tls
from bessctl.protocols.sep2.messages.identity import Identity
from bessctl.protocols.sep2.messages.wire import NoReply, Reply, Request
from bessctl.protocols.sep2.transport.http import Http, retry_after_s
from bessctl.protocols.sep2.transport.tls import client_context, identity_of, own_faults
from bessctl.sim.sep2_pki import Chain, Recipe, chain, issue, server_chain
from bessctl.sim.sep2_server import Sep2Server, server_context
from bessctl.sim.sep2_tree import Tree
from bessctl.store import Store
from tests.protocols.ocpp.fakes import FakePlans, FakePlant
from tests.protocols.sep2.rig import RATINGS

LOG = logging.getLogger("test.sep2")
DEVICE = chain()
SERVER = server_chain(DEVICE.serca)
PAST = datetime.now(UTC) - timedelta(days=30)


@dataclass
class Pair:
    """A server on a socket and the configuration of a client that it lets in."""

    server: Sep2Server
    config: Sep2Config
    folder: Path

    @property
    def tree(self) -> Tree:
        return self.server.tree


def tls_of(folder: Path, device: Chain = DEVICE, *, whole: bool = True, roots: bytes = b"") -> Tls:
    cert, key = device.write(folder, "client", whole=whole)
    ca = folder / "ca.pem"
    ca.write_bytes(roots or DEVICE.serca.pem)
    return Tls(cert, key, ca)


@contextlib.asynccontextmanager
async def served(folder: Path, server: Chain = SERVER, tls: Tls | None = None, **context: Any) -> AsyncIterator[Pair]:
    identity = Identity.of(DEVICE.leaf.der)
    tree = Tree(identity.lfdi, identity.sfdi, time.time, pin=111115)
    tree.rates = dict.fromkeys(tree.rates, 1)
    tree.program("a", 1)
    async with asyncio.timeout(40), Sep2Server(tree, server_context(server, folder=folder, **context)) as running:
        config = Sep2Config(running.url, RATINGS, tls=tls or tls_of(folder), pin=111115, plant_poll_s=0.05, renew_s=0.2, timeout_s=5)
        yield Pair(running, config, folder)


async def ask(config: Sep2Config, path: str = "/dcap") -> Reply | NoReply:
    async with Http(config) as http:
        return await http.ask(Request("GET", config.url.replace("/dcap", path), ("dcap", "")))


def asked(folder: Path, **words: Any) -> Reply | NoReply:
    async def story() -> Reply | NoReply:
        async with served(folder, **words) as pair:
            return await ask(pair.config)

    return asyncio.run(story())


# --- the suite and the certificates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        ("ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0", "ECDHE-ECDSA-AES128-CCM8"),
        ("ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0", "ECDHE-ECDSA-AES128-CCM8"),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_ccm8_and_gcm_where_that_is_offered(tmp_path: Path, offered: str, used: str) -> None:
    """SEP2-3."""

    async def story() -> None:
        async with served(tmp_path, ciphers=offered) as pair:
            assert isinstance(await ask(pair.config), Reply)
            assert pair.server.ciphers == {used}

    asyncio.run(story())


@pytest.mark.parametrize("offered", ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_another_suite_is_not_spoken(tmp_path: Path, offered: str) -> None:
    assert isinstance(asked(tmp_path, ciphers=offered), NoReply)


def test_tls_1_3_alone_is_not_spoken(tmp_path: Path) -> None:
    assert isinstance(asked(tmp_path, version=ssl.TLSVersion.TLSv1_3), NoReply)


def test_a_good_chain_of_each_depth_is_accepted(tmp_path: Path) -> None:
    """2 to 4 certificates from server to root; no end of validity, an empty subject on our side, critical policies."""
    host = Recipe("utility server", hosts=("127.0.0.1",))
    root = DEVICE.serca
    two = replace(SERVER, leaf=issue(host, root))
    middle = issue(Recipe("one CA", ca=True), root)
    three = Chain(root, middle, middle, issue(host, middle))
    for server in (two, three, SERVER):
        reply = asked(tmp_path, server=server)
        assert isinstance(reply, Reply), reply
        assert reply.status == 200


WRONG: dict[str, tuple[Callable[[], Chain], str]] = {
    "another root": (lambda: server_chain(issue(Recipe("other root", ca=True))), "self-signed certificate in certificate chain"),
    "self-signed": (lambda: replace(SERVER, leaf=issue(Recipe("utility server", hosts=("127.0.0.1",)))), "self-signed"),
    "expired": (lambda: _server(starts=PAST, ends=PAST + timedelta(days=1)), "expired"),
    "not yet valid": (lambda: _server(starts=datetime.now(UTC) + timedelta(days=1)), "not yet valid"),
    "another host": (lambda: _server(hosts=("192.0.2.1",)), "IP address mismatch"),
    "MICA may not sign": (lambda: _mica(key_cert_sign=False), "certificate"),
    "MICA is no CA": (lambda: _mica(ca=False), "certificate"),
    "MICA maps policies": (lambda: _mica(mappings=True), "policy mappings"),
    "MICA without a name": (lambda: _mica(name=""), "without a name"),
    "five generations": (lambda: _five(5), "2 to 4"),
}


def _server(**changes: Any) -> Chain:
    words: dict[str, Any] = {"hosts": ("127.0.0.1",)} | changes
    recipe = Recipe("utility server", **words)
    return replace(SERVER, leaf=issue(recipe, SERVER.mica))


def _mica(**changes: Any) -> Chain:
    words: dict[str, Any] = {"name": "bad issuing CA", "ca": True} | changes
    recipe = Recipe(**words)
    return chain(Recipe("utility server", hosts=("127.0.0.1",)), mica=recipe, root=DEVICE.serca)


def _five(depth: int) -> Chain:
    assert depth == 5
    extra = issue(Recipe("one more CA", ca=True), SERVER.mica)
    leaf = issue(Recipe("utility server", hosts=("127.0.0.1",)), extra)
    return Chain(SERVER.serca, SERVER.mca, SERVER.mica, replace_pem(leaf, extra.pem))


def replace_pem(leaf: Any, extra: bytes) -> Any:
    """The leaf with one more CA behind it."""

    class WithChain:
        certificate, key, der, key_pem = leaf.certificate, leaf.key, leaf.der, leaf.key_pem
        pem = leaf.pem + extra

    return WithChain()


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_server_is_refused_before_a_byte_goes_out(tmp_path: Path, name: str) -> None:
    make, words = WRONG[name]

    async def story() -> None:
        async with served(tmp_path, server=make()) as pair:
            reply = await ask(pair.config)
            assert isinstance(reply, NoReply), name
            assert words in reply.reason, reply.reason
            assert pair.tree.log == []

    asyncio.run(story())


def test_the_host_name_check_can_be_switched_off(tmp_path: Path) -> None:
    tls = replace(tls_of(tmp_path), check_host_name=False)
    assert isinstance(asked(tmp_path, server=_server(hosts=("192.0.2.1",)), tls=tls), Reply)


def test_a_short_chain_of_ours_is_told_beforehand_and_refused_by_the_server(tmp_path: Path) -> None:
    tls = tls_of(tmp_path, whole=False)
    assert tls.cert_file is not None
    assert "whole chain" in own_faults(tls.cert_file)[0]
    assert isinstance(asked(tmp_path, tls=tls), NoReply)


def test_a_client_of_another_root_is_refused_by_the_server(tmp_path: Path) -> None:
    assert isinstance(asked(tmp_path, tls=tls_of(tmp_path, chain())), NoReply)


def test_our_own_certificate_is_looked_at_before_it_is_used(tmp_path: Path) -> None:
    expired = DEVICE.leaf_of(Recipe(starts=PAST, ends=PAST + timedelta(days=1)))
    tls = tls_of(tmp_path, expired)
    assert tls.cert_file is not None
    with pytest.raises(UsageError, match="not now"):
        own_faults(tls.cert_file)
    disordered = tmp_path / "disordered.pem"
    disordered.write_bytes(DEVICE.leaf.pem + DEVICE.mca.pem + DEVICE.mica.pem)
    assert any("did not issue" in fault for fault in own_faults(disordered))
    good = tls_of(tmp_path)
    assert good.cert_file is not None
    assert own_faults(good.cert_file) == []
    assert identity_of(good.cert_file) == Identity.of(DEVICE.leaf.der)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ciphers": "NO-SUCH-SUITE"}, "refuses the cipher string"),
        ({"cert_file": Path("/nowhere.pem")}, "nowhere.pem"),
        ({"ca_file": Path("/nowhere.pem")}, "nowhere.pem"),
        ({"key_file": None}, "needs cert_file, key_file and ca_file"),
    ],
)
def test_what_only_a_person_can_change_is_told_at_the_start(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        client_context(replace(tls_of(tmp_path), **change))


def test_a_foreign_key_is_refused(tmp_path: Path) -> None:
    tls = tls_of(tmp_path)
    assert tls.key_file is not None
    tls.key_file.write_bytes(SERVER.leaf.key_pem)
    with pytest.raises(UsageError, match="cannot be used"):
        client_context(tls)


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s("120", now) == 120
    assert retry_after_s("Sat, 31 Jan 2026 12:01:00 GMT", now) == 60
    assert retry_after_s("soon", now) is None
    assert retry_after_s(None, now) is None


def test_a_server_that_is_too_slow_counts_as_silent_and_is_understood_once_it_is_not(tmp_path: Path) -> None:
    """SEP2-2: what comes of silence, later and later polls, is in test_requests."""

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.server.slow_s = 60.0
            late = await ask(replace(pair.config, timeout_s=0.5))
            assert isinstance(late, NoReply)
            assert "nothing within 0.5 s" in late.reason
            pair.server.slow_s = 0.1
            assert isinstance(await ask(pair.config), Reply)

    asyncio.run(story())


def test_large_bodies_and_compressed_ones_are_refused(tmp_path: Path) -> None:
    from bessctl.sim.sep2_tree import Answer  # noqa: PLC0415

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.tree.forced["/dcap"] = Answer(200, b" " * (2 << 20))
            large = await ask(pair.config)
            assert isinstance(large, NoReply)
            assert "more than" in large.reason
            pair.tree.forced["/dcap"] = Answer(200, b"x", {"Content-Encoding": "gzip"})
            packed = await ask(pair.config)
            assert isinstance(packed, NoReply)
            assert "gzip" in packed.reason

    asyncio.run(story())


def test_the_command_line_tells_who_we_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SEP2-3."""
    tls = tls_of(tmp_path)
    assert run(["sep2", "identity", str(tls.cert_file), "-o", "json"]) == 0
    identity = Identity.of(DEVICE.leaf.der)
    assert json.loads(capsys.readouterr().out) == {"lfdi": identity.lfdi, "sfdi": f"{identity.sfdi:012d}"}
    assert run(["sep2", "identity", str(tmp_path / "none.pem")]) == 2
    assert run(["sep2", "events", "--run-dir", str(tmp_path)]) == 3


@pytest.mark.parametrize(("pin", "listed", "state"), [(111115, True, "open"), (222220, True, "pin_wrong"), (111115, False, "unregistered")])
def test_enrolment_says_how_far_we_are_let_in(tmp_path: Path, pin: int, listed: bool, state: str) -> None:
    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.tree.pin, pair.tree.registered = pin, listed
            assert (await enrol(pair.config, 5)).state == state
            assert pair.tree.received == []
            pair.server.outage = True
            with pytest.raises(NotReachable):
                await enrol(pair.config, 5)

    asyncio.run(story())


# --- the whole client ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Running:
    plans: FakePlans
    plant: FakePlant
    task: asyncio.Task[None]
    commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            assert not self.task.done(), self.task.result()
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def client(pair: Pair, **changes: Any) -> AsyncIterator[Running]:
    store = Store(pair.folder / "state.sqlite")
    plans, plant = FakePlans(), FakePlant()
    commands: dict[str, Any] = {}
    config = replace(pair.config, **changes)
    task = asyncio.create_task(run_client(config, store, Ways(plans, plant), "boot", LOG, commands=commands))
    try:
        yield Running(plans, plant, task, commands)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        store.close()


def noted(pair: Pair) -> set[tuple[str, int, int]]:
    """What stands on disk of the responses: event, code, whether the server has it. Another reader than the client's own."""
    with contextlib.closing(sqlite3.connect(pair.folder / "state.sqlite")) as database:
        return set(database.execute("SELECT mrid, status, done FROM sep2_response"))


def test_an_event_becomes_a_plan_and_is_answered(tmp_path: Path) -> None:
    """SEP2-3, SEP2-4 over the wire: 1, 2, 3 in order, and the target in the slot between them."""

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.tree.event("a", "E1", int(time.time()) + 2, 2, target_w=-45_000)
            async with client(pair) as running:
                await running.until(lambda: bool(running.plans.plans) and running.plans.target_w() == -45_000)
                status = running.commands["sep2"]({"action": "status"})["status"]
                assert (status["registration"], status["programs"], status["events"]) == ("open", 1, 1)
                assert [e["mrid"] for e in running.commands["sep2"]({"action": "events"})["events"]] == ["E1"]
                await running.until(lambda: len(pair.tree.responses("E1")) == 3)
                assert running.plans.target_w() is None
            assert [code for _, code in pair.tree.responses("E1")] == [1, 2, 3]

    asyncio.run(story())


def test_draws_and_responses_survive_a_power_cut(tmp_path: Path) -> None:
    """Rules 5 and 13: the same draw after a restart, and nothing said twice once its receipt is on disk."""

    async def story() -> None:
        async with served(tmp_path) as pair:
            start_s = int(time.time()) + 5_000
            pair.tree.event("a", "E1", start_s, 3_000, target_w=9_000, randomize_start=3_600, randomize_duration=-1_800)
            starts = []
            for _ in range(3):
                async with client(pair) as running:
                    await running.until(lambda: bool(running.plans.plans) and bool(running.plans.last.blocks))
                    await running.until(lambda: noted(pair) == {("E1", 1, 1)})
                    await running.until(lambda: pair.tree.polls("/derp/a/derc")[-1:] > [time.time() - 0.2])
                    starts.append(running.plans.last.blocks[0])
            assert len({round((b.end_ns - b.start_ns) / 1e9) for b in starts}) == 1
            # Where the server's second is known to a second, the same draw may be told up to a second apart.
            assert max(b.start_ns for b in starts) - min(b.start_ns for b in starts) < 1.1e9
            assert pair.tree.responses() == [("E1", 1)]

    asyncio.run(story())


def test_responses_owed_at_a_power_cut_are_sent_afterwards(tmp_path: Path) -> None:
    from bessctl.sim.sep2_tree import Answer  # noqa: PLC0415

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.tree.event("a", "E1", int(time.time()) + 5_000, 3_000, target_w=9_000)
            pair.tree.forced["/rsps/1/rsp"] = Answer(500)
            async with client(pair) as running:
                await running.until(lambda: bool(pair.tree.polls("/rsps/1/rsp", "POST")))
            pair.tree.forced.clear()
            del pair.tree.events["E1"]
            async with client(pair) as running:
                await running.until(lambda: pair.tree.responses() == [("E1", 1)])

    asyncio.run(story())


def test_an_outage_is_survived_and_the_lease_stands_still(tmp_path: Path) -> None:
    """The lease is renewed by what was read of controls, never by a timer."""

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.tree.event("a", "E1", int(time.time()) - 1, 3_000, target_w=9_000)
            async with client(pair) as running:
                await running.until(lambda: bool(running.plans.plans) and running.plans.target_w() == 9_000)
                pair.server.outage = True
                await running.until(lambda: pair.server.aborted >= 1)
                lease = running.plans.last.lease_until_ns
                await running.until(lambda: pair.server.aborted >= 2)
                assert running.plans.last.lease_until_ns == lease
                pair.server.outage = False
                await running.until(lambda: running.plans.last.lease_until_ns > lease)
                assert running.plans.target_w() == 9_000

    asyncio.run(story())


def test_a_start_without_the_server_leaves_the_slot_alone(tmp_path: Path) -> None:
    """R7: what the slot holds from before a restart stays until the utility is heard."""

    async def story() -> None:
        async with served(tmp_path) as pair:
            pair.server.outage = True
            async with client(pair) as running:
                await running.until(lambda: pair.server.aborted >= 2)
                assert running.plans.plans == []

    asyncio.run(story())
