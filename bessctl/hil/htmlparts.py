"""Pieces of the report page: its style, badges, tables, numbers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

from bessctl.hil.results import Result

STYLE = """
body{font:14px/1.5 system-ui,sans-serif;color:#1d2430;max-width:1000px;margin:24px auto;padding:0 16px;background:#fff}
h1{font-size:24px;margin:0 0 4px}
h2{font-size:18px;margin:36px 0 6px;border-top:1px solid #d5dae2;padding-top:18px}
h3{font-size:14px;margin:14px 0 4px}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{padding:3px 10px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #e8ebf0}
th{color:#5a6474;font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
a{color:#1b5e9c;text-decoration:none}
.v{display:inline-block;padding:0 8px;border-radius:3px;color:#fff;font-weight:600;font-size:12px;white-space:nowrap}
.passed{background:#2e7d32}
.failed{background:#b3261e}
.not{background:#7a5c00}
.must{background:#fff;color:#2e7d32;box-shadow:inset 0 0 0 1px #2e7d32}
.q{color:#5a6474}
.w{white-space:nowrap}
svg{width:100%;height:auto;margin:6px 0;display:block}
svg text{font:11px system-ui,sans-serif;fill:#3a4352}
svg .t{font-weight:600;fill:#1d2430}
svg .f{fill:#fafbfc;stroke:#c4cad4}
svg .g{stroke:#e4e8ee}
svg .m{stroke:#9aa3b2;stroke-dasharray:2 3}
svg .k{font-weight:600;fill:#5a6474}
code{font-size:12px}
details{margin:6px 0}
summary{cursor:pointer;color:#1b5e9c}
@media print{details{display:block}h2{break-before:auto}svg,table{break-inside:avoid}}
"""


def badge(verdict: str) -> str:
    return f'<span class="v {verdict.split(maxsplit=1)[0]}">{escape(verdict)}</span>'


def badge_of(result: Result) -> str:
    """Of a run without its protection: that it failed is what it must."""
    if result.sabotage and result.as_it_must:
        return '<span class="v must">failed, as it must</span>'
    if result.sabotage:
        return f'<span class="v failed">{escape(result.verdict)}, and should have failed</span>'
    return badge(result.verdict)


def table(head: Iterable[str], rows: Iterable[Iterable[str]], right: Collection[int] = ()) -> str:
    """Cells are HTML already. `right`: the columns of numbers."""

    def kind(column: int) -> str:
        return ' class="n"' if column in right else ""

    names = list(head)
    top = "".join(f"<th{kind(i)}>{escape(name)}</th>" for i, name in enumerate(names))
    lines = "".join("<tr>" + "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{top}</tr>' if any(names) else ''}{lines}</table>"


def ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.0f} ms" if value < 10 else f"{value:.1f} s"


def code(text: object) -> str:
    return f"<code>{escape(str(text))}</code>"
