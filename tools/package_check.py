"""The way a user gets the product: source distribution -> wheel -> an empty environment, where every compiled module imports.

Also the way we get it: the editable install of this tree imports from anywhere, both packages from here.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).parent / "uv")
IMPORTS = """
import importlib, sys
for name in sys.argv[2:]:
    assert importlib.import_module(name).__file__.startswith(sys.argv[1]), name
"""
SHIPPED = (".pyx", ".pxd", ".pyi", ".h")


# Unoptimised: whether the package is whole does not depend on it, and the compiler is done sooner.
ENVIRONMENT = {**os.environ, "GATE": "1"}


def call(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}")
    return done.stdout


def modules() -> list[str]:
    core = ROOT / "core"
    return [".".join(pyx.relative_to(core).with_suffix("").parts) for pyx in sorted(core.rglob("*.pyx"))]


def lacking(sdist: Path) -> list[str]:
    """What the source distribution should hold and does not, and what it should not and does."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "core").rglob("*") if path.suffix in SHIPPED}
    generated = [f"holds {name}" for name in held if name.endswith((".c", ".so"))]
    return [f"lacks {name}" for name in sorted(wanted - held)] + generated


def imports_all(python: str, home: Path, cwd: Path) -> None:
    """Imports every compiled module with `python`, and holds that they come from below `home`."""
    call(python, "-I", "-c", IMPORTS, str(home), "bessctl", *modules(), cwd=cwd)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        away = Path(directory).resolve()
        imports_all(sys.executable, ROOT, away)
        call(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(away), str(ROOT))
        (sdist,), (wheel,) = away.glob("*.tar.gz"), away.glob("*.whl")
        if found := lacking(sdist):
            raise SystemExit("\n".join((f"{sdist.name}:", *found)))
        call(UV, "venv", "-q", "--python", sys.executable, str(away / "venv"))
        python = str(away / "venv/bin/python")
        call(UV, "--system-certs", "pip", "install", "-q", "--python", python, "--require-hashes", "-r", "requirements/run.lock")
        call(UV, "pip", "install", "-q", "--python", python, "--no-deps", "--no-index", str(wheel))
        imports_all(python, away / "venv", away)
        if (ROOT / "bessctl/cli").exists() or (ROOT / "bessctl/cli.py").exists():
            call(str(away / "venv/bin/bessctl"), "version", cwd=away)
    return 0


if __name__ == "__main__":
    sys.exit(main())
