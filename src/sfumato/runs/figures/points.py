"""The figures and animations of a run: what to draw of it, for `plots` to draw.

Each figure takes an opened run and gives a matplotlib figure; the command line, the report and
Python call the same ones.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.points import Points
from sfumato.data.toy import TOY_SETS, draw
from sfumato.errors import RunError
from sfumato.metrics.evaluation import Evaluation
from sfumato.plots import scatter as draw_points
from sfumato.plots.animation import check_animation_target, write_animation
from sfumato.plots.curves import losses_by_noise
from sfumato.plots.style import steady_limits
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import CHUNK, generator, noise_from
from sfumato.runs.doctor.exact import (
    errors_by_level,
    exact_denoiser,
    regrets_by_level,
    ruler_levels,
)
from sfumato.runs.run import SNAPSHOT_FRAMES, Run
from sfumato.runs.table_run import TableRun

# The most points that a picture shows; more are only slower.
SHOWN = 10_000
ANIMATION_FRAMES = 100
ERROR_ROWS = 2048
ANIMATION_POINTS = PANEL_POINTS = 4096

LevelFrames = list[tuple[NoiseLevel, np.ndarray]]


def forward_frames(run: Run, count: int, n: int = SHOWN) -> tuple[LevelFrames, Points]:
    """The data at `count` levels from clean to the noisiest, one noise for each row throughout.

    Rows are shown in the data's units; the process runs in the model's.
    """
    shown = run.load_data().points
    rows = run.model.codec.encode(shown.values[:n]).double()
    eps = noise_from(generator(run.settings.seed))(rows)
    levels = run.model.process.evenly(count)
    frames = [
        (levels[k], run.model.codec.decode(noised(rows, levels[k]).draw(eps))) for k in range(count)
    ]
    position = None if shown.position is None else shown.position[:n]
    return frames, Points(shown.values[:n], shown.columns, position)


def _plain(text: str) -> str:
    """A user's own words on a picture: a dollar is a dollar, and begins no mathematics."""
    return text.replace("$", r"\$")


