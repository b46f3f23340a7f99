"""The rules of the house that a machine can hold: layout, names, sizes, imports, licence, versions."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import bessctl
from tools.gate_calls import loop_modules

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "core/bessctl_core"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_OURS = {"build", "dist", "__pycache__"}
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50


def tree(*suffixes: str, under: str = "") -> Iterator[Path]:
    """The files of the project, without what is generated."""
    for path in sorted((ROOT / under).rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part in NOT_OURS or (part.startswith(".") and part != ".ci") or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and path.suffix in suffixes:
            yield path


def sources(*suffixes: str) -> list[Path]:
    return [*tree(*suffixes, under="bessctl"), *tree(*suffixes, under="core")]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """Every module that a Python file imports, at the top or inside, by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_version_is_told_in_one_voice() -> None:
    assert bessctl.__version__ == PROJECT["version"]


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imported(ROOT / "bessctl/__init__.py")), "the command line must answer at once"


@pytest.mark.parametrize("pyx", [*tree(".pyx", under="core")], ids=name_of)
def test_every_compiled_module_has_its_stub(pyx: Path) -> None:
    assert pyx.with_suffix(".pyi").exists()


def test_every_compiled_module_is_said_to_be_of_the_loop_or_not() -> None:
    listed = loop_modules(ROOT / "tools/loop_modules.txt")
    present = {str(pyx.relative_to(CORE).with_suffix("")) for pyx in CORE.rglob("*.pyx")}
    assert present - set(listed) == set(), "give each a line in tools/loop_modules.txt"
    assert set(listed) - present == set(), "take out of tools/loop_modules.txt what is gone"
    assert set(listed.values()) <= {"loop", "other"}


def test_the_core_is_reached_by_corelink_and_the_plant_by_sim() -> None:
    for path in tree(".py", under="bessctl"):
        reached = {name for name in imported(path) if name.split(".")[0] == "bessctl_core"}
        if name_of(path).startswith("bessctl/sim/"):
            reached = {name for name in reached if not name.startswith("bessctl_core.sim")}
        if name_of(path) not in {"bessctl/corelink.py"} and not name_of(path).startswith("bessctl/corelink/"):
            assert not reached, name_of(path)


def test_the_core_imports_nothing_of_the_supervisor() -> None:
    for path in tree(".pyx", ".pxd", under="core"):
        assert not re.search(r"^\s*(from|import|cimport)\s+bessctl\b", path.read_text(), re.MULTILINE), name_of(path)


@pytest.mark.parametrize("path", sources(".py", ".pyx"), ids=name_of)
def test_a_module_is_one_job(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", sources(".py"), ids=name_of)
def test_a_function_is_short(path: Path) -> None:
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX] == []


MODELS = [*(ROOT / "tests/properties").glob("model*.py")]


@pytest.mark.parametrize("path", MODELS, ids=name_of)
def test_the_model_of_the_core_knows_nothing_of_the_core(path: Path) -> None:
    """It is plain Python and itself, and nothing else; not the rig either, which speaks the core's numbers."""
    assert len(MODELS) >= 5
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], "by its full name"
    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert not {"__import__", "exec", "eval"} & set(calls)
    own = tuple(f"tests.properties.{other.stem}." for other in MODELS)
    others = [
        name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names - {"importlib"} and not name.startswith(own)
    ]
    assert others == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|for now|placeholder)\b")
    found = [name_of(path) for path in sources(".py", ".pyx", ".pxd", ".pyi", ".h") if later.search(path.read_text())]
    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(" + "|".join(("root", "work", "home", "Users")) + r")/\w")
    text = (".py", ".pyx", ".pxd", ".pyi", ".h", ".md", ".toml", ".txt", ".in", ".lock", ".yaml", ".json", "")
    found = [name_of(path) for path in tree(*text) if machine.search(path.read_text(errors="replace"))]
    assert found == []


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no repository to ask")
def test_no_source_is_kept_out_of_the_repository() -> None:
    written = [name_of(path) for path in tree(".c", ".h", ".py", ".pyx", ".pxd", ".pyi", ".md", ".yaml", ".json", ".txt", ".lock")]
    told = subprocess.run(["git", "check-ignore", "--no-index", *written], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout.split()) == (1, []), told.stderr or "an exception is missing in .gitignore"


@pytest.mark.parametrize("lock", ["tools", "run", "dev"])
def test_a_lock_has_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    pins = re.findall(r"^([\w.-]+)==\S+(.*)\\$", text, re.MULTILINE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?://|--index-url|--find-links|file:", text)


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_a_lock_holds_every_dependency(lock: str) -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / f"requirements/{lock}.lock").read_text(), re.MULTILINE))
    extras = [] if lock == "run" else [name for group in PROJECT["optional-dependencies"].values() for name in group]
    wanted = {re.split(r"[<>=!~ \[]", name)[0].lower().replace(".", "-") for name in [*PROJECT["dependencies"], *extras]}
    assert wanted - pinned == set(), "run `make lock`"
