"""Draw the picture of predictions in the README: `python docs/draw_predictions.py`.

The S-curve crosses a line x = const up to three times, so that p(y | x) has up to three humps. Its
density is known; beside it stand draws of a model that was fitted to both columns.
"""

from pathlib import Path

import numpy as np

import sfumato
from sfumato.data.toy import TOY_SETS
from sfumato.plots.style import BLUE, FAINT, INK, ORANGE, few_ticks, new_figure, save_figure, styled

IMAGE = Path(__file__).parent / "images" / "predictions.png"
CURVE = TOY_SETS["s-curve"]
Y = np.linspace(-0.25, 0.25, 2001)
AT, BARS, DRAWS = (-0.09, 0.03, 0.1), 60, 8000


def conditional(x: float) -> np.ndarray:
    """The true p(y | x) on the grid Y."""
    joint = np.exp(CURVE.log_density(np.column_stack([np.full_like(Y, x), Y]), CURVE.noise))
    return joint / np.trapezoid(joint, Y)


def predictions(run: sfumato.Run) -> None:
    """The points with three values of x marked, and p(y | x) at each of them."""
    figure = new_figure(9.6, 3.0)
    first, *panels = figure.subplots(1, 1 + len(AT), sharey=True, width_ratios=[1.5, 1, 1, 1])
    points = run.sample(3000)
    first.plot(*points.T, ".", color=BLUE, markersize=1.5, alpha=0.5)
    first.set_xlabel("x")
    first.set_ylabel("y")
    first.set_title("a model of (x, y)")
    few_ticks(first)
    edges = np.linspace(Y[0], Y[-1], BARS + 1)
    for axes, x in zip(panels, AT, strict=True):
        first.axvline(x, color=ORANGE, linewidth=1.6)
        drawn = run.sample(DRAWS, given={"x": x})[:, 1]
        height = np.histogram(drawn, edges, density=True)[0]
        axes.stairs(height, edges, orientation="horizontal", fill=True, color=ORANGE, alpha=0.45,
                    label="drawn")  # fmt: skip
        axes.plot(conditional(x), Y, color=INK, linewidth=1.3, label="true")
        axes.set_title(f"p(y | x = {x:g})".replace("-", "\N{MINUS SIGN}"))
        axes.set_xticks([])
        axes.spines["bottom"].set_color(FAINT)
    panels[-1].legend(loc="lower right")
    save_figure(figure, IMAGE)


if __name__ == "__main__":
    with styled():
        predictions(sfumato.fit("s-curve"))
