"""Figures of points: arrays in, a matplotlib figure out."""

import math
import textwrap
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sfumato.plots.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREY,
    INK,
    ORANGE,
    PAPER,
    VERDICT_COLOURS,
    Limits,
    dot_alpha,
    dot_size,
    few_ticks,
    headline,
    interval,
    limits,
    new_figure,
    steady_limits,
    styled,
)

Frames = Sequence[tuple[str, np.ndarray]]


def _look(n: int, colour: str | np.ndarray, inches: float) -> dict[str, Any]:
    """How n dots of a scatter look; colour is a name or positions `(n,)` in [0, 1]."""
    look: dict[str, Any] = {
        "s": dot_size(n, inches), "alpha": dot_alpha(n), "linewidths": 0, "rasterized": True,
    }  # fmt: skip
    if isinstance(colour, str):
        return look | {"color": colour}
    return look | {"c": colour, "cmap": COLOURS, "vmin": 0, "vmax": 1}


def _dots(axes: Axes, values: np.ndarray, colour: str | np.ndarray, *, inches: float) -> None:
    axes.scatter(values[:, 0], values[:, 1], **_look(len(values), colour, inches))


def _colour(position: np.ndarray | None) -> str | np.ndarray:
    return BLUE if position is None else position


def _square(axes: Axes, span: Limits) -> None:
    """Fixed ranges in a square box, with few ticks."""
    axes.set_xlim(*span[0])
    axes.set_ylim(*span[1])
    axes.set_box_aspect(1)
    few_ticks(axes)


def _bare(axes: Axes, label: str) -> None:
    """A frame without ticks; an axis that has no label either is none that a layout looks at."""
    axes.xaxis.set_visible(False)
    axes.set_yticks([])
    axes.set_ylabel(label, fontsize=10)
    axes.yaxis.set_visible(bool(label))
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT)


