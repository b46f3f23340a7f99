"""What became of each mutant: kept per module under build/mutate, and told in docs/mutation.md."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tools.mutants import named
from tools.shadow import CORE, ROOT

EQUAL = ROOT / "tools/mutants_equal.txt"
NOTICED, SURVIVED, UNBUILDABLE = "noticed", "survived", "no program"


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
    """One module's mutants, by name. What was found of another text of the module counts no more."""

    def __init__(self, folder: Path, module: str, text: str) -> None:
        self.path = folder / f"{module}.json"
        self.source = hashlib.sha256(text.encode()).hexdigest()
        kept = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.of: dict[str, str] = kept["of"] if kept.get("source") == self.source else {}

    def put(self, name: str, verdict: str) -> None:
        """On disk at once: a run may be ended at any time."""
        self.of[name] = verdict
        self.path.write_text(json.dumps({"source": self.source, "of": self.of}, indent=1))


HEAD = """# Mutation of the step

Each comparison, sign and threshold of these modules the other way, once (`tools/mutants.py`), and whether a quick test of `tests/core`
notices. Made by `make mutate ARGS=--write`, on demand: it takes about an hour of one core, and can be done in pieces. *Equal*: no test can
tell it from the original, for the reason in `tools/mutants_equal.txt`. *No program*: the compiler refuses it.

| module | mutants | noticed | not noticed | equal | no program | not tried |
|---|---|---|---|---|---|---|
"""


def report(folder: Path, modules: list[str]) -> str:
    """docs/mutation.md: what is known of the sources as they are."""
    excused, rows, left = equal_ones(), [], []
    for module in modules:
        text = (CORE / f"{module}.pyx").read_text()
        known, count = Verdicts(folder, module, text).of, dict.fromkeys(("", NOTICED, SURVIVED, "equal", UNBUILDABLE, "untried"), 0)
        for name, mutant in named(text):
            verdict = "equal" if (module, name) in excused else known.get(name, "untried")
            count[verdict] += 1
            count[""] += 1
            if verdict == SURVIVED:
                left.append(f"- `{module}.pyx:{mutant.told(text)}`")
        rows.append(f"| {module} | " + " | ".join(str(n) for n in count.values()) + " |")
    rest = "Not noticed:\n\n" + "\n".join(left) if left else "Every mutant that was tried was noticed."
    return HEAD + "\n".join(rows) + f"\n\n{rest}\n"
