"""The figures and animations of a run that learned pictures."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.images import Images
from sfumato.metrics.memorisation import nearest_images
from sfumato.plots.images import animate_images, sheets, strips
from sfumato.process.streams import PICTURES
from sfumato.runs.figures import points
from sfumato.runs.figures.common import (
    ANIMATION_FRAMES,
    Direction,
    Shown,
    decoded_forward_frames,
    distances_figure,
    errors_figure,
    loss_figure,
    source_name,
)
from sfumato.runs.run import Run

# Of a figure of the process: pictures, and moments of each.
_PICTURES, _MOMENTS = 6, 10

SAMPLED = 100
# Measures that a report shows apart from the others.
APART: tuple[str, ...] = ()
CAPTIONS = points.CAPTIONS | {
    "samples": "Real pictures that training never saw, beside as many generated ones.",
    "forward": "The forward process: each column adds noise to the one before.",
    "reverse": "The reverse process: each column has less noise than the one before.",
    "training": "What the same samples were at moments of the training.",
    "neighbours": "Does it copy? Each sample above the training pictures nearest to it.",
    "errors": points.CAPTIONS["errors"].replace("rows", "pictures"),
}


def _train(run: Run) -> Images:
    train: Images = run.load_data().train
    return train


def _visible(run: Run, frames: Iterable[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Pictures as bytes for the eye, under their names."""
    return [(name, run.model.codec.visible(pixels)) for name, pixels in frames]


def data_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """A sheet of pictures that the run learned from, drawn at random."""
    pixels = _train(run).pixels
    some = np.random.default_rng(0).permutation(len(pixels))[:PICTURES]
    name = f"{source_name(run)}, {len(pixels):,} pictures"
    return sheets(_visible(run, [(name, pixels[np.sort(some)])]))


def forward_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The forward process: six pictures dissolve."""
    frames = decoded_forward_frames(run, _train(run).pixels[:_PICTURES], _MOMENTS)
    where = run.model.process.coordinate
    return strips(
        _visible(run, ((where(level), x) for level, x in frames)),
        r"Forward: pictures dissolve into noise, $q(x_t\,|\,x_0)$",
    )


def reverse_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The reverse process: six samples emerge."""
    where = run.model.process.coordinate
    walk = run.model.pictured_frames(_PICTURES, _MOMENTS)
    frames = _visible(run, ((where(level), x) for level, x in walk))
    return strips(frames, "Reverse: samples emerge out of noise")


def training_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The same eight samples at each moment that a snapshot was taken."""
    snapshots = run.snapshots() or [(0, np.stack([run.draw(8)]))]
    frames = [(f"step {step:,}" if step else "", stack[-1][:8]) for step, stack in snapshots]
    return strips(_visible(run, frames), "The same samples, as training goes on")


def samples_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Real pictures that training never saw, beside as many generated ones."""
    data = run.load_data()
    sample = run.draw(PICTURES) if shown is None else shown.sample[:PICTURES]
    real = data.train if data.heldout is None else data.heldout
    n = min(len(sample), len(real))
    parts = [("real, not trained on", real.pixels[:n]), ("generated", sample[:n])]
    return sheets(_visible(run, parts))


def neighbours_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Does it copy? Ten samples, each above the training pictures nearest to it."""
    sample = run.draw(10) if shown is None else shown.sample[:10]
    train = _train(run).pixels
    nearest = nearest_images(sample, train, 4)
    rows = [sample, *(train[nearest[:, k]] for k in range(nearest.shape[1]))]
    names = ("sample", "nearest", "2nd", "3rd", "4th")
    columns = [("", np.stack([row[k] for row in rows])) for k in range(len(sample))]
    return strips(
        _visible(run, columns),
        "Samples, and the training pictures nearest to each",
        names[: len(rows)],
    )


FIGURES: Mapping[str, Callable[..., Figure]] = {
    "data": data_figure,
    "forward": forward_figure,
    "reverse": reverse_figure,
    "training": training_figure,
    "samples": samples_figure,
    "neighbours": neighbours_figure,
    "loss": loss_figure,
    "errors": errors_figure,
    "distances": distances_figure,
}


def measured(run: Run, sample: np.ndarray, quiet: bool) -> Shown:
    """A sample, and an evaluation of as many as there are real ones to measure by.

    Those that the sample lacks are drawn; what it has is not drawn again.

    Raises:
        DataError: if there are too few real pictures to measure by.
    """
    n = len(run.real_sets().reference)
    more = run.draw(max(n - len(sample), 0), first=len(sample), quiet=quiet)
    drawn = np.concatenate([sample, more])[:n]
    return Shown(sample, run.evaluate(sample=drawn, labels=run.model.labels(n), quiet=quiet))


def reported(run: Run, shown: Shown) -> dict[str, Callable[..., Figure]]:  # noqa: ARG001
    """The figures of a report, by name."""
    return {k: v for k, v in FIGURES.items() if k != "distances" or shown.evaluation is not None}


def animate(run: Run, direction: Direction, path: Path) -> None:
    """100 frames of the forward or the reverse process, 100 ms each, endless.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
        MissingDependencyError: if the ending needs an extra that is not installed.
        RunError: if the forward process needs data that cannot be had.
    """
    if direction == "forward":
        walk = decoded_forward_frames(run, _train(run).pixels[:PICTURES], ANIMATION_FRAMES)
    else:
        walk = run.model.pictured_frames(PICTURES, ANIMATION_FRAMES)
    animate_images(path, [run.model.codec.visible(pixels) for _, pixels in walk])
