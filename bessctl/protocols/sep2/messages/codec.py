"""Reads and writes XML as frozen records. A record's fields stand in schema order, which is the order of output (2030.5 is a sequence).

Lists of a thousand events are read each few minutes, so reading is compiled: each record has a reader of its own, a closure over its
places. A record that was read holds what its document said and finds the rest in its class, where dataclasses keep defaults.

Rules. What we do not know is skipped, elements and namespaces alike; a list's item that cannot be read is skipped and noted, the list goes
on. Hostile XML is refused before it is a tree: entities and document types, other encodings, size and depth beyond bounds. Nothing is
fetched. Numbers out of their range are the reader's business where the standard wants an answer (253), not the codec's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar, dataclass_transform

from lxml import etree

from bessctl.errors import BessctlError

NS = "urn:ieee:std:2030.5:ns"
AUS = "https://csipaus.org/ns"
AUS_READ = (AUS, *(f"{AUS}/v1.{minor}" for minor in range(4)))
"""The extension's namespace grew a version; all of them are read alike."""

PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_comments=True, remove_pis=True, collect_ids=False
)
MAX_BYTES = 1 << 20
MAX_DEPTH = 24

T = TypeVar("T")
Node = Any
"""An lxml element; lxml's own types are closed to annotations that are of use here."""


class Malformed(BessctlError):
    """What a peer sent is no 2030.5 document we can read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one value is read from an element's text, spaces and all, and written into it; a record's kind names the record.

    `read` raises ValueError for what is no number, Malformed for what is nothing else it should be.
    """

    read: Callable[[str], Any]
    write: Callable[[Any], str]
    record: type[Any] | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a field stands on the wire."""

    name: str
    kind: Kind
    attribute: bool = False
    many: bool = False
    needed: bool = False
    ns: str = NS


def _truth(text: str) -> bool:
    text = text.strip()
    if text in {"true", "1"}:
        return True
    if text in {"false", "0"}:
        return False
    raise Malformed(f"{text[:40]!r} is neither true nor false")


def _bits(text: str) -> int:
    return int(text or "0", 16)


_HEX = re.compile(r"[0-9A-Fa-f]{1,40}")


@lru_cache(maxsize=4096)  # the same ones in each poll
def _identifier(text: str) -> str:
    text = text.strip()
    if not _HEX.fullmatch(text):
        raise Malformed(f"{text[:50]!r} is no identifier of hexadecimal digits")
    return text.upper()


INT = Kind(int, str)
BOOL = Kind(_truth, lambda value: "true" if value else "false")
TEXT = Kind(str.strip, str)
IDENT = Kind(_identifier, str)
"""mRID, LFDI: upper-case hexadecimal."""


def hex_bits(digits: int) -> Kind:
    """A bit field of so many hexadecimal digits."""
    return Kind(_bits, lambda value: f"{value:0{digits}X}")


HEX8, HEX16, HEX32 = hex_bits(2), hex_bits(4), hex_bits(8)


def of(record: type[Any]) -> Kind:
    """A nested record."""
    return Kind(str, str, record)


def el(name: str, kind: Kind, *, many: bool = False, ns: str = NS, **default: Any) -> Any:
    """A field that is an element. Without `default` it must be there."""
    return field(metadata={"wire": Wire(name, kind, many=many, needed=not default, ns=ns)}, **default)


def attr(name: str, kind: Kind, **default: Any) -> Any:
    """A field that is an attribute."""
    return field(metadata={"wire": Wire(name, kind, attribute=True, needed=not default)}, **default)


Reader = Callable[[Node, list[str], int], Any]
"""An element, where to note what was skipped, how deep it is -> its record. Raises Malformed."""

Place = tuple[str, Callable[[str], Any], Reader | None, bool]
"""A field's name, how its text is read, the reader of its record where it is one, and whether there may be several."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A record's fields in their order, and how it is read."""

    tag: str
    order: tuple[tuple[str, Wire], ...]
    read: Reader


LAYOUTS: dict[type[Any], Layout] = {}
ROOTS: dict[str, type[Any]] = {}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(el, attr))
def record(tag: str = "") -> Callable[[type[T]], type[T]]:
    """Make a class a record; `tag` is its element where it can be a document or stands in a list."""

    def made(cls: type[T]) -> type[T]:
        frozen = dataclass(frozen=True, kw_only=True)(cls)
        _compare_quickly(frozen)
        wires = tuple((f.name, f.metadata["wire"]) for f in fields(frozen))  # type: ignore[arg-type]
        LAYOUTS[frozen] = Layout(tag or frozen.__name__, wires, _reader(frozen, tag or frozen.__name__, wires))
        if tag:
            ROOTS[f"{{{NS}}}{tag}"] = frozen
        return frozen

    return made


def _compare_quickly(cls: type[Any]) -> None:
    """Two that were read from the same words are equal without a look at the fields neither has."""
    by_fields: Any = cls.__eq__

    def equal(self: Any, other: object) -> Any:
        return (other.__class__ is cls and self.__dict__ == other.__dict__) or by_fields(self, other)

    cls.__eq__ = equal  # type: ignore[assignment]


def same_but(a: Any, b: Any, name: str) -> bool:
    """Two records that were read are alike word for word, apart from one field that both have."""
    mine, other = vars(a), vars(b)
    kept, mine[name] = mine[name], other[name]
    alike: bool = a.__class__ is b.__class__ and mine == other
    mine[name] = kept
    return alike


# --- reading ------------------------------------------------------------------------------------------------------------------------------


def document(body: bytes) -> Node:
    """The root element of a reply. Raises Malformed."""
    if len(body) > MAX_BYTES:
        raise Malformed(f"a body of {len(body)} bytes; at most {MAX_BYTES} are read")
    if b"<!" in body and re.search(rb"<!(?:DOCTYPE|ENTITY)", body):
        raise Malformed("a document type or entities; 2030.5 has none")
    if body[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in body[:64]:
        raise Malformed("not UTF-8")
    try:
        root = etree.fromstring(body, PARSER)
    except (etree.XMLSyntaxError, ValueError) as e:
        raise Malformed(f"not well-formed XML: {str(e)[:120]}") from None
    if root is None:
        raise Malformed("an empty document")
    return root


def decode(body: bytes, want: type[T], notes: list[str] | None = None) -> T:
    """A reply as the record that was asked for. `notes` collects what was skipped because it could not be read. Raises Malformed."""
    root = document(body)
    layout = LAYOUTS[want]
    if root.tag != f"{{{NS}}}{layout.tag}":
        raise Malformed(f"{str(root.tag)[:80]} where {layout.tag} was asked for")
    found: T = layout.read(root, notes if notes is not None else [], 1)
    return found


def _reader(cls: type[Any], tag: str, wires: tuple[tuple[str, Wire], ...]) -> Reader:
    """The reader of one record. What it refers to was made before it."""
    attributes = {wire.name: (name, wire.kind.read) for name, wire in wires if wire.attribute}
    find = _places(wires).get
    needed = frozenset(name for name, wire in wires if wire.needed)
    lists = tuple(name for name, wire in wires if wire.many)
    new: Callable[[type[Any]], Any] = cls.__new__  # type: ignore[assignment]
    put = object.__setattr__

    def read(node: Node, notes: list[str], depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH}")
        values: dict[str, Any] = {}
        try:
            if attributes:
                for key, text in node.items():
                    if key in attributes:
                        name, kind = attributes[key]
                        values[name] = kind(text)
            for child in node:
                place = find(child.tag)
                if place is None:
                    continue
                name, kind, nested, many = place
                if many:
                    _append(values.setdefault(name, []), child, place, notes, depth)
                else:
                    values[name] = kind(child.text or "") if nested is None else nested(child, notes, depth + 1)
        except ValueError as e:
            raise Malformed(f"{tag}: {_told(e)}") from None
        if not needed <= values.keys():
            raise Malformed(f"{tag} without {', '.join(sorted(needed - values.keys()))}")
        for name in lists:
            values[name] = tuple(values.get(name, ()))
        record = new(cls)
        put(record, "__dict__", values)
        return record

    return read


def _told(error: ValueError) -> str:
    """Of Python's own words for a number that is none, what was read."""
    found = re.search(r"base (\d+): (.*)", str(error), re.DOTALL)
    if found is None:
        return str(error)[:80]
    return f"{found[2].strip()[:42]} is no {'hexadecimal' if found[1] == '16' else 'whole'} number"


