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
    with styled():
        width = max(1.05 * across + 0.6, 0.1 * len(title) + 0.3)  # room for the title
        figure = new_figure(width, 1.05 * down + 0.9)
        for column, (label, pixels) in enumerate(frames):
            for row, picture in enumerate(pixels):
                axes = figure.add_subplot(down, across, row * across + column + 1)
                _show(axes, picture)
                if row == 0:
                    axes.set_title(label, fontsize=9, loc="center")
                if column == 0 and rows:
                    axes.set_ylabel(rows[row], rotation=0, ha="right", va="center")
        headline(figure, title)
    return figure


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
