"""Animations of points on fixed axes, as GIF or MP4.

What stands still is drawn once and restored for every frame (Agg blitting); points are stamped
as markers, one artist for each of a few shades, which is many times faster than a scatter. A
GIF gets one palette for all frames, so that no colour flickers.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from sfumato.errors import MissingDependencyError
from sfumato.plots.style import BLUE, COLOURS, GREY, INK, check_target, dot_alpha, styled
from sfumato.storage import replacing

FRAME_MS = 100
_SIZE, _DPI, _SHADES = 5.4, 100, 16
_ENDINGS = (".gif", ".mp4")

Limits = tuple[tuple[float, float], ...]


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
        span: ranges of x and y.
        columns: names of the axes.
        position: colours the points, `(n,)` in [0, 1].
        title: above.

    Raises:
        ArgumentError: as `check_animation_target`.
        MissingDependencyError: as `check_animation_target`.
        OSError: if it cannot be written.
    """
    check_animation_target(path)
    pictures = _pictures(frames, span, columns, position, title)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, pictures, len(frames))
        else:
            _write_mp4(temporary, pictures)


def _pictures(
    frames: Sequence[tuple[str, np.ndarray]],
    span: Limits,
    columns: Sequence[str],
    position: np.ndarray | None,
    title: str,
) -> Iterator[np.ndarray]:
    """Every frame as an RGB picture `(height, width, 3)`."""
    n = len(frames[0][1])
    shade = (
        np.zeros(n, dtype=int) if position is None else (position * _SHADES).clip(0, _SHADES - 1)
    ).astype(int)
    colours = matplotlib.colormaps[COLOURS]((np.arange(_SHADES) + 0.5) / _SHADES)
    with styled():
        figure = Figure(figsize=(_SIZE, _SIZE), dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0.125, 0.125, 0.83, 0.79))
        axes.set(xlim=span[0], ylim=span[1], xlabel=columns[0], ylabel=columns[1])
        axes.set_title(title, loc="left", fontsize=10.5)
        size = float(np.clip(180 / max(n, 1) ** 0.5, 1.1, 5))
        stamps = [
            axes.plot(
                [], [], "o", color=BLUE if position is None else colours[k], markersize=size,
                alpha=dot_alpha(n), markeredgewidth=0, animated=True,
            )[0]
            for k in range(1 if position is None else _SHADES)
        ]  # fmt: skip
        label = axes.text(
            1, 1.016, "", transform=axes.transAxes, ha="right", va="bottom", color=INK,
            fontsize=10.5, animated=True,
        )  # fmt: skip
        # A line that fills up: how far along, and no two frames are ever the same picture.
        (line,) = figure.axes[0].plot(
            [0, 0], [1, 1], color=GREY, linewidth=2.5, transform=axes.transAxes, clip_on=False,
            solid_capstyle="butt", animated=True,
        )  # fmt: skip
        canvas.draw()
        background = canvas.copy_from_bbox(figure.bbox)
        for k, (text, points) in enumerate(frames):
            canvas.restore_region(background)
            for which, stamp in enumerate(stamps):
                mine = points[shade == which]
                stamp.set_data(mine[:, 0], mine[:, 1])
                axes.draw_artist(stamp)
            label.set_text(text)
            line.set_xdata([0, (k + 1) / len(frames)])
            axes.draw_artist(label)
            axes.draw_artist(line)
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _write_gif(path: Path, pictures: Iterable[np.ndarray], count: int) -> None:
    images = [Image.fromarray(picture) for picture in pictures]
    # One palette from a strip of frames of the whole length.
    chosen = [images[k] for k in sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})]
    strip = Image.new("RGB", (images[0].width, images[0].height * len(chosen)))
    for place, image in enumerate(chosen):
        strip.paste(image, (0, place * images[0].height))
    palette = strip.quantize(128, method=Image.Quantize.MEDIANCUT)
    # The paper's white stays white.
    entries = np.array(palette.getpalette()[: 3 * 128]).reshape(-1, 3)  # type: ignore[index]
    entries[entries.sum(1).argmax()] = 255
    palette.putpalette(entries.flatten().tolist())
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    flat[0].save(
        path, save_all=True, append_images=flat[1:], duration=FRAME_MS, loop=0, optimize=False,
        disposal=1,
    )  # fmt: skip


def _write_mp4(path: Path, pictures: Iterable[np.ndarray]) -> None:
    av = _av()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=1000 // FRAME_MS)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20"}
        side = int(_SIZE * _DPI) // 2 * 2  # the codec takes even sides only
        stream.width = stream.height = side
        for picture in pictures:
            corner = np.ascontiguousarray(picture[:side, :side])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(corner, format="rgb24")))
        file.mux(stream.encode(None))
