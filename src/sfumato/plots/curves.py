"""Figures of curves: errors of sampling methods against network calls, losses against noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from sfumato.plots.style import FAINT, GREY, headline, new_figure, styled

# Okabe & Ito (2008), without the yellow that white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True, slots=True)
class Curve:
    """One method's errors.

    Args:
        calls: network calls, rising.
        flow: distances from the flow's end, of the first calls; empty for a method that draws
            noise. A few-step map draws none in a single call.
        distance: distances to real rows.
    """

    calls: Sequence[float]
    flow: Sequence[float]
    distance: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """All methods with one denoiser, and the distance between real rows."""

    title: str
    floor: tuple[float, float]
    curves: Mapping[str, Curve]


def sampler_errors(panels: Sequence[Panel]) -> Figure:
    """A row of two panels for each denoiser: error of the flow, distance to real rows."""
    with styled():
        figure = new_figure(10.4, 3.9 * len(panels) + 0.4)
        grid = figure.subplots(len(panels), 2, squeeze=False)
        for row, panel in zip(grid, panels, strict=True):
            for k, (name, curve) in enumerate(panel.curves.items()):
                # Colour by place, shape by the round: every pair of neighbours differs in both.
                look = {
                    "color": COLOURS[k % 7],
                    "marker": MARKERS[(k + k // 7) % 7],
                    "ls": "-" if len(curve.flow) == len(curve.calls) else (0, (4, 2)),
                }
                if curve.flow:
                    known = curve.calls[: len(curve.flow)]
                    row[0].plot(known, curve.flow, lw=1.4, ms=4.5, **look)
                row[1].plot(curve.calls, curve.distance, lw=1.4, ms=4.5, label=name, **look)
            row[1].axhspan(*panel.floor, color=FAINT, alpha=0.7, lw=0, zorder=0)
            # What is far off shows how far in the other panel.
            row[1].set_ylim(panel.floor[0] / 2, min(2.0, 40 * panel.floor[1]))
            row[1].text(
                0.01, panel.floor[0], "real against real", color=GREY, fontsize=8.5, va="bottom",
                transform=row[1].get_yaxis_transform(),
            )  # fmt: skip
            _calls_axis(row[0], [x for curve in panel.curves.values() for x in curve.calls])
            _calls_axis(row[1], [x for curve in panel.curves.values() for x in curve.calls])
            row[0].set(ylabel="off the flow's end, deviations", title=f"With {panel.title}")
            row[1].set(ylabel="sliced Wasserstein-2 to real rows")
        handles, names = grid[0, 1].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside right center", fontsize=9, title="solid: deterministic\n"
            "dashed: draws noise", title_fontsize=8.5, labelspacing=0.7,
        )  # fmt: skip
        headline(figure, "Error against network calls")
    return figure


def _calls_axis(axes: Axes, calls: Sequence[float]) -> None:
    axes.set(xscale="log", yscale="log", xlabel="network calls for each sample")
    shown = [n for n in (1, 2, 5, 10, 20, 40, 80, 160, 320) if min(calls) <= n <= 1.05 * max(calls)]
    axes.set_xticks(shown)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=FAINT, lw=0.6, which="major")
    axes.set_axisbelow(True)


def losses_by_noise(
    log_snr: np.ndarray,
    lines: Mapping[str, np.ndarray],
    price: np.ndarray,
    what: str,
    title: str = "",
) -> Figure:
    """Mean squared errors of x_0 against the noise, and below them what a difference costs.

    Args:
        log_snr: `(n,)`.
        lines: name to errors `(n,)`, in the data's variances.
        price: nats for each unit of log-SNR `(n,)`; the area under it is nats.
        what: the price is of.
        title: above.
    """
    with styled():
        figure = new_figure(6.4, 6.2)
        errors, cost = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        for k, (name, values) in enumerate(lines.items()):
            # Each smaller than the one before, so that curves on top of each other are all seen.
            errors.plot(log_snr, values, color=COLOURS[k], lw=3.6 - 1.2 * k, label=name)
        errors.set(yscale="log", ylabel="mean squared error of $x_0$", title=title)
        errors.legend(fontsize=9)
        cost.axhline(0, color=GREY, lw=0.8)
        cost.plot(log_snr, price, color=COLOURS[1], lw=1.6, marker="o", ms=3)
        cost.fill_between(log_snr, price, color=COLOURS[1], alpha=0.15, lw=0)
        cost.set(
            xlabel="log-SNR: noise to the left, data to the right",
            ylabel="nats per unit of log-SNR",
            title=what,
        )
        for axes in (errors, cost):
            axes.grid(color=FAINT, lw=0.6)
            axes.set_axisbelow(True)
    return figure