def plane(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rows of any dimension as points of a plane, `(n, 2)`.

    Two columns are themselves. One is spread over an arbitrary second axis. More are seen
    along the two directions in which the reference varies most (principal components of its
    standardised columns).
    """
    d = values.shape[1]
    if d == 2:
        return values
    if d == 1:
        spread = (np.arange(len(values)) * 0.6180339887498949) % 1  # golden ratio: even, no ties
        return np.stack([values[:, 0], spread], axis=1)
    reference = reference[np.isfinite(reference).all(1)]
    if len(reference) == 0:
        return np.asarray(values[:, :2])
    centre, scale = reference.mean(0), reference.std(0)
    # The deviation of a constant column is rounding, not zero.
    scale = np.where(scale > 1e-12 * np.abs(centre), scale, 1.0)
    standard = (reference - centre) / scale
    axes = np.linalg.eigh(standard.T @ standard)[1][:, :-3:-1].T
    # An axis may point either way; its largest part is made positive, so figures agree.
    axes *= np.sign(axes[[0, 1], np.abs(axes).argmax(1)])[:, None]
    with np.errstate(invalid="ignore"):  # rows that are not finite stay so
        return np.asarray((values - centre) / scale @ axes.T)


def plane_columns(columns: Sequence[str]) -> tuple[str, str]:
    """What the two axes of `plane` are called."""
    if len(columns) == 2:
        return columns[0], columns[1]
    if len(columns) == 1:
        return columns[0], "(spread)"
    return "first principal axis", "second principal axis"


def curve_3d(
    values: np.ndarray,
    position: np.ndarray | None,
    title: str = "",
    columns: Sequence[str] = ("", "", ""),
) -> Figure:
    """Points in space `(n, 3)`, coloured by position."""
    with styled():
        figure = new_figure(5, 5.4)
        axes: Any = figure.add_subplot(projection="3d")
        _scatter_3d(axes, values, position, inches=4.5)
        axes.set(xlabel=columns[0], ylabel=columns[1], zlabel=columns[2])
        headline(figure, title)
    return figure


def _scatter_3d(
    axes: Any, values: np.ndarray, position: np.ndarray | None, *, inches: float
) -> None:
    axes.scatter(*values.T, depthshade=False, **_look(len(values), _colour(position), inches))
    axes.view_init(elev=13, azim=-64)
    ranges = [interval(column, 0.02) for column in values.T]
    lengths = [high - low for low, high in ranges]
    # Columns of like range keep their proportions; others fill the box.
    axes.set_box_aspect(lengths if max(lengths) <= 4 * min(lengths) else None, zoom=1.12)
    for axis, span in zip("xyz", ranges, strict=True):
        getattr(axes, f"set_{axis}lim")(span)
        line = getattr(axes, f"{axis}axis")
        line.set_major_locator(MaxNLocator(4))
        line.set_ticklabels([])
        line._axinfo["tick"].update(inward_factor=0, outward_factor=0)
        line.set_pane_color((0.975, 0.98, 0.985, 1))
        line.labelpad = -12
        line.line.set_color(FAINT)
        line._axinfo["grid"].update(color=PAPER, linewidth=1.0)


def section(
    values: np.ndarray,
    position: np.ndarray | None,
    columns: Sequence[str],
    title: str = "",
    colour_label: str = "position along the structure",
) -> Figure:
    """Points of the plane `(n, 2)`, coloured by position."""
    with styled():
        figure = new_figure(5 if position is None else 5.7, 5)
        axes = figure.add_subplot()
        _dots(axes, values, _colour(position), inches=4.5)
        _square(axes, limits(values))
        axes.set(xlabel=columns[0], ylabel=columns[1], title=title)
        if position is not None:
            bar = figure.colorbar(
                ScalarMappable(cmap=COLOURS), ax=axes, shrink=0.6, aspect=28, pad=0.02, ticks=[0, 1]
            )
            bar.set_label(colour_label, color=GREY, labelpad=0)
            bar.outline.set_visible(False)
            bar.ax.tick_params(length=0)
    return figure


def panels(
    rows: Sequence[tuple[str, Frames]],
    position: np.ndarray | None = None,
    *,
    span: Limits | None = None,
    title: str = "",
) -> Figure:
    """Rows of small panels on one pair of axes: a process seen at several levels.

    Args:
        rows: each with a label and its frames: (label, `(n, 2)`).
        position: colours the points, `(n,)`.
        span: ranges of x and y; where not given, all but the farthest strays fits.
        title: above all.
    """
    most = max(len(frames) for _, frames in rows)
    span = span or steady_limits(np.concatenate([x for _, frames in rows for _, x in frames]))
    inches = 1.45
    named = any(label for label, _ in rows)
    with styled():
        figure = new_figure(
            inches * most + 0.1 + 0.3 * named, (inches + 0.22) * len(rows) + 0.4 * bool(title)
        )
        grid = figure.subplots(len(rows), most, squeeze=False)
        for axes_row, (row_label, frames) in zip(grid, rows, strict=True):
            for axes in axes_row[len(frames) :]:
                axes.set_axis_off()
            for axes, (label, x) in zip(axes_row, frames, strict=False):
                _dots(axes, x, _colour(position), inches=inches)
                axes.set(xlim=span[0], ylim=span[1], box_aspect=1)
                _bare(axes, row_label if axes is axes_row[0] else "")
                axes.set_title(label, fontsize=9, color=GREY, pad=3, loc="center")
        headline(figure, title)
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    return figure


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean around each value over a 25th of them; narrower at the start, which falls steeply."""
    n = len(values)
    place = np.arange(n)
    before = np.minimum(place, max(n // 50, 2))
    low, high = place - before, np.minimum(place + before + 1, n)
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[high] - total[low]) / (high - low))


def loss_curve(
    steps: Sequence[float],
    losses: Sequence[float],
    title: str = "",
    *,
    floor: float | None = None,
) -> Figure:
    """Training loss by step: every record faint, and its running mean.

    Args:
        steps: of each record.
        losses: of each record; what is not finite is left out.
        title: above.
        floor: the least loss that any network could reach, where it is known.
    """
    x, y = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    with styled():
        figure = new_figure(6.8, 3.6)
        axes = figure.add_subplot()
        if len(x):
            mean = _running_mean(y)
            faint: dict[str, Any] = {"color": BLUE, "alpha": 0.3, "linewidth": 0.8}
            axes.plot(x, y, marker="o" if len(x) == 1 else "", label="each record", **faint)
            axes.plot(x, mean, color=BLUE, linewidth=2, label="running mean")
            shown = np.concatenate([mean, np.quantile(y, [0.002, 0.998])])
            if floor is not None:
                axes.axhline(
                    floor, color=ORANGE, linewidth=1.2, linestyle="--", label="least possible"
                )
                shown = np.append(shown, floor)
            if shown.min() > 0 and mean.max() > 8 * mean.min():
                axes.set_yscale("log")
                axes.set_ylim(*np.exp(interval(np.log(shown))))
            else:
                axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
                axes.set_ylim(*interval(shown))
            axes.legend(loc="upper right")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.01)
        axes.set(xlabel="training step", ylabel="loss", title=title)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
    return figure


def samples_over_data(
    data: np.ndarray, samples: np.ndarray, columns: Sequence[str], title: str = ""
) -> Figure:
    """Real beside generated: histograms in one dimension, scatters in two, pairs beyond."""
    with styled():
        if data.shape[1] == 1:
            return _one_column(data[:, 0], samples[:, 0], columns[0], title)
        if data.shape[1] == 2:
            return _two_columns(data, samples, columns, title)
        return _pairs(data[:, :4], samples[:, :4], columns[:4], title)


