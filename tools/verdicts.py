"""What became of each mutant: kept per module under build/mutate, and told in docs/mutation.md."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

from tools.mutants import named
from tools.shadow import CORE, ROOT

EQUAL = ROOT / "tools/mutants_equal.txt"
NOTICED, SURVIVED, UNBUILDABLE, UNENDING = "noticed", "survived", "no program", "no end"


def equal_ones() -> dict[tuple[str, str], str]:
    """(module, name) -> why this mutant cannot be told from the original. Lines: `module: name  # reason`."""
    found = {}
    for line in EQUAL.read_text().splitlines() if EQUAL.exists() else ():
        if line.strip() and not line.startswith("#"):
            what, _, reason = line.rpartition("  # ")
            module, _, name = what.partition(": ")
            found[module, name.strip()] = reason
    return found


class Verdicts:
    """One module's mutants, by name: what became of each, and of which text of the module. A name holds its line's own text, so what was
    found stays known while other lines change; how much of it is of an earlier text is told."""

    def __init__(self, folder: Path, module: str, text: str) -> None:
        self.path = folder / f"{module}.json"
        self.source = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.found: dict[str, tuple[str, str]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def put(self, name: str, verdict: str) -> None:
        """On disk at once: a run may be ended at any time."""
        self.found[name] = verdict, self.source
        aside = self.path.with_suffix(".new")
        aside.write_text(json.dumps(self.found, indent=1))
        aside.replace(self.path)

    def of(self, name: str) -> str:
        """Empty: never tried."""
        return self.found.get(name, ("", ""))[0]

    def is_settled(self, name: str, *, now: bool) -> bool:
        """Noticed, or no program at all, or no end; `now`: of this very text."""
        verdict, source = self.found.get(name, ("", ""))
        return verdict in (NOTICED, UNBUILDABLE, UNENDING) and (source == self.source or not now)


HEAD = """# Mutation of the step

Each comparison, sign and threshold of these modules the other way, once (`tools/mutants.py`), and whether a quick test of `tests/core`
notices. Made by `make mutate ARGS=--write`, on demand: it takes about an hour of one core; one that was ended is taken up again with
`make mutate ARGS="--again --write"`. *Equal*: no test can tell it from the original, for the reason in `tools/mutants_equal.txt`. *No end*:
the tests came to none in five times their processor time, which `make test` notices by its limit of two minutes per test. *No program*:
the compiler refuses it. *Before*: of those noticed, how many were tried while other lines of the module were different
(`make mutate ARGS=--current` tries them once more).

Not among the mutants: sizes of arrays and indexes, factors and bits (`*`, `/`, `&`, `|`), statements left out, and what stands in a `.pxd`:
shapes and the codes of the layout.

| module | mutants | noticed | no end | not noticed | equal | no program | not tried | before |
|---|---|---|---|---|---|---|---|---|
"""


def report(folder: Path, modules: list[str]) -> str:
    """docs/mutation.md: what is known of the sources as they are."""
    excused, rows, left = equal_ones(), [], []
    for module in modules:
        text = (CORE / f"{module}.pyx").read_text()
        known, count = Verdicts(folder, module, text), Counter[str]()
        for name, mutant in named(text):
            verdict = "equal" if (module, name) in excused else known.of(name)
            count.update((verdict, "all"))
            count["before"] += verdict in (NOTICED, UNENDING) and not known.is_settled(name, now=True)
            if verdict == SURVIVED:
                left.append(f"- `{module}.pyx:{mutant.told(text)}`")
        columns = ("all", NOTICED, UNENDING, SURVIVED, "equal", UNBUILDABLE, "", "before")
        rows.append(f"| {module} | " + " | ".join(str(count[column]) for column in columns) + " |")
    rest = "Not noticed:\n\n" + "\n".join(left) if left else "Every mutant that was tried was noticed."
    return HEAD + "\n".join(rows) + f"\n\n{rest}\n"
