"""Animations, read back: frames, times, pixels and colours."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image, ImageSequence

from sfumato.errors import ArgumentError, MissingDependencyError
from sfumato.plots.animation import check_animation_target, write_animation
from sfumato.plots.style import BLUE, COLOURS

UNIT = ((0.0, 1.0), (0.0, 1.0))
# The inside of the axes on the picture of 560 x 560 pixels: left, right, upper and lower edge.
LEFT, RIGHT, TOP, BOTTOM = 72.8, 537.6, 39.2, 504.0

Frames = list[tuple[str, np.ndarray]]


def cloud(count: int, n: int = 50) -> Frames:
    """Points that move, some of them beyond the unit square."""
    rng = np.random.default_rng(0)
    return [(f"t = {k}", 0.5 + 0.4 * rng.standard_normal((n, 2))) for k in range(count)]


def write(path: Path, frames: Frames, position: np.ndarray | None = None) -> Path:
    write_animation(
        path, frames, span=UNIT, columns=["width", "height"], position=position, title="Title"
    )
    return path


def read(path: Path) -> np.ndarray:
    """Pictures `(frames, height, width, 3)`."""
    with Image.open(path) as image:
        return np.stack([np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(image)])


def times(path: Path) -> list[int]:
    """Milliseconds of each frame."""
    with Image.open(path) as image:
        return [each.info["duration"] for each in ImageSequence.Iterator(image)]


def colours(pictures: np.ndarray) -> set[int]:
    """All colours that occur, as 0xRRGGBB."""
    return set(np.unique(pictures.astype(np.int64) @ [1 << 16, 1 << 8, 1]).tolist())


def inside(picture: np.ndarray) -> np.ndarray:
    return picture[round(TOP) + 2 : round(BOTTOM) - 2, round(LEFT) + 2 : round(RIGHT) - 2]


def coloured(picture: np.ndarray) -> np.ndarray:
    """Rows and columns of pixels that are no grey, `(k, 2)`."""
    return np.argwhere(np.ptp(picture.astype(int), axis=2) > 40)


@pytest.mark.parametrize("count", [1, 12])
def test_each_frame_is_one_picture(tmp_path: Path, count: int) -> None:
    pictures = read(write(tmp_path / "a.gif", cloud(count)))
    assert pictures.shape == (count, 560, 560, 3)


def test_each_frame_lasts_100_ms(tmp_path: Path) -> None:
    assert times(write(tmp_path / "a.gif", cloud(20))) == [100] * 20


def test_frames_that_are_all_the_same_stay_apart(tmp_path: Path) -> None:
    # More than there are pixels in the line that tells how far along a frame is.
    still = [("still", np.full((1, 2), 0.5))] * 480
    assert times(write(tmp_path / "a.gif", still)) == [100] * 480


def test_the_animation_is_endless(tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "a.gif", cloud(2))) as image:
        assert image.info["loop"] == 0


def test_only_points_label_and_progress_change(tmp_path: Path) -> None:
    pictures = read(write(tmp_path / "a.gif", cloud(10)))
    changing = (pictures != pictures[0]).any((0, 3))
    changing[: int(TOP) + 1] = False  # label and progress
    rows, columns = np.argwhere(changing).T
    assert rows.max() < BOTTOM
    assert columns.min() >= int(LEFT)
    assert columns.max() <= RIGHT
    # Dots reach all the way: points beyond the axes are cut at their edge, not before.
    assert rows.max() > BOTTOM - 4
    assert columns.min() < LEFT + 4


def test_axes_are_drawn_and_named(tmp_path: Path) -> None:
    pictures = read(write(tmp_path / "a.gif", cloud(2)))
    dark = pictures[0].mean(2) < 160
    assert dark[round(BOTTOM) - 1 : round(BOTTOM) + 1, 100:500].any(0).all()  # the lower spine
    assert dark[100:500, round(LEFT) - 1 : round(LEFT) + 1].any(1).all()  # the left one
    assert dark[530:].sum() > 20  # name of the lower axis
    assert dark[:, :35].sum() > 20  # name of the left axis


@pytest.mark.parametrize("place", [(0.25, 0.75), (0.801, 0.5), (0.9, 0.1)])
@pytest.mark.parametrize("copies", [1, 10_000])
def test_a_point_lands_on_its_pixel(
    tmp_path: Path, place: tuple[float, float], copies: int
) -> None:
    points = np.tile(place, (copies, 1))
    pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)]))
    row, column = coloured(pictures[1]).mean(0) + 0.5
    assert column == pytest.approx(LEFT + place[0] * (RIGHT - LEFT), abs=0.51)
    assert row == pytest.approx(BOTTOM - place[1] * (BOTTOM - TOP), abs=0.51)


def test_dots_shrink_with_their_number(tmp_path: Path) -> None:
    sizes = []
    for n in (1, 1000, 10_000):
        points = np.full((n, 2), 0.5)
        pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)]))
        sizes.append(len(coloured(pictures[0])))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 60
    assert sizes[-1] == 4


def test_positions_choose_the_colour(tmp_path: Path) -> None:
    position = np.array([0.0, 0.5, 1.0])
    points = np.array([[0.2, 0.5], [0.5, 0.5], [0.8, 0.5]])
    pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)], position))
    for where, x in zip(position, points[:, 0], strict=True):
        got = pictures[1][round((TOP + BOTTOM) / 2), round(LEFT + x * (RIGHT - LEFT))] / 255
        # Sixteen shades stand for the continuous palette.
        nearest = COLOURS(np.clip((np.floor(where * 16) + 0.5) / 16, 0, 31 / 32))[:3]
        np.testing.assert_allclose(got, nearest, atol=0.01)


def test_points_out_of_sight_keep_their_colours_to_themselves(tmp_path: Path) -> None:
    points = np.array([[-5.0, 0.5], [0.5, 0.5]])
    position = np.array([0.0, 1.0])
    pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)], position))
    got = pictures[1][round((TOP + BOTTOM) / 2), round((LEFT + RIGHT) / 2)] / 255
    np.testing.assert_allclose(got, COLOURS(15.5 / 16)[:3], atol=0.01)


def test_where_dots_meet_the_stronger_is_seen(tmp_path: Path) -> None:
    one, other = np.array([[0.5, 0.5]]), np.array([[0.51, 0.512]])
    frames = [("", one), ("", other), ("", np.concatenate([one, other]))]
    alone, beside, both = (inside(each) for each in read(write(tmp_path / "a.gif", frames)))
    np.testing.assert_array_equal(both, np.minimum(alone, beside))


def test_points_without_position_are_blue(tmp_path: Path) -> None:
    points = np.array([[0.5, 0.5]])
    pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)]))
    got = pictures[1][round((TOP + BOTTOM) / 2), round((LEFT + RIGHT) / 2)] / 255
    np.testing.assert_allclose(got, to_rgb(BLUE), atol=0.01)


def test_paper_is_white(tmp_path: Path) -> None:
    pictures = read(write(tmp_path / "a.gif", cloud(2)))
    assert (pictures == 255).all(3).mean() > 0.9
    assert (pictures[:, 0, 0] == 255).all()


def test_all_frames_share_one_palette(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gif", cloud(5, n=2000), np.linspace(0, 1, 2000))
    content = path.read_bytes()
    # GIF89a: a screen descriptor of 13 bytes, then the palette. Before each picture stands a
    # control block of 8 bytes; a descriptor of 10 follows, its last byte telling of a palette.
    palette = content[13 : 13 + 768]
    pictures = list(re.finditer(rb"\x21\xf9\x04.{4}\x00\x2c.{8}(.)", content, re.DOTALL))
    assert len(pictures) == 5
    for found in pictures:
        if found[1][0] & 0x80:
            assert content[found.end() : found.end() + 768] == palette
    listed = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    assert colours(read(path)) <= colours(listed)


def test_the_line_fills_up(tmp_path: Path) -> None:
    pictures = read(write(tmp_path / "a.gif", cloud(10)))
    row = pictures[:, round(TOP) - 6, round(LEFT) : round(RIGHT)].mean(2)
    done = (row < 170).mean(1)
    np.testing.assert_allclose(done, np.arange(1, 11) / 10, atol=0.005)


def test_the_label_of_each_frame_is_drawn(tmp_path: Path) -> None:
    points = np.array([[0.5, 0.5]])
    frames = [("", points), ("t = 57", points), ("t = 58", points), ("t = 57", points)]
    pictures = read(write(tmp_path / "a.gif", frames))
    empty, first, other, again = pictures[:, 5:30, 400:]
    assert (empty == 255).all()
    assert (first != empty).any()
    assert (first != other).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 2)),
        np.array([[np.nan, 0.5], [np.inf, np.inf]]),
        np.array([[1e9, -1e9], [1e300, 0.5]]),
    ],
)
def test_what_cannot_be_shown_is_left_out(tmp_path: Path, points: np.ndarray) -> None:
    position = np.zeros(len(points))
    pictures = read(write(tmp_path / "a.gif", [("", points), ("", points)], position))
    assert len(coloured(inside(pictures[1]))) == 0


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.gif", cloud(5)).read_bytes()
    assert write(tmp_path / "b.gif", cloud(5)).read_bytes() == first


def test_a_hundred_frames_of_ten_thousand_points_are_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    u = rng.random(10_000)
    t = 3 * np.pi * (u - 0.5)
    s = np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], axis=1) / 2
    noise = rng.standard_normal(s.shape)
    frames = [
        ("", 0.5 + 0.15 * (np.cos(a) * s + np.sin(a) * noise)) for a in np.linspace(1.5, 0.1, 100)
    ]
    assert write(tmp_path / "a.gif", frames, u).stat().st_size < 2.5e6


def test_mp4_holds_the_same_frames_at_ten_a_second(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = write(tmp_path / "a.mp4", [("", np.full((1, 2), 0.5))] * 7)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 10
    assert np.shape(pictures) == (7, 560, 560, 3)
    row, column = coloured(pictures[-1]).mean(0) + 0.5
    assert column == pytest.approx((LEFT + RIGHT) / 2, abs=1.5)
    assert row == pytest.approx((TOP + BOTTOM) / 2, abs=1.5)


def test_mp4_without_pyav_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"install sfumato\[video\]"):
        write(tmp_path / "a.mp4", cloud(2))
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"a\.png: the ending must be one of \.gif, \.mp4"):
        write(tmp_path / "a.png", cloud(2))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"there is no folder .*nowhere"):
        check_animation_target(tmp_path / "nowhere" / "a.gif")


def test_no_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="at least one frame; got none"):
        write(tmp_path / "a.gif", [])


def test_an_animation_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=r"shape|matmul|dimension"):
        write(path, [("", np.full((1, 2), 0.5)), ("", np.full((1, 3), 0.5))])
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.gif"]
