"""Sheets and strips of pictures: everything is in sight and where its label says."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sfumato.plots.images import sheets, strips

PIXELS = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)


@pytest.mark.parametrize("columns", [1, 2, 12])
def test_a_title_is_never_cut_off(columns: int) -> None:
    figure = strips([("t", PIXELS)] * columns, "Samples, and the training pictures nearest to each")
    FigureCanvasAgg(figure).draw()
    (title,) = (text for text in figure.texts if text.get_text().startswith("Samples"))
    box = title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_each_picture_stands_below_its_label_and_beside_its_name() -> None:
    figure = strips([("a", PIXELS), ("b", PIXELS + 100)], "", ["one", "two", "three"])
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    heads = {each.get_text(): each.get_position()[0] for each in axes.get_xticklabels()}
    sides = {each.get_text(): each.get_position()[1] for each in axes.get_yticklabels()}
    assert heads["a"] < heads["b"]
    assert sides["one"] < sides["two"] < sides["three"]  # from above
    for head, pixels in {"a": PIXELS, "b": PIXELS + 100}.items():
        for side, picture in zip(("one", "two", "three"), pixels, strict=True):
            top, left = round(sides[side] - 1.5 + 1e-6), round(heads[head] - 1.5 + 1e-6)
            np.testing.assert_array_equal(shown[top : top + 4, left : left + 4], picture[:, :, 0])


def test_grey_is_shown_from_black_to_white_whatever_is_in_it() -> None:
    figure = sheets([("grey", PIXELS)])
    assert figure.axes[0].images[0].get_clim() == (0, 255)
    assert "grey" in {figure.axes[0].get_title(loc=place) for place in ("left", "center")}
