"""Every static check, in the order of its cost: `make check`, or `make check ARGS="ruff types"` for some.

All of them run, so one look shows all that is wrong; a check that passes is one line, one that fails shows what it said.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTHON = [sys.executable, "-W", "ignore::DeprecationWarning"]

TYPED = [name for name in ("bessctl", "tests", "benches", "tools") if any((ROOT / name).rglob("*.py"))]
STUBS = [
    "--mypy-config-file",
    "pyproject.toml",
    "--allowlist",
    "tools/stubtest_allow.txt",
    "--ignore-unused-allowlist",
    "--ignore-disjoint-bases",
]

CHECKS = {
    "ruff": [str(BIN / "ruff"), "check", "--quiet", "."],
    "format": [str(BIN / "ruff"), "format", "--quiet", "--check", "."],
    "imports": [str(BIN / "lint-imports")],
    "types": [*PYTHON, "-m", "mypy", "--no-error-summary", *TYPED],
    # The .pyi files tell the truth about the compiled modules.
    "stubs": [*PYTHON, "-m", "mypy.stubtest", *STUBS, "bessctl_core"],
    "gate": [*PYTHON, "-m", "tools.gate_calls"],
    "package": [*PYTHON, "-m", "tools.package_check"],
}


def run(name: str) -> bool:
    began = time.monotonic()
    environment = {**os.environ, "MYPYPATH": "core", "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(CHECKS[name], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(f"{name:8} {'FAILED' if done.returncode else 'ok':6} {time.monotonic() - began:6.1f} s", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode == 0


def main(names: list[str]) -> int:
    if unknown := set(names) - set(CHECKS):
        print(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    passed = [run(name) for name in names or CHECKS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
