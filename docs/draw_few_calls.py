"""Draw the picture of docs/few-calls.md: `python docs/draw_few_calls.py`.

The same noise, taken to data three ways: along the probability flow, by a few-step map
in one jump, and by the map in two, with new noise between them.
"""

import tempfile
from pathlib import Path

import numpy as np
from both_languages import save
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

import sfumato
from sfumato.plots.style import COLOURS, FAINT, GREY, new_figure, styled
from sfumato.runs.distill import distill

PATHS, POINTS = 60, 2000


def paths(axes: Axes, frames: np.ndarray, place: np.ndarray) -> None:
    """Noise, data, and the ways between them, coloured by where in the noise they begin."""
    start, last = frames[0], frames[-1]
    axes.scatter(*start.T, s=2, color=FAINT, lw=0)
    axes.scatter(*last.T, s=3, c=place, cmap=COLOURS, lw=0)
    some = slice(PATHS)
    ways = frames[:, some].transpose(1, 0, 2)
    axes.add_collection(
        LineCollection(list(ways), array=place[some], cmap=COLOURS, clim=(0, 1), lw=0.8, alpha=0.8)
    )
    axes.scatter(*start[some].T, s=9, color=GREY, lw=0, zorder=3)
    axes.set_axis_off()


def few_calls(run: sfumato.Run) -> None:
    """Three panels."""
    figure = new_figure(10.4, 4.0)
    ways = {
        "the probability flow: 40 calls": {"sampler": "unipc", "steps": 40},
        "the map: 1 call": {"few": 1},
        "the map: 2 calls": {"few": 2},
    }
    for axes, (title, how) in zip(figure.subplots(1, 3), ways.items(), strict=True):
        frames = np.stack([rows for _, rows in run.model.frames(POINTS, seed=0, **how)])
        place = frames[0][:, 0].argsort().argsort() / POINTS
        paths(axes, frames, place)
        axes.set_title(title)
    save(figure, "few-calls.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        fitted = sfumato.fit("s-curve", out=Path(folder) / "run")
        with styled():
            few_calls(distill(fitted, quiet=False).run)
