"""Where mutants are made: a copy of the compiled package, and a tree of sources of which one is changed."""

from __future__ import annotations

import fcntl
import os
import re
import runpy
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tools import shadow
from tools.shadow import CORE, ROOT

if TYPE_CHECKING:
    from Cython.Compiler.Main import CompilationOptions

OUTPUT = ROOT / "build/mutate"
CIMPORT = re.compile(r"^from \S+ cimport (?:\([^)]*\)|.*)$", re.M)
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


class Unexaminable(Exception):
    """The module cannot be built, its tests fail without a mutant, or another run is at it."""


@dataclass
class Workshop:
    """The copy of the package, and a tree of sources of which one is changed."""

    module: str
    lock: IO[str] = field(init=False)
    lib: Path = field(init=False)
    tree: Path = field(init=False)
    translator: Translator = field(init=False)

    def __post_init__(self) -> None:
        self._take()
        self.lib = shadow.copied(OUTPUT / self.module / "lib", {self.module})
        self.tree = OUTPUT / self.module / "source/bessctl_core"
        shutil.rmtree(self.tree, ignore_errors=True)
        for path in CORE.rglob("*"):
            if path.suffix in {".pyx", ".pxd", ".h"} or path.name == "__init__.py":
                target = self.tree / path.relative_to(CORE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        self.translator = Translator(self.tree / f"{self.module}.pyx")

    def _take(self) -> None:
        """Until this process ends the folder is ours: two runs would test each other's mutants."""
        (OUTPUT / self.module).mkdir(parents=True, exist_ok=True)
        self.lock = (OUTPUT / self.module / "lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unexaminable(f"{self.module}: another run is at it") from None

    def build(self, text: str) -> str:
        """Puts the module made from this text into the copy; what the compilers said when they refused."""
        source = self.tree / f"{self.module}.pyx"
        source.write_text(text)
        translated = source.with_suffix(".c")
        said = self.translator.translate(source)
        if said:
            return said
        target = self.lib / "bessctl_core" / f"{self.module}{SUFFIX}"
        include = ["-I", sysconfig.get_paths()["include"], "-I", str(CORE)]
        command = ["gcc", "-shared", "-fPIC", "-O0", "-g0", "-w", "-std=gnu11", *include, str(translated), "-lm", "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr if done.returncode else ""


class Translator:
    """Cython, with what the sources of this tree import read once: a mutant takes a tenth of the time, and gives the same C (compared)."""

    def __init__(self, source: Path) -> None:
        from Cython.Compiler.Main import Context, run_pipeline  # noqa: PLC0415

        self.run, self.root = run_pipeline, source.parent.parent
        imports = source.with_name("imports.pyx")
        imports.write_text("\n".join(CIMPORT.findall(source.read_text())) + "\n")
        options = self._options(imports)
        self.context = Context.from_options(options)
        if self.run(str(imports), options, "bessctl_core.imports", self.context).num_errors:
            raise Unexaminable(f"what {source.name} imports cannot be read")

    def _options(self, source: Path) -> CompilationOptions:
        from Cython.Compiler.Main import CompilationOptions  # noqa: PLC0415

        directives = runpy.run_path(str(ROOT / "setup.py"))["DIRECTIVES"]
        return CompilationOptions(
            compiler_directives=directives, include_path=[str(self.root)], output_file=str(source.with_suffix(".c")), language_level=3
        )

    def translate(self, source: Path) -> str:
        """Writes the .c beside it, in a fork: its faults end nobody else, and the next mutant finds what this one found."""
        child = os.fork()
        if child == 0:
            os._exit(self._translate_here(source))
        _, status = os.waitpid(child, 0)
        return "" if status == 0 else f"cython refused {source.name}"

    def _translate_here(self, source: Path) -> int:
        from Cython.Compiler.Errors import CompileError  # noqa: PLC0415

        quiet()
        try:
            return 1 if self.run(str(source), self._options(source), f"bessctl_core.{source.stem}", self.context).num_errors else 0
        except CompileError:
            return 1


def quiet() -> None:
    """Nobody reads what this process says from here on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
