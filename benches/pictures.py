"""The benches' pictures, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt


def histogram(path: Path, title: str, unit: str, bins: Sequence[float], counts: Sequence[int]) -> None:
    """Counts per bin on a logarithmic axis: the tail is what matters."""
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.bar(bins, counts, width=(bins[1] - bins[0]) if len(bins) > 1 else 1, align="edge")
    axes.set(title=title, xlabel=unit, ylabel="cycles", yscale="log")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def curves(
    path: Path, title: str, xlabel: str, ylabel: str, series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, log: bool = True
) -> None:
    """Lines by name; both axes logarithmic unless told otherwise."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name, (x, y) in series.items():
        axes.plot(x, y, label=name, linewidth=1.2)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if log:
        axes.set(xscale="log", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def panels(
    path: Path,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    shown: Mapping[tuple[str, str], tuple[Sequence[float], Sequence[float], float, float]],
) -> None:
    """One small panel for each row and column: a line, the limit it is held to (dashed), from when it must be held (dotted)."""
    figure, grid = plt.subplots(
        len(rows), len(columns), figsize=(2.1 * len(columns), 1.7 * len(rows)), sharex=True, sharey="row", squeeze=False
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            axes, (x, y, limit, from_x) = grid[i][j], shown[row, column]
            axes.plot(x, y, linewidth=0.9)
            axes.axhline(limit, color="tab:red", linestyle="--", linewidth=0.7)
            axes.axvline(from_x, color="tab:gray", linestyle=":", linewidth=0.9)
            axes.locator_params(nbins=4)
            axes.tick_params(labelsize=6)
            if i == 0:
                axes.set_title(column.replace(", ", "\n"), fontsize=7)
            if j == 0:
                axes.set_ylabel(row.replace(", ", ",\n"), fontsize=6)
    figure.suptitle(title, fontsize=9)
    figure.subplots_adjust(
        left=0.05, right=0.99, bottom=0.03, top=0.9, wspace=0.12, hspace=0.15
    )  # tight_layout takes longer than the bench
    figure.savefig(path, dpi=90)
    plt.close(figure)


def bars(path: Path, title: str, ylabel: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    """One panel a group, one bar a name, its figure on top; logarithmic, since what is compared may lie decades apart."""
    figure, panels = plt.subplots(1, len(groups), figsize=(4.5 * len(groups), 4), squeeze=False)
    for axes, (group, figures) in zip(panels[0], groups.items(), strict=True):
        shown = axes.bar(range(len(figures)), list(figures.values()))
        axes.bar_label(shown, fmt="%.4g")
        axes.set_xticks(range(len(figures)), list(figures), rotation=30, ha="right")
        axes.set(title=f"{title}, {group}", ylabel=ylabel, yscale="log")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
