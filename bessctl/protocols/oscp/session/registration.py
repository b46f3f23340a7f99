"""Registration (OSCP 2.0 2.6.1, 3.1.1, 4.3.1), as server and as initiator.

Rules.
- The operator makes TOKEN_A and gives it to the peer by another way. The peer posts `register` with it: its TOKEN_B and its versions.
  501 when it does not offer ours. 204, then our own `register` with B goes out, correlated: TOKEN_C and the version chosen with our
  base URL. Its 204 makes C the token in use and revokes what was before; so does the peer using C.
- We can begin too: `register` with the peer's token goes out, the peer's own `register` with the token we sent is the reply.
- A registered peer may register again, with C. PUT replaces its token and URL and asks nothing else; limits and lease stay (row 24).
- DELETE ends: no token opens anything any more; the peer's capacities go to fallback and stay there until the operator removes the
  peer (row 19): a remote call never widens a limit.
"""

from __future__ import annotations

from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import VERSION, Register, VersionUrl
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.clock import Now
from bessctl.protocols.oscp.session.common import Common, Refusal
from bessctl.protocols.oscp.session.outbox import Kind, Message, Outbox


class Registration:
    """Of one peer."""

    def __init__(self, common: Common, outbox: Outbox) -> None:
        self._common, self._outbox = common, outbox

    # --- asked by the operator ---

    def invite(self) -> str:
        """A new TOKEN_A for the peer; returned once and kept as its digest."""
        token = self._common.new_token()
        self._common.keep(digests=self._common.digest(a=tokens.digest(token)))
        return token

    def begin(self, base_url: str, token: str) -> None:
        """Register at the peer, with the token that it gave us."""
        common, ours, ident = self._common, self._common.new_token(), self._common.new_id()
        common.keep(digests=common.digest(next=tokens.digest(ours)), initiated=ident, reply_to="")
        self._outbox.put(Message(Kind.REGISTER, self._offer(ours), ident, base_url=base_url, token=token))

    def unregister(self) -> None:
        """Tell the peer that we end it. The operator's order: nothing waits for the answer."""
        record = self._common.record
        if record.base_url and record.token:
            body = self._offer(self._common.new_token()) if self._common.config.quirks.delete_body else b""
            message = Message(Kind.UNREGISTER, body, self._common.new_id(), method="DELETE", base_url=record.base_url, token=record.token)
            self._outbox.clear()
            self._outbox.put(message)

    # --- asked by the peer ---

    def post(self, body: bytes, kind: tokens.Kind, request_id: str) -> None:
        """The peer registers, or replies to our registration."""
        common = self._common
        asked, chosen = self._read(body)
        if kind is tokens.Kind.NEXT and common.record.initiated:
            common.keep(
                base_url=chosen.base_url,
                token=asked.token,
                digests=self._confirmed(),
                initiated="",
                reply_to="",
                registered=True,
                ended=False,
            )
            common.info(f"registered at {chosen.base_url}; it replied to our registration")
            return
        common.keep(base_url=chosen.base_url, token=asked.token, initiated="", reply_to=request_id, registered=False, ended=False)
        self.reply()

    def put(self, body: bytes) -> None:
        """The peer moves: another token, another URL."""
        if not self._common.record.registered:
            raise Refusal(403, "PUT replaces a registration, and there is none; POST one")
        asked, chosen = self._read(body)
        self._common.keep(base_url=chosen.base_url, token=asked.token)
        self._common.info(f"moved to {chosen.base_url}")

    def delete(self) -> None:
        """The peer ends the registration."""
        if not self._common.record.registered:
            raise Refusal(403, "there is no registration to end")
        self._outbox.clear()
        gone = {"gone": self._common.record.digests["c"]} if "c" in self._common.record.digests else {}
        self._common.keep(base_url="", token="", digests=gone, registered=False, ended=True, initiated="", reply_to="")
        self._common.alarm("ended its registration; its fallback capacities rule until it is removed: bessctl oscp remove")

    def _read(self, body: bytes) -> tuple[Register, VersionUrl]:
        asked = codec.register(body, bare_version=self._common.config.quirks.single_version_url)
        chosen = next((offer for offer in asked.version_url if offer.version == VERSION), None)
        if chosen is None:
            offered = ", ".join(sorted({offer.version for offer in asked.version_url}))
            raise Refusal(501, f"none of the versions offered ({offered}) is supported here: {VERSION}")
        return asked, chosen

    # --- our reply ---

    def reply(self) -> None:
        """Have TOKEN_C sent; also after a restart, with a new one, because the first was never kept."""
        common, token = self._common, self._common.new_token()
        common.keep(digests=common.digest(next=tokens.digest(token)))
        self._outbox.put(Message(Kind.REGISTER, self._offer(token), common.new_id(), common.record.reply_to or None))

    def _offer(self, token: str) -> bytes:
        return codec.to_bytes(Register(token, (VersionUrl(VERSION, self._common.our_url),)))

    def answered(self, message: Message, status: int, _now: Now) -> None:
        """What the peer said to our `register`."""
        common = self._common
        if status == 204 and message.request_id == common.record.initiated:
            common.info("took our registration; waiting for its own")
        elif status == 204:
            self.confirm()
        else:
            common.keep(digests=common.digest(next=None), reply_to="", initiated="")
            common.alarm(f"answered our registration with {status}; ask its operator, then register again")

    def confirm(self) -> None:
        """The token that we sent is in use."""
        common = self._common
        if "next" not in common.record.digests or common.record.initiated:
            return
        common.keep(digests=self._confirmed(), registered=True, reply_to="")
        common.info(f"registered, its endpoint is {common.record.base_url}")

    def _confirmed(self) -> dict[str, str]:
        """`next` becomes the token in use; TOKEN_A and the one before are revoked (3.1.1)."""
        return {"c": self._common.record.digests["next"]}
