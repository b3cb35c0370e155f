"""Figures of tables show what they were given: shares, levels, pairs, and what they leave out."""

import re
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from scipy.stats import ecdf

from sfumato.data.table import Column
from sfumato.plots.columns import (
    PAIRED,
    PANELS,
    ColumnPanel,
    dependence,
    intervals,
    likelihoods,
    marginals,
    nearest,
    plain,
    shown_values,
)

CHANCE = "cannot be told apart"


def words(*levels: str | None) -> np.ndarray:
    return np.array(levels, dtype=object)


def panel(real: np.ndarray, generated: np.ndarray, name: str = "x", **more: Any) -> ColumnPanel:
    return ColumnPanel(name, real, generated, more.pop("distance", 0.1), CHANCE, **more)


def drawn(figure: Figure) -> list[Axes]:
    """The panels that are not empty, after all of it was drawn, which warns of what it lacks."""
    figure.canvas.draw()
    return [axes for axes in figure.axes if axes.axison]


def steps(axes: Axes) -> list[Any]:
    """Values and edges of what is drawn in steps."""
    patches: list[Any] = [each for each in axes.patches if isinstance(each, StepPatch)]
    return [each.get_data() for each in patches]


def stairs(axes: Axes) -> list[np.ndarray]:
    return [each.values for each in steps(axes)]


def texts(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


# ----------------------------------------------------------------------------------- marginals


def test_bars_of_numbers_and_of_holes_are_all_the_rows() -> None:
    rng = np.random.default_rng(0)
    real, generated = rng.standard_cauchy(500), rng.standard_normal(300)
    real[:100], generated[:30] = np.nan, np.nan
    (axes,) = drawn(marginals([panel(real, generated)]))
    of_real, of_generated, holes, generated_holes = stairs(axes)
    assert [*holes, *generated_holes] == pytest.approx([0.2, 0.1])
    assert of_real.sum() + 0.2 == pytest.approx(1)
    assert of_generated.sum() + 0.1 == pytest.approx(1)
    assert "missing" in [text.get_text() for text in axes.texts]


def test_few_whole_numbers_have_a_bar_each() -> None:
    real = np.repeat([0.0, 1, 4], [10, 70, 20])
    (axes,) = drawn(marginals([panel(real, real)]))
    np.testing.assert_allclose(stairs(axes)[0], [0.1, 0.7, 0, 0, 0.2])
    assert [each.edges[0] for each in steps(axes)] == [-0.5, -0.5]


def test_dates_are_shown_as_dates() -> None:
    days = np.datetime64("2019-06-01", "us") + np.arange(900) * np.timedelta64(1, "D")
    days[::9] = np.datetime64("NaT")
    (axes,) = drawn(marginals([panel(days, days)]))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert "2020" in labels
    of_real, _, holes, _ = stairs(axes)
    assert of_real.sum() == pytest.approx(1 - 1 / 9)
    assert holes == pytest.approx([1 / 9])


def bars(axes: Axes) -> dict[str, tuple[float, float]]:
    """What the bars and marks of levels show: real and generated."""
    real = [patch.get_width() for patch in axes.patches if isinstance(patch, Rectangle)]
    generated = [float(np.asarray(line.get_xdata())[0]) for line in axes.lines]
    return dict(zip(texts(axes), zip(real, generated, strict=True), strict=True))


def test_levels_from_the_commonest_with_strange_ones_and_holes() -> None:
    real = words("b", "b", "a", None)
    generated = words("b", "new", "new", "a", "a")
    (axes,) = drawn(marginals([panel(real, generated)]))
    found = bars(axes)
    assert list(found) == ["b", "a", "new", "missing"]
    assert found["b"] == pytest.approx((0.5, 0.2))
    assert found["new"] == pytest.approx((0, 0.4))
    assert found["missing"] == pytest.approx((0.25, 0))


def test_ordered_levels_keep_their_order() -> None:
    values = words("low", "high", "high", "middle")
    order = ("low", "middle", "high")
    (axes,) = drawn(marginals([panel(values, values, levels=order)]))
    assert texts(axes) == list(order)


def test_of_many_levels_the_rest_is_one_bar() -> None:
    values = words(*(f"{k}" for k in range(40) for _ in range(40 - k)))
    (axes,) = drawn(marginals([panel(values, values)]))
    found = bars(axes)
    assert list(found) == [*(f"{k}" for k in range(12)), "28 others"]
    assert sum(real for real, _ in found.values()) == pytest.approx(1)


@pytest.mark.parametrize(("columns", "shown"), [(1, 1), (5, 5), (30, 30), (100, PANELS)])
def test_of_many_columns_the_farthest_are_shown_and_the_title_says_so(
    columns: int, shown: int
) -> None:
    values = np.arange(20.0)
    figure = marginals(
        [panel(values, values, f"c{k}", distance=k / 1000) for k in range(columns)], "Columns"
    )
    figure.set_layout_engine("none")  # arranging is slow and another test's
    names = [axes.get_title("left") for axes in drawn(figure)]
    assert names == [f"c{k}" for k in range(columns)][-shown:]
    said = figure.get_suptitle()
    assert said == (
        "Columns" if shown == columns else "Columns (30 of 100 columns, the farthest off)"
    )


@pytest.mark.parametrize(
    "values",
    [
        np.full(5, np.nan),
        np.full(5, 3.0),
        np.array([1e300, -1e300, 0.0]),
        np.array([1e-300, 2e-300]),
        np.full(3, np.datetime64("NaT", "us")),
        np.full(3, np.datetime64("1970-01-01", "us")),
        words(None, None),
        words("", " ", "$", "\n"),
        words("only"),
    ],
    ids=str,
)
def test_odd_columns_are_drawn(values: np.ndarray) -> None:
    assert len(drawn(marginals([panel(values, values)]))) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("price in $", r"price in \$"),
        ("two\nlines\tand tabs", "two lines and tabs"),
        ("", "(blank)"),
        ("a" * 50, "a" * 19 + "…"),
        ("naïve Größe", "naïve Größe"),
    ],
)
def test_names_are_made_safe(name: str, expected: str) -> None:
    assert plain(name) == expected
    values = np.arange(9.0)
    (axes,) = drawn(marginals([panel(values, values, name)]))
    assert axes.get_title("left") == expected


