"""Turns what the model found wrong into sentences: which key, what is wrong, what is allowed, what to do. Pure."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from bessctl.config.places import Path


def dotted(path: Path) -> str:
    """`units[0].name`, as a reader would say it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def nearest(word: str, known: Iterable[str]) -> str:
    """A question after the most similar known word, or the list of what is known."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(words)}"


def sentence(root: type[BaseModel], error: ErrorDetails) -> tuple[Path, str]:
    """The path and the message, without the file's place, for one finding of the model."""
    path = tuple(error["loc"])
    model, spec = _at(root, path)
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return path, f"unknown key; {nearest(str(path[-1]), _keys(model))}"
    if kind == "missing":
        return path, f"required and not there; {_allowed(spec)}; add it"
    if kind == "literal_error":
        return path, f"{value!r} is not one of {', '.join(str(v) for v in _literals(spec))}; {nearest_literal(value, _literals(spec))}"
    return path, f"{_what(kind, value)}; {_allowed(spec)}; correct the value"


def nearest_literal(value: object, known: list[object]) -> str:
    """`did you mean ...?` for a misspelt word, else `choose one`."""
    close = difflib.get_close_matches(str(value), [str(v) for v in known], n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else "choose one of them"


_KIND_WORDS = {
    "float_type": "is not a number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "bool_type": "is neither true nor false",
    "string_type": "is not text",
    "list_type": "is not a list",
    "dict_type": "is not a set of keys",
    "model_type": "is not a set of keys",
    "model_attributes_type": "is not a set of keys",
    "none_required": "is nothing for this row: it may only warn",
    "finite_number": "is not a finite number",
    "string_pattern_mismatch": "is not in the form expected",
    "string_too_long": "is too long",
    "string_too_short": "is empty",
    "too_short": "has too few items",
    "too_long": "has too many items",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
}


def _what(kind: str, value: object) -> str:
    shown = "nothing" if value is None else repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} {_KIND_WORDS.get(kind, f'is refused ({kind})')}"


# --- walking the model ---------------------------------------------------------------------------------------------------------------


def _strip(annotation: Any) -> tuple[Any, list[Any]]:
    """The bare type behind Optional and Annotated, and the ranges found on the way."""
    found: list[Any] = []
    while True:
        if hasattr(annotation, "__metadata__"):
            for meta in annotation.__metadata__:
                found.extend(getattr(meta, "metadata", None) or [meta])
            annotation = annotation.__origin__
        elif get_origin(annotation) in {Union, types.UnionType}:
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation, found


def _field(model: Any, key: str) -> tuple[Any, list[Any]]:
    """Type and ranges of a model's key; (None, []) when it has none of that name."""
    for name, info in getattr(model, "model_fields", {}).items():
        if (info.alias or name) == key:
            bare, found = _strip(info.annotation)
            return bare, [*info.metadata, *found]
    return None, []


def _keys(model: Any) -> list[str]:
    return [info.alias or name for name, info in getattr(model, "model_fields", {}).items()]


def _at(root: type[BaseModel], path: Path) -> tuple[Any, tuple[Any, list[Any]]]:
    """The model that holds the last key of a path, and type and ranges of that key."""
    model: Any = root
    spec: tuple[Any, list[Any]] = (root, [])
    for part in path:
        if isinstance(part, int):
            model, inner = _strip((get_args(spec[0]) or (None,))[0])
            spec = (model, inner)
        else:
            model = spec[0]
            spec = _field(model, part)
    return model, spec


def _literals(spec: tuple[Any, list[Any]]) -> list[object]:
    return list(get_args(spec[0]))


_TYPE_WORDS = {float: "a number", int: "a whole number", str: "text", bool: "true or false", list: "a list", dict: "a set of keys"}


def _allowed(spec: tuple[Any, list[Any]]) -> str:
    """What a key takes: `allowed: a number from 10 to 1000`."""
    bare, metadata = spec
    origin = get_origin(bare) or bare
    if get_args(bare) and origin not in {list, dict}:
        return f"allowed: {', '.join(str(v) for v in get_args(bare))}"
    word = _TYPE_WORDS.get(origin, "a set of keys")
    return f"allowed: {word}{_range(metadata)}"


def _range(metadata: list[Any]) -> str:
    lo = hi = pattern = ""
    for meta in metadata:
        if isinstance(meta, annotated_types.Ge):
            lo = f" from {meta.ge:g}"
        elif isinstance(meta, annotated_types.Gt):
            lo = f" above {meta.gt:g}"
        elif isinstance(meta, annotated_types.Le):
            hi = f" to {meta.le:g}"
        elif isinstance(meta, annotated_types.Lt):
            hi = f" below {meta.lt:g}"
        elif isinstance(meta, annotated_types.MinLen):
            pattern += f", at least {meta.min_length} long"
        elif isinstance(meta, annotated_types.MaxLen):
            pattern += f", at most {meta.max_length} long"
        elif getattr(meta, "pattern", None):
            pattern += f" of the form {meta.pattern}"
    return lo + hi + pattern
