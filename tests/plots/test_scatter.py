"""Figures show what they were given: the artists' own data, ranges, labels and panels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sfumato.plots.scatter import (
    curve_3d,
    distances,
    loss_curve,
    panels,
    plane,
    plane_columns,
    samples_over_data,
    section,
    thumbnails,
    trajectories,
)
from sfumato.plots.style import COLOURS, FAINT, VERDICT_COLOURS


def s_curve(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The tutorial's S-curve in space `(n, 3)`, and where on it each point lies."""
    rng = np.random.default_rng(seed)
    u = rng.random(n)
    t = 3 * np.pi * (u - 0.5)
    curve = np.stack([np.sin(t), 2 * rng.random(n), np.sign(t) * (np.cos(t) - 1)], axis=1)
    return (curve + 0.1 * rng.standard_normal((n, 3))) / 10, u


SPACE, POSITION = s_curve(200)
PLANE = SPACE[:, [0, 2]]


def scatters(axes: Axes) -> list[PathCollection]:
    return [each for each in axes.collections if isinstance(each, PathCollection)]


def dots(axes: Axes, which: int = 0) -> np.ndarray:
    return np.asarray(scatters(axes)[which].get_offsets())


def length(span: tuple[float, float]) -> float:
    return span[1] - span[0]


# ------------------------------------------------------------------------------------ plane


def test_two_columns_are_their_own_plane() -> None:
    np.testing.assert_array_equal(plane(PLANE, SPACE[:, :2]), PLANE)


def test_one_column_is_spread_without_changing_it() -> None:
    seen = plane(PLANE[:, :1], PLANE[:, :1])
    np.testing.assert_array_equal(seen[:, 0], PLANE[:, 0])
    counts, _ = np.histogram(seen[:, 1], bins=10, range=(0, 1))
    assert counts.tolist() == pytest.approx([20] * 10, abs=1)


def test_more_columns_are_seen_along_scikit_learns_principal_axes() -> None:
    rng = np.random.default_rng(1)
    reference = rng.standard_normal((500, 4)) @ rng.standard_normal((4, 4)) + 5
    scaler = StandardScaler().fit(reference)
    theirs = PCA(2).fit(scaler.transform(reference))
    values = rng.standard_normal((30, 4))
    ours = plane(values, reference)
    expected = theirs.transform(scaler.transform(values))
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_largest_part_of_a_principal_axis_is_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3))
    steps = reference.mean(0) + np.diag(reference.std(0))
    parts = plane(steps, reference)
    assert (parts[np.abs(parts).argmax(0), [0, 1]] > 0).all()


def test_principal_axes_do_not_depend_on_the_order_of_rows() -> None:
    np.testing.assert_allclose(plane(SPACE, SPACE[::-1]), plane(SPACE, SPACE), atol=1e-10)


def test_a_constant_column_does_not_become_an_axis() -> None:
    with_constant = np.column_stack([PLANE, np.full(200, 0.1)])
    varied = plane(with_constant, with_constant)
    moved = plane(with_constant + np.array([0, 0, 1e-9]), with_constant)
    np.testing.assert_allclose(moved, varied, atol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_plane_is_found_from_hardly_any_rows(n: int) -> None:
    assert plane(SPACE, SPACE[:n]).shape == (200, 2)
    assert plane(SPACE[:n], SPACE).shape == (n, 2)


def test_rows_that_are_not_finite_do_not_turn_the_plane() -> None:
    broken = np.concatenate([SPACE, [[np.nan, 0, 0], [np.inf, 0, 0]]])
    np.testing.assert_allclose(plane(broken, broken)[:200], plane(SPACE, SPACE))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["a"], ("a", "(spread)")),
        (["a", "b"], ("a", "b")),
        (["a", "b", "c"], ("first principal axis", "second principal axis")),
    ],
)
def test_axes_of_the_plane_are_named(columns: list[str], expected: tuple[str, str]) -> None:
    assert plane_columns(columns) == expected


