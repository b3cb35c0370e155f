"""The families of generative models in one picture: a row each, from noise to data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from sfumato.plots.columns import plain
from sfumato.plots.scatter import plane
from sfumato.plots.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREY,
    INK,
    ORANGE,
    Limits,
    dot_size,
    headline,
    limits,
    new_figure,
    styled,
)

_STAGES, _INCHES = 5, 1.5
# Standardised rows and noise alike lie within.
_SPAN = (-3.3, 3.3)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One stage of the way from noise to data, standardised.

    Args:
        title: what is seen.
        by: what was done to the stage before it.
        rows: `(n, d)`; none where only components are seen.
        means: of components, `(k, d)`, drawn as ellipses of two deviations.
        covariances: of these, `(k, d, d)`.
    """

    title: str
    by: str
    rows: np.ndarray
    means: np.ndarray | None = None
    covariances: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One family.

    Args:
        title: what it is called.
        stages: two to five, noise first.
        sample: rows that it drew, `(n, columns)`, in the data's units.
        facts: numbers that are written beside, a line each.
    """

    title: str
    stages: Sequence[Stage]
    sample: np.ndarray
    facts: Sequence[str]


def families(
    ways: Sequence[Way], real: np.ndarray, columns: Sequence[str], title: str = ""
) -> Figure:
    """Stages, samples over data and numbers of each family; of many columns, the first two.

    A row keeps its colour through all stages: that of its place in the noise.

    Args:
        ways: family by family.
        real: unseen rows of the data, `(m, columns)`.
        columns: their names.
        title: above all; plain text, as the names are.
    """
    data = _flat(real)
    span = limits(data, margin=0.15)  # strays of one family are no reason to shrink all
    with styled():
        figure = new_figure(_INCHES * (_STAGES + 3.2), (_INCHES + 0.3) * len(ways) + 0.85)
        grid = figure.subplots(
            len(ways),
            _STAGES + 2,
            squeeze=False,
            gridspec_kw={"width_ratios": [*[1] * (_STAGES + 1), 2.0]},
        )
        for row, way in zip(grid, ways, strict=True):
            _draw_stages(row[:_STAGES], way)
            _over_data(row[_STAGES], _flat(way.sample), data, span)
            _write_facts(row[-1], way.facts)
        named = " and ".join(plain(name, 24) for name in columns[:2])
        shown = ["", " (one column: heights mean nothing)", "", f" (columns {named})"]
        headline(figure, f"{plain(title, 90) if title else ''}{shown[min(len(columns), 3)]}")
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.03, h_pad=0.05, wspace=0.01, hspace=0.01)
    return figure


def _flat(rows: np.ndarray) -> np.ndarray:
    """The first two columns; of a single one, spread over a second axis."""
    return plane(rows, rows) if rows.shape[1] == 1 else rows[:, :2]


def _draw_stages(row: Sequence[Axes], way: Way) -> None:
    """The first on the left, the last on the right; arrows in the places between."""
    places = np.linspace(0, _STAGES - 1, len(way.stages)).round().astype(int).tolist()
    start = way.stages[0].rows
    colour = start[:, 0].argsort().argsort() / max(1, len(start) - 1)
    for k, (place, stage) in enumerate(zip(places, way.stages, strict=True)):
        axes = row[place]
        _frame(axes, way.title if place == 0 else "")
        axes.set_title(stage.title, fontsize=9, color=GREY, pad=3, loc="center")
        if stage.means is not None and stage.covariances is not None:
            _ellipses(axes, stage.means, stage.covariances)
        if len(stage.rows):
            x = _flat(stage.rows)
            axes.scatter(
                *x.T, c=colour, cmap=COLOURS, s=dot_size(len(x), _INCHES), lw=0, rasterized=True
            )
        axes.set(xlim=_SPAN, ylim=_SPAN if start.shape[1] > 1 else (-0.3, 1.3), box_aspect=1)
        between = row[places[k - 1] + 1 : place] if k else []
        for empty in between:
            empty.set_axis_off()
            empty.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
        if len(between):
            _arrow(between[0], between[-1], between[len(between) // 2], stage.by)


def _frame(axes: Axes, label: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_ylabel(label, fontsize=11, color=INK, weight="bold")
    for spine in axes.spines.values():
        spine.set(visible=True, color=FAINT)


def _arrow(first: Axes, last: Axes, middle: Axes, text: str) -> None:
    """From the left of the first empty place to the right of the last, its text above it."""
    first.annotate(
        "",
        xy=(0.95, 0.5),
        xycoords=last.transAxes,
        xytext=(0.05, 0.5),
        textcoords=first.transAxes,
        arrowprops={"arrowstyle": "-|>", "color": GREY, "lw": 1.2, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
    )
    middle.text(
        0.5, 0.56, text, ha="center", va="bottom", fontsize=8.5, color=INK,
    )  # fmt: skip


def _ellipses(axes: Axes, means: np.ndarray, covariances: np.ndarray) -> None:
    """Two deviations of each component, in the first two columns."""
    for mean, covariance in zip(means, covariances, strict=True):
        if len(mean) == 1:
            axes.axvspan(*(mean[0] + 2 * np.sqrt(covariance[0, 0]) * np.array([-1, 1])),
                         color=ORANGE, alpha=0.15, lw=0)  # fmt: skip
            continue
        variances, turned = np.linalg.eigh(covariance[:2, :2])
        angle = np.degrees(np.arctan2(turned[1, 1], turned[0, 1]))
        width, height = 4 * np.sqrt(variances[::-1])
        axes.add_patch(
            Ellipse((mean[0], mean[1]), width, height, angle=angle, fill=False, ec=ORANGE, lw=0.9)
        )


def _over_data(axes: Axes, sample: np.ndarray, data: np.ndarray, span: Limits) -> None:
    look: dict[str, Any] = {"s": dot_size(len(data), _INCHES), "lw": 0, "rasterized": True}
    axes.scatter(*data.T, color=BLUE, alpha=0.55, **look)
    axes.scatter(*sample.T, color=ORANGE, alpha=0.55, **look)
    _frame(axes, "")
    axes.set_title("samples over data", fontsize=9, color=GREY, pad=3, loc="center")
    axes.set(xlim=span[0], ylim=span[1], box_aspect=1)


def _write_facts(axes: Axes, facts: Sequence[str]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.text(
        0.0, 0.5, "\n".join(facts), ha="left", va="center", fontsize=8.5, color=INK,
        linespacing=1.45,
    )  # fmt: skip
