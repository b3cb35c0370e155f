"""What a run shows and writes, whether it is of points, of pictures or of a table."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.images import Images
from sfumato.data.io.rows import check_target, write_points
from sfumato.data.io.sheets import check_image_target, write_images
from sfumato.data.points import Points
from sfumato.errors import DataError
from sfumato.metrics.memorisation import nearest_images
from sfumato.plots.images import animate_images, check_image_animation, sheets, strips
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import PICTURES, generator, noise_from
from sfumato.runs.figures import points as figures
from sfumato.runs.figures.table import TABLE_FIGURES
from sfumato.runs.run import Run
from sfumato.runs.table_run import TableRun

_ROWS, _FRAMES = 6, 10


def pictures_of(run: Run) -> Images:
    """The pictures that a run learned from.

    Raises:
        DataError: if it learned from points.
    """
    train = run.load_data().train
    if not isinstance(train, Images):
        raise DataError("this run learned from points, not from pictures.")
    return train


def _title(run: Run) -> str:
    pictures = pictures_of(run)
    name = Path(run.settings.data.source).name.replace("$", r"\$")
    return f"{name}, {len(pictures.pixels):,} pictures"


def data_figure(run: Run) -> Figure:
    """A sheet of pictures that the run learned from, drawn by lot."""
    pixels = pictures_of(run).pixels
    shown = np.random.default_rng(0).permutation(len(pixels))[:PICTURES]
    return sheets([(_title(run), pixels[np.sort(shown)])])


def _noised(run: Run, count: int, n: int) -> list[tuple[NoiseLevel, np.ndarray]]:
    codec, levels = run.model.codec, run.model.process.evenly(count)
    x_0 = codec.encode(pictures_of(run).pixels[:n]).double()
    eps = noise_from(generator(run.settings.seed))(x_0)
    every = [levels[k] for k in range(count)]
    return [(level, codec.decode(noised(x_0, level).draw(eps))) for level in every]


def forward_figure(run: Run) -> Figure:
    """The forward process: six pictures dissolve."""
    frames = [(run.model.process.coordinate(level), x) for level, x in _noised(run, _FRAMES, _ROWS)]
    return strips(frames, r"Forward: pictures dissolve into noise, $q(x_t\,|\,x_0)$")


def reverse_figure(run: Run) -> Figure:
    """The reverse process: six samples emerge."""
    walk = run.model.pictured_frames(_ROWS, _FRAMES)
    return strips(
        [(run.model.process.coordinate(level), x) for level, x in walk],
        "Reverse: samples emerge out of noise",
    )


def training_figure(run: Run) -> Figure:
    """The same eight samples at each moment that a snapshot was taken."""
    snapshots = run.snapshots() or [(0, np.stack([run.sample(8)]))]
    frames = [(f"step {step:,}" if step else "", stack[-1][:8]) for step, stack in snapshots]
    return strips(frames, "The same samples, as training goes on")


def samples_figure(run: Run, sample: np.ndarray | None = None) -> Figure:
    """Real pictures that training never saw, beside as many generated ones."""
    data = run.load_data()
    sample = run.sample(PICTURES) if sample is None else sample[:PICTURES]
    real = data.train if data.heldout is None else data.heldout
    shown = min(len(sample), len(real.values))
    parts = [("real, not trained on", real.values[:shown]), ("generated", sample[:shown])]
    return sheets(parts)


def neighbours_figure(run: Run, sample: np.ndarray | None = None) -> Figure:
    """Does it copy? Eight samples, each above the training pictures nearest to it."""
    sample = run.sample(10) if sample is None else sample[:10]
    train = pictures_of(run).pixels
    nearest = nearest_images(sample, train, 4)
    rows = [sample, *(train[nearest[:, k]] for k in range(nearest.shape[1]))]
    names = ("sample", "nearest", "2nd", "3rd", "4th")
    columns = [("", np.stack([row[k] for row in rows])) for k in range(len(sample))]
    return strips(columns, "Samples, and the training pictures nearest to each", names[: len(rows)])


PICTURE_FIGURES: Mapping[str, Callable[[Run], Figure]] = {
    "data": data_figure,
    "forward": forward_figure,
    "reverse": reverse_figure,
    "training": training_figure,
    "samples": samples_figure,
    "neighbours": neighbours_figure,
    "loss": figures.loss_figure,
    "errors": figures.errors_figure,
}


def of_pictures(run: Run) -> bool:
    """Whether the run draws pictures."""
    return len(run.model.codec.event) > 1


def figures_of(run: Run | TableRun) -> Mapping[str, Callable[..., Figure]]:
    """What can be drawn of the run: functions of it."""
    if isinstance(run, TableRun):
        return TABLE_FIGURES
    return PICTURE_FIGURES if of_pictures(run) else figures.FIGURES


def write_run_animation(run: Run, direction: Literal["forward", "reverse"], path: Path) -> None:
    """100 frames of the forward or the reverse process, 100 ms each, endless.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
        MissingDependencyError: if the ending needs an extra that is not installed.
        RunError: if the forward process needs data that cannot be had.
    """
    if not of_pictures(run):
        figures.write_run_animation(run, direction, path)
        return
    check_image_animation(path)
    count = figures.ANIMATION_FRAMES
    if direction == "forward":
        walk = _noised(run, count, PICTURES)
    else:
        walk = run.model.pictured_frames(PICTURES, count)
    animate_images(path, [pixels for _, pixels in walk])


def check_rows_target(run: Run, path: Path) -> None:
    """Refuse early what `write_rows` could not do late.

    Raises:
        ArgumentError: if the ending is not for what the run draws, or the folder is missing.
    """
    if of_pictures(run):
        check_image_target(path)
    else:
        check_target(path)


def write_rows(
    run: Run,
    path: Path,
    rows: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    columns: int | None = None,
) -> None:
    """Write what the run drew: a table, or pictures as a sheet, a folder or an array.

    Args:
        run: whose they are.
        path: its ending decides.
        rows: in the data's own units.
        labels: of pictures, kept in an .npz.
        columns: of a sheet of pictures; as nearly square as can be where not given.

    Raises:
        ArgumentError: as `check_rows_target`.
        OSError: if it cannot be written.
    """
    if of_pictures(run):
        write_images(path, rows, labels, columns=columns)
    else:
        write_points(path, Points(rows, run.model.codec.columns))