WHO: tuple[Any, Any] = (
    Patch(facecolor=BLUE, alpha=0.4, label="real"),
    Line2D([], [], color=ORANGE, linewidth=1.6, label="generated"),
)


def _histograms(
    axes: Axes, real: np.ndarray, generated: np.ndarray, span: tuple[float, float]
) -> None:
    """Densities of both over one range; what lies outside counts, but is not shown."""
    number = int(np.clip(2 * max(len(real), 1) ** 0.4, 10, 60))
    edges = np.linspace(span[0], span[1], number + 1)
    looks: tuple[dict[str, Any], ...] = (
        {"color": BLUE, "alpha": 0.4},
        {"color": ORANGE, "histtype": "step", "linewidth": 1.4},
    )
    for values, look in zip((real, generated), looks, strict=True):
        share = np.full(len(values), 1 / max(len(values), 1) / (edges[1] - edges[0]))
        axes.hist(values, edges.tolist(), weights=share, **look)
    axes.set_xlim(*span)
    few_ticks(axes, 4)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _one_column(real: np.ndarray, generated: np.ndarray, column: str, title: str) -> Figure:
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    _histograms(axes, real, generated, interval(np.concatenate([real, generated])))
    axes.set(xlabel=column, title=title)
    figure.legend(handles=WHO, loc="outside upper right", ncols=2)
    return figure


def _two_columns(
    data: np.ndarray, samples: np.ndarray, columns: Sequence[str], title: str
) -> Figure:
    figure = new_figure(11, 4.4 if title else 4.05)
    span = limits(np.concatenate([data, samples]))
    left, middle, right = figure.subplots(1, 3, sharex=True, sharey=True)
    _dots(left, data, BLUE, inches=3.3)
    _dots(middle, samples, ORANGE, inches=3.3)
    _dots(right, data, BLUE, inches=3.3)
    _dots(right, samples, ORANGE, inches=3.3)
    titles = f"real ({len(data):,})", f"generated ({len(samples):,})", "generated over real"
    for axes, each in zip((left, middle, right), titles, strict=True):
        _square(axes, span)
        axes.set(title=each, xlabel=columns[0])
    left.set_ylabel(columns[1])
    headline(figure, title)
    return figure


def _pairs(data: np.ndarray, samples: np.ndarray, columns: Sequence[str], title: str) -> Figure:
    d = data.shape[1]
    figure = new_figure(2.2 * d, 2.2 * d)
    grid: Any = figure.subplots(d, d)
    both = np.concatenate([data, samples])
    spans = [interval(column) for column in both.T]
    for i in range(d):
        for j in range(d):
            axes = grid[i, j]
            if j > i:
                axes.set_axis_off()
                continue
            if i == j:
                _histograms(axes, data[:, i], samples[:, i], spans[i])
            else:
                _dots(axes, data[:, [j, i]], BLUE, inches=2.0)
                _dots(axes, samples[:, [j, i]], ORANGE, inches=2.0)
                axes.set(xlim=spans[j], ylim=spans[i])
                few_ticks(axes, 4)
                axes.tick_params(labelleft=j == 0)
                if j == 0:
                    axes.set_ylabel(columns[i])
            axes.set_box_aspect(1)
            axes.tick_params(labelbottom=i == d - 1)
            if i == d - 1:
                axes.set_xlabel(columns[j])
    figure.align_ylabels(grid[1:, 0])
    grid[0, d - 1].legend(handles=WHO, loc="upper right", fontsize=10)
    headline(figure, title)
    return figure


def trajectories(
    paths: np.ndarray, data: np.ndarray, columns: Sequence[str], title: str = ""
) -> Figure:
    """Ways of single samples from noise to data.

    Args:
        paths: `(frames, n, 2)`, noise first; those that are not finite are left out.
        data: real points `(m, 2)`, drawn faintly behind.
        columns: names of the axes.
        title: above.
    """
    paths = paths[:, np.isfinite(paths).all((0, 2))]
    noise, sample = paths[0].T, paths[-1].T
    with styled():
        figure = new_figure(5.4, 5.4)
        axes = figure.add_subplot()
        axes.scatter(
            data[:, 0], data[:, 1], s=2.5, color=FAINT, linewidths=0, rasterized=True, zorder=1
        )
        for k in range(paths.shape[1]):
            pieces = np.stack([paths[:-1, k], paths[1:, k]], axis=1)
            # Coloured by the way gone, not by time: most of the time hardly anything moves.
            gone = np.linalg.norm(pieces[:, 1] - pieces[:, 0], axis=1).cumsum()
            lines = LineCollection(
                list(pieces), cmap=COLOURS, linewidths=1.1, alpha=0.85, capstyle="round", zorder=2
            )
            lines.set_array(gone / max(gone.max(initial=0), np.finfo(float).tiny))
            lines.set_clim(0, 1)
            axes.add_collection(lines)
        axes.scatter(
            noise[0], noise[1], s=16, facecolors=PAPER, edgecolors=COLOURS(0.0), linewidths=0.9,
            zorder=3, label="noise",
        )  # fmt: skip
        axes.scatter(
            sample[0], sample[1], s=20, color=ORANGE, edgecolors=PAPER, linewidths=0.6, zorder=4,
            label="sample",
        )  # fmt: skip
        _square(axes, limits(np.concatenate([paths.reshape(-1, 2), data])))
        axes.set(xlabel=columns[0], ylabel=columns[1], title=title)
        figure.legend(loc="outside lower center", ncols=2, handletextpad=0.1)
    return figure


