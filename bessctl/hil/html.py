"""The report page: one file, nothing loaded from anywhere, no scripts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape
from typing import Any

from bessctl.hil.judge import FAILED, NOT_RUN, PASSED
from bessctl.hil.results import Result, counted, times
from bessctl.hil.signals import Signals
from bessctl.hil.svg import Line, bars, plot

STYLE = """
body{font:14px/1.5 system-ui,sans-serif;color:#1d2430;max-width:900px;margin:24px auto;padding:0 16px;background:#fff}
h1{font-size:24px;margin:0 0 4px}
h2{font-size:18px;margin:36px 0 6px;border-top:1px solid #d5dae2;padding-top:18px}
h3{font-size:14px;margin:14px 0 4px}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{padding:3px 8px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #e8ebf0}
th{color:#5a6474;font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.v{display:inline-block;padding:0 8px;border-radius:3px;color:#fff;font-weight:600;font-size:12px;white-space:nowrap}
.passed{background:#2e7d32}
.failed{background:#b3261e}
.not{background:#7a5c00}
.q{color:#5a6474}
svg{width:100%;height:auto;margin:6px 0;display:block}
svg text{font:11px system-ui,sans-serif;fill:#3a4352}
svg .t{font-weight:600;fill:#1d2430}
svg .f{fill:#fafbfc;stroke:#c4cad4}
svg .g{stroke:#e4e8ee}
svg .m{stroke:#9aa3b2;stroke-dasharray:2 3}
code{font-size:12px}
details{margin:6px 0}
summary{cursor:pointer;color:#1b5e9c}
"""
FACTS = ("build", "config hash", "kernel", "real time", "clock", "machine")


def page(results: list[Result], facts: dict[str, Any]) -> str:
    """The whole page."""
    body = [_top(results, facts), _times(results), _overview(results)]
    body += [_scenario(number, result) for number, result in enumerate(results, 1)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>bessctl hil: {_total(results)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _total(results: list[Result]) -> str:
    if any(result.verdict == NOT_RUN for result in results):
        told = NOT_RUN
    else:
        told = PASSED if results and all(result.as_it_must for result in results) else FAILED
    return FAILED if any(not r.as_it_must and r.verdict != NOT_RUN for r in results) else told


def _badge(verdict: str) -> str:
    return f'<span class="v {verdict.split(maxsplit=1)[0]}">{escape(verdict)}</span>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], right: Collection[int] = ()) -> str:
    """Cells are HTML already. `right`: the columns of numbers."""

    def kind(column: int) -> str:
        return ' class="n"' if column in right else ""

    top = "".join(f"<th{kind(i)}>{escape(name)}</th>" for i, name in enumerate(head))
    lines = "".join("<tr>" + "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _top(results: list[Result], facts: dict[str, Any]) -> str:
    verdicts = ", ".join(f"{count} {word}" for word, count in counted(results).items() if count)
    rows = [(escape(name), f"<code>{escape(str(facts[name]))}</code>") for name in FACTS if facts.get(name)]
    rows.append(("begun", escape(str(facts.get("begun", "")))))
    return (
        f"<h1>Hardware in the loop {_badge(_total(results))}</h1><p class='q'>{len(results)} runs: {escape(verdicts)}. "
        "Power is positive toward the grid: discharge and export. Acceptance numbers are those of the scenario files, whose hashes are "
        f"printed with each.</p>{_table(('', ''), rows)}"
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.0f} ms" if value < 10 else f"{value:.1f} s"


def _times(results: list[Result]) -> str:
    told = {"detect": "until the loop told of it", "act": "until the PCS's register changed", "settle": "until power stood within 2 %"}
    rows = [
        (told[name], str(found["n"]), _ms(found["p50"]), _ms(found["p99"]), _ms(found["max"]))
        for name, found in times(results).items()
        if found is not None
    ]
    if not rows:
        return ""
    return f"<h3>From what happened</h3>{_table(('', 'times', 'p50', 'p99', 'max'), rows, {1, 2, 3, 4})}"


def _overview(results: list[Result]) -> str:
    rows = [
        (
            _badge(r.verdict), f'<a href="#s{n}">{escape(r.name)}</a>' + (f" without {escape(r.sabotage)}" if r.sabotage else ""),
            escape(r.place), escape(", ".join(r.scenario.proves)), escape(r.why),
        )
        for n, r in enumerate(results, 1)
    ]  # fmt: skip
    return f"<h2>Scenarios</h2>{_table(('', 'scenario', 'played in', 'proves', ''), rows)}"


# --- one scenario -------------------------------------------------------------------------------------------------------------------------


def _scenario(number: int, r: Result) -> str:
    without = (
        f"<p>Run without <b>{escape(r.sabotage)}</b>: it must fail. {_badge('passed' if r.as_it_must else 'failed')}</p>"
        if r.sabotage
        else ""
    )
    parts = [
        f'<h2 id="s{number}">{escape(r.name)} {_badge(r.verdict)}</h2>',
        f"<p class='q'>{escape(r.scenario.why)}<br>proves {escape(', '.join(r.scenario.proves))}; {escape(r.place)}; "
        f"<code>{escape(r.scenario.file.name)}</code> sha256 <code>{r.scenario_hash()[:16]}</code>"
        + (f"; configuration <code>{r.facts['config hash'][:16]}</code>" if "config hash" in r.facts else "")
        + (f"; protection <code>{escape(', '.join(r.scenario.rows))}</code>" if r.scenario.rows else "")
        + "</p>",
        without,
        f"<p>{escape(r.why)}</p>" if r.why else "",
        _expectations(r),
        _plots(r),
        _reactions(r),
        f"<h3>Safe state</h3><p>{escape(str(r.evidence))}</p>" if r.evidence else "",
        _loop(r),
        _told(r),
    ]
    return "".join(parts)


def _expectations(r: Result) -> str:
    def limit(e: Any) -> str:
        if e.never:
            return f"never, until {e.until_s:g} s"
        held = f", holding for {e.holding_s:g} s" if e.holding_s else ""
        return (f"within {e.within_s:g} s" if e.within_s else "at once") + held

    rows = [
        (_badge(f.verdict), f"{f.expectation.from_s:g} s", escape(f.expectation.text), limit(f.expectation), _ms(f.took_s), escape(f.why))
        for f in r.findings
    ]
    return _table(("", "from", "expected", "acceptance", "took", ""), rows, {1, 4}) if rows else ""


def _points(r: Result, signals: Signals, name: str, scale: float = 1.0) -> list[tuple[float, float]]:
    assert r.record is not None
    signal = signals.known.get(name)
    if signal is None or any(column not in r.record.columns for column in signal.columns):
        return []
    return [(t, float(v) * scale) for t, v in r.record.series(signal, -3.0) if not isinstance(v, str)]


def _plots(r: Result) -> str:
    if r.record is None or not r.record.rows or r.signals is None:
        return ""
    signals = r.signals
    marks = [(done.t_s, f"{done.t_s:.2f} s: {done.what}") for done in r.record.done]
    limits = [Line(name, _points(r, signals, name, 1e-3), dashed=True) for name in ("lower limit", "upper limit")]
    pictures = [
        plot(
            "Power",
            "kW",
            [Line("power", _points(r, signals, "power", 1e-3)), Line("command", _points(r, signals, "command", 1e-3)), *limits],
            marks,
        )
    ]
    about = _subject(r, signals)
    if any(key in about for key in ("connection power", "load")):
        pictures.append(plot("At the connection", "kW", [Line("connection power", _points(r, signals, "connection power", 1e-3))], marks))
    for name in about - {"power", "command", "connection power"}:
        signal = signals.known[name]
        if signal.dimension:
            pictures.append(plot(name, signal.dimension, [Line(name, _points(r, signals, name))], marks))
    return "".join(pictures[:4])


def _subject(r: Result, signals: Signals) -> set[str]:
    """What the scenario is about: signals it expects or injects."""
    expected = {e.signal.name for e in r.scenario.expectations if e.signal is not None}
    injected = {injection.name for step in r.scenario.steps for injection in step.injections}
    if injected & {"load", "PV", "EVSE"}:
        injected.add("connection power")
    return {name for name in expected | injected if name in signals.known}


def _reactions(r: Result) -> str:
    rows = [(escape(x.what), f"{x.at_s:g} s", _ms(x.detect_s), _ms(x.act_s), _ms(x.settle_s)) for x in r.reactions]
    return f"<h3>Reactions</h3>{_table(('what happened', 'at', 'told', 'register', 'power stood'), rows, {1, 2, 3, 4})}" if rows else ""


def _loop(r: Result) -> str:
    """What the loop says about itself and its buses."""
    health = r.facts.get("loop")
    if not health:
        return ""
    rows = [(escape(name), escape(str(value))) for name, value in health.items() if name != "wake_bins"]
    picture = bars("Wake-up of the loop after its deadline", "us", health["wake_bins"]) if health.get("wake_bins") else ""
    facts = [(escape(name), f"<code>{escape(str(r.facts[name]))}</code>") for name in FACTS if r.facts.get(name)]
    return f"<details><summary>Loop, buses, machine</summary>{_table(('', ''), [*facts, *rows])}{picture}</details>"


def _told(r: Result) -> str:
    if r.record is None:
        return ""
    lines = [(done.t_s, "did", done.what) for done in r.record.done] + [(t, e.level, e.text) for t, e in r.record.events]
    rows = [(f"{t:.3f}", escape(kind), escape(text)) for t, kind, text in sorted(lines)]
    return f"<details><summary>What was done and told ({len(rows)})</summary>{_table(('s', '', ''), rows, {0})}</details>"
