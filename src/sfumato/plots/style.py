"""One look for all pictures, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sfumato.errors import ArgumentError
from sfumato.storage import replacing

# Okabe & Ito (2008): told apart with any common colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, GREY, FAINT, PAPER = "#22262B", "#8A9199", "#D8DCE0", "#FFFFFF"
COLOURS = "viridis"

VERDICT_COLOURS = {"cannot be told apart": GREEN, "close": "#B8860B", "apart": ORANGE}

_ENDINGS = (".png", ".svg", ".pdf")

_STYLE: Any = {
    "figure.facecolor": PAPER,
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
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
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, without pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dot_size(n: int, inches: float) -> float:
    """Area of a dot in points² so that n of them fill a panel of that width evenly."""
    return float(np.clip(700 * inches**2 / max(n, 1), 0.4, 18))


def dot_alpha(n: int) -> float:
    """Less opaque the more there are."""
    return float(np.clip(60 / max(n, 1) ** 0.5, 0.55, 0.9))


def limits(values: np.ndarray, margin: float = 0.06) -> tuple[tuple[float, float], ...]:
    """For each column the range to show: all values and a margin; never empty."""
    if len(values) == 0:
        return tuple((-1.0, 1.0) for _ in range(values.shape[1]))
    ranges = []
    for low, high in zip(values.min(0).tolist(), values.max(0).tolist(), strict=True):
        room = margin * (high - low)
        if room <= 1e-9 * max(abs(low), abs(high)):  # constant, as far as axes can show
            room = max(abs(low), abs(high), 1.0) * 0.05
        ranges.append((low - room, high + room))
    return tuple(ranges)


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
    undated = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with styled(), replacing(path) as temporary:
        figure.savefig(temporary, metadata=undated[path.suffix.lower()])
