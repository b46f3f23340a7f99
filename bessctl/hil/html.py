"""The report page: one file, nothing loaded from anywhere, no scripts. Pure."""

from __future__ import annotations

from html import escape
from typing import Any

from bessctl.hil.htmlparts import STYLE, badge, badge_of, code, ms, table
from bessctl.hil.htmltop import top, total
from bessctl.hil.results import Result
from bessctl.hil.signals import Signals
from bessctl.hil.svg import Line, bars, plot

FACTS = ("config hash", "real time", "clock")


def page(results: list[Result], facts: dict[str, Any]) -> str:
    """The whole page."""
    body = [top(results, facts), *(_scenario(number, result) for number, result in enumerate(results, 1))]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>bessctl hil: {total(results)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


# --- one scenario -------------------------------------------------------------------------------------------------------------------------


def _scenario(number: int, r: Result) -> str:
    parts = [
        f'<h2 id="s{number}">{escape(r.name)} {badge_of(r)}</h2>',
        f"<p>Played without <b>{escape(r.sabotage)}</b>: it must fail.</p>" if r.sabotage else "",
        f"<p class='q'>{escape(r.scenario.why)}<br>proves {escape(', '.join(r.scenario.proves))}; {escape(r.place)}; "
        f"{code(r.scenario.file.name)} sha256 {code(r.scenario_hash()[:16])}"
        + (f"; configuration {code(r.facts['config hash'][:16])}" if "config hash" in r.facts else "")
        + (f"; protection {code(', '.join(r.scenario.rows))}" if r.scenario.rows else "")
        + "</p>",
        *(f"<p class='q'>Played before: {escape(why)}</p>" for why in r.earlier),
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
        (badge(f.verdict), f"{f.expectation.from_s:g} s", escape(f.expectation.text), limit(f.expectation), ms(f.took_s), escape(f.why))
        for f in r.findings
    ]
    return table(("", "from", "expected", "acceptance", "took", ""), rows, {1, 4}) if rows else ""


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
    rows = [(escape(x.what), f"{x.at_s:g} s", ms(x.detect_s), ms(x.act_s), ms(x.settle_s)) for x in r.reactions]
    return f"<h3>Reactions</h3>{table(('what happened', 'at', 'told', 'register', 'power stood'), rows, {1, 2, 3, 4})}" if rows else ""


def _loop(r: Result) -> str:
    """What the loop says about itself and its buses."""
    health = r.facts.get("loop")
    if not health:
        return ""
    rows = [(escape(name), escape(str(value))) for name, value in health.items() if name not in {"wake_bins", "counts"}]
    picture = bars("Wake-up of the loop after its deadline", "us", health["wake_bins"]) if health.get("wake_bins") else ""
    facts = [(escape(name), code(r.facts[name])) for name in FACTS if r.facts.get(name)]
    return f"<details><summary>Loop, buses, machine</summary>{table(('', ''), [*facts, *rows])}{picture}</details>"


def _told(r: Result) -> str:
    if r.record is None:
        return ""
    lines = [(done.t_s, "did", done.what) for done in r.record.done] + [(t, e.level, e.text) for t, e in r.record.events]
    rows = [(f"{t:.3f}", escape(kind), escape(text)) for t, kind, text in sorted(lines)]
    return f"<details><summary>What was done and told ({len(rows)})</summary>{table(('s', '', ''), rows, {0})}</details>"
