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