def _places(wires: tuple[tuple[str, Wire], ...]) -> dict[str, Place]:
    """The elements of a record by their names in full."""
    return {
        f"{{{ns}}}{wire.name}": (name, wire.kind.read, LAYOUTS[wire.kind.record].read if wire.kind.record else None, wire.many)
        for name, wire in wires
        if not wire.attribute
        for ns in (AUS_READ if wire.ns == AUS else (wire.ns,))
    }


def _append(items: list[Any], child: Node, place: Place, notes: list[str], depth: int) -> None:
    """An item of a list that cannot be read costs only itself."""
    _, kind, nested, _ = place
    try:
        items.append(kind(child.text or "") if nested is None else nested(child, notes, depth + 1))
    except Malformed as e:
        notes.append(f"skipped an item: {e}")


# --- writing ------------------------------------------------------------------------------------------------------------------------------


def encode(value: Any, aus: str = AUS) -> bytes:
    """A record as a document. `aus` is the namespace in which extension elements are written."""
    layout = LAYOUTS[type(value)]
    names: dict[Any, str] = {None: NS}
    if _extended(value):
        names["csipaus"] = aus
    root = etree.Element(f"{{{NS}}}{layout.tag}", nsmap=names)
    _write(root, value, layout, aus)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _extended(value: Any) -> bool:
    """Any element of the extension below here?"""
    for name, wire in LAYOUTS[type(value)].order:
        item = getattr(value, name)
        if item is None:
            continue
        if wire.ns == AUS:
            return True
        if wire.kind.record is not None and any(_extended(one) for one in (item if wire.many else (item,))):
            return True
    return False


def _write(node: Node, value: Any, layout: Layout, aus: str) -> None:
    for name, wire in layout.order:
        item = getattr(value, name)
        if item is None:
            continue
        if wire.attribute:
            node.set(wire.name, wire.kind.write(item))
            continue
        for one in item if wire.many else (item,):
            child = etree.SubElement(node, f"{{{aus if wire.ns == AUS else wire.ns}}}{wire.name}")
            if wire.kind.record is not None:
                _write(child, one, LAYOUTS[wire.kind.record], aus)
            else:
                child.text = wire.kind.write(one)
