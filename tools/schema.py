"""All mutants of a module in one program: each function once as it is and once for each of its mutants, and a number says which is called.
Pure.

So a module is translated and compiled once, and a mutant costs a fork. Constants at the top get their other value by assignment. Those of
an enumeration are fixed when the program is made: they are left out, and made one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tools.mutants import Mutant

BECOME = "mutants_become"
"""The function of the module that takes the number; 0: as it is."""
VARIABLE = "MUTANT_NUMBER"
"""And the variable of the environment from which a process that a test starts takes it."""

_NUMBER = "MUTANT_NUMBER"
_START = re.compile(r"cdef\b.*?\b(\w+)\(")
_VALUE = re.compile(r"cdef .*?\b([A-Z][A-Z0-9_]*) = ")
_NAME = re.compile(r"(\w+)\s*$")


@dataclass(frozen=True, slots=True)
class Function:
    """Lines [first, end) of a module; its header ends before `body`."""

    name: str
    first: int
    body: int
    end: int


def functions(lines: list[str]) -> Iterator[Function]:
    """Those of C, in the order of their lines."""
    number = 0
    while number < len(lines):
        first, started = number, _START.match(lines[number])
        number += 1
        if not started:
            continue
        while not lines[number - 1].split("#")[0].rstrip().endswith(":"):
            number += 1
        body = number
        while number < len(lines) and not re.match(r"\S", lines[number]):
            number += 1
        yield Function(started[1], first, body, number)


def arguments(header: str) -> str:
    """The names that a function's header gives its arguments."""
    inside = header[header.index("(") + 1 : header.rindex(")")]
    return ", ".join(_NAME.findall(one)[0] for one in inside.split(",") if one.strip())


def together(text: str, numbered: Iterable[tuple[int, Mutant]]) -> tuple[str, set[int]]:
    """The module with these mutants in it, and which of them are."""
    lines, asked = text.splitlines(keepends=True), list(numbered)
    made, values, taken, last = [], [], set(), 0
    for function in functions(lines):
        inside = [(number, mutant) for number, mutant in asked if function.body < mutant.line <= function.end]
        made += [*lines[last : function.first], *([f"cdef int {_NUMBER} = 0\n\n\n"] if last == 0 else [])]
        made += list(_variants(lines, function, inside))
        taken |= {number for number, _ in inside}
        last = function.end
    for number, mutant in asked:
        line = mutant.applied(text).splitlines()[mutant.line - 1]
        if value := _VALUE.match(line):
            values.append((number, value[1], line[value.start(1) :]))
            taken.add(number)
    return "".join([*made, *lines[last:], "\n\n", *_become(values)]), taken


def _variants(lines: list[str], function: Function, inside: list[tuple[int, Mutant]]) -> Iterator[str]:
    header, body = "".join(lines[function.first : function.body]), lines[function.body : function.end]
    if not inside:
        yield header + "".join(body)
        return
    rest = header[header.index(f"{function.name}(") :]
    before = header[: -len(rest)]
    names, gives = arguments(header), "" if re.search(r"\bvoid $", before) else "return "
    for number, mutant in [(0, None), *inside]:
        changed = body if mutant is None else mutant.applied("".join(lines)).splitlines(keepends=True)[function.body : function.end]
        yield before + rest.replace(function.name, f"{function.name}__{number}", 1) + "".join(changed).rstrip() + "\n\n\n"
    yield header
    for number, _ in inside:
        yield f"    if {_NUMBER} == {number}:\n        {gives}{function.name}__{number}({names})\n"
        yield "" if gives else "        return\n"
    yield f"    {gives}{function.name}__0({names})\n\n\n"


def _become(values: list[tuple[int, str, str]]) -> Iterator[str]:
    names = ", ".join([_NUMBER, *sorted({name for _, name, _ in values})])
    yield f"def {BECOME}(int number):\n    global {names}\n    {_NUMBER} = number\n"
    for number, _, line in values:
        yield f"    if number == {number}:\n        {line.split('#')[0].rstrip()}\n"
    yield f'\n\nimport os\n{BECOME}(int(os.environ.get("{VARIABLE}", "0")))\n'
