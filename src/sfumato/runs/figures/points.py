"""The figures and animations of a run that learned points."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.points import Points
from sfumato.data.toy import TOY_SETS, draw
from sfumato.models.gaussian import GaussianModel
from sfumato.plots import scatter
from sfumato.plots.animation import write_animation
from sfumato.plots.style import steady_limits
from sfumato.process.streams import CHUNK
from sfumato.runs.figures.common import (
    ANIMATION_FRAMES,
    Direction,
    LevelFrames,
    Shown,
    decoded_forward_frames,
    distances_figure,
    errors_figure,
    loss_figure,
    measured,  # noqa: F401 - of the kind
    plain,
)
from sfumato.runs.run import SNAPSHOT_FRAMES, SNAPSHOT_STEPS, Run

# The most points that a picture shows; more are only slower.
_SHOWN = 10_000
_MOVING = _PANEL = 4096

SAMPLED = 10_000
# Measures that a report shows apart from the others.
APART: tuple[str, ...] = ()
CAPTIONS = {
    "data": "What the model learned from.",
    "sheet": "The sheet in space whose section is the S.",
    "samples": "Real rows that training never saw, beside as many generated ones.",
    "forward": "The forward process: each panel adds noise to the one before.",
    "reverse": "The reverse process, a row for each moment of the training.",
    "trajectories": "Forty samples on their way.",
    "errors": "How far off the predicted data are, by noise. What a network has over the least "
    "possible is what it has not learned; what unseen rows have over training rows it has "
    "memorised.",
    "loss": "The training loss. It does not fall to zero: noise cannot be predicted entirely.",
    "distances": "Each measure on its own scale.",
}


def _names(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(plain(name) for name in columns)


def _in_plane(run: Run, frames: LevelFrames, reference: np.ndarray) -> list[tuple[str, np.ndarray]]:
    where = run.model.process.coordinate
    return [(where(level), scatter.plane(x, reference)) for level, x in frames]


def forward_frames(run: Run, count: int, n: int) -> tuple[LevelFrames, Points]:
    """The data at `count` levels from clean to the noisiest, and the rows that are shown."""
    train: Points = run.load_data().train
    rows = train.take(np.arange(min(n, len(train))))
    return decoded_forward_frames(run, rows.values, count), rows


def data_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """What the run learned from, coloured by position where that is known."""
    train: Points = run.load_data().train
    values, position = train.values[:_SHOWN], train.position
    position = None if position is None else position[:_SHOWN]
    title = f"{plain(run.settings.data.source)}, {len(train):,} points"
    if values.shape[1] == 3:
        return scatter.curve_3d(values, position, title)
    columns = scatter.plane_columns(_names(train.columns))
    return scatter.section(scatter.plane(values, values), position, columns, title)


def sheet_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The 3-D S-curve, coloured by position: the sheet whose section the S-curve is."""
    sheet = draw("s-curve-3d", _SHOWN, seed=0)
    return scatter.curve_3d(sheet.values, sheet.position, "The S-curve in space")


def forward_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The forward process in 2 x 10 panels."""
    frames, rows = forward_frames(run, 20, _PANEL)
    panels = _in_plane(run, frames, rows.values)
    return scatter.panels(
        [("", panels[:10]), ("", panels[10:])],
        rows.position,
        title=r"Forward: the data dissolve into noise, $q(x_t\,|\,x_0)$",
    )


def reverse_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The reverse process in 1 x 10 panels, a row for each moment that a snapshot was taken.

    A model without snapshots shows its last row only.
    """
    snapshots = run.snapshots()
    assert isinstance(run.model, GaussianModel)
    frames = run.model.pictured_frames(CHUNK, SNAPSHOT_FRAMES, steps=SNAPSHOT_STEPS)
    levels, own = zip(*frames, strict=True)
    if not snapshots:
        snapshots = [(0, np.stack(own))]
    labels = [run.model.process.coordinate(level) for level in levels]
    per_step = {int(record["step"]): record["epoch"] for record in run.records()}
    rows = [
        (
            f"epoch {per_step[step]:,.0f}" if step in per_step else "",
            [(text, scatter.plane(x, own[-1])) for text, x in zip(labels, stack, strict=True)],
        )
        for step, stack in snapshots
    ]
    return scatter.panels(rows, title="Reverse: samples emerge, more clearly with training")


def samples_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Real rows beside generated ones."""
    data = run.load_data()
    real = data.heldout.values if data.heldout is not None else data.fresh(0, _SHOWN)
    n = min(_SHOWN, len(real))
    sample = run.draw(n) if shown is None else shown.sample[:n]
    return scatter.samples_over_data(real[:n], sample, _names(data.train.columns))


def trajectories_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The paths of 40 samples from noise to data, without noise on the way."""
    train: Points = run.load_data().train
    walk = run.model.frames(40, sampler="dpm++2m")
    paths = np.stack([scatter.plane(x, train.values) for _, x in walk])
    return scatter.trajectories(
        paths,
        scatter.plane(train.values[:_SHOWN], train.values),
        scatter.plane_columns(_names(train.columns)),
        "From noise to data, along the probability flow",
    )


FIGURES: Mapping[str, Callable[..., Figure]] = {
    "data": data_figure,
    "forward": forward_figure,
    "reverse": reverse_figure,
    "trajectories": trajectories_figure,
    "samples": samples_figure,
    "loss": loss_figure,
    "errors": errors_figure,
    "distances": distances_figure,
}


def reported(run: Run, shown: Shown) -> dict[str, Callable[..., Figure]]:
    """The figures of a report, by name."""
    figures = dict(FIGURES)
    if shown.evaluation is None:
        del figures["distances"]
    if run.settings.data.source == "s-curve":
        figures["sheet"] = sheet_figure
    return figures


def datasets_sheet(n: int = 3000) -> Figure:
    """Thumbnails of all toy sets."""
    drawn = [(name, draw(name, n, seed=0)) for name in TOY_SETS]
    return scatter.thumbnails([(name, x.values, x.position) for name, x in drawn])


def animate(run: Run, direction: Direction, path: Path) -> None:
    """100 frames of the forward or the reverse process, 100 ms each, endless.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
        MissingDependencyError: if the ending needs an extra that is not installed.
        RunError: if the forward process needs data that cannot be had.
    """
    if direction == "forward":
        frames, rows = forward_frames(run, ANIMATION_FRAMES, _MOVING)
        reference, position = rows.values, rows.position
        title = "Forward: data dissolve into noise"
    else:
        frames = run.model.pictured_frames(_MOVING, ANIMATION_FRAMES)
        reference, position = frames[-1][1], None
        title = "Reverse: samples emerge out of noise"
    moving = _in_plane(run, frames, reference)
    write_animation(
        path,
        moving,
        span=steady_limits(np.concatenate([x for _, x in moving[::10]])),
        columns=scatter.plane_columns(_names(run.model.codec.columns)),
        position=position,
        title=title,
    )