# ---------------------------------------------------------------------------- single scatters


def test_the_curve_in_space_holds_every_point_coloured_by_position() -> None:
    axes: Any = curve_3d(SPACE, POSITION, "sheet", ["a", "b", "c"]).axes[0]
    (scatter,) = axes.collections
    np.testing.assert_array_equal(np.stack(scatter._offsets3d, axis=1), SPACE)
    np.testing.assert_array_equal(scatter.get_array(), POSITION)
    assert scatter.get_clim() == (0, 1)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_zlabel()) == ("a", "b", "c")


def test_the_curve_in_space_keeps_its_proportions() -> None:
    axes: Any = curve_3d(SPACE, POSITION).axes[0]
    box = axes._box_aspect
    lengths = [length(axes.get_xlim()), length(axes.get_ylim()), length(axes.get_zlim())]
    np.testing.assert_allclose(box / box[0], np.array(lengths) / lengths[0])


def test_a_section_holds_every_point_coloured_by_position() -> None:
    figure = section(PLANE, POSITION, ["width", "height"], "title", "along")
    axes, bar = figure.axes
    np.testing.assert_array_equal(dots(axes), PLANE)
    np.testing.assert_array_equal(scatters(axes)[0].get_array(), POSITION)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    assert axes.get_title("left") == "title"
    assert bar.get_ylabel() == "along"


def test_a_section_without_position_has_one_colour_and_no_bar() -> None:
    (axes,) = section(PLANE, None, ["a", "b"]).axes
    assert len(scatters(axes)[0].get_facecolor()) == 1


def test_a_circle_is_round() -> None:
    figure = section(PLANE, None, ["a", "b"])
    (axes,) = figure.axes
    figure.draw_without_rendering()
    corners = axes.transData.transform(np.array([[0, 0], [0.1, 0], [0, 0.1]]))
    across, up = corners[1:] - corners[0]
    assert across[0] == pytest.approx(up[1], rel=0.01)


def test_ends_of_the_palette_are_told_apart_from_paper() -> None:
    assert np.ptp([COLOURS(p)[:3] @ np.array([0.21, 0.72, 0.07]) for p in (0.0, 1.0)]) > 0.5
    assert COLOURS(1.0)[:3] @ np.array([0.21, 0.72, 0.07]) < 0.85


# ------------------------------------------------------------------------------------- panels


def forward(count: int) -> list[tuple[str, np.ndarray]]:
    noise = np.random.default_rng(2).standard_normal(PLANE.shape)
    return [(f"t = {k}", np.cos(k / 12) * PLANE + np.sin(k / 12) * noise) for k in range(count)]


def test_two_rows_of_ten_panels_show_their_frames_in_order() -> None:
    frames = forward(20)
    figure = panels([("", frames[:10]), ("", frames[10:])], POSITION, title="Forward")
    assert len(figure.axes) == 20
    assert figure.get_suptitle() == "Forward"
    for axes, (label, points) in zip(figure.axes, frames, strict=True):
        assert axes.get_title() == label
        np.testing.assert_array_equal(dots(axes), points)
        np.testing.assert_array_equal(scatters(axes)[0].get_array(), POSITION)


def test_all_panels_share_one_pair_of_ranges_in_square_boxes() -> None:
    figure = panels([("", forward(10)), ("", forward(10))])
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes}) == 1
    assert {axes.get_box_aspect() for axes in figure.axes} == {1}


def test_panels_take_the_ranges_given() -> None:
    figure = panels([("", forward(3))], span=((-1.0, 2.0), (-3.0, 4.0)))
    assert {(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes} == {((-1, 2), (-3, 4))}


def test_one_stray_does_not_shrink_all_panels() -> None:
    calm = np.random.default_rng(3).standard_normal((2000, 2))
    wild = np.concatenate([calm[1:], [[1e6, 1e6]]])
    figure = panels([("", [("a", calm), ("b", wild)])])
    assert length(figure.axes[0].get_xlim()) < 12


def test_rows_are_named_and_short_rows_leave_their_places_empty() -> None:
    figure = panels([("epoch 1", forward(3)), ("epoch 2", forward(2))])
    assert [axes.get_ylabel() for axes in figure.axes] == ["epoch 1", "", "", "epoch 2", "", ""]
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False]


