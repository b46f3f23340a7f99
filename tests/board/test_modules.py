"""A module is the same wherever it was built: a header's assertion names its file, but not where the tree lay, nor the line (CARD-4)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from board.image.wheels import nowhere

HEADER = "#include <assert.h>\nstatic inline int positive(int x) { assert(x > 0); return x; }\n"
SOURCE = '#include "checked.h"\nint twice(int x) { assert(x < 9); return 2 * positive(x); }\n'


def built(tree: Path, flags: list[str], source: str = SOURCE) -> bytes:
    (tree / "sysroot").mkdir(parents=True, exist_ok=True)
    (tree / "sysroot/checked.h").write_text(HEADER)
    (tree / "module.c").write_text(source)
    out = tree / "module.so"
    paths = ["-I", str(tree / "sysroot"), "-o", str(out), str(tree / "module.c")]
    subprocess.run(["gcc", "-w", "-O2", "-g0", "-fPIC", "-shared", *flags, *paths], check=True)
    return out.read_bytes()


def test_two_trees_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert built(one, []) != built(two, []), "without the flags it does say so"
    assert built(one, nowhere(one, one / "sysroot")) == built(two, nowhere(two, two / "sysroot"))


def test_a_comment_more_in_the_generated_source_gives_the_same_bytes(tmp_path: Path) -> None:
    """rt.c of one commit in two trees: eight lines of comment more in one, and each error after them named another line."""
    flags = nowhere(tmp_path, tmp_path / "sysroot")
    longer = SOURCE.replace("int twice", "/* of the line\n * before\n */\nint twice")
    assert built(tmp_path, flags, longer) == built(tmp_path, flags)
    assert built(tmp_path, flags[1:], longer) != built(tmp_path, flags[1:])
