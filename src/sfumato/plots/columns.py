"""Figures of tables: columns real beside generated, their dependence, and what may leak."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sfumato.data.table import CATEGORICAL, Column, ColumnType
from sfumato.plots import fonts
from sfumato.plots.scatter import WHO
from sfumato.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERDICT_COLOURS,
    headline,
    interval,
    new_figure,
    styled,
)

PANELS, PAIRED = 30, 40  # columns that can still be read on one page
_ACROSS, _BARS, _NAME = 5, 12, 20
_MISSING, _OTHERS = "missing", "others"
_LOOKS: tuple[dict[str, Any], ...] = (
    {"fill": True, "color": BLUE, "alpha": 0.4}, {"color": ORANGE, "lw": 1.3}
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ColumnPanel:
    """One column, real beside generated, or alone.

    Args:
        name: its own.
        real: `(n,)`: float64, NaN where missing; datetime64, NaT likewise; or object, the
            categories as text, None likewise.
        generated: likewise, `(m,)`; None to show the real ones alone.
        distance: of one from the other, if it was measured.
        verdict: on that.
        levels: their order, where it means something; else the commonest come first.
    """

    name: str
    real: np.ndarray
    generated: np.ndarray | None = None
    distance: float | None = None
    verdict: str = ""
    levels: tuple[str, ...] = ()

    @property
    def sets(self) -> list[np.ndarray]:
        """What is shown: the real values, and the generated ones if there are any."""
        return [self.real] if self.generated is None else [self.real, self.generated]


def shown_values(column: Column, kind: ColumnType) -> np.ndarray:
    """The values of a column as `ColumnPanel` takes them, `(n,)`."""
    if kind in CATEGORICAL:
        text = np.array([str(value) for value in column.values.tolist()], dtype=object)
        text[column.missing] = None
        return text
    absent = np.datetime64("NaT") if column.values.dtype.kind == "M" else np.nan
    return np.where(column.missing, absent, column.values)


def marginals(panels: Sequence[ColumnPanel], title: str = "") -> Figure:
    """A grid of columns; of more than 30 those that are farthest off, or the first.

    Args:
        panels: one or more.
        title: above all.
    """
    measured = all(panel.distance is not None for panel in panels)
    shown = sorted(panels, key=lambda panel: -(panel.distance or 0))[:PANELS]
    shown = [panel for panel in panels if panel in shown]
    if len(shown) < len(panels):
        which = "farthest off" if measured else "first"
        title = f"{title} ({len(shown)} of {len(panels)} columns, the {which})".strip()
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    with styled():
        figure = new_figure(max(2.7 * across, 5.6), 2.1 * down + 0.75)
        figure.set_layout_engine("constrained", wspace=0.06, hspace=0.04)
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid, shown, strict=False):
            if panel.real.dtype.kind == "O":
                _bars(axes, panel)
            else:
                _histogram(axes, panel)
            axes.set_title(plain(panel.name), fontsize=9.5, pad=5)
            if panel.distance is not None:
                axes.set_title(
                    f"{panel.distance:.3f}", loc="right", fontsize=8.5, pad=5,
                    color=VERDICT_COLOURS[panel.verdict],
                )  # fmt: skip
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelsize=7.5, length=2)
        distances = "above each column, its distance: green by chance, brown close, red apart\n"
        compared = any(panel.generated is not None for panel in shown)
        figure.legend(
            handles=WHO if compared else WHO[:1], loc="outside lower center", ncols=2, fontsize=9,
            title=distances * measured + "the outermost bars hold what lies beyond",
            title_fontsize=8.5,
        )  # fmt: skip
        headline(figure, title)
    return figure


def _histogram(axes: Axes, panel: ColumnPanel) -> None:
    """Shares of the rows in common bins, and of missing values in a bar of their own."""
    missing = [float(np.isnat(x).mean() if x.dtype.kind == "M" else np.isnan(x).mean())
             for x in panel.sets]  # fmt: skip
    there = [_floats(values) for values in panel.sets]
    edges = _edges(np.concatenate(there), min(map(len, there)))
    shares = [
        np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / max(len(values), 1)
        for x, values in zip(there, panel.sets, strict=True)
    ]
    for share, look in zip(shares, _LOOKS, strict=False):
        axes.stairs(share, edges, **look)
    if panel.real.dtype.kind == "M":
        locator = AutoDateLocator(maxticks=4, minticks=2)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    room = 0.03 * (edges[-1] - edges[0])
    ticks = [t for t in axes.get_xticks() if edges[0] - room <= t <= edges[-1] + room]
    if max(missing) > 0:
        width = (edges[-1] - edges[0]) / 9
        at = np.array([edges[-1] + width, edges[-1] + 2 * width])
        for absent, look in zip(missing, _LOOKS, strict=False):
            axes.stairs([absent], at, **look)
        axes.text(
            at.mean(), max(missing), _MISSING, ha="center", va="bottom", fontsize=7.5, color=GREY
        )
    axes.set_xticks(ticks)
    axes.set_yticks([])
    axes.set_ylim(0, 1.12 * max(*np.concatenate(shares), *missing) or 1)


def _floats(values: np.ndarray) -> np.ndarray:
    """What is there, as numbers; dates as days since 1970, as matplotlib counts them."""
    if values.dtype.kind == "M":
        there = values[~np.isnat(values)].astype("datetime64[us]")
        return np.asarray(there.astype(np.int64) / 86_400e6)
    return np.asarray(values[np.isfinite(values)], dtype=float)


def _edges(values: np.ndarray, rows: int) -> np.ndarray:
    """Bins of the central 99 %: one for each integer if these are few.

    Args:
        values: all that are to be shown, `(n,)`.
        rows: of the smallest set among them, which wants wide bins if they are few.
    """
    if len(values) == 0:
        return np.array([0.0, 1.0])
    low, high = np.quantile(values, [0.005, 0.995])
    if high - low <= _ACROSS * 8 and (values == np.round(values)).all():
        return np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return np.linspace(*interval(np.array([low, high]), 0), _bins(rows) + 1)


def _bins(rows: int) -> int:
    """How many bins so many rows fill without gaps."""
    return int(np.clip((2 * rows) ** 0.4, 8, 40))


def _bars(axes: Axes, panel: ColumnPanel) -> None:
    """Shares of the commonest categories, of all others together, and of missing values."""
    counts = [Counter(values.tolist()) for values in panel.sets]
    both = sum(counts, Counter())
    missing = both.pop(None, 0)
    order = {level: k for k, level in enumerate(panel.levels)}
    common = sorted(both, key=lambda level: (-counts[0][level], -both[level], level))[:_BARS]
    common.sort(key=lambda level: order.get(level, -counts[0][level]))
    left = set(both) - set(common)
    bars = [(plain(level, 12), [level]) for level in common]
    bars += [(f"{len(left):,} {_OTHERS}", list(left))] if left else []
    bars += [(_MISSING, [None])] if missing else []
    shares = np.array(
        [[sum(c[x] for x in some) / max(c.total(), 1) for c in counts] for _, some in bars]
    ).reshape(-1, len(counts))
    for k, share in enumerate(shares):
        axes.barh(k, share[0], height=0.84, color=BLUE, alpha=0.4, lw=0)
        for x in share[1:]:
            axes.plot([x] * 2, [k - 0.42, k + 0.42], color=ORANGE, lw=2, solid_capstyle="butt")
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlim(0, 1.06 * float(shares.max(initial=0)) or 1)


def plain(text: str, most: int = _NAME) -> str:
    """A user's own words on a picture: one line, no mathematics, no missing glyphs, not too long.

    Args:
        text: any.
        most: characters of it to keep.
    """
    text = " ".join(text.split()) or "(blank)"
    if len(text) > most:
        text = text[: most - 1] + "…"
    known = [get_font(findfont(FontProperties(family=each))) for each in fonts.families()]
    text = "".join(c if any(f.get_char_index(ord(c)) for f in known) else "□" for c in text)
    return text.replace("$", r"\$")


def dependence(
    names: Sequence[str], real: np.ndarray, generated: np.ndarray, title: str = ""
) -> Figure:
    """Associations of all pairs of columns: real, generated, and the one less the other.

    Of more than 40 columns those that are farthest off.

    Args:
        names: of the columns.
        real: `(n, n)`, from -1 to 1.
        generated: likewise.
        title: above all.
    """
    off = np.abs(generated - real).max(1)
    shown = np.sort(np.argsort(-off, kind="stable")[:PAIRED])
    if len(shown) < len(names):
        title = f"{title} ({len(shown)} of {len(names)} columns, the farthest off)".strip()
    real, generated = (x[np.ix_(shown, shown)] for x in (real, generated))
    labels = [plain(names[k], 16) for k in shown]
    size = float(np.clip(150 / len(shown), 5.0, 9.0))
    most = max(0.3, float(np.abs(generated - real).max()))  # chance alone is pale
    with styled():
        figure = new_figure(13.4, 5.6)
        parts = (("real", real, 1.0), ("generated", generated, 1.0))
        for k, (what, values, span) in enumerate((*parts, ("difference", generated - real, most))):
            axes = figure.add_subplot(1, 3, k + 1)
            # Blue to red through white: told apart with any common colour vision.
            image = axes.imshow(
                values, cmap=matplotlib.colormaps["RdBu_r"], vmin=-span, vmax=span,
                interpolation="nearest",
            )  # fmt: skip
            axes.set_title(what)
            axes.set_xticks(range(len(shown)), labels, rotation=90, fontsize=size)
            axes.set_yticks(range(len(shown)), labels if k == 0 else [], fontsize=size)
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            if what != "real":
                bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=28, pad=0.02)
                bar.outline.set_visible(False)
                bar.ax.tick_params(length=0)
        headline(figure, title)
    return figure


def likelihoods(
    train: np.ndarray, heldout: np.ndarray, generated: np.ndarray, title: str = ""
) -> Figure:
    """Log densities of rows learned from, held out and generated, and their means.

    Args:
        train: `(n,)`, in nats; and the others likewise.
        heldout: rows that were not learned from.
        generated: samples.
        title: above.
    """
    values = np.concatenate([train, heldout, generated])
    low, high = np.quantile(values[np.isfinite(values)], [0.005, 1])
    fewest = min(len(train), len(heldout), len(generated))
    edges = np.linspace(*interval(np.array([low, high]), 0.02), _bins(fewest) + 1)
    looks = (("learned from", train, GREY), ("held out", heldout, BLUE),
             ("generated", generated, ORANGE))  # fmt: skip
    with styled():
        figure = new_figure(5.4, 5.2)
        axes = figure.add_subplot()
        for name, part, colour in looks:
            share = np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0] / len(part)
            label = f"{name}, mean {part.mean():.2f}"
            axes.stairs(
                share, edges, color=colour, lw=1.6, fill=name == "held out", label=label,
                alpha=0.4 if name == "held out" else 1,
            )  # fmt: skip
            axes.axvline(float(part.mean()), color=colour, lw=1.2, ls=(0, (4, 2)))
        axes.set(
            xlabel="log density of a row, nats; the first bar: all below",
            ylabel="share of the rows",
            title=title,
        )
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
        figure.legend(loc="outside lower center", fontsize=9)
    return figure


def intervals(
    nominal: np.ndarray,
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str = "",
) -> Figure:
    """What share of hidden values lies within intervals, against the share that should.

    Args:
        nominal: `(k,)`, from 0 to 1.
        lines: name to observed shares `(k,)`, and those of other draws in the truth's place,
            `(d, k)`, which are chance.
        title: above.
    """
    looks = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))
    with styled():
        figure = new_figure(5.4, 5.2)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=INK, lw=0.9, label="as they claim")
        for (name, (observed, chance)), (colour, marker) in zip(lines.items(), looks, strict=False):
            band = chance.min(0), chance.max(0)
            axes.fill_between(nominal, *band, color=colour, alpha=0.18, lw=0)
            axes.plot(nominal, observed, marker=marker, color=colour, lw=1.4, ms=4.5, label=name)
        axes.text(
            0.97, 0.03, "below: too sure\nabove: not sure enough\nshaded: by chance",
            ha="right", va="bottom", transform=axes.transAxes, color=GREY, fontsize=8.5,
        )  # fmt: skip
        axes.set(
            xlim=(0, 1), ylim=(0, 1), xlabel="share that intervals claim to hold",
            ylabel="share of hidden values that they hold", title=title,
        )  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_box_aspect(1)
        axes.grid(color=FAINT, lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(fontsize=9)
    return figure


def nearest(generated: np.ndarray, heldout: np.ndarray, title: str = "") -> Figure:
    """How many rows lie within a distance of the nearest row learned from.

    Args:
        generated: distances of samples, `(n,)`.
        heldout: of rows that were not learned from, `(m,)`.
        title: above.
    """
    looks = (("held out", heldout, BLUE, 3.2), ("generated", generated, ORANGE, 1.5))
    with styled():
        figure = new_figure(6.6, 4.2)
        axes = figure.add_subplot()
        # Each wider than the one after, so that curves on top of each other are both seen.
        for name, distances, colour, width in looks:
            axes.ecdf(distances, color=colour, lw=width, label=name)
        farthest = float(np.quantile(np.concatenate([generated, heldout]), 0.995))
        axes.set(
            xlim=(-0.02 * (farthest or 1.0), farthest or 1.0), ylim=(0, 1.01), title=title,
            xlabel="distance to the nearest row that was learned from",
            ylabel="share of the rows within it",
        )  # fmt: skip
        axes.text(
            0.98, 0.04, "copies would lift the generated rows' curve on the left",
            ha="right", transform=axes.transAxes, color=GREY, fontsize=8.5,
        )  # fmt: skip
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(color=FAINT, lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(fontsize=9, loc="upper left")
    return figure
