"""The common look: ranges, saving, no traces left behind."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import matplotlib
import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from sfumato.errors import ArgumentError
from sfumato.metrics.evaluation import Verdict
from sfumato.plots import check_figure_target, save_figure
from sfumato.plots.style import (
    VERDICT_COLOURS,
    dot_alpha,
    dot_size,
    interval,
    limits,
    new_figure,
    steady_limits,
    styled,
)


def drawing() -> Figure:
    with styled():
        figure = new_figure(2, 2)
        axes = figure.add_subplot()
        axes.scatter([0, 1], [0, 1], label="points")
        axes.set_title("title")
    return figure


class Unfinished(Artist):
    def draw(self, renderer: object) -> None:
        raise RuntimeError("drawing stopped half-way")


def test_ranges_of_like_length_share_one_scale() -> None:
    (x_low, x_high), (y_low, y_high) = limits(np.array([[0.0, 10.0], [1.0, 12.0]]))
    assert x_high - x_low == pytest.approx(y_high - y_low)
    assert (x_low + x_high) / 2 == pytest.approx(0.5)
    assert y_low < 10
    assert y_high > 12


def test_columns_of_other_units_keep_their_own_range() -> None:
    x, y = limits(np.array([[0.0, 0.0], [1.0, 1000.0]]), margin=0.1)
    assert x == pytest.approx((-0.1, 1.1))
    assert y == pytest.approx((-100, 1100))


@pytest.mark.parametrize(
    "column",
    [[], [0.0], [0.1] * 3, [1e9, 1e9], [1e-9], [np.nan], [np.inf, 2.0], [1e9, -1e9], [1e-9, 2e-9]],
)
def test_a_range_is_never_empty_and_holds_what_is_finite(column: list[float]) -> None:
    low, high = interval(np.array(column))
    assert low < high
    assert all(low < value < high for value in column if np.isfinite(value))


def test_a_small_spread_far_from_zero_is_seen() -> None:
    low, high = interval(np.array([1e9, 1e9 + 1]))
    assert high - low == pytest.approx(1.12)


def test_steady_limits_leave_out_single_strays() -> None:
    rng = np.random.default_rng(0)
    cloud = np.concatenate([rng.standard_normal((10_000, 2)), [[1e6, 1e6], [np.nan, 0]]])
    for low, high in steady_limits(cloud):
        assert -6 < low < -2.5
        assert 2.5 < high < 6


def test_dots_shrink_and_fade_with_their_number() -> None:
    sizes = [dot_size(n, 4.0) for n in (0, 1, 1000, 10_000, 100_000)]
    alphas = [dot_alpha(n) for n in (0, 1, 1000, 10_000, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert alphas == sorted(alphas, reverse=True)
    assert sizes[-1] < sizes[0]
    assert alphas[-1] < alphas[0]


def test_every_verdict_has_a_colour_of_its_own() -> None:
    assert set(VERDICT_COLOURS) == set(get_args(Verdict))
    assert len(set(VERDICT_COLOURS.values())) == len(VERDICT_COLOURS)


def test_the_callers_settings_come_back() -> None:
    before = dict(matplotlib.rcParams)
    drawing()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("ending", "start"),
    [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")],
)
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, ending: str, start: bytes) -> None:
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    save_figure(drawing(), first)
    save_figure(drawing(), second)
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert not re.search(rb"CreationDate|dc:date", first.read_bytes())


def test_a_png_is_that_of_matplotlib_s_own_saving(tmp_path: Path) -> None:
    figure, same = drawing(), drawing()
    dpi = figure.dpi
    save_figure(figure, tmp_path / "ours.png")
    assert figure.dpi == dpi
    with styled():
        same.savefig(tmp_path / "theirs.png")
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


def test_another_ending_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"a\.jpg: the ending must be one of \.png, \.svg, \.pdf"
    ):
        save_figure(drawing(), tmp_path / "a.jpg")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"there is no folder .*nowhere"):
        check_figure_target(tmp_path / "nowhere" / "a.png")


def test_a_drawing_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = drawing()
    figure.add_artist(Unfinished())
    with pytest.raises(RuntimeError, match="half-way"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_plots_import_neither_pyplot_nor_torch() -> None:
    program = (
        "import sys, sfumato.plots.scatter, sfumato.plots.animation\n"
        "print({'matplotlib.pyplot', 'torch', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
