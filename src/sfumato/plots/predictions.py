"""Figures of predictions: quantiles and densities beside the truth, and whether they are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sfumato.plots.columns import plain
from sfumato.plots.curves import COLOURS, MARKERS
from sfumato.plots.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    few_ticks,
    headline,
    new_figure,
    styled,
)

# Rows of a fan chart that can be told apart.
_FANNED = 120
# A law on a grid of no more places is drawn as bars.
_MOST_BARS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """The law of one row, and what stands in it.

    Args:
        title: above.
        values: `(m,)` in rising order.
        weights: of each, `(m,)`.
        is_mass: which are point masses, `(m,)`.
        truth: the row's own value.
    """

    title: str
    values: np.ndarray
    weights: np.ndarray
    is_mass: np.ndarray
    truth: float


def numbers(
    name: str,
    truth: np.ndarray,
    quantiles: np.ndarray,
    pit: np.ndarray,
    pit_chance: tuple[float, float],
    laws: Sequence[Law],
    step: float,
    title: str = "",
    *,
    dated: bool = False,
) -> Figure:
    """A fan chart, a histogram of the PIT, and the laws of some rows.

    Args:
        name: of the column, with its unit.
        truth: of each row, `(n,)`.
        quantiles: 5, 25, 50, 75, 95 %, `(n, 5)`.
        pit: share of the rows in each of equal bins, `(bins,)`.
        pit_chance: between which shares a bin of a right law lies.
        laws: of up to six rows.
        step: of the grid that the column lies on, 0 if on none.
        title: above all.
        dated: whether values are days since 1970.
    """
    down = -(-len(laws) // 3)
    with styled():
        figure = new_figure(11.4, 4.2 + 2.3 * down)
        grid = figure.add_gridspec(1 + down, 6, height_ratios=[1.75, *[1] * down])
        _fan(fan := figure.add_subplot(grid[0, :4]), name, truth, quantiles)
        _rounded(fan.yaxis, 6, dated)
        _pit(figure.add_subplot(grid[0, 4:]), pit, pit_chance)
        for k, law in enumerate(laws):
            across = 2 * (k % 3)
            axes = figure.add_subplot(grid[1 + k // 3, across : across + 2])
            _law(axes, law, step)
            axes.set_xlabel(plain(name, 30), fontsize=9)
            _rounded(axes.xaxis, 5, dated)
        headline(figure, title)
    return figure


def _rounded(axis: Axis, most: int, dated: bool) -> None:
    """A few round numbers, or dates."""
    if not dated:
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
        return
    locator = AutoDateLocator(minticks=2, maxticks=most)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=True))


def _fan(axes: Axes, name: str, truth: np.ndarray, quantiles: np.ndarray) -> None:
    """Bands of evenly chosen rows in the order of their medians, and the true values in them."""
    some = np.linspace(0, len(truth) - 1, min(_FANNED, len(truth))).round().astype(int)
    order = np.lexsort((truth, quantiles[:, 2]))[some]
    truth, (lowest, low, middle, high, highest) = truth[order], quantiles[order].T
    x = np.arange(len(order))
    for band, alpha, label in (((lowest, highest), 0.18, "90 %"), ((low, high), 0.38, "50 %")):
        axes.fill_between(
            x, *band, step="mid", color=BLUE, alpha=alpha, lw=0, label=f"interval of {label}"
        )
    axes.step(x, middle, where="mid", color=BLUE, lw=1.3, label="median")
    inside = (lowest <= truth) & (truth <= highest)
    axes.plot(x[inside], truth[inside], "o", color=INK, ms=2.8, label="truth")
    axes.plot(x[~inside], truth[~inside], "D", color=ORANGE, ms=3.8, label="truth outside of 90 %")
    axes.set(
        xlabel=f"{len(order):,} of {len(quantiles):,} rows, in the order of the predicted median"
        if len(order) < len(quantiles)
        else "rows, in the order of the predicted median",
        ylabel=plain(name, 40), xlim=(-1, len(order)), title="Predicted quantiles and the truth",
    )  # fmt: skip
    axes.set_xticks([])
    axes.grid(color=FAINT, lw=0.6, axis="y")
    axes.set_axisbelow(True)
    axes.legend(fontsize=8.5, ncols=2, loc="upper left")
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.22 * (top - bottom))  # so that the legend hides nothing


def _pit(axes: Axes, shares: np.ndarray, chance: tuple[float, float]) -> None:
    edges = np.linspace(0, 1, len(shares) + 1)
    axes.axhspan(*chance, color=FAINT, lw=0, label="by chance (99 % of bins)")
    axes.stairs(shares, edges, fill=True, color=BLUE, alpha=0.4)
    axes.stairs(shares, edges, color=BLUE, lw=1.0)
    axes.axhline(1 / len(shares), color=INK, lw=0.9)
    axes.set(
        xlim=(0, 1), ylim=(0, 1.45 * max(float(shares.max()), chance[1])),
        xlabel="predicted probability of less than the truth", ylabel="share of the rows",
        title="PIT: flat if the laws are right",
    )  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes.text(
        0.03, 0.97, "high at both ends: too sure\nhigh in the middle: not sure enough\n"
        "sloping: too low or too high",
        ha="left", va="top", transform=axes.transAxes, color=GREY, fontsize=8.5,
    )  # fmt: skip
    axes.legend(fontsize=8.5, loc="upper left", bbox_to_anchor=(0, 0.78), borderpad=0.2)


def _law(axes: Axes, law: Law, step: float) -> None:
    """The density, or bars on a grid of few places; point masses as stems of their own."""
    width = float(law.values[-1] - law.values[0])
    if step and width <= _MOST_BARS * step:
        places, at = np.unique(law.values, return_inverse=True)
        chance = np.bincount(at, law.weights)
        axes.bar(places, chance, width=0.8 * step, color=BLUE, alpha=0.45, lw=0)
        top, what = float(chance.max()), "probability"
    else:
        top, what = _smooth(axes, law, step), "density"
    axes.axvline(law.truth, color=ORANGE, lw=1.6, ls=(0, (4, 2)))
    axes.set(ylim=(0, 1.18 * top), ylabel=what)
    axes.set_title(law.title, fontsize=10)
    axes.set_yticks([])
    low, high = axes.get_xlim()
    side = "left" if law.truth < (low + high) / 2 else "right"
    axes.annotate(
        "truth", (law.truth, 1.16 * top), (4 if side == "left" else -4, 0),
        textcoords="offset points", ha=side, va="top", color=ORANGE, fontsize=8.5,
    )  # fmt: skip


def _smooth(axes: Axes, law: Law, step: float) -> float:
    """Kernels as wide as the values lie apart (Breiman, Meisel & Purcell 1977); the highest point.

    Nothing is drawn beyond the outermost values.
    """
    values, weights = law.values[~law.is_mass], law.weights[~law.is_mass]
    apart = np.sort(abs(values[:, None] - values), axis=1)
    spread = float(law.values[-1] - law.values[0]) or abs(law.truth) or 1.0
    # As far as the neighbour at the root of their number.
    width = apart[:, int(len(values) ** 0.5)].clip(max(spread / 200, step))
    x = np.linspace(values[0], values[-1], 400)
    kernels = np.exp(-0.5 * ((x[:, None] - values) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    density = kernels @ weights
    top = float(density.max()) or 1.0
    axes.fill_between(x, density, color=BLUE, alpha=0.3, lw=0)
    axes.plot(x, density, color=BLUE, lw=1.4)
    for value, chance in zip(law.values[law.is_mass], law.weights[law.is_mass], strict=True):
        if chance >= 0.01:
            axes.plot([value] * 2, [0, top * chance], color=BLUE, lw=3, solid_capstyle="butt")
            axes.annotate(
                f"{100 * chance:.0f} %", (value, top * chance), (3, 1), textcoords="offset points",
                fontsize=8, color=BLUE,
            )  # fmt: skip
    return top


def categories(
    event: str,
    probability: np.ndarray,
    claimed: np.ndarray,
    observed: np.ndarray,
    chance: tuple[np.ndarray, np.ndarray],
    curves: Mapping[str, tuple[np.ndarray, float]],
    title: str = "",
) -> Figure:
    """A reliability curve over a histogram of what was predicted, and ROC curves.

    Args:
        event: whose probability is looked at.
        probability: of each row, `(n,)`.
        claimed: mean probability of the rows of each bin, `(bins,)`.
        observed: share of them in which it happened.
        chance: between which shares a right law lies, `(bins,)` each.
        curves: by category, false against true alarms `(2, k)` and the area.
        title: above all.
    """
    with styled():
        figure = new_figure(10.6, 6.0)
        grid = figure.add_gridspec(2, 2, height_ratios=[4, 1])
        top = figure.add_subplot(grid[0, 0])
        top.plot([0, 1], [0, 1], color=INK, lw=0.9, label="as predicted")
        middle = (chance[0] + chance[1]) / 2
        top.errorbar(
            claimed, middle, yerr=[middle - chance[0], chance[1] - middle], fmt="none",
            ecolor=FAINT, elinewidth=7, label="by chance (99 % of bins)", zorder=1,
        )  # fmt: skip
        outside = (observed < chance[0]) | (observed > chance[1])
        top.plot(claimed, observed, color=BLUE, lw=1.2)
        top.plot(claimed[~outside], observed[~outside], "o", color=BLUE, ms=5, label="observed")
        if outside.any():
            top.plot(
                claimed[outside], observed[outside], "D", color=ORANGE, ms=6,
                label="observed, beyond chance",
            )  # fmt: skip
        name = plain(event, 34)
        seen = np.concatenate([claimed, observed, *chance])
        shown = max(float(seen.min()) - 0.05, -0.02), min(float(seen.max()) + 0.05, 1.02)
        top.set(xlim=shown, ylim=shown, ylabel="share in which it came about",
                title=f"Reliability: {name}")  # fmt: skip
        # Everything lies about the diagonal: a corner beside it is free.
        left = float(claimed.mean()) < sum(shown) / 2
        top.legend(fontsize=8.5, loc="lower right" if left else "upper left")
        below = figure.add_subplot(grid[1, 0], sharex=top)
        below.hist(
            probability, bins=40, range=(max(shown[0], 0), min(shown[1], 1)), color=BLUE, alpha=0.4
        )
        below.set(xlabel="predicted probability", ylabel="rows")
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        right, names = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
        right.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls=(0, (4, 2)), label="guessing, area 0.5")
        for k, (category, (curve, area)) in enumerate(curves.items()):
            every = max(1, curve.shape[1] // 8)
            right.plot(
                *curve, color=COLOURS[k], lw=1.6, marker=MARKERS[k], ms=4.5,
                markevery=(every, every), label=f"{plain(category, 16)}, area {area:.3f}",
            )  # fmt: skip
        right.set(
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="share of false alarms: 1 - specificity",
            ylabel="share found: sensitivity",
            title="ROC" + ", one against the rest" * (len(curves) > 1),
        )  # fmt: skip
        names.set_axis_off()
        names.legend(
            *right.get_legend_handles_labels(), fontsize=8.5, ncols=2, loc="upper left",
            borderaxespad=0, borderpad=0,
        )  # fmt: skip
        for axes in (top, right):
            axes.grid(color=FAINT, lw=0.6)
            axes.set_axisbelow(True)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for axes in (below, right):
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        few_ticks(top)
        top.tick_params(labelbottom=False)
        headline(figure, title)
    return figure
