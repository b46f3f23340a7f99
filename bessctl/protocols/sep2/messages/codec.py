"""Reads and writes XML as frozen records. A record's fields stand in schema order, which is the order of output (2030.5 is a sequence).

Rules. What we do not know is skipped, elements and namespaces alike; a list's item that cannot be read is skipped and noted, the list goes
on. Hostile XML is refused before it is a tree: entities and document types, other encodings, size and depth beyond bounds. Nothing is
fetched. Numbers out of their range are the reader's business where the standard wants an answer (253), not the codec's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

from lxml import etree

from bessctl.errors import BessctlError

NS = "urn:ieee:std:2030.5:ns"
AUS = "https://csipaus.org/ns"
AUS_READ = (AUS, *(f"{AUS}/v1.{minor}" for minor in range(4)))
"""The extension's namespace grew a version; all of them are read alike."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 24

T = TypeVar("T")
Node = Any
"""An lxml element; lxml's own types are closed to annotations that are of use here."""


class Malformed(BessctlError):
    """What a peer sent is no 2030.5 document we can read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one value is read from an element's text and written into it; a record's kind names the record."""

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


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Malformed(f"{text[:40]!r} is no whole number") from None


def _truth(text: str) -> bool:
    if text in {"true", "1"}:
        return True
    if text in {"false", "0"}:
        return False
    raise Malformed(f"{text[:40]!r} is neither true nor false")


def _bits(text: str) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        raise Malformed(f"{text[:40]!r} is no hexadecimal number") from None


_HEX = re.compile(r"[0-9A-Fa-f]{1,40}")


def _identifier(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise Malformed(f"{text[:50]!r} is no identifier of hexadecimal digits")
    return text.upper()


INT = Kind(_whole, str)
BOOL = Kind(_truth, lambda value: "true" if value else "false")
TEXT = Kind(str, str)
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


@dataclass(frozen=True, slots=True)
class Layout:
    """A record's fields by where they stand."""

    tag: str
    cls: type[Any]
    attributes: tuple[tuple[str, str, Kind], ...]
    elements: dict[str, tuple[str, Kind, bool]]
    order: tuple[tuple[str, Wire], ...]
    needed: frozenset[str]


LAYOUTS: dict[type[Any], Layout] = {}
ROOTS: dict[str, type[Any]] = {}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(el, attr))
def record(tag: str = "") -> Callable[[type[T]], type[T]]:
    """Make a class a record; `tag` is its element where it can be a document or stands in a list."""

    def made(cls: type[T]) -> type[T]:
        frozen = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        LAYOUTS[frozen] = _layout(frozen, tag)
        if tag:
            ROOTS[f"{{{NS}}}{tag}"] = frozen
        return frozen

    return made


def _layout(cls: type[Any], tag: str) -> Layout:
    wires = [(f.name, f.metadata["wire"]) for f in fields(cls)]
    elements = {
        f"{{{ns}}}{wire.name}": (name, wire.kind, wire.many)
        for name, wire in wires
        if not wire.attribute
        for ns in (AUS_READ if wire.ns == AUS else (wire.ns,))
    }
    return Layout(
        tag or cls.__name__,
        cls,
        tuple((name, wire.name, wire.kind) for name, wire in wires if wire.attribute),
        elements,
        tuple(wires),
        frozenset(name for name, wire in wires if wire.needed),
    )


# --- reading ------------------------------------------------------------------------------------------------------------------------------


def document(body: bytes) -> Node:
    """The root element of a reply. Raises Malformed."""
    if len(body) > MAX_BYTES:
        raise Malformed(f"a body of {len(body)} bytes; at most {MAX_BYTES} are read")
    if b"<!" in body and re.search(rb"<!(?:DOCTYPE|ENTITY)", body):
        raise Malformed("a document type or entities; 2030.5 has none")
    if body[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in body[:64]:
        raise Malformed("not UTF-8")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
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
    found: T = _read(root, layout, notes if notes is not None else [], 1)
    return found


def _read(node: Node, layout: Layout, notes: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    values: dict[str, Any] = {}
    given = node.attrib
    if given:
        for name, wire_name, kind in layout.attributes:
            text = given.get(wire_name)
            if text is not None:
                values[name] = kind.read(text.strip())
    elements = layout.elements
    for child in node:
        place = elements.get(child.tag)
        if place is None:
            continue
        name, kind, many = place
        if many:
            _append(values.setdefault(name, []), child, kind, notes, depth)
        else:
            values[name] = _value(child, kind, notes, depth)
    missing = layout.needed - values.keys()
    if missing:
        raise Malformed(f"{layout.tag} without {', '.join(sorted(missing))}")
    for name, value in values.items():
        if type(value) is list:
            values[name] = tuple(value)
    return layout.cls(**values)


def _value(child: Node, kind: Kind, notes: list[str], depth: int) -> Any:
    if kind.record is not None:
        return _read(child, LAYOUTS[kind.record], notes, depth + 1)
    return kind.read((child.text or "").strip())


def _append(items: list[Any], child: Node, kind: Kind, notes: list[str], depth: int) -> None:
    try:
        items.append(_value(child, kind, notes, depth))
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
