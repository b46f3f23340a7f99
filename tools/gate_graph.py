"""The call graph that gcc writes with -fcallgraph-info=su, all modules in one.

gcc sees one file at a time, and a call through a pointer only as such. Cython makes one kind of those: a function of another module is
called through a variable named like that function. These are read from the line of C that the edge names and become ordinary edges, so the
walk goes on in the other module. Any other call through a pointer stays what it is, and the gate refuses it.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

POINTER = "a call through a pointer"

_NODE = re.compile(r'node: \{ title: "(?P<title>[^"]+)" label: "(?P<label>[^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "(?P<source>[^"]+)" targetname: "(?P<target>[^"]+)"(?: label: "[^"]+:(?P<line>\d+):\d+")?')
_FRAME = re.compile(r"\\n(?P<bytes>\d+) bytes \((?P<kind>[^)]+)\)")
_IMPORTED = re.compile(r"^static .*\(\*(?P<name>__pyx_f_\w+)\)\(")
_CALLED = re.compile(r"\b(__pyx_f_\w+)\(")


@dataclass
class Graph:
    """`calls`: who calls whom. `frame_bytes`: the stack of each function that has a body. `unbounded`: frames of no fixed size."""

    calls: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    frame_bytes: dict[str, int] = field(default_factory=dict)
    unbounded: set[str] = field(default_factory=set)

    def read(self, ci: Path, c: Path, home: dict[str, str]) -> None:
        """Adds one module: the graph `ci` of the C file `c`. `home`: the node of each function that has its body in a module of ours."""
        by_pointer: Counter[tuple[str, int]] = Counter()
        for text in ci.read_text().splitlines():
            if node := _NODE.match(text):
                self._add_frame(node["title"], node["label"])
            elif (edge := _EDGE.match(text)) and edge["target"] == "__indirect_call":
                by_pointer[edge["source"], int(edge["line"])] += 1
            elif edge:
                self.calls[edge["source"]].add(edge["target"])
        lines = c.read_text().splitlines()
        imported = {match["name"] for text in lines if (match := _IMPORTED.match(text))}
        for (source, line), count in by_pointer.items():
            names = [name for name in _CALLED.findall(lines[line - 1]) if name in imported]
            followed = {home.get(name, name) for name in names}
            self.calls[source] |= followed if len(names) == count else {*followed, f"{POINTER} ({c.name}:{line})"}

    def _add_frame(self, title: str, label: str) -> None:
        if frame := _FRAME.search(label):
            self.frame_bytes[title] = int(frame["bytes"])
            if frame["kind"] == "dynamic":
                self.unbounded.add(title)