# --------------------------------------------------------------------------------------- loss


def test_every_record_of_the_loss_is_drawn() -> None:
    steps, losses = list(range(10, 1010, 10)), np.random.default_rng(4).random(100)
    (axes,) = loss_curve(steps, losses.tolist(), "title").axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack([steps, losses]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step", "loss")
    assert axes.get_title("left") == "title"


def test_the_running_mean_is_the_mean_around_each_record() -> None:
    losses = np.random.default_rng(5).random(200)
    (axes,) = loss_curve(range(200), losses.tolist()).axes
    running = np.asarray(axes.lines[1].get_ydata())
    expected = [losses[k - min(k, 4) : k + min(k, 4) + 1].mean() for k in range(200)]
    np.testing.assert_allclose(running, expected)


def test_a_loss_that_is_not_finite_is_left_out() -> None:
    (axes,) = loss_curve([1, 2, 3, 4], [1.0, np.nan, np.inf, 2.0]).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 1], [4, 2]])


def test_the_least_possible_loss_is_a_line_in_sight() -> None:
    (axes,) = loss_curve([1, 2], [1.0, 0.9], floor=0.25).axes
    assert axes.lines[2].get_label() == "least possible"
    np.testing.assert_array_equal(axes.lines[2].get_ydata(), [0.25, 0.25])
    assert axes.get_ylim()[0] < 0.25


@pytest.mark.parametrize(("last", "scale"), [(0.5, "linear"), (0.01, "log")])
def test_a_fall_over_decades_is_seen_on_a_log_axis(last: float, scale: str) -> None:
    (axes,) = loss_curve(range(100), np.geomspace(1, last, 100).tolist()).axes
    assert axes.get_yscale() == scale


def test_a_spike_does_not_hide_the_rest() -> None:
    losses = np.full(2000, 0.3) + 0.01 * np.random.default_rng(6).standard_normal(2000)
    losses[1000] = 50
    (axes,) = loss_curve(range(2000), losses.tolist()).axes
    assert axes.get_ylim()[1] < 2


def test_a_single_record_is_seen() -> None:
    (axes,) = loss_curve([1], [0.5]).axes
    assert axes.lines[0].get_marker() == "o"


def test_a_hundred_thousand_records_are_drawn() -> None:
    figure = loss_curve(range(100_000), np.geomspace(1, 0.3, 100_000).tolist())
    figure.draw_without_rendering()
    assert len(np.asarray(figure.axes[0].lines[0].get_xdata())) == 100_000


# ----------------------------------------------------------------------------- real, generated


def heights(axes: Axes, generated: bool) -> np.ndarray:
    """Of the bars of the real ones; of the generated ones' outline."""
    if not generated:
        return np.array([p.get_height() for p in axes.patches if isinstance(p, Rectangle)])
    (outline,) = (p for p in axes.patches if not isinstance(p, Rectangle))
    return np.asarray(outline.get_path().vertices)[1:-1:2, 1]


def test_one_column_is_compared_by_densities_over_one_range() -> None:
    real, generated = PLANE[:, :1], PLANE[:150, :1] + 0.3
    (axes,) = samples_over_data(real, generated, ["height"]).axes
    low, high = axes.get_xlim()
    bars = heights(axes, generated=False)
    both = (real, bars), (generated, heights(axes, generated=True))
    for values, drawn in both:
        expected, _ = np.histogram(values, bins=len(bars), range=(low, high), density=True)
        np.testing.assert_allclose(drawn, expected)
    assert axes.get_xlabel() == "height"


