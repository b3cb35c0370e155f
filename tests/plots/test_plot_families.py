"""The picture of families: stages in their places, the colours of the noise, ellipses, numbers."""

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from sfumato.plots.families import Stage, Way, families

RNG = np.random.default_rng(0)


def way(stages: int, columns: int = 2) -> Way:
    rows = RNG.normal(size=(stages, 40, columns))
    return Way("name", [Stage(f"s{k}", f"by {k}", rows[k]) for k in range(stages)], rows[0], ["n"])


@pytest.mark.parametrize(("stages", "places"), [(2, [0, 4]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4])])
def test_stages_stand_from_the_left_to_the_right(stages: int, places: list[int]) -> None:
    figure = families([way(stages)], RNG.normal(size=(30, 2)), ["x", "y"])
    figure.canvas.draw()
    drawn = [k for k, axes in enumerate(figure.axes[:5]) if axes.collections]
    assert drawn == places
    written = " ".join(text.get_text() for axes in figure.axes[:5] for text in axes.texts)
    assert all((f"by {k}" in written) == (len(places) < 5) for k in range(1, stages))


def test_a_row_keeps_the_colour_of_its_noise() -> None:
    figure = families([way(3)], RNG.normal(size=(30, 2)), ["x", "y"])
    first, last = (figure.axes[k].collections[0].get_array() for k in (0, 4))
    assert first is not None
    assert last is not None
    assert np.array_equal(first, last)
    noise = np.asarray(figure.axes[0].collections[0].get_offsets())[:, 0]
    assert np.array_equal(np.argsort(noise), np.argsort(first))


def test_an_ellipse_is_two_deviations_along_its_axes() -> None:
    turned = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    covariance = turned @ np.diag([4.0, 0.25]) @ turned.T
    stage = Stage("one", "", np.empty((0, 2)), np.array([[1.0, 2.0]]), covariance[None])
    stages = [way(2).stages[0], stage, way(2).stages[1]]
    figure = families(
        [Way("mixture", stages, RNG.normal(size=(9, 2)), ["n"])],
        RNG.normal(size=(9, 2)),
        ["x", "y"],
    )
    (ellipse,) = (each for each in figure.axes[2].patches if isinstance(each, Ellipse))
    assert (ellipse.width, ellipse.height) == pytest.approx((8, 2))
    assert np.radians(ellipse.angle) % np.pi == pytest.approx(0.5)
    assert ellipse.center == (1.0, 2.0)


@pytest.mark.parametrize("columns", [1, 3])
def test_any_number_of_columns_is_shown(columns: int) -> None:
    names = ["a", "b", "c"][:columns]
    figure = families([way(4, columns)], RNG.normal(size=(30, columns)), names, "title")
    figure.canvas.draw()
    title = figure.get_suptitle()
    assert ("columns a and b" in title) == (columns == 3)
    assert ("heights mean nothing" in title) == (columns == 1)


def test_names_are_plain_text() -> None:
    names = ["price_$", "tax_%_$", "z"]
    figure = families([way(3, 3)], RNG.normal(size=(30, 3)), names, "$^_$: 1 second")
    figure.canvas.draw()
    title = figure.get_suptitle().replace(r"\$", "$")  # matplotlib draws the sign alone
    assert title == "$^_$: 1 second (columns price_$ and tax_%_$)"
