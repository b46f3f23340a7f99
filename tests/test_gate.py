"""The GIL gate (tools/gate_calls.py) is shown what it must refuse, each offence planted in a small tree, and what it must let pass."""

import re
import shutil
from pathlib import Path

import pytest

from tools import gate_calls
from tools.gate_calls import Gate

ROOT = Path(__file__).resolve().parent.parent

# Module -> source. `clean` is what a loop module looks like; each other one breaks one rule.
PLANTED = {
    "clean": """
from libc.math cimport fabs
from libc.string cimport memset
cdef extern from "ours.h" nogil:
    double halved(double x) noexcept
cdef double magnitude(double x) noexcept nogil:
    return fabs(halved(x))
cdef double cleared(double *x) noexcept nogil:
    memset(x, 0, sizeof(double))
    return magnitude(x[0])
cdef list holds_the_gil(double x):
    return [cleared(&x)]
def from_python(double x):
    return holds_the_gil(x)
""",
    "across": """
from .clean cimport magnitude, inlined
cdef double calls_another_module(double x) noexcept nogil:
    return magnitude(x) + inlined(magnitude(x))
""",
    "allocates": """
from libc.stdlib cimport malloc
cdef void *reached() noexcept nogil:
    return malloc(8)
cdef void *start() noexcept nogil:
    return reached()
""",
    "raises": """
cdef double ratio(double a, double b) nogil:
    return a / b
cdef double start(double a) noexcept nogil:
    return ratio(a, 2)
""",
    "hinted": """
cdef void late(double *x) nogil:
    x[0] = 0
cdef void start(double *x) noexcept nogil:
    late(x)
""",
    "python": """
cdef void start(int n) noexcept nogil:
    with gil:
        print(n)
""",
    "recurses": """
cdef int even(int n) noexcept nogil:
    return 1 if n == 0 else odd(n - 1)
cdef int odd(int n) noexcept nogil:
    return 0 if n == 0 else even(n - 1)
""",
    "pointer": """
ctypedef double (*law)(double) noexcept nogil
cdef double start(law chosen, double x) noexcept nogil:
    return chosen(x)
""",
    "grows": """
cdef extern from "ours.h" nogil:
    int on_the_stack(int n) noexcept
cdef int start(int n) noexcept nogil:
    return on_the_stack(n)
""",
    "outside": """
from .other cimport not_walked
cdef double start(double x) noexcept nogil:
    return not_walked(x)
""",
    "idle": """
def nothing_for_the_tick():
    return 0
""",
}
OTHER = "cdef double not_walked(double x) noexcept nogil:\n    return x\n"
DECLARED = {
    "clean.pxd": "cdef double magnitude(double x) noexcept nogil\ncdef inline double inlined(double x) noexcept nogil:\n    return 2 * x\n",
    "other.pxd": "cdef double not_walked(double x) noexcept nogil\n",
    "ours.h": """
static inline double halved(double x) { return x / 2; }
static inline int on_the_stack(int n) { volatile char row[n]; row[0] = 1; return row[0]; }
""",
}


def plant(root: Path, modules: dict[str, str]) -> Path:
    package = root / "core/bessctl_core"
    package.mkdir(parents=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    (package / "__init__.py").touch()
    for name, text in {f"{module}.pyx": source for module, source in modules.items()}.items() | DECLARED.items():
        (package / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    root = plant(tmp_path_factory.mktemp("planted"), {**PLANTED, "other": OTHER})
    return gate_calls.examine(root, list(PLANTED))


@pytest.mark.parametrize(
    ("module", "finding"),
    [
        ("allocates", "not on the list of calls: .*_reached -> malloc"),
        ("raises", "bessctl_core/raises.pyx:2: nogil, but not noexcept: .*_ratio"),
        ("hinted", "performance hint: core/bessctl_core/hinted.pyx:.*GIL"),
        ("raises", "not on the list of calls: .*_start .*-> PyGILState_Ensure"),
        ("python", "not on the list of calls: .*_start -> .*PyGILState_Ensure"),
        ("recurses", "recursion: .*_even -> .*_odd -> .*_even"),
        ("pointer", "cannot be followed: .*_start -> a call through a pointer"),
        ("grows", "a stack frame of no fixed size: .*_start -> on_the_stack"),
        ("outside", "a function of no loop module: .*_start -> .*_not_walked"),
        ("idle", "idle: no nogil function in it"),
    ],
)
def test_what_the_tick_must_not_do_is_refused(gate: Gate, module: str, finding: str) -> None:
    assert [line for line in gate.findings if module in line and re.match(finding, line)], "\n".join(gate.findings)


def test_clean_modules_pass_with_functions_that_hold_the_gil_left_alone(gate: Gate) -> None:
    assert not [line for line in gate.findings if "clean" in line or "across" in line]


def test_the_walk_goes_on_in_the_other_module(gate: Gate) -> None:
    (caller,) = (root for root in gate.roots if root.endswith("calls_another_module"))
    (callee,) = (root for root in gate.roots if root.endswith("_magnitude"))
    assert callee in gate.graph.calls[caller]
    assert gate.depth_bytes[caller] == gate.graph.frame_bytes[caller] + gate.depth_bytes[callee]


def test_a_table_with_nothing_to_walk_is_refused(tmp_path: Path) -> None:
    gate = gate_calls.examine(plant(tmp_path, {"idle": PLANTED["idle"]}), ["idle"])
    assert "no function to walk from: the gate would hold nothing" in gate.findings
