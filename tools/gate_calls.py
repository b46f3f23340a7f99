"""The GIL gate: nothing the tick may call waits for the GIL, allocates, recurses or leaves the short list of system calls below.

    python -m tools.gate_calls

It builds the modules that tools/loop_modules.txt calls `loop`, unoptimised and apart from the product, and refuses
- a performance hint of Cython in them: it is Cython's word that a call will take the GIL;
- a nogil function that may raise (`noexcept` is missing): its callers take the GIL to ask;
- any call, reached from any nogil function of theirs, of a function that has no body of ours and is not listed; Python's API never is;
- recursion, a frame of no fixed size, a call through a pointer that cannot be followed;
- a table in which nothing is left to walk.
Then it prints the deepest stack. A search of the text would not do: the calls that hurt are written by Cython and lie in callees.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tools.gate_declared import functions
from tools.gate_graph import POINTER, Graph

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("core/bessctl_core")
C_FILES = Path("build/cython-gate")
OBJECTS = Path("build/gate/objects")

# Bounded, or non-blocking as we use them (sockets and terminals are opened O_NONBLOCK; the two that sleep have a deadline).
ALLOWED = frozenset(
    name
    for group in (
        ("clock_gettime", "clock_nanosleep", "ppoll"),
        ("socket", "connect", "close", "shutdown", "send", "recv", "read", "write"),
        ("getsockopt", "setsockopt", "getsockname", "getpeername", "inet_pton", "htons", "ntohs", "htonl", "ntohl"),
        ("open", "fcntl", "ioctl", "flock", "fstat", "gnu_dev_major", "tcgetattr", "tcsetattr", "tcflush", "cfsetispeed", "cfsetospeed"),
        ("memcpy", "memmove", "memset", "memcmp", "strlen", "__errno_location"),
        # Debian's flags guard the stack: called only when it is already overrun, and ends the process.
        ("__stack_chk_fail",),
        ("fabs", "fmin", "fmax", "sqrt", "hypot", "floor", "ceil", "trunc", "round", "rint", "nearbyint", "lround", "llround", "copysign"),
    )
    for name in group
)
_PYTHON = re.compile(r"_?Py[A-Z_]")
_HINT = re.compile(r"performance hint: (?P<file>[^:]+):.*")


def loop_modules(table: Path) -> dict[str, str]:
    """Module -> side, as the table says. Names are relative to bessctl_core."""
    rows = [line.split("#")[0].split(maxsplit=2) for line in table.read_text().splitlines()]
    return {row[0]: row[1] for row in rows if row}


@dataclass
class Gate:
    """What was found, and the walk's memory. `depth_bytes`: the deepest stack below each function walked."""

    graph: Graph = field(default_factory=Graph)
    roots: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    depth_bytes: dict[str, int] = field(default_factory=dict)

    def walk(self, node: str, path: tuple[str, ...] = ()) -> int:
        """The deepest stack from `node` down in bytes; notes what must not be there, once for each caller."""
        here = (*path, node)
        if node in path:
            self.note("recursion", here)
            return 0
        if node in self.depth_bytes:
            return self.depth_bytes[node]
        if node in self.graph.unbounded:
            self.note("a stack frame of no fixed size", here)
        below = [self._visit(target, here) for target in sorted(self.graph.calls.get(node, ()))]
        self.depth_bytes[node] = self.graph.frame_bytes[node] + max(below, default=0)
        return self.depth_bytes[node]

    def _visit(self, target: str, path: tuple[str, ...]) -> int:
        name = _bare(target)
        if target.startswith(POINTER):
            self.note("cannot be followed", (*path, target))
        elif name.startswith("__pyx_f_") and target not in self.graph.frame_bytes:
            self.note("a function of no loop module", (*path, target))
        elif _PYTHON.match(name) or (target not in self.graph.frame_bytes and _libc(name) not in ALLOWED):
            self.note("not on the list of calls", (*path, target))
        elif target in self.graph.frame_bytes:
            return self.walk(target, path)
        return 0

    def note(self, what: str, path: tuple[str, ...]) -> None:
        self.findings.append(f"{what}: {' -> '.join(_bare(node) for node in path)}")


def _bare(title: str) -> str:
    """`dir/module.c:function` -> `function`."""
    return title if title.startswith(POINTER) else title.rsplit(":", 1)[-1]


def _libc(name: str) -> str:
    """The name C knows a call by: `*open64` is open() where files may be large."""
    return name.removeprefix("__builtin_").removeprefix("*").removesuffix("64")


def build(root: Path, modules: list[str]) -> str:
    """Compiles afresh, so that no hint is lost to an up-to-date file; what the compilers said."""
    for old in (C_FILES, OBJECTS.parent):
        shutil.rmtree(root / old, ignore_errors=True)
    environment = {**os.environ, "GATE": "1", "MODULES": " ".join(modules), "CYTHON_THREADS": str(os.cpu_count())}
    environment["CCACHE_DISABLE"] = "1"  # a compiler cache keeps the object alone and loses the call graph
    command = [sys.executable, "setup.py", "-q", "build_ext", "--parallel", str(os.cpu_count())]
    command += ["--build-lib", "build/gate/modules", "--build-temp", str(OBJECTS)]
    done = subprocess.run(command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nthe build for the gate failed")
    return done.stdout


def examine(root: Path, modules: list[str]) -> Gate:
    """Builds and walks these modules, given as paths below bessctl_core without suffix."""
    gate = Gate()
    sources = {name: C_FILES / PACKAGE / f"{name}.c" for name in modules}
    found = {name: functions(root, str(PACKAGE / f"{name}.pyx")) for name in modules}
    gate.findings += [
        f"{name}: no nogil function in it, so it is no loop module" for name in modules if not any(f.nogil for f in found[name])
    ]
    gate.findings += [f"{f.where}: nogil, but not noexcept: {f.c_name}" for name in modules for f in found[name] if f.nogil and f.raises]
    gate.findings += _hints(build(root, modules), modules)
    home = {f.c_name: f"{sources[name]}:{f.c_name}" for name in modules for f in found[name] if f.nogil}
    for source in sources.values():
        graph = root / OBJECTS / source.with_suffix(".ci")
        if not graph.exists():
            raise SystemExit(f"the compiler wrote no {graph.name}: the gate needs gcc 10 or newer, and no cache before it")
        gate.graph.read(graph, root / source, home)
    gate.roots = [title for title in home.values() if title in gate.graph.frame_bytes]
    if not gate.roots:
        gate.findings.append("no function to walk from: the gate would hold nothing")
    for title in gate.roots:
        gate.walk(title)
    return gate


def _hints(output: str, modules: list[str]) -> list[str]:
    files = {str(PACKAGE / name) for name in modules}
    return [hint[0] for hint in _HINT.finditer(output) if str(Path(hint["file"]).with_suffix("")) in files]


def main() -> int:
    table = loop_modules(ROOT / "tools/loop_modules.txt")
    gate = examine(ROOT, [name for name, side in table.items() if side == "loop"])
    for finding in gate.findings:
        print(finding, file=sys.stderr)
    deepest = max(gate.roots, key=gate.depth_bytes.__getitem__, default="")
    print(f"gate: {len(gate.roots)} functions, deepest stack {gate.depth_bytes.get(deepest, 0)} B (unoptimised) from {_bare(deepest)}")
    return 1 if gate.findings else 0


if __name__ == "__main__":
    sys.exit(main())
