"""What the figures of several kinds of data share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from sfumato.errors import RunError
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.study import TableStudy
from sfumato.plots import scatter
from sfumato.plots.curves import losses_by_noise
from sfumato.process.kernels import noised
from sfumato.process.noise import NoiseLevel
from sfumato.process.streams import generator, noise_from
from sfumato.runs.exact import (
    compared_levels,
    errors_by_level,
    exact_denoiser,
    regrets_by_level,
)
from sfumato.runs.run import Run

# Frames of an animation, 100 ms each.
ANIMATION_FRAMES = 100
# Rows whose errors are averaged.
_ERROR_ROWS, _ERROR_PICTURES = 2048, 256

Direction = Literal["forward", "reverse"]
LevelFrames = list[tuple[NoiseLevel, np.ndarray]]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a report has already, for its figures to show.

    Args:
        sample: rows that the model drew.
        evaluation: of them, if they could be measured.
        study: of a table, generated rows beside real ones.
    """

    sample: Any = None
    evaluation: Evaluation | None = None
    study: TableStudy | None = None


def plain(text: str) -> str:
    """A user's own words on a picture: a dollar is a dollar, and begins no mathematics."""
    return text.replace("$", r"\$")


def source_name(run: Run) -> str:
    """The last part of where the data came from."""
    return plain(Path(run.settings.data.source).name)


def forward_frames(run: Run, x_0: Tensor, count: int) -> list[tuple[NoiseLevel, Tensor]]:
    """Encoded rows at `count` levels from clean to the noisiest, one noise for each throughout."""
    levels = run.model.process.evenly(count)
    eps = noise_from(generator(run.settings.seed))(x_0)
    return [(levels[k], noised(x_0, levels[k]).draw(eps)) for k in range(count)]


def decoded_forward_frames(run: Run, rows: np.ndarray, count: int) -> LevelFrames:
    """Rows of points or pictures on their way to noise, shown in the data's own units."""
    codec = run.model.codec
    frames = forward_frames(run, codec.encode(rows).double(), count)
    return [(level, codec.decode(x)) for level, x in frames]


def loss_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """Training loss by step.

    Raises:
        RunError: for a lone model file, which has no record of it.
    """
    records = run.records()
    if not records:
        raise RunError("a lone model file has no record of its training; give the run folder.")
    return scatter.loss_curve(
        [record["step"] for record in records], [record["loss"] for record in records]
    )


def errors_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The network's squared error by noise level, beside the least possible where it is known."""
    data, encode = run.load_data(), run.model.codec.encode
    unseen = data.fresh(1, _ERROR_ROWS) if data.heldout is None else data.heldout.values
    most = _ERROR_ROWS if unseen.ndim == 2 else _ERROR_PICTURES
    learned, new = (encode(rows[:most]).double() for rows in (data.train.values, unseen))
    network, exact = run.model.numeric_denoiser(), exact_denoiser(run)
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
    levels = compared_levels(run)
    return losses_by_noise(
        levels.log_snr.numpy(),
        {name: line.numpy() for name, line in lines.items()},
        (over * levels.snr / 2).numpy(),
        f"{what}: the area is nats",
        "Error of the predicted data, by noise",
    )


def distances_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Every measure beside its floor."""
    evaluation = shown.evaluation if shown else None
    evaluation = run.evaluate() if evaluation is None else evaluation
    return scatter.distances(
        [(m.title, m.value, m.floor, m.limit, m.verdict) for m in evaluation.measures],
        higher_is_better={m.title for m in evaluation.measures if m.higher_is_better},
    )


def measured(run: Run, sample: Any, quiet: bool) -> Shown:
    """A sample with its evaluation.

    Raises:
        DataError: if there are too few real rows to measure by.
    """
    return Shown(sample, run.evaluate(sample=sample, quiet=quiet))