def test_columns_of_a_table_as_panels_take_them() -> None:
    hole = np.array([False, True])
    assert np.isnan(shown_values(Column("n", np.array([1, 2]), hole), "integer")).tolist() == [
        False, True
    ]  # fmt: skip
    day = np.array(["2020-01-01", "2020-01-02"], dtype="M8[us]")
    assert shown_values(Column("d", day, hole), "date").tolist() == [datetime(2020, 1, 1), None]
    truth = Column("b", np.array([True, False]), hole)
    assert shown_values(truth, "boolean").tolist() == ["True", None]


# ------------------------------------------------------------------------------ other figures


def images(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in drawn(figure) if axes.images]


def test_dependence_shows_both_and_their_difference() -> None:
    real, generated = np.array([[1, 0.5], [0.5, 1]]), np.array([[1, -0.2], [-0.2, 1]])
    figure = dependence(["a", "$b"], real, generated)
    for found, expected in zip(images(figure), (real, generated, generated - real), strict=True):
        np.testing.assert_allclose(found, expected)
    assert texts(figure.axes[0]) == ["a", r"\$b"]
    difference = next(axes for axes in figure.axes if axes.get_title("left") == "difference")
    assert difference.images[0].get_clim() == pytest.approx((-0.7, 0.7))


def test_of_many_pairs_the_columns_that_are_farthest_off() -> None:
    real, generated = np.eye(100), np.eye(100)
    off = np.arange(0, 100, 2)[:PAIRED]
    generated[off, (off + 50) % 100] = 0.5
    figure = dependence([f"c{k}" for k in range(100)], real, generated, "Pairs")
    assert texts(figure.axes[0]) == [f"c{k}" for k in off]
    assert figure.get_suptitle() == "Pairs (40 of 100 columns, the farthest off)"


def test_log_densities_are_all_in_the_bars_and_their_means_are_told() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(n) - k for k, n in enumerate((300, 200, 100))]
    parts[1][0] = -1e6
    figure = likelihoods(parts[0], parts[1], parts[2])
    (axes,) = drawn(figure)
    assert [each.sum() for each in stairs(axes)] == pytest.approx([1, 1, 1])
    (legend,) = figure.legends
    told = [float(re.sub(r".*mean ", "", text.get_text())) for text in legend.get_texts()]
    assert told == pytest.approx([part.mean() for part in parts], abs=0.006)


def test_intervals_show_the_shares_they_are_given_and_the_spread_of_chance() -> None:
    nominal = np.array([0.9, 0.5, 0.1])
    observed = np.array([0.8, 0.4, 0.05])
    chance = np.array([[0.88, 0.45, 0.1], [0.93, 0.55, 0.12]])
    (axes,) = drawn(intervals(nominal, {"numbers": (observed, chance)}))
    (line,) = (each for each in axes.lines if each.get_label() == "numbers")
    np.testing.assert_array_equal(line.get_xydata(), np.stack([nominal, observed], 1))
    corners = axes.collections[0].get_paths()[0].vertices
    assert {0.88, 0.93, 0.45, 0.55} <= set(np.asarray(corners)[:, 1].tolist())


@pytest.mark.parametrize("copies", [0, 40, 100])
def test_distances_are_scipys_distribution_functions(copies: int) -> None:
    rng = np.random.default_rng(0)
    held, generated = rng.gamma(3, 1, 80), rng.gamma(3, 1, 100)
    generated[:copies] = 0
    (axes,) = drawn(nearest(generated, held))
    for name, values in (("generated", generated), ("held out", held)):
        (line,) = (each for each in axes.lines if each.get_label() == name)
        x, y = np.asarray(line.get_xydata()).T
        found = [y[x <= at].max(initial=0) for at in (0.0, 2.0)]
        expected = ecdf(values).cdf.evaluate([0.0, 2.0])
        assert found == pytest.approx(expected.tolist())


def test_real_columns_alone_have_no_distance_and_no_second_mark() -> None:
    real = np.repeat([0.0, 1, 4, np.nan], [10, 60, 20, 10])
    levels = words("b", "b", "a", None)
    figure = marginals([ColumnPanel("x", real), ColumnPanel("y", levels)])
    numbers, bars_of_levels = drawn(figure)
    np.testing.assert_allclose(stairs(numbers)[0], [0.1, 0.6, 0, 0, 0.2])
    assert len(stairs(numbers)) == 2  # the values and the holes
    assert not bars_of_levels.lines
    assert numbers.get_title(loc="right") == ""
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["real"]
    assert "distance" not in figure.legends[0].get_title().get_text()


def test_few_rows_have_wide_bins_however_many_are_generated() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=30), rng.normal(size=3000)
    (axes,) = drawn(marginals([panel(few, many)]))
    assert len(stairs(axes)[0]) <= 8
    (axes,) = drawn(marginals([panel(many, many)]))
    assert len(stairs(axes)[0]) >= 20
