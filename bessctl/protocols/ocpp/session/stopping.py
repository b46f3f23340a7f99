"""How a token at the station ends a running transaction (1.6 4.10, 5.16; 2.0.1 C01, C09, C16, E07).

its own token, or one of its group as far as groups are known here   ends it: Local
a token of the master pass's group, as far as known here             ends it: MasterPass
the transaction has a group, or there is a master pass, and the CSMS is there   the CSMS is asked for the token's group; then as above
else                                                                 refused
"""

from __future__ import annotations

from bessctl.protocols.ocpp.messages.records import Authorize, TokenReply
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.ending import Ending
from bessctl.protocols.ocpp.session.tokens import Tokens
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.writes import StoredTx


class Stopping:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core, transactions: Transactions, tokens: Tokens, ending: Ending) -> None:
        self._core = core
        self._transactions = transactions
        self._tokens = tokens
        self._ending = ending
        self._asked: tuple[str, str, str] | None = None

    def by(self, token: str, tx: StoredTx, kind: str) -> str | None:
        """A token of a kind was presented on a running transaction; returns why it does nothing."""
        parent = self._tokens.parent(token)
        if self._core.digest(token) == tx.token or (parent is not None and parent == tx.parent):
            self._end(tx, "Local", token, kind)
            return None
        if parent is not None and parent == self.master():
            self._end(tx, "MasterPass", token, kind)
            return None
        if (tx.parent is None and self.master() is None) or not self._core.online:
            return "the transaction was begun by another token"
        self._asked = (token, tx.id, kind)
        self._core.ask(Authorize(token, kind))
        return None

    def asked(self, token: str) -> bool:
        """Is the CSMS asked about this token, to stop by it?"""
        return self._asked is not None and self._asked[0] == token

    def answered(self, reply: TokenReply | None) -> None:
        """The CSMS's word on the token that was asked about; None = no word came."""
        asked, self._asked = self._asked, None
        assert asked is not None
        tx = self._transactions.running(asked[1])
        if tx is None or reply is None or reply.status != "Accepted" or reply.parent is None:
            return
        parent = self._core.digest(reply.parent)
        if parent in (tx.parent, self.master()):
            self._end(tx, "Local" if parent == tx.parent else "MasterPass", asked[0], asked[2])

    def forget(self) -> None:
        """An answer does not come any more."""
        self._asked = None

    def master(self) -> str | None:
        """Digest of the group whose cards end any transaction and begin none (2.0.1 C16); None = there is none."""
        group = self._core.keys.text("AuthCtrlr.MasterPassGroupId")
        return self._core.digest(group) if group else None

    def _end(self, tx: StoredTx, reason: str, token: str, kind: str) -> None:
        self._ending.release(tx, reason, trigger="StopAuthorized", token=(token, kind))
