"""Figures of points: arrays in, a matplotlib figure out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sfumato.plots.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREY,
    INK,
    ORANGE,
    VERDICT_COLOURS,
    dot_alpha,
    dot_size,
    limits,
    new_figure,
    styled,
)

Limits = tuple[tuple[float, float], ...]
Frames = Sequence[tuple[str, np.ndarray]]


def _dots(
    axes: Axes, values: np.ndarray, colour: Any, *, inches: float, many: int | None = None
) -> None:
    """A scatter whose dots suit their number; colour is a name or positions in [0, 1]."""
    n = many or len(values)
    look: dict[str, Any] = (
        {"color": colour} if isinstance(colour, str) else {"c": colour, "cmap": COLOURS}
    )
    if not isinstance(colour, str):
        look |= {"vmin": 0, "vmax": 1}
    axes.scatter(
        values[:, 0],
        values[:, 1],
        s=dot_size(n, inches),
        alpha=dot_alpha(n),
        linewidths=0,
        rasterized=True,
        **look,
    )


def _square(axes: Axes, span: Limits) -> None:
    axes.set_xlim(*span[0])
    axes.set_ylim(*span[1])
    axes.set_box_aspect(1)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
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
    centre, scale = reference.mean(0), reference.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    axes = np.linalg.svd((reference - centre) / scale, full_matrices=False)[2][:2]
    # An axis may point either way; its largest part is made positive, so figures agree.
    axes *= np.sign(axes[[0, 1], np.abs(axes).argmax(1)])[:, None]
    return np.asarray((values - centre) / scale @ axes.T)


def plane_columns(columns: Sequence[str]) -> tuple[str, str]:
    """What the two axes of `plane` are called."""
    if len(columns) == 2:
        return columns[0], columns[1]
    if len(columns) == 1:
        return columns[0], "(spread)"
    return "first principal axis", "second principal axis"


def curve_3d(values: np.ndarray, position: np.ndarray | None, title: str = "") -> Figure:
    """Points in space `(n, 3)`, coloured by position."""
    with styled():
        figure = new_figure(6, 5)
        _scatter_3d(figure.add_subplot(projection="3d"), values, position, inches=5, title=title)
    return figure


def _scatter_3d(
    axes: Any, values: np.ndarray, position: np.ndarray | None, *, inches: float, title: str
) -> None:
    n = len(values)
    colour = {"color": BLUE} if position is None else {"c": position, "cmap": COLOURS}
    axes.scatter(
        *values.T, s=dot_size(n, inches), alpha=dot_alpha(n), linewidths=0, rasterized=True,
        **colour,
    )  # fmt: skip
    axes.view_init(elev=14, azim=-68)
    axes.set_box_aspect(np.maximum(np.ptp(values, axis=0), 1e-12) if n else (1, 1, 1))
    axes.set_title(title)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_ticklabels([])
        axis.set_pane_color((1, 1, 1, 0))
        axis._axinfo["grid"]["color"] = FAINT


def section(
    values: np.ndarray,
    position: np.ndarray | None,
    columns: Sequence[str],
    title: str = "",
    colour_label: str = "position along the structure",
) -> Figure:
    """Points of the plane `(n, 2)`, coloured by position."""
    with styled():
        figure = new_figure(5.6, 5)
        axes = figure.add_subplot()
        _dots(axes, values, BLUE if position is None else position, inches=4.5)
        _square(axes, limits(values))
        axes.set(xlabel=columns[0], ylabel=columns[1], title=title)
        if position is not None and len(values):
            from matplotlib.cm import ScalarMappable

            bar = figure.colorbar(ScalarMappable(cmap=COLOURS), ax=axes, shrink=0.7, pad=0.02)
            bar.set_label(colour_label, color=GREY)
            bar.outline.set_visible(False)
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
        span: ranges of x and y; all that is shown fits where not given.
        title: above all.
    """
    most = max(len(frames) for _, frames in rows)
    span = span or limits(np.concatenate([x for _, frames in rows for _, x in frames]))
    inches = 1.45
    with styled():
        figure = new_figure(inches * most + 0.5, (inches + 0.27) * len(rows) + (0.35 * bool(title)))
        grid = figure.subplots(len(rows), most, squeeze=False)
        for axes_row, (row_label, frames) in zip(grid, rows, strict=True):
            for axes in axes_row[len(frames) :]:
                axes.set_axis_off()
            for axes, (label, x) in zip(axes_row, frames, strict=False):
                _dots(axes, x, BLUE if position is None else position, inches=inches)
                _square(axes, span)
                _bare(axes)
                axes.set_title(label, fontsize=8.5, color=GREY, pad=3)
            axes_row[0].set_ylabel(row_label, fontsize=9)
        if title:
            figure.suptitle(title, fontsize=12)
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.02)
    return figure


