"""Builds the extension modules of core/ and nothing else; every other word about the package is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
CORE = HERE / "core"

# GATE=1 builds for the call-graph gate (tools/gate_calls.py): unoptimised, so that every call a reader sees is a call in the graph.
# COVERAGE=1 builds for branch coverage by gcov. Neither is ever installed.
# MODULES="ring sim/pcs" builds these alone. MODULES=none builds none: `make build` has put them in place before it installs the project.
FLAGS = {
    "release": ["-O2", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"],
    "gate": ["-O0", "-g0", "-fcallgraph-info=su"],
    "coverage": ["-O0", "-g0", "--coverage"],
}
KIND = "gate" if os.environ.get("GATE") else "coverage" if os.environ.get("COVERAGE") else "release"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
    "autotestdict": False,
}


def extension(pyx: Path) -> Extension:
    name = ".".join(pyx.relative_to(CORE).with_suffix("").parts)
    return Extension(
        name,
        [str(pyx.relative_to(HERE))],
        include_dirs=["core/bessctl_core"],
        depends=["setup.py", *(str(header.relative_to(HERE)) for header in sorted(CORE.rglob("*.h")))],
        extra_compile_args=["-std=gnu11", "-Wall", "-Wno-unused-function", *FLAGS[KIND]],
        extra_link_args=["--coverage"] if KIND == "coverage" else [],
        libraries=["m"],
    )


def sources() -> list[Path]:
    named = os.environ.get("MODULES", "").split()
    found = sorted(CORE.rglob("*.pyx"))
    return [pyx for pyx in found if not named or str(pyx.relative_to(CORE / "bessctl_core").with_suffix("")) in named]


def extensions() -> list[Extension]:
    if not (wanted := sources()):
        return []
    return cythonize(
        [extension(pyx) for pyx in wanted],
        build_dir=f"build/cython-{KIND}",
        include_path=["core"],
        compiler_directives=DIRECTIVES,
        nthreads=int(os.environ.get("CYTHON_THREADS", "0")),
    )


if __name__ == "__main__":
    setup(ext_modules=extensions())
