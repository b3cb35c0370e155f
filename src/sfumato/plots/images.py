"""Sheets and strips of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfumato.data.io.sheets import sheet
from sfumato.plots.animation import write_frames
from sfumato.plots.style import headline, new_figure, styled


def _show(axes: Axes, pixels: np.ndarray) -> None:
    grey = pixels.shape[2] == 1
    axes.imshow(
        pixels[:, :, 0] if grey else pixels,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def sheets(parts: Sequence[tuple[str, np.ndarray]], title: str = "") -> Figure:
    """Sheets side by side, each under its name.

    Args:
        parts: names, and bytes `(n, height, width, channels)` each.
        title: over all.
    """
    with styled():
        figure = new_figure(5.2 * len(parts), 5.8 if title else 5.4)
        for k, (name, pixels) in enumerate(parts):
            axes = figure.add_subplot(1, len(parts), k + 1)
            _show(axes, sheet(pixels))
            axes.set_title(name)
        headline(figure, title)
    return figure


def strips(
    frames: Sequence[tuple[str, np.ndarray]], title: str, rows: Sequence[str] = ()
) -> Figure:
    """The same pictures, a row each, at one moment after another.

    Args:
        frames: labels of the columns, and bytes `(n, height, width, channels)` each.
        title: over all.
        rows: names of the rows, if they have any.
    """
    down, across = len(frames[0][1]), len(frames)
    # One image of all: axes for each picture would take most of the time of a report.
    every = np.stack([pixels for _, pixels in frames], axis=1).reshape(-1, *frames[0][1].shape[1:])
    tiles = sheet(every, across, gap=max(1, every.shape[1] // 8), legible=0)
    with styled():
        width = max(1.05 * across + 0.6, 0.1 * len(title) + 0.3)  # room for the title
        figure = new_figure(width, 1.05 * down + 0.9)
        axes = figure.add_subplot()
        _show(axes, tiles)
        axes.set_xticks(_middles(tiles.shape[1], across), [label for label, _ in frames])
        axes.tick_params(labelsize=9, length=0, labeltop=True, labelbottom=False)
        if rows:
            axes.set_yticks(_middles(tiles.shape[0], down), rows)
        headline(figure, title)
    return figure


def _middles(length: int, count: int) -> np.ndarray:
    """Where the middles of `count` equal parts of an axis of pixels are."""
    return (np.arange(count) + 0.5) * length / count - 0.5


def animate_images(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write a sheet in motion; endless, one picture for each frame.

    Args:
        path: .gif or .mp4.
        frames: bytes `(n, height, width, channels)` each.

    Raises:
        ArgumentError: as `plots.animation.write_frames`.
        MissingDependencyError: as `plots.animation.write_frames`.
        OSError: if it cannot be written.
    """
    write_frames(path, (sheet(pixels, legible=300) for pixels in frames))