def loss_curve(steps: Sequence[float], losses: Sequence[float], title: str = "") -> Figure:
    """Training loss by step: every record faint, and its running mean."""
    x, y = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
    with styled():
        figure = new_figure(6.4, 3.6)
        axes = figure.add_subplot()
        if len(x):
            window = max(1, len(x) // 25)
            padded = np.concatenate([[0.0], np.cumsum(y)])
            running = (padded[window:] - padded[:-window]) / window
            axes.plot(x, y, color=BLUE, alpha=0.3, linewidth=0.9, label="each record")
            axes.plot(x[window - 1 :], running, color=BLUE, linewidth=2, label="running mean")
            axes.legend(loc="upper right")
            # The first records tower over the rest; what is learned later is what to see.
            low, high = y.min(), np.quantile(y, 0.98) if len(y) > 10 else y.max()
            room = max(high - low, 1e-3 * abs(high), 1e-9)
            axes.set_ylim(low - 0.1 * room, high + 0.25 * room)
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


def _histograms(axes: Axes, real: np.ndarray, generated: np.ndarray) -> None:
    low, high = limits(real[:, None])[0]
    bins: list[float] = np.linspace(low, high, 61).tolist()
    axes.hist(real, bins, density=True, color=BLUE, alpha=0.35, label="real")
    axes.hist(
        generated, bins, density=True, color=ORANGE, histtype="step", linewidth=1.4,
        label="generated",
    )  # fmt: skip
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _one_column(real: np.ndarray, generated: np.ndarray, column: str, title: str) -> Figure:
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    _histograms(axes, real, generated)
    axes.set(xlabel=column, title=title)
    axes.legend()
    return figure


def _two_columns(
    data: np.ndarray, samples: np.ndarray, columns: Sequence[str], title: str
) -> Figure:
    figure = new_figure(11, 4.5 if title else 4.1)
    span = limits(np.concatenate([data, samples]))
    left, middle, right = figure.subplots(1, 3, sharex=True, sharey=True)
    _dots(left, data, BLUE, inches=3.3)
    _dots(middle, samples, ORANGE, inches=3.3)
    both = len(data) + len(samples)
    _dots(right, data, BLUE, inches=3.3, many=both)
    _dots(right, samples, ORANGE, inches=3.3, many=both)
    titles = f"real ({len(data):,})", f"generated ({len(samples):,})", "generated over real"
    for axes, each in zip((left, middle, right), titles, strict=True):
        _square(axes, span)
        axes.set(title=each, xlabel=columns[0])
    left.set_ylabel(columns[1])
    if title:
        figure.suptitle(title, fontsize=12, y=1.0, va="top")
    return figure


def _pairs(data: np.ndarray, samples: np.ndarray, columns: Sequence[str], title: str) -> Figure:
    d = data.shape[1]
    figure = new_figure(2.3 * d, 2.3 * d)
    grid: Any = figure.subplots(d, d, sharex="col")
    span = limits(np.concatenate([data, samples]))
    for i in range(d):
        for j in range(d):
            axes = grid[i, j]
            if j > i:
                axes.set_axis_off()
                continue
            if i == j:
                _histograms(axes, data[:, i], samples[:, i])
            else:
                _dots(axes, data[:, [j, i]], BLUE, inches=2.0)
                _dots(axes, samples[:, [j, i]], ORANGE, inches=2.0)
                axes.set_ylim(*span[i])
                if j == 0:
                    axes.set_ylabel(columns[i])
            axes.set_xlim(*span[j])
            if i == d - 1:
                axes.set_xlabel(columns[j])
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", fontsize=10)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def trajectories(
    paths: np.ndarray, data: np.ndarray, columns: Sequence[str], title: str = ""
) -> Figure:
    """Ways of single samples from noise to data.

    Args:
        paths: `(frames, n, 2)`, noise first.
        data: real points `(m, 2)`, drawn faintly behind.
        columns: names of the axes.
        title: above.
    """
    with styled():
        figure = new_figure(5.8, 5.2)
        axes = figure.add_subplot()
        axes.scatter(
            data[:, 0], data[:, 1], s=2, color=FAINT, linewidths=0, rasterized=True, zorder=1
        )
        share = np.linspace(0, 1, max(len(paths) - 1, 1))
        for k in range(paths.shape[1]):
            way = paths[:, k]
            pieces = np.stack([way[:-1], way[1:]], axis=1)
            axes.add_collection(
                LineCollection(
                    list(pieces), array=share, cmap=COLOURS, linewidths=0.9, alpha=0.75, zorder=2
                )
            )
        noise, sample = paths[0].T, paths[-1].T
        axes.scatter(
            noise[0], noise[1], s=12, facecolors="none", edgecolors=GREY, linewidths=0.8, zorder=3,
            label="noise",
        )  # fmt: skip
        axes.scatter(
            sample[0], sample[1], s=12, color=ORANGE, linewidths=0, zorder=4, label="sample"
        )
        _square(axes, limits(np.concatenate([paths.reshape(-1, 2), data])))
        axes.set(xlabel=columns[0], ylabel=columns[1], title=title)
        axes.legend(loc="upper right")
    return figure


