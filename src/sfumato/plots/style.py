"""One look for all pictures, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sfumato.atomic import replacing
from sfumato.errors import ArgumentError
from sfumato.plots import fonts

# Okabe & Ito (2008): told apart with any common colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GREY, FAINT, PAPER = "#22262B", "#757D85", "#D8DCE0", "#FFFFFF"
# Viridis without its palest end, which white paper swallows.
COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.94, 256)), "positions")

VERDICT_COLOURS = {
    "cannot be told apart": GREEN, "close": "#A87400", "apart": ORANGE, "no power": GREY
}  # fmt: skip

Limits = tuple[tuple[float, float], ...]

_ENDINGS = (".png", ".svg", ".pdf")

_STYLE: Any = {
    "figure.facecolor": PAPER,
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "axes.edgecolor": GREY,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    # The same input gives the same bytes.
    "svg.hashsalt": "sfumato",
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this look; the caller's own settings come back afterwards."""
    with matplotlib.rc_context(_STYLE | {"font.family": fonts.families()}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, without pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def few_ticks(axes: Axes, most: int = 6) -> None:
    """A few round numbers on each axis."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))


def headline(figure: Figure, text: str) -> None:
    """A title over the whole figure, flush left as those of single axes are."""
    if text:
        figure.suptitle(text, x=0.012, ha="left", fontsize=12.5)


def dot_size(n: int, inches: float) -> float:
    """Area of a dot in points² so that n of them fill a panel of that width evenly."""
    return float(np.clip(1000 * inches**2 / max(n, 1), 0.5, 30))


def dot_alpha(n: int) -> float:
    """Less opaque the more there are."""
    return float(np.clip(70 / max(n, 1) ** 0.5, 0.6, 0.9))


def interval(values: np.ndarray, margin: float = 0.06) -> tuple[float, float]:
    """The range to show of one column: all finite values and a margin; never empty."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    largest = max(abs(low), abs(high))
    room = margin * (high - low)
    if high - low <= 1e-12 * largest:  # constant, as far as numbers can tell
        room = 0.05 * (largest or 1.0)
    return low - room, high + room


def limits(values: np.ndarray, margin: float = 0.06) -> Limits:
    """The ranges of x and y to show points `(n, 2)`: all of them and a margin; never empty.

    Ranges of like length become one, so that in a square picture a circle is round. Columns of
    quite different units keep their own.
    """
    ranges = [interval(values[:, k], margin) for k in range(2)]
    lengths = [high - low for low, high in ranges]
    longest = max(lengths)
    if longest > 4 * min(lengths):
        return tuple(ranges)
    grow = [(longest - length) / 2 for length in lengths]
    return tuple((low - g, high + g) for (low, high), g in zip(ranges, grow, strict=True))


def steady_limits(values: np.ndarray) -> Limits:
    """As `limits`, without room for the farthest strays of noise (0.1 % on each side)."""
    finite = values[np.isfinite(values).all(1)]
    if len(finite) == 0:
        return limits(finite)
    return limits(np.quantile(finite, [0.001, 0.999], axis=0))


def check_figure_target(path: Path) -> None:
    """Refuse early what `save_figure` could not do late.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
    """
    check_target(path, _ENDINGS)


def check_target(path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a path with another ending, or in a folder that is not there.

    Raises:
        ArgumentError: saying which.
    """
    if path.suffix.lower() not in endings:
        raise ArgumentError(f"cannot write {path}: the ending must be one of {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent}; make it first.")


def save_figure(figure: Figure, path: Path) -> None:
    """Save as .png, .svg or .pdf, atomically; the same figure gives the same bytes.

    Raises:
        ArgumentError: as `check_figure_target`.
        OSError: if it cannot be written.
    """
    check_figure_target(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with styled(), replacing(path) as temporary:
        if (ending := path.suffix.lower()) == ".png":
            _write_png(figure, temporary)
        else:
            figure.savefig(temporary, metadata=undated[ending])


def _write_png(figure: Figure, path: Path) -> None:
    """As `savefig` writes it, which draws twice so that all is laid out; one drawing does it."""
    dpi = figure.dpi
    figure.dpi = matplotlib.rcParams["savefig.dpi"]
    try:
        FigureCanvasAgg(figure).print_png(path)
    finally:
        figure.dpi = dpi