def _columns(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(_plain(name) for name in columns)


def _seen(run: Run, frames: LevelFrames, reference: np.ndarray) -> list[tuple[str, np.ndarray]]:
    coordinate = run.model.process.coordinate
    return [(coordinate(level), draw_points.plane(x, reference)) for level, x in frames]


def data_figure(run: Run) -> Figure:
    """What the run learned from, coloured by position where that is known."""
    shown = run.load_data().points
    values, position = shown.values[:SHOWN], shown.position
    position = None if position is None else position[:SHOWN]
    name, rows = _plain(run.settings.data.source), len(shown.values)
    if values.shape[1] == 3:
        return draw_points.curve_3d(values, position, f"{name}, {rows:,} points")
    return draw_points.section(
        draw_points.plane(values, values),
        position,
        draw_points.plane_columns(_columns(shown.columns)),
        f"{name}, {rows:,} points",
    )


def sheet_figure() -> Figure:
    """The 3-D S-curve, coloured by position: the sheet whose section the S-curve is."""
    sheet = draw("s-curve-3d", SHOWN, seed=0)
    return draw_points.curve_3d(sheet.values, sheet.position, "The S-curve in space")


def forward_figure(run: Run) -> Figure:
    """The forward process in 2 x 10 panels."""
    frames, shown = forward_frames(run, 20, PANEL_POINTS)
    seen = _seen(run, frames, shown.values)
    return draw_points.panels(
        [("", seen[:10]), ("", seen[10:])],
        shown.position,
        title=r"Forward: the data dissolve into noise, $q(x_t\,|\,x_0)$",
    )


def reverse_figure(run: Run) -> Figure:
    """The reverse process in 1 x 10 panels, a row for each moment that a snapshot was taken.

    A model without snapshots shows its last row only.
    """
    snapshots = run.snapshots()
    levels, own = zip(*run.model.pictured_frames(CHUNK, SNAPSHOT_FRAMES), strict=True)
    if not snapshots:
        snapshots = [(0, np.stack(own))]
    labels = [run.model.process.coordinate(level) for level in levels]
    reference = own[-1]
    per_step = {int(record["step"]): record["epoch"] for record in run.records()}
    rows = [
        (
            f"epoch {per_step[step]:,.0f}" if step in per_step else "",
            [
                (text, draw_points.plane(x, reference))
                for text, x in zip(labels, stack, strict=True)
            ],
        )
        for step, stack in snapshots
    ]
    return draw_points.panels(rows, title="Reverse: samples emerge, more clearly with training")


def samples_figure(run: Run, sample: np.ndarray | None = None) -> Figure:
    """Real rows beside generated ones, drawn afresh unless given."""
    data = run.load_data()
    real = data.heldout.values if data.heldout is not None else data.fresh(0, SHOWN)
    n = min(SHOWN, len(real))
    sample = run.sample(n) if sample is None else sample[:n]
    return draw_points.samples_over_data(real[:n], sample, _columns(data.train.columns))


def trajectories_figure(run: Run) -> Figure:
    """The ways of 40 samples from noise to data, without noise on the way (DDIM)."""
    data = run.load_data().points
    walk = run.model.frames(40, sampler="dpm++2m")
    paths = np.stack([draw_points.plane(x, data.values) for _, x in walk])
    return draw_points.trajectories(
        paths,
        draw_points.plane(data.values[:SHOWN], data.values),
        draw_points.plane_columns(_columns(data.columns)),
        "From noise to data, along the probability flow",
    )


def loss_figure(run: Run | TableRun) -> Figure:
    """Training loss by step.

    Raises:
        RunError: for a lone model file, which has no record of it.
    """
    records = run.records()
    if not records:
        raise RunError("a lone model file has no record of its training; give the run folder.")
    return draw_points.loss_curve(
        [record["step"] for record in records], [record["loss"] for record in records]
    )


def errors_figure(run: Run) -> Figure:
    """The network's squared error by noise level, beside the least possible where it is known."""
    data, encode = run.load_data(), run.model.codec.encode
    unseen = data.fresh(1, ERROR_ROWS) if data.heldout is None else data.heldout.values
    learned, new = (encode(rows[:ERROR_ROWS]).double() for rows in (data.train.values, unseen))
    network, exact = run.model.unlabelled, exact_denoiser(run)
    lines = {
        "network, rows it learned from": errors_by_level(run, network, learned).mean(1),
        "network, unseen rows": errors_by_level(run, network, new).mean(1),
    }
    if exact is None:
        learned_error, unseen_error = lines.values()
        over, what = unseen_error - learned_error, "What unseen rows cost more than learned ones"
    else:
        lines["the least possible, unseen rows"] = errors_by_level(run, exact, new).mean(1)
        over = regrets_by_level(run, exact, new).mean(1)
        what = "What the network costs more than the best possible"
    levels = ruler_levels(run)
    return losses_by_noise(
        levels.log_snr.numpy(),
        {name: line.numpy() for name, line in lines.items()},
        (over * levels.snr / 2).numpy(),
        f"{what}: the area is nats",
        "Error of the predicted data, by noise",
    )


def evaluation_figure(evaluation: Evaluation) -> Figure:
    """Every measure beside its floor."""
    return draw_points.distances(
        [(m.title, m.value, m.floor, m.limit, m.verdict) for m in evaluation.measures]
    )


def distances_figure(run: Run) -> Figure:
    """Every measure of a fresh evaluation beside its floor."""
    return evaluation_figure(run.evaluate(quiet=True))


FIGURES: Mapping[str, Callable[[Run], Figure]] = {
    "data": data_figure,
    "forward": forward_figure,
    "reverse": reverse_figure,
    "trajectories": trajectories_figure,
    "samples": samples_figure,
    "loss": loss_figure,
    "errors": errors_figure,
    "distances": distances_figure,
}


def datasets_sheet(n: int = 3000) -> Figure:
    """Thumbnails of all toy sets."""
    drawn = [(name, draw(name, n, seed=0)) for name in TOY_SETS]
    return draw_points.thumbnails([(name, x.values, x.position) for name, x in drawn])


def write_run_animation(run: Run, direction: Literal["forward", "reverse"], path: Path) -> None:
    """100 frames of the forward or the reverse process, 100 ms each, endless.

    Raises:
        ArgumentError: if the ending is unknown or the folder missing.
        MissingDependencyError: if the ending needs an extra that is not installed.
        RunError: if the forward process needs data that cannot be had.
    """
    check_animation_target(path)
    columns = _columns(run.model.codec.columns)
    if direction == "forward":
        frames, shown = forward_frames(run, ANIMATION_FRAMES, ANIMATION_POINTS)
        reference, position = shown.values, shown.position
        title = "Forward: data dissolve into noise"
    else:
        frames = run.model.pictured_frames(ANIMATION_POINTS, ANIMATION_FRAMES)
        reference, position = frames[-1][1], None
        title = "Reverse: samples emerge out of noise"
    seen = _seen(run, frames, reference)
    write_animation(
        path,
        seen,
        span=steady_limits(np.concatenate([x for _, x in seen[::10]])),
        columns=draw_points.plane_columns(columns),
        position=position,
        title=title,
    )
