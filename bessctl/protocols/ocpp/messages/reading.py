"""How a dialect reads what a CSMS sends: the action is looked up, the payload held against its schema, then its meaning is taken.

unknown to the standard            NotImplemented
known, and no CALL to a station    NotSupported (settled question 8)
against the schema                 the version's code for the schema's rule (`Book.codes`), else PropertyConstraintViolation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bessctl.protocols.ocpp.messages import schemas
from bessctl.protocols.ocpp.messages.commands import CallRefused, Command
from bessctl.protocols.ocpp.messages.dialect import BadReply
from bessctl.protocols.ocpp.messages.frames import Payload


@dataclass(frozen=True, slots=True)
class Book:
    """What a version knows. `folder`: the schemas'; `decoders` read what passed its schema."""

    version: str
    folder: str
    decoders: Mapping[str, Callable[[Payload], Command]]
    codes: Mapping[str, str]


def decode(book: Book, action: str, payload: Payload, judged: Payload | None = None) -> Command:
    """A CSMS's CALL; `judged` is held against the schema instead of the payload, where the version is more lenient. Raises CallRefused."""
    decoder = book.decoders.get(action)
    if decoder is None:
        known = action in schemas.actions(book.folder)
        why = "is no CALL to a station" if known else f"is no action of OCPP {book.version}"
        raise CallRefused("NotSupported" if known else "NotImplemented", "action", f"{action[:50]} {why}")
    found = schemas.violation(book.folder, action, payload if judged is None else judged)
    if found is not None:
        code = book.codes.get(found.rule, "PropertyConstraintViolation")
        raise CallRefused(code, found.field, f"{found.field or 'payload'}: {found.reason}")
    return decoder(payload)


def require_answer(book: Book, action: str, payload: Payload) -> None:
    """Raises BadReply for a CALLRESULT that is against its schema."""
    found = schemas.violation(book.folder, action + "Response", payload)
    if found is not None:
        raise BadReply(f"{found.field or 'payload'}: {found.reason}")