_VERDICT_MARKERS = {"cannot be told apart": "o", "close": "D", "apart": "s", "no power": "X"}


def _number(value: float) -> str:
    """Three digits, and powers of ten as they are written by hand."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    mantissa = mantissa.replace("-", "\N{MINUS SIGN}")
    return rf"{mantissa}$\times 10^{{{int(exponent)}}}$" if exponent else mantissa


def distances(
    rows: Sequence[tuple[str, float, Sequence[float], float, str]],
    title: str = "",
    *,
    higher_is_better: Collection[str] = (),
) -> Figure:
    """Each measure on a scale of its own: where chance puts real sets, and where the sample lies.

    Args:
        rows: title, value, floor values, limit and verdict of each measure.
        title: above all.
        higher_is_better: titles of the measures of which more is better.
    """
    with styled():
        figure = new_figure(8.6, 0.82 * len(rows) + 0.55 + 0.35 * bool(title))
        grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, (name, value, floor, limit, verdict) in zip(grid, rows, strict=True):
            shown = np.array([*floor, value, limit])
            # Far beyond chance a plain scale would press the floor into one dot.
            if shown.min() > 0 and shown.max() > 30 * limit:
                axes.set_xscale("log")
                low, high = np.exp(interval(np.log(shown))).tolist()
                axes.xaxis.set_major_locator(LogLocator(numticks=5))
                axes.xaxis.set_minor_formatter(NullFormatter())
            else:
                low, high = interval(shown)
                axes.xaxis.set_major_locator(MaxNLocator(4))
                axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: _number(tick)))
            colour = VERDICT_COLOURS[verdict]
            far = high if name in higher_is_better else low
            axes.axvspan(far, limit, color=FAINT, alpha=0.55, linewidth=0)
            axes.plot(floor, [0] * len(floor), "o", color=INK, alpha=0.55, ms=4.5, mew=0)
            axes.plot(
                [value], [0], _VERDICT_MARKERS[verdict], color=colour, ms=10, mec=PAPER, mew=1.2,
                zorder=3,
            )  # fmt: skip
            axes.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="x", length=2.5, pad=2)
            axes.set_ylabel(
                textwrap.fill(name[:1].upper() + name[1:], 22),
                rotation=0,
                ha="right",
                va="center",
                labelpad=6,
            )
            beside: dict[str, Any] = {"transform": axes.transAxes, "color": colour}
            axes.text(1.02, 0.68, _number(value), va="center", fontsize=9, **beside)
            axes.text(1.02, 0.3, verdict, va="center", weight="bold", fontsize=9.5, **beside)
        figure.legend(
            handles=[
                Line2D([], [], marker="o", ls="", color=GREY, ms=9, label="generated against real"),
                Line2D([], [], marker="o", ls="", color=INK, alpha=0.55, ms=4.5, mew=0,
                       label="real against real"),
                Patch(facecolor=FAINT, alpha=0.55, label="no more than chance"),
            ],
            loc="outside lower center", ncols=3, fontsize=9, labelcolor=GREY,
        )  # fmt: skip
        headline(figure, title)
    return figure


def thumbnails(sets: Sequence[tuple[str, np.ndarray, np.ndarray | None]]) -> Figure:
    """A sheet of point sets, in the plane or in space: (name, `(n, 2 or 3)`, positions)."""
    # The fewest empty places; of equals, the widest sheet.
    across = min((5, 4, 3), key=lambda wide: -len(sets) % wide)
    down = math.ceil(len(sets) / across)
    with styled():
        figure = new_figure(2.1 * across, 2.35 * down)
        for place, (name, values, position) in enumerate(sets, start=1):
            axes: Any
            if values.shape[1] == 3:
                axes = figure.add_subplot(down, across, place, projection="3d")
                _scatter_3d(axes, values, position, inches=2)
            else:
                axes = figure.add_subplot(down, across, place)
                _dots(axes, values, _colour(position), inches=2)
                _square(axes, limits(values))
            axes.set_axis_off()
            axes.set_title(name, loc="center", pad=2)
    return figure
