"""What a run leaves in its folder: junit.xml, results.json, one CSV of samples a scenario, and report.html."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from bessctl.errors import UsageError
from bessctl.hil import html
from bessctl.hil.judge import FAILED, NOT_JUDGED, NOT_RUN
from bessctl.hil.results import Result, counted, times

CSV_STEP_S = 0.02
UNDECIDED = {NOT_RUN, NOT_JUDGED}


def write(folder: Path, results: list[Result], facts: dict[str, Any]) -> None:
    """All files, replacing those of an earlier run. Raises UsageError when the folder refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "junit.xml").write_bytes(junit(results))
        (folder / "results.json").write_text(json.dumps(as_json(results, facts), indent=1) + "\n")
        for result in results:
            if result.record is not None:
                _write_csv(folder / f"{file_name(result)}.csv", result)
        (folder / "report.html").write_text(html.page(results, facts))
    except OSError as e:
        raise UsageError(f"{folder}: the report cannot be written: {e.strerror or e}") from e


def file_name(result: Result) -> str:
    """A name for the files of one result."""
    parts = [result.scenario.file.stem, result.place, result.sabotage]
    return re.sub(r"[^\w.-]+", "-", ".".join(filter(None, parts)))


def junit(results: list[Result]) -> bytes:
    """One suite a place. A protection taken away turns the verdict round: the case passes when the scenario failed."""
    root = ET.Element("testsuites", name="bessctl hil")
    for place in dict.fromkeys(result.place for result in results):
        mine = [result for result in results if result.place == place]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=place,
            tests=str(len(mine)),
            time=f"{sum(r.took_s for r in mine):.3f}",
            failures=str(sum(not r.as_it_must and r.verdict not in UNDECIDED for r in mine)),
            errors=str(sum(r.verdict in UNDECIDED for r in mine)),
        )
        for result in mine:
            _case(suite, result)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _case(suite: ET.Element, result: Result) -> None:
    name = result.name + (f" [without {result.sabotage}]" if result.sabotage else "")
    case = ET.SubElement(suite, "testcase", classname=result.scenario.file.stem, name=name, time=f"{result.took_s:.3f}")
    properties = ET.SubElement(case, "properties")
    for ident in result.scenario.proves:
        ET.SubElement(properties, "property", name="requirement", value=ident)
    if result.verdict in UNDECIDED:
        ET.SubElement(case, "error", type=result.verdict, message=_plain(result.why or "not every step was played"))
    elif not result.as_it_must:
        lines = [f"{f.expectation.place}: {f.expectation.text}: {f.why}" for f in result.findings if f.verdict == FAILED]
        told = "passed although its protection was taken away" if result.sabotage else "; ".join(lines)
        failure = ET.SubElement(case, "failure", type="failed", message=_plain(told))
        failure.text = _plain("\n".join(lines))


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)


def as_json(results: list[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything but the samples."""
    return {"facts": facts, "verdicts": counted(results), "times_s": times(results), "scenarios": [one_as_json(r) for r in results]}


def one_as_json(result: Result) -> dict[str, Any]:
    evidence, record = result.evidence, result.record
    return {
        "name": result.name,
        "file": str(result.scenario.file),
        "sha256": result.scenario_hash(),
        "place": result.place,
        "proves": list(result.scenario.proves),
        "rows": list(result.scenario.rows),
        "sabotage": result.sabotage,
        "verdict": result.verdict,
        "as_it_must": result.as_it_must,
        "why": result.why,
        "earlier": list(result.earlier),
        "took_s": round(result.took_s, 3),
        "facts": result.facts,
        "expectations": [
            {
                "place": f.expectation.place,
                "text": f.expectation.text,
                "from_s": f.expectation.from_s,
                "within_s": f.expectation.within_s,
                "holding_s": f.expectation.holding_s,
                "never": f.expectation.never,
                "verdict": f.verdict,
                "why": f.why,
                "took_s": f.took_s,
            }
            for f in result.findings
        ],
        "reactions": [vars(reaction) for reaction in result.reactions],
        "safe_state": None if evidence is None else {"proved": evidence.proved, "power_w": evidence.power_w, "devices": evidence.devices},
        "events": []
        if record is None
        else [{"t_s": round(t, 4), "level": e.level, "code": e.code, "text": e.text} for t, e in record.events],
        "done": [] if record is None else [{"t_s": round(d.t_s, 4), "what": d.what} for d in record.done],
    }


def _write_csv(path: Path, result: Result) -> None:
    """Every 20 ms at most; columns are named as the loop and the plant name them."""
    record = result.record
    assert record is not None
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["t_s", *(f"{side}.{field}[{index}]" for side, field, index in record.columns)])
        last = float("-inf")
        for i in range(0, len(record.rows), record.width):
            if record.rows[i] - last >= CSV_STEP_S - 1e-9:
                last = record.rows[i]
                out.writerow([f"{value:.6g}" for value in record.rows[i : i + record.width]])
