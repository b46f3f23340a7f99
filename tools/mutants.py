"""Which small mistakes one could have made in a .pyx: each comparison, sign and threshold of its functions the other way, once. Pure.

comparison   a < b becomes a >= b, and so on; `is` and `in` are left alone
sign         + becomes -, += becomes -=, and the other way round; a leading minus is dropped
threshold    a number in a function, in a constant or in an enumeration at the top, becomes another one
choice       min becomes max, `and` becomes `or`, `not` is dropped, True becomes False

What it does not see: sizes of arrays and indexes; factors and bits (`*`, `/`, `&`, `|`, `~`, hexadecimal numbers); a call
or an assignment left out; and what stands in a .pxd: shapes, and the codes of the layout. A threshold belongs into the .pyx.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
SIGNS = {"+": "-", "-": "+", "+=": "-=", "-=": "+="}
CHOICES = {"min": "max", "max": "min", "and": "or", "or": "and", "True": "False", "False": "True"}

# Types in casts and declarations: their angle brackets are no comparisons.
_CAST = re.compile(r"<\s*(?:const\s+)?[A-Za-z_]\w*(?:\s*\[\s*\w*\s*\])?\s*\**\s*>(?=\s*[\w&(~-])")
_TYPES = r"(?:u?int\d*(?:_t)?|double|float|bint|char|long|[A-Z]\w+|const\s+[\w]+)"
_CONSTANT = re.compile(rf"^cdef {_TYPES} [A-Z][A-Z0-9_]* = ")
_ENUMERATION = re.compile(r"^cdef enum\b.*:")
_ENUMERATOR = re.compile(r"^ +[A-Z][A-Z0-9_]* = \d+\b")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the text from `column` on, in this line, becomes `new`."""

    line: int
    column: int
    old: str
    new: str
    kind: str

    def applied(self, text: str) -> str:
        """The source with this change."""
        lines = text.splitlines(keepends=True)
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.column] + self.new + line[self.column + len(self.old) :]
        return "".join(lines)

    def told(self, text: str) -> str:
        """`12: old line -> what stands there instead`."""
        return f"{self.line}:{self.column}: {self.kind} {self.old!r} -> {self.new!r} in: {text.splitlines()[self.line - 1].strip()}"

    def key(self, text: str) -> str:
        """A name that survives lines moving: the change and the line's own text."""
        line = text.splitlines()[self.line - 1]
        return f"{self.old} -> {self.new} @ {line[: self.column].strip()} | {line.strip()}"


def masked(text: str) -> str:
    """The source with casts blanked out, every other character where it was."""
    return _CAST.sub(lambda match: " " * len(match[0]), text)


def bodies(text: str) -> set[int]:
    """Lines inside functions and enumerations, their headers excepted, and constants at the top."""
    inside: set[int] = set()
    header = in_function = False
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#")[0].rstrip()
        if header:
            header = not bare.endswith(":")
        elif re.match(r"(cdef|cpdef|def)\b.*\(", line):
            in_function, header = True, not bare.endswith(":")
        elif re.match(r"\S", line):
            in_function = _ENUMERATION.match(line) is not None
            if _CONSTANT.match(line):
                inside.add(number)
        elif in_function and bare:
            inside.add(number)
    return inside


def mutants(text: str) -> Iterator[Mutant]:
    """Every mutant of a .pyx, in the order of its lines."""
    lines = bodies(text)
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(masked(text)).readline) if t.type not in (tokenize.COMMENT, tokenize.NL)]
    for index, token in enumerate(tokens):
        if token.start[0] in lines and (made := _mutant(tokens, index)) is not None:
            yield made


def named(text: str) -> Iterator[tuple[str, Mutant]]:
    """Every mutant with a name of its own: of lines that are alike, the second and later are numbered."""
    count: Counter[str] = Counter()
    for mutant in mutants(text):
        key = mutant.key(text)
        count[key] += 1
        yield (key if count[key] == 1 else f"{key} ({count[key]})"), mutant


def _mutant(tokens: list[tokenize.TokenInfo], index: int) -> Mutant | None:
    token, before, after = tokens[index], tokens[index - 1], tokens[min(index + 1, len(tokens) - 1)]
    line, column = token.start
    word = token.string
    if word in COMPARISONS:
        return Mutant(line, column, word, COMPARISONS[word], "comparison")
    if word in SIGNS:
        return _sign(token, before)
    if word in CHOICES and (word not in ("min", "max") or after.string == "("):
        return Mutant(line, column, word, CHOICES[word], "choice")
    if word == "not" and before.string != "is" and after.string != "in":
        return Mutant(line, column, word, "", "choice")
    if token.type == tokenize.NUMBER and _is_threshold(tokens, index):
        return Mutant(line, column, word, _other(word), "threshold")
    return None


def _sign(token: tokenize.TokenInfo, before: tokenize.TokenInfo) -> Mutant:
    line, column = token.start
    leading = not (before.type in (tokenize.NAME, tokenize.NUMBER) or before.string in (")", "]")) or before.string in (
        "return", "else", "if", "and", "or", "not", "in",
    )  # fmt: skip
    return Mutant(line, column, token.string, "" if leading and token.string == "-" else SIGNS[token.string], "sign")


def _is_threshold(tokens: list[tokenize.TokenInfo], index: int) -> bool:
    """Indexes and sizes of arrays are none; neither are bare zeros, whose comparison or sign is mutated already, unless
    they have a name."""
    token, before, after = tokens[index], tokens[index - 1], tokens[index + 1]
    if before.string == "[" or after.string == "]":
        return False
    if not _is_decimal(token.string):
        return False
    return float(token.string.replace("_", "")) != 0 or _ENUMERATOR.match(token.line) is not None


def _is_decimal(text: str) -> bool:
    return re.fullmatch(r"[\d_]+(\.\d+)?([eE][+-]?\d+)?", text) is not None


def _other(number: str) -> str:
    value = number.replace("_", "")
    return str(int(value) + 1 if int(value) < 10 else 2 * int(value)) if value.isdigit() else repr(2 * float(value))