def distances(
    rows: Sequence[tuple[str, float, Sequence[float], float, str]], title: str = ""
) -> Figure:
    """Each measure on a scale of its own: where chance puts real sets, and where the sample lies.

    Args:
        rows: title, value, floor values, limit and verdict of each measure.
        title: above all.
    """
    with styled():
        figure = new_figure(8, 0.85 * len(rows) + 0.7)
        grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, (name, value, floor, limit, verdict) in zip(grid, rows, strict=True):
            low, high = min(*floor, value), max(*floor, limit, value)
            room = 0.08 * max(high - low, 1e-12)
            axes.axvspan(low - room, limit, color=FAINT, alpha=0.6, linewidth=0)
            axes.plot(floor, [0] * len(floor), "|", color=INK, markersize=11, markeredgewidth=1.4)
            axes.plot([value], [0], "o", color=VERDICT_COLOURS[verdict], markersize=9, zorder=3)
            axes.set_xlim(low - room, high + room)
            axes.set_ylim(-1, 1)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3))
            axes.set_title(name, loc="left", fontsize=9.5, pad=2)
            axes.set_title(verdict, loc="right", fontsize=9.5, pad=2,
                           color=VERDICT_COLOURS[verdict])  # fmt: skip
        figure.supxlabel(
            "dot: generated     strokes: real against real     shaded: chance",
            fontsize=8.5, color=GREY,
        )  # fmt: skip
        if title:
            figure.suptitle(title, fontsize=12)
    return figure


def thumbnails(sets: Sequence[tuple[str, np.ndarray, np.ndarray | None]]) -> Figure:
    """A sheet of point sets, in the plane or in space: (name, `(n, 2 or 3)`, positions)."""
    across = 4
    down = -(-len(sets) // across)
    with styled():
        figure = new_figure(2.3 * across, 2.5 * down)
        for place, (name, values, position) in enumerate(sets, start=1):
            if values.shape[1] == 3:
                axes: Any = figure.add_subplot(down, across, place, projection="3d")
                _scatter_3d(axes, values, position, inches=2, title=name)
                continue
            axes = figure.add_subplot(down, across, place)
            _dots(axes, values, BLUE if position is None else position, inches=2)
            axes.set_aspect("equal")
            axes.set_axis_off()
            axes.set_title(name)
    return figure
