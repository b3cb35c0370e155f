"""Figures of predictions show the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from sfumato.plots.predictions import Law, categories, numbers

MIDDLES = (np.arange(256) + 0.5) / 256


def drawn(laws: list[Law], step: float = 0.0, *, dated: bool = False) -> Figure:
    """40 rows of N(k, 1), of which the truth of the first lies far outside."""
    mean = np.arange(40.0)
    quantiles = mean[:, None] + stats.norm.ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    truth = mean + np.r_[-5, np.zeros(39)]
    pit = np.full(20, 1 / 20)
    return numbers("y $", truth, quantiles, pit, (0.01, 0.1), laws, step, "title", dated=dated)


def law(values: np.ndarray, weights: np.ndarray, masses: int = 0) -> Law:
    return Law("why", values, weights, np.arange(len(values)) < masses, float(values[-1]))


def test_a_density_is_that_of_the_law() -> None:
    figure = drawn([law(stats.norm.ppf(MIDDLES), np.full(256, 1 / 256))])
    axes = figure.axes[2]
    x, density = (np.asarray(values, float) for values in axes.lines[0].get_data())
    np.testing.assert_allclose(density, stats.norm.pdf(x), atol=0.03)
    assert axes.get_title(loc="left") == "why"
    assert axes.get_ylabel() == "density"


def test_a_point_mass_is_a_stem_and_a_grid_bars() -> None:
    values = np.r_[0, 5 + stats.norm.ppf(MIDDLES)]
    figure = drawn([law(values, np.r_[0.75, np.full(256, 0.25 / 256)], 1)])
    assert "75 %" in {text.get_text() for text in figure.axes[2].texts}
    dice = np.repeat(np.arange(1.0, 7), 2)
    figure = drawn([law(dice, np.full(12, 1 / 12))], step=1.0)
    heights = [bar.get_height() for bar in figure.axes[2].patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, 1 / 6)


def test_truths_outside_of_their_interval_are_marked() -> None:
    figure = drawn([law(stats.norm.ppf(MIDDLES), np.full(256, 1 / 256))], dated=True)
    points = {line.get_label(): line for line in figure.axes[0].lines}
    assert len(np.asarray(points["truth outside of 90 %"].get_xdata())) == 1
    assert len(np.asarray(points["truth"].get_xdata())) == 39
    assert figure.axes[0].get_ylabel() == r"y \$"


@pytest.mark.parametrize("beyond", [0, 1])
def test_bins_beyond_chance_are_marked(beyond: int) -> None:
    claimed = np.array([0.2, 0.8])
    chance = claimed - 0.1, claimed + 0.1
    curve = np.array([[0, 0.2, 1], [0, 0.9, 1.0]])
    figure = categories(
        "yes", np.linspace(0, 1, 50), claimed, claimed + 0.15 * beyond, chance,
        {"yes": (curve, 0.85)}, "title",
    )  # fmt: skip
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert ("observed, beyond chance" in labels) == bool(beyond)
    legend = figure.axes[3].get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["guessing, area 0.5", "yes, area 0.850"]
