"""What a module declares, asked of Cython's own front end: the C names of its functions, which of them are nogil, which may raise.

The generated C cannot tell: a function that holds the GIL and one that does not carry the same prefix there.
"""

import runpy
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Cython.Compiler import Pipeline
from Cython.Compiler.Main import CompilationOptions, Context, create_default_resultobj, default_options, setup_source_object


@dataclass(frozen=True)
class Function:
    """One cdef or cpdef function with a body of ours. `where` is file:line of its declaration."""

    c_name: str
    nogil: bool
    raises: bool
    where: str


def functions(root: Path, pyx: str) -> list[Function]:
    """The functions of the module `pyx`, a path below `root`; a source that does not compile ends the program with Cython's own words."""
    with chdir(root):
        scope = _analysed(pyx, runpy.run_path("setup.py")["DIRECTIVES"]).scope
    scopes = [scope, *(entry.type.scope for entry in scope.c_class_entries)]
    return [_function(entry) for scope in scopes for entry in scope.cfunc_entries if (entry.func_cname or "").startswith("__pyx_f_")]


def _analysed(pyx: str, directives: dict[str, Any]) -> Any:
    options = CompilationOptions(default_options, include_path=["core"], compiler_directives=directives)
    options.configure_language_defaults("pyx")
    context = Context.from_options(options)
    source = setup_source_object(pyx, ".pyx", None, options, context)
    result = create_default_resultobj(source, options)
    stages = Pipeline.create_pyx_pipeline(context, options, result)[:-1]  # all but writing the C
    context.setup_errors(options, result)
    error, tree = Pipeline.run_pipeline(stages, source)
    if error is not None:
        raise SystemExit(f"{pyx} does not compile")
    return tree


def _function(entry: Any) -> Function:
    raises = entry.type.exception_check or entry.type.exception_value is not None
    return Function(entry.func_cname, bool(entry.type.nogil), bool(raises), f"{entry.pos[0].get_description()}:{entry.pos[1]}")
