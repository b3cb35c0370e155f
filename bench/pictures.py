"""The benchmarks' plots, in the package's own style."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

_OURS, _OTHERS = "#0072B2", "#999999"
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")


def bars(values: Mapping[str, float], label: str, *, log: bool = False) -> Figure:
    """One bar each, the first of them ours, the least on top."""
    figure = Figure(figsize=(8, 0.45 * len(values) + 1), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(values, key=lambda name: -values[name])
    ours = next(iter(values))
    colours = [_OURS if name == ours else _OTHERS for name in ordered]
    drawn = axes.barh(ordered, [values[name] for name in ordered], color=colours)
    axes.bar_label(
        drawn, fmt=lambda value: f"{value:{'.3g' if value < 1000 else ',.0f'}}", padding=4
    )
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def curves(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    *,
    ylabel: str,
    log_y: bool = True,
    log_x: bool = True,
    level: float | None = None,
) -> Figure:
    """A panel for each abscissa, a line for each method: (x, y) pairs."""
    figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
    for place, (xlabel, lines) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place)
        for colour, (name, points) in zip(_LINES, lines.items(), strict=False):
            axes.plot(*zip(*points, strict=True), "o-", color=colour, label=name, markersize=4)
        if level is not None:
            axes.axhline(level, color="0.4", linewidth=1, linestyle="--")
        if log_x:
            axes.set_xscale("log")
            ticks = sorted({x for points in lines.values() for x, _ in points})
            if ticks[-1] < 10_000:  # else powers of ten are easier to read
                axes.set_xticks(ticks, [f"{x:g}" for x in ticks], fontsize=8)
                axes.minorticks_off()
        if log_y:
            axes.set_yscale("log")
        axes.set_xlabel(xlabel)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        if place == 1:
            axes.set_ylabel(ylabel)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    return figure


def points(
    panels: Mapping[str, Mapping[str, Sequence[float | None]]], rows: Sequence[str]
) -> Figure:
    """A panel for each figure, a line of points for each of `rows`, a colour for each method."""
    names = list(dict.fromkeys(name for methods in panels.values() for name in methods))
    colours = dict(zip(names, (*_LINES, "#000000", "#F0E442"), strict=False))
    wide = (len(panels) + 1) // 2
    figure = Figure(figsize=(4.2 * wide, 7), layout="constrained")
    for place, (label, methods) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(2, wide, place)
        for name, values in reversed(list(methods.items())):
            ours = name == names[0]
            axes.plot(
                [np.nan if value is None else value for value in values], range(len(rows)), "o",
                color=colours[name], markersize=8 if ours else 5, alpha=0.9,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows if place % wide == 1 else [""] * len(rows))
        axes.invert_yaxis()
        axes.set_xlabel(label)
        if label.endswith(", s"):
            axes.set_xscale("log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    for name in names:
        axes.plot([], [], "o", color=colours[name], label=name)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )
    return figure
