"""What commands print: data on stdout as a table for people or JSON for programs; everything else goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer


class Output(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="table for people, json for programs.")]


def show(data: Any, output: Output) -> None:
    """One JSON object, or key: value lines."""
    if output is Output.JSON:
        print(json.dumps(data, default=str))
    else:
        print(pairs(data))


def pairs(data: dict[str, Any]) -> str:
    """Aligned `key  value` lines."""
    width = max((len(key) for key in data), default=0)
    return "\n".join(f"{key:<{width}}  {cell(value)}" for key, value in data.items())


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Aligned columns, numbers to the right."""
    names = list(columns or (rows[0] if rows else ()))
    texts = [[cell(row.get(name)) for name in names] for row in rows]
    widths = [max([len(name), *(len(line[k]) for line in texts)]) for k, name in enumerate(names)]
    right = [bool(rows) and all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]
    lines = [names, *texts]
    return "\n".join(
        "  ".join(text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right, strict=True)).rstrip() for line in lines
    )


def cell(value: Any) -> str:
    """One value for a table; a missing one is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def say(message: str) -> None:
    """A diagnostic."""
    print(f"bessctl: {message}", file=sys.stderr)