def test_two_columns_are_shown_beside_and_over_each_other() -> None:
    generated = PLANE[::-1] + 0.01
    figure = samples_over_data(PLANE, generated, ["a", "b"], "title")
    left, middle, right = figure.axes
    np.testing.assert_array_equal(dots(left), PLANE)
    np.testing.assert_array_equal(dots(middle), generated)
    np.testing.assert_array_equal(dots(right, 0), PLANE)
    np.testing.assert_array_equal(dots(right, 1), generated)
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert [axes.get_xlabel() for axes in figure.axes] == ["a", "a", "a"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["b", "", ""]
    assert left.get_title("left") == "real (200)"


@pytest.mark.parametrize(("columns", "shown"), [(3, 3), (4, 4), (7, 4)])
def test_more_columns_are_shown_in_pairs_up_to_four(columns: int, shown: int) -> None:
    rng = np.random.default_rng(7)
    real, generated = rng.random((2, 50, columns))
    names = list("abcdefg")[:columns]
    grid = np.array(samples_over_data(real, generated, names).axes).reshape(shown, shown)
    for i in range(shown):
        assert grid[-1, i].get_xlabel() == names[i]
        for j in range(i):
            np.testing.assert_array_equal(dots(grid[i, j], 0), real[:, [j, i]])
            np.testing.assert_array_equal(dots(grid[i, j], 1), generated[:, [j, i]])
            assert not grid[j, i].axison
        assert heights(grid[i, i], generated=False).sum() > 0


# ------------------------------------------------------------------------------- trajectories


def test_each_way_runs_through_its_points_from_noise_to_sample() -> None:
    paths = np.stack([(1 - w) * SPACE[:5, :2] + w * PLANE[:5] for w in (0, 0.1, 0.5, 1)])
    figure = trajectories(paths, PLANE, ["a", "b"], "title")
    (axes,) = figure.axes
    ways = [each for each in axes.collections if isinstance(each, LineCollection)]
    for k, way in enumerate(ways):
        pieces = np.array(way.get_segments())
        np.testing.assert_array_equal(pieces[:, 0], paths[:-1, k])
        np.testing.assert_array_equal(pieces[:, 1], paths[1:, k])
        np.testing.assert_allclose(np.asarray(way.get_array()), [0.1, 0.5, 1.0])
    assert len(ways) == 5
    data, noise, samples = (dots(axes, k) for k in range(3))
    np.testing.assert_array_equal(data, PLANE)
    np.testing.assert_array_equal(noise, paths[0])
    np.testing.assert_array_equal(samples, paths[-1])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")


# ---------------------------------------------------------------------------------- distances

ROWS = [
    ("energy distance", 1.2e-5, [1.1e-5, 0.9e-5, 1.4e-5], 1.6e-5, "cannot be told apart"),
    ("sliced Wasserstein-2", 0.03, [0.01, 0.012], 0.02, "close"),
    ("classifier AUC", 0.9, [0.49, 0.5, 0.51], 0.52, "apart"),
]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_strip_shows_floor_value_limit_and_verdict(place: int) -> None:
    name, value, floor, limit, verdict = ROWS[place]
    axes = distances(ROWS).axes[place]
    chance, own = axes.lines
    np.testing.assert_array_equal(chance.get_xdata(), floor)
    np.testing.assert_array_equal(own.get_xdata(), [value])
    assert to_hex(str(own.get_color())) == VERDICT_COLOURS[verdict].lower()
    (band,) = (p for p in axes.patches if isinstance(p, Rectangle))
    assert band.get_x() + band.get_width() == pytest.approx(limit)
    assert to_rgba(band.get_facecolor(), alpha=1) == to_rgba(FAINT)
    assert axes.get_ylabel().replace("\n", " ") == name[0].upper() + name[1:]
    assert axes.texts[1].get_text() == verdict


def test_values_are_written_as_by_hand() -> None:
    axes = distances([("a", -2.864e-5, [1e-5, 2e-5], 3e-5, "close"), ROWS[2]]).axes
    assert axes[0].texts[0].get_text() == "−2.86$\\times 10^{-5}$"
    assert axes[1].texts[0].get_text() == "0.9"


def test_verdicts_differ_in_shape_as_well_as_in_colour() -> None:
    markers = {str(axes.lines[1].get_marker()) for axes in distances(ROWS).axes}
    assert len(markers) == 3


@pytest.mark.parametrize(("value", "scale"), [(2e-5, "linear"), (0.5, "log")])
def test_what_is_far_beyond_chance_leaves_the_floor_readable(value: float, scale: str) -> None:
    (axes,) = distances([("a", value, [1e-5, 1.2e-5], 1.5e-5, "apart")]).axes
    assert axes.get_xscale() == scale


# --------------------------------------------------------------------------------- thumbnails


def test_a_sheet_shows_each_set_under_its_name() -> None:
    sets = [("flat", PLANE, POSITION), ("sheet", SPACE, POSITION), ("plain", PLANE, None)]
    flat, sheet, plain = thumbnails(sets).axes
    assert [axes.get_title() for axes in (flat, sheet, plain)] == ["flat", "sheet", "plain"]
    np.testing.assert_array_equal(dots(flat), PLANE)
    np.testing.assert_array_equal(dots(plain), PLANE)
    assert sheet.name == "3d"


# ---------------------------------------------------------------------------- every odd input

ODD = {
    "none": np.empty((0, 3)),
    "one": np.array([[0.1, 0.2, 0.3]]),
    "constant": np.full((20, 3), 0.1),
    "huge": 1e9 * SPACE[:20],
    "far": 1e9 + SPACE[:20],
    "tiny": 1e-9 * SPACE[:20],
    "broken": np.concatenate([SPACE[:20], [[np.nan] * 3, [np.inf] * 3]]),
}
NAMES = ["a", "b", "c"]
DRAWINGS: dict[str, Callable[[np.ndarray], Figure]] = {
    "space": lambda x: curve_3d(x, np.linspace(0, 1, len(x)), columns=NAMES),
    "section": lambda x: section(x[:, :2], np.linspace(0, 1, len(x)), NAMES),
    "panels": lambda x: panels([("", [("t = 0", x[:, :2]), ("t = 1", x[:, 1:])])]),
    "one column": lambda x: samples_over_data(x[:, :1], x[::-1, :1], NAMES),
    "two columns": lambda x: samples_over_data(x[:, :2], x[::-1, :2], NAMES),
    "three columns": lambda x: samples_over_data(x, x[::-1], NAMES),
    "trajectories": lambda x: trajectories(np.stack([x[:, :2], x[:, 1:]]), x[:, :2], NAMES),
    "thumbnails": lambda x: thumbnails([("plane", x[:, :2], None), ("space", x, None)]),
}


@pytest.mark.parametrize("data", ODD)
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_odd_data_are_drawn_without_a_warning(drawing: str, data: str) -> None:
    figure = DRAWINGS[drawing](ODD[data])
    figure.set_layout_engine("none")  # arranging is slow and the same for all data
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()
        assert length(axes.get_xlim()) > 0


@pytest.mark.parametrize("losses", [[], [0.0] * 10, [1e9, 1e9], [np.nan], [1e30, 1e-30], [-1, 1]])
def test_odd_losses_are_drawn_without_a_warning(losses: list[float]) -> None:
    loss_curve(range(len(losses)), losses, floor=0.1).draw_without_rendering()


@pytest.mark.parametrize(
    ("value", "floor", "limit"), [(0.0, [0.0, 0.0], 0.0), (1e9, [-1e9, 0], 1.0), (-1, [-2, -3], -1)]
)
def test_odd_distances_are_drawn_without_a_warning(
    value: float, floor: list[float], limit: float
) -> None:
    distances([("a", value, floor, limit, "close")], "title").draw_without_rendering()
