"""CustomerInformation (2.0.1 N09, N10; OCPP-18): what is kept of a token, and how it is forgotten.

What is kept of anybody are digests: in the cache, the local list, reservations and running transactions. The local list belongs to the
CSMS, a running transaction ends first: both are told and not erased. A customer is known here by a token alone.
"""

from __future__ import annotations

from bessctl.protocols.ocpp.config import Role
from bessctl.protocols.ocpp.messages.commands import CustomerInformation
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.reservations import Reservations
from bessctl.protocols.ocpp.session.tokens import Tokens
from bessctl.protocols.ocpp.session.transactions import Transactions
from bessctl.protocols.ocpp.session.variables import ask_paged

PART = 500


def customer_information(
    core: Core, tokens: Tokens, reservations: Reservations, transactions: Transactions, wish: CustomerInformation
) -> str:
    """The answer's status; the report follows."""
    named = [wish.id_token is not None, wish.identifier is not None, wish.by_certificate]
    if core.link.role is Role.OBSERVER or not (wish.report or wish.clear):
        return "Rejected"
    if sum(named) != 1:
        return "Invalid"
    told = [] if wish.id_token is None else _held(core, tokens, reservations, transactions, wish.id_token)
    if wish.clear and wish.id_token is not None:
        digest = core.digest(wish.id_token)
        tokens.forget(digest)
        reservations.forget(digest)
        core.audit("customer", "what was kept of a customer was erased")
    text = "; ".join(told) or "nothing is kept of this customer"
    rows: list[dict[str, object]] = [{"text": text[i : i + PART]} for i in range(0, len(text), PART)] if wish.report else [{"text": ""}]
    ask_paged(core, "NotifyCustomerInformation", "data", rows, (("requestId", wish.request),), size=1)
    return "Accepted"


def _held(core: Core, tokens: Tokens, reservations: Reservations, transactions: Transactions, token: str) -> list[str]:
    digest = core.digest(token)
    listed, cached = tokens.held(digest)
    known = tokens.known(token)
    running = transactions.active()
    rows = (
        (listed, "in the local list"),
        (cached, "in the authorization cache"),
        (known is not None, f"status {known.status if known else ''}"),
        (any(r is not None and r.token == digest for r in (reservations.of(1), reservations.of(2))), "a reservation"),
        (running is not None and running.token == digest, "a running transaction"),
    )
    return [text for holds, text in rows if holds]
