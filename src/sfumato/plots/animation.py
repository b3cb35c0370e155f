"""Animations of points on fixed axes, as GIF or MP4.

What stands still is drawn once, and a frame is made of numbers of palette entries, never of
colours: points are stamped as small discs by numpy, and only the label is drawn anew. One
palette serves all frames, so nothing flickers and nothing has to be quantised:

    0, 1       paper, twice
    2 ...      greys from paper to ink: axes and text
    then       for each shade of the points, its strengths from faint to full
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from sfumato.atomic import replacing
from sfumato.data.images import as_pil
from sfumato.errors import ArgumentError, MissingDependencyError
from sfumato.plots.style import BLUE, COLOURS, INK, PAPER, Limits, check_target, few_ticks, styled

FRAME_MS = 100
SIDE = 560  # pixels; even, as video needs it
_DPI = 100
_GREYS, _SHADES, _STRENGTHS = 30, 16, 8
_FIRST_GREY = 2
_FIRST_SHADE = _FIRST_GREY + _GREYS
_BOX = (0.13, 0.1, 0.83, 0.83)  # the axes' share of the picture: left, bottom, width, height
_BAR = 4  # pixels of the line that tells how far along a frame is
_ENDINGS = (".gif", ".mp4")


def check_animation_target(path: Path) -> None:
    """Refuse early what `write_animation` could not do late.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
        MissingDependencyError: if the ending needs an extra that is not installed.
    """
    check_target(path, _ENDINGS)
    if path.suffix.lower() == ".mp4":
        _av()


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError(
            "MP4 needs PyAV; install sfumato[video], or write a .gif."
        ) from error
    return av


def write_animation(
    path: Path,
    frames: Sequence[tuple[str, np.ndarray]],
    *,
    span: Limits,
    columns: Sequence[str],
    position: np.ndarray | None = None,
    title: str = "",
) -> None:
    """Write points in motion; endless, one picture for each frame, all on the same axes.

    Args:
        path: .gif or .mp4.
        frames: a label and points `(n, 2)` each.
        span: ranges of x and y; points beyond are not shown.
        columns: names of the axes.
        position: colours the points, `(n,)` in [0, 1].
        title: above.

    Raises:
        ArgumentError: as `check_animation_target`, or if there are no frames.
        MissingDependencyError: as `check_animation_target`.
        OSError: if it cannot be written.
    """
    check_animation_target(path)
    if not frames:
        raise ArgumentError("an animation needs at least one frame; got none.")
    palette = _palette(np.array([to_rgb(BLUE)]) if position is None else _shades())
    pictures = _pictures(frames, span, columns, position, title)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, pictures, palette)
        else:
            _write_mp4(temporary, (palette[picture] for picture in pictures))


def write_frames(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Write pictures one after another; endless, each for as long.

    Args:
        path: .gif or .mp4.
        frames: bytes `(height, width, 1 or 3)` each, of one size.

    Raises:
        ArgumentError: as `check_animation_target`, or if there are no frames.
        MissingDependencyError: as `check_animation_target`.
        OSError: if it cannot be written.
    """
    check_animation_target(path)
    every = list(frames)
    if not every:
        raise ArgumentError("an animation needs at least one frame; got none.")
    with replacing(path) as temporary:
        if path.suffix.lower() == ".gif":
            first, *others = (as_pil(frame) for frame in every)
            first.save(
                temporary,
                save_all=True,
                append_images=others,
                duration=FRAME_MS,
                loop=0,
                optimize=False,
            )
        else:
            _write_mp4(temporary, (frame.repeat(3 // frame.shape[2], axis=2) for frame in every))


def _shades() -> np.ndarray:
    return COLOURS((np.arange(_SHADES) + 0.5) / _SHADES)[:, :3]


def _palette(shades: np.ndarray) -> np.ndarray:
    """The colours of all entries, `(256, 3)` bytes."""
    paper, ink = np.array(to_rgb(PAPER)), np.array(to_rgb(INK))
    greys = paper + np.linspace(0, 1, _GREYS)[:, None] * (ink - paper)
    strength = (np.arange(_STRENGTHS) + 1)[:, None] / _STRENGTHS
    points = (paper + strength * (shades[:, None] - paper)).reshape(-1, 3)
    entries = np.concatenate([[paper, paper], greys, points])
    whole = np.concatenate([entries, np.tile(paper, (256 - len(entries), 1))])
    return (whole * 255).round().astype(np.uint8)


def _greys(rgba: np.ndarray) -> np.ndarray:
    """Entries for what is drawn in ink on paper."""
    ink, paper = to_rgb(INK)[1] * 255, to_rgb(PAPER)[1] * 255
    depth = (paper - rgba[..., 1]) / (paper - ink)
    return (_FIRST_GREY + (depth.clip(0, 1) * (_GREYS - 1)).round()).astype(np.uint8)


def _disc(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels about a corner of four that make a dot suiting n points, faintest first.

    Returns:
        Rows and columns from that corner, negative up and left, and strengths in (0, 1].
    """
    radius = float(np.clip(80 / max(n, 1) ** 0.5, 1, 5))
    reach = math.ceil(radius)
    row, column = np.mgrid[-reach:reach, -reach:reach].reshape(2, -1)
    strength = np.clip(radius + 0.5 - np.hypot(row + 0.5, column + 0.5), 0, 1)
    order = np.argsort(strength, kind="stable")
    order = order[strength[order] > 0.2]
    return row[order], column[order], strength[order]


def _pictures(
    frames: Sequence[tuple[str, np.ndarray]],
    span: Limits,
    columns: Sequence[str],
    position: np.ndarray | None,
    title: str,
) -> Iterator[np.ndarray]:
    """Every frame as palette entries `(SIDE, SIDE)`, bytes."""
    with styled():
        figure = Figure(figsize=(SIDE / _DPI, SIDE / _DPI), dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes(_BOX)
        axes.set(xlim=span[0], ylim=span[1], xlabel=columns[0], ylabel=columns[1])
        few_ticks(axes)
        label: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 12, "color": INK}
        axes.text(0, 1.034, title, **label)
        changing = axes.text(1, 1.034, "", ha="right", animated=True, **label)
        canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    background = _greys(np.asarray(canvas.buffer_rgba()))
    # The inside of the axes in pixels; a picture's first row is its upper edge.
    left, right = (round(x) for x in axes.bbox.intervalx)
    top, bottom = (SIDE - round(y) for y in axes.bbox.intervaly[::-1])
    bar = slice(top - 2 * _BAR, top - _BAR)
    background[bar, left:right] = _FIRST_GREY + _GREYS // 7

    for k, (text, points) in enumerate(frames):
        canvas.restore_region(still)
        changing.set_text(text)
        axes.draw_artist(changing)
        picture = background.copy()
        picture[: bar.start] = _greys(np.asarray(canvas.buffer_rgba())[: bar.start])
        done = left + round((k + 1) / len(frames) * (right - left))
        picture[bar, left:done] = _FIRST_GREY + _GREYS // 2
        # Encoders merge equal neighbours; a paper pixel of alternating entry keeps them apart.
        picture[0, 0] = k % 2
        place = axes.transData.transform(points)
        _stamp(picture[top:bottom, left:right], place - (left, SIDE - bottom), position)
        yield picture


def _stamp(inside: np.ndarray, place: np.ndarray, position: np.ndarray | None) -> None:
    """Put points onto the inside of the axes; where dots meet, the strongest and last is seen.

    Args:
        inside: palette entries, changed in place.
        place: points in pixels from the lower left corner, `(n, 2)`.
        position: of the points in [0, 1], or None for one shade.
    """
    rows, columns, strengths = _disc(len(place))
    reach = int(-rows.min())
    height, width = inside.shape
    seen = ((place > -reach) & (place < (width + reach, height + reach))).all(1)
    # A rim around the picture takes what reaches over the edge.
    rimmed = np.zeros((height + 4 * reach, width + 4 * reach), np.uint8)
    column, up = np.rint(place[seen]).astype(np.intp).T + 2 * reach
    shade = np.zeros(len(column)) if position is None else position[seen] * _SHADES
    first = _FIRST_SHADE + shade.clip(0, _SHADES - 1).astype(np.uint8) * _STRENGTHS
    level = np.ceil(strengths * _STRENGTHS).astype(np.uint8) - 1
    # Of values for one pixel the last stays: faint rims come first, whole centres last.
    rimmed[rows[:, None] + len(rimmed) - up, columns[:, None] + column] = first + level[:, None]
    drawn = rimmed[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    np.copyto(inside, drawn, where=drawn > 0)


def _write_gif(path: Path, pictures: Iterable[np.ndarray], palette: np.ndarray) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    for image in images:
        image.putpalette(palette.tobytes())
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=FRAME_MS, loop=0, optimize=False,
        disposal=1,
    )  # fmt: skip


def _write_mp4(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Of RGB pictures; a side of odd length loses its last pixel, as the format has even ones."""
    av = _av()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=1000 // FRAME_MS)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for k, picture in enumerate(frames):
            height, width = (side - side % 2 for side in picture.shape[:2])
            if k == 0:  # the size of an open stream cannot be set
                stream.width, stream.height = width, height
            even = np.ascontiguousarray(picture[:height, :width])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        file.mux(stream.encode(None))
