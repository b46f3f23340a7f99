"""The report's first page: verdict, what is not as it must be, what ran where, how fast it reacted, how the loop kept its time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from bessctl.hil.health import ERRORS
from bessctl.hil.htmlparts import badge, badge_of, code, ms, table
from bessctl.hil.judge import FAILED, NOT_JUDGED, NOT_RUN, PASSED
from bessctl.hil.results import Result, counted, times
from bessctl.hil.svg import bars

ABOUT = ("build", "kernel", "machine", "begun")
TOLD = {
    "detect": "detect: until the loop told of it",
    "act": "act: until the PCS's register changed",
    "settle": "settle: until power stood within 2 %",
}


def total(results: list[Result]) -> str:
    """Of the whole run. One that failed outweighs those that say nothing."""
    if any(not r.as_it_must and r.verdict not in (NOT_RUN, NOT_JUDGED) for r in results):
        return FAILED
    for word in (NOT_RUN, NOT_JUDGED):
        if any(r.verdict == word for r in results):
            return word
    return PASSED if results else NOT_RUN


def top(results: list[Result], facts: dict[str, Any]) -> str:
    """Everything before the scenarios one by one."""
    return "".join((_head(results), _trouble(results), _facts(results, facts), _times(results), _loops(results), _overview(results)))


def _head(results: list[Result]) -> str:
    whole, without = [r for r in results if not r.sabotage], [r for r in results if r.sabotage]
    told = ", ".join(f"{count} {word}" for word, count in counted(whole).items() if count)
    failed = sum(r.as_it_must for r in without)
    away = f" With a protection taken away: {failed} of {len(without)} failed, as they must." if without else ""
    proved = sum(r.evidence is not None and r.evidence.proved for r in whole)
    return (
        f"<h1>Hardware in the loop {badge(total(results))}</h1><p>{len(whole)} scenarios played: {escape(told or 'none')}.{away} "
        f"Seen at rest in the end: {proved} of {len(whole)}.</p>"
        "<p class='q'>Power is positive toward the grid: discharge and export. Acceptance numbers were fixed before the run: they are "
        "those of the scenario files, whose hashes stand with each.</p>"
    )


def _trouble(results: list[Result]) -> str:
    rows = [
        (badge_of(r), f'<a href="#s{n}">{escape(r.name)}</a>', escape(r.place), escape(_why(r)))
        for n, r in enumerate(results, 1)
        if not r.as_it_must
    ]
    return f"<h2>Not as it must be</h2>{table(('', 'scenario', 'played in', 'why'), rows)}" if rows else ""


def _why(r: Result) -> str:
    if r.why:
        return r.why
    if r.sabotage:
        return f"passed without {r.sabotage}"
    return next((f"{f.expectation.text}: {f.why}" for f in r.findings if f.verdict != PASSED), "")


def _facts(results: list[Result], facts: dict[str, Any]) -> str:
    rows = [(escape(name), code(facts[name])) for name in ABOUT if facts.get(name)]
    for place in dict.fromkeys(r.place for r in results):
        mine = [r.facts for r in results if r.place == place and not r.sabotage]
        rows.append((f"clock in {escape(place)}", code(_each(mine, "clock"))))
        rows.append((f"scheduling in {escape(place)}", code(_each(mine, "real time"))))
    sites: dict[str, set[str]] = {}
    for r in results:
        if "config hash" in r.facts and not r.sabotage:
            sites.setdefault(f"{r.scenario.site}, {r.place}", set()).add(r.facts["config hash"][:16])
    for site, hashes in sites.items():
        shown = f"{len(hashes)} of them, one a run, with each scenario" if len(hashes) > 1 else hashes.pop()
        rows.append((f"configuration of {escape(site)}", code(shown)))
    return f"<h2>What ran</h2>{table(('', ''), rows)}"


def _each(facts: Iterable[dict[str, Any]], name: str) -> str:
    return "; ".join(dict.fromkeys(str(it[name]) for it in facts if it.get(name))) or "not known"


def _times(results: list[Result]) -> str:
    rows = []
    for place in dict.fromkeys(r.place for r in results):
        mine = [r for r in results if r.place == place and not r.sabotage]
        rows += [
            (escape(place), TOLD[name], str(found["n"]), ms(found["p50"]), ms(found["p99"]), ms(found["max"]))
            for name, found in times(mine).items()
            if found is not None
        ]
    if not rows:
        return ""
    return (
        f"<h2>How fast</h2>{table(('', 'from what was injected', 'times', 'p50', 'p99', 'max'), rows, {2, 3, 4, 5})}"
        "<p class='q'>Over everything that was injected, also what acts after a delay on purpose: a device that is given up after a second "
        "of silence, a timer of five. Each scenario has its own below.</p>"
    )


def _loops(results: list[Result]) -> str:
    """Sums over all runs with a real loop."""
    loops = [r.facts["loop"] for r in results if r.facts.get("loop", {}).get("counts")]
    if not loops:
        return ""
    counts = [it["counts"] for it in loops]
    total_of = {key: sum(it[key] for it in counts) for key in counts[0] if key != "wake_max_us"}
    errors = ", ".join(f"{word} {total_of[word]}" for word in ERRORS)
    rows = [
        ("periods", f"{total_of['periods']} in {len(loops)} runs"),
        ("missed periods", f"{total_of['missed']}, {total_of['missed_own']} of them by the loop's own doing"),
        ("latest wake-up", f"{max(it['wake_max_us'] for it in counts):.0f} us after its deadline"),
        ("bus transactions", str(total_of["transactions"])),
        ("bus errors, injected ones among them", errors),
    ]
    summed: list[tuple[float, float, int]] = []
    for place in zip(*(it["wake_bins"] for it in loops), strict=False):
        summed.append((place[0][0], place[0][1], sum(one[2] for one in place)))
    return f"<h2>How the loop kept its time</h2>{table(('', ''), rows)}{bars('Wake-up of all loops after their deadlines', 'us', summed)}"


def _overview(results: list[Result]) -> str:
    """A line for each scenario; its runs beside each other."""
    lines: dict[str, list[tuple[int, Result]]] = {}
    for n, r in enumerate(results, 1):
        lines.setdefault(r.name, []).append((n, r))
    places = list(dict.fromkeys(r.place for r in results))
    away = any(r.sabotage for r in results)
    rows = []
    for name, runs in lines.items():
        scenario = runs[0][1].scenario
        cells = [escape(name)]
        cells += [
            " ".join(f'<a href="#s{n}">{badge(r.verdict)}</a>' for n, r in runs if r.place == place and not r.sabotage) for place in places
        ]
        if away:
            cells.append(" ".join(f'<a href="#s{n}" title="without {escape(r.sabotage)}">{badge_of(r)}</a>' for n, r in runs if r.sabotage))
        rows.append([*cells, f'<span class="w">{"<br>".join(escape(it) for it in scenario.proves)}</span>'])
    head = ["scenario", *places, *(["without its protection"] if away else []), "proves"]
    return f"<h2>Scenarios</h2>{table(head, rows)}"
