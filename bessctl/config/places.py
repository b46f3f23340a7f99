"""Reads a YAML file and remembers where every key stands, so that each error can name file:line:column.

ruamel.yaml's round-trip loader knows line and column of keys and items; we copy its tree into plain dicts and lists beside a table
path -> (line, column). A path is a tuple of keys and indexes, as pydantic reports them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from bessctl.errors import ConfigError, NotReachable

MAX_BYTES = 1 << 20

Path = tuple[str | int, ...]
Finding = tuple[Path, str]
"""What is wrong, and at which key."""
Findings = Iterator[Finding]


@dataclass(frozen=True)
class Tree:
    """A parsed file: plain values and the place of each. Lines and columns count from 1."""

    file: str
    value: Any
    at: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """`file:line:column` of a path; for one that is missing, of the nearest enclosing key that exists."""
        known = path
        while known and known not in self.at:
            known = known[:-1]
        line, column = self.at.get(known, (1, 1))
        return f"{self.file}:{line}:{column}"


def read(file: FilePath) -> Tree:
    """Parse one YAML file. Raises NotReachable when it cannot be read, ConfigError when it is not YAML."""
    try:
        text = file.read_bytes()[: MAX_BYTES + 1]
    except OSError as e:
        raise NotReachable(f"{file}: {e.strerror or e}; name an existing, readable site file") from e
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{file}:1:1", f"larger than {MAX_BYTES} bytes; this is no site file")
    return parse(text, str(file))


def parse(text: bytes | str, file: str) -> Tree:
    """Parse YAML text; `file` names it in errors."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - 40 ms that only reading a site pays
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    loader = YAML(typ="rt", pure=True)
    loader.allow_duplicate_keys = False
    try:
        document = loader.load(text)
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        raise ConfigError(place, f"{_first_line(e)}; correct the YAML here") from e
    except (YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{file}:1:1", f"not a YAML text file: {_first_line(e)}") from e
    tree = Tree(file, None)
    return Tree(file, _plain(document, (), tree.at), tree.at)


def _first_line(error: Exception) -> str:
    problem = getattr(error, "problem", None) or str(error)
    return str(problem).strip().splitlines()[0]


def _plain(node: Any, path: Path, at: dict[Path, tuple[int, int]]) -> Any:
    """Copy ruamel's tree into dicts, lists and plain scalars, noting each place on the way."""
    if isinstance(node, dict):
        marks = node.lc  # type: ignore[attr-defined]
        result = {}
        for key, value in node.items():
            line, column = marks.key(key)
            below = (*path, key)
            at[below] = (line + 1, column + 1)
            result[key] = _plain(value, below, at)
        return result
    if isinstance(node, list):
        marks = node.lc  # type: ignore[attr-defined]
        items = []
        for index, value in enumerate(node):
            line, column = marks.item(index)
            below = (*path, index)
            at[below] = (line + 1, column + 1)
            items.append(_plain(value, below, at))
        return items
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """ruamel's scalars are subclasses that remember how they were written; the model wants the plain ones."""
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
