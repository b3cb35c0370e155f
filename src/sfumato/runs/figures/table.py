"""The figures and animations of a run that learned a table: columns, dependence, what may leak."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.codecs.table import TableCodec
from sfumato.data.table import DataTable, concatenate
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.association import associations
from sfumato.metrics.coded import coded
from sfumato.metrics.predictions import Predictions
from sfumato.metrics.privacy import PRIVACY
from sfumato.metrics.study import TableStudy
from sfumato.plots import columns as plots
from sfumato.plots.animation import write_animation
from sfumato.plots.columns import ColumnPanel, shown_values
from sfumato.plots.style import steady_limits
from sfumato.runs.figures.common import (
    ANIMATION_FRAMES,
    Direction,
    Shown,
    distances_figure,
    forward_frames,
    loss_figure,
)
from sfumato.runs.figures.predictions import figure_of
from sfumato.runs.kinds import table as kind
from sfumato.runs.run import Run

# Rows to draw where there are too few real ones to draw as many, and rows of an animation.
_SHOWN = _MOVING = 1000

SAMPLED = 10_000
APART = PRIVACY
CAPTIONS = {
    "samples": "Column by column: real rows filled, generated ones as a line.",
    "dependence": "How strongly two columns go together, and how far the generated rows are off.",
    "likelihoods": "Log densities. Where the generated rows' law is that of held-out rows, they "
    "are as typical; where rows learned from lie to the right of held-out ones, they were "
    "memorised.",
    "intervals": "A fifth of the cells of held-out rows were hidden and filled 20 times: do the "
    "draws lie about the truth as they claim to?",
    "predictions": "Predictions of the target in held-out rows, and whether they are as sure as "
    "they should be.",
    "nearest": "Distance to the nearest row that was learned from, in ranks of all columns.",
    "loss": "The training loss. It does not fall to zero: noise cannot be predicted entirely.",
}


def study_of(run: Run, sample: DataTable | None = None, *, seed: int = 0) -> TableStudy:
    """Generated rows beside real ones, to measure and to draw.

    Raises:
        DataError: if there are too few real rows.
        RunError: if the real rows cannot be had.
    """
    real = run.real_sets()
    sample = run.draw(len(real.reference), seed=seed) if sample is None else sample
    return kind.study_of(
        run.model, real, sample, log_prob=run.log_prob, complete=run.filled, seed=seed
    )


def _study(run: Run, shown: Shown | None) -> TableStudy:
    return shown.study if shown is not None and shown.study is not None else study_of(run)


def _title(run: Run) -> str:
    return plots.plain(Path(run.settings.data.source).name, 40)


def _panels(
    run: Run, real: DataTable, generated: DataTable | None, study: TableStudy | None
) -> list[ColumnPanel]:
    """The columns that vary, or all of them where none was measured."""
    measures = {} if study is None else study.columns
    return [
        ColumnPanel(
            part.name,
            shown_values(real[part.name], part.kind),
            None if generated is None else shown_values(generated[part.name], part.kind),
            measures[part.name].value if part.name in measures else None,
            measures[part.name].verdict if part.name in measures else "",
            _in_order(part) if isinstance(part, CategoricalCodec) else (),
        )
        for part in run.model.codec.parts
        if study is None or part.name in measures
    ]


def _in_order(part: CategoricalCodec) -> tuple[str, ...]:
    """The categories as text, where their order means something."""
    return tuple(map(str, part.categories)) if part.ordered or part.kind == "ordinal" else ()


def data_figure(run: Run, shown: Shown | None = None) -> Figure:  # noqa: ARG001
    """The columns that were learned from."""
    train = run.load_data().train
    title = f"{_title(run)}, {len(train):,} rows learned from"
    return plots.marginals(_panels(run, train, None, None), title)


def samples_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Each column, held-out beside generated; all rows where too few were held out to measure."""
    try:
        study = _study(run, shown)
    except DataError:
        return _unmeasured(run, None if shown is None else shown.sample)
    title = f"{len(study.reference):,} held-out rows beside as many generated"
    return plots.marginals(_panels(run, study.reference, study.sample, study), title)


def _unmeasured(run: Run, sample: DataTable | None) -> Figure:
    """Each column of all real rows, beside that of generated ones."""
    data = run.load_data()
    real = concatenate([each for each in (data.train, data.heldout) if each is not None])
    sample = run.draw(_SHOWN) if sample is None else sample
    title = f"All {len(real):,} rows beside generated ones"
    return plots.marginals(_panels(run, real, sample, None), title)


def dependence_figure(run: Run, shown: Shown | None = None) -> Figure:
    """How strongly the columns go together, two by two.

    Raises:
        DataError: if fewer than two columns vary.
    """
    names, real, generated = _study(run, shown).dependence()
    if len(names) < 2:
        raise DataError("only one column varies; dependence is between two.")
    title = "Association of columns: rank correlation, Cramér's V, correlation ratio"
    return plots.dependence(names, real, generated, title)


def likelihoods_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Log densities of rows learned from, held out and generated."""
    found = _study(run, shown).likelihoods
    title = "How probable rows are under the model"
    return plots.likelihoods(found.learned, found.heldout, found.generated, title)


def intervals_figure(run: Run, shown: Shown | None = None) -> Figure:
    """Whether imputed values lie about hidden ones as they claim to.

    Raises:
        DataError: if no cell could be hidden.
    """
    found = _study(run, shown).intervals
    if not found:
        raise DataError("every cell of the held-out rows is missing; there is none to hide.")
    nominal = next(iter(found.values())).nominal
    lines = {
        name: (each.observed(), np.stack([each.observed(k) for k in range(1, each.depth.shape[1])]))
        for name, each in found.items()
    }
    return plots.intervals(nominal, lines, "Intervals of imputation")


def nearest_figure(run: Run, shown: Shown | None = None) -> Figure:
    """How near generated and held-out rows come to rows learned from."""
    generated, heldout = _study(run, shown).nearest()
    return plots.nearest(generated, heldout, "Does it copy?")


def predictions_figure(run: Run, shown: Shown | None = None) -> Figure:
    """How well the target that the run was fitted for is predicted.

    Raises:
        ArgumentError: if it was fitted for none.
    """
    target, evaluation = run.settings.training.target, shown.evaluation if shown else None
    if not target:
        raise ArgumentError(
            "this run was fitted without training.target; `sfumato evaluate RUN --target COLUMN "
            "--to FILE` draws the predictions of any column."
        )
    found = evaluation.predictions if evaluation else None
    return figure_of(found or kind.predictions_of(run.model, run.real_sets(), target, 0))


FIGURES: Mapping[str, Callable[..., Figure]] = {
    "data": data_figure,
    "samples": samples_figure,
    "dependence": dependence_figure,
    "likelihoods": likelihoods_figure,
    "intervals": intervals_figure,
    "nearest": nearest_figure,
    "predictions": predictions_figure,
    "loss": loss_figure,
    "distances": distances_figure,
}


def measured(run: Run, sample: DataTable, quiet: bool) -> Shown:
    """A sample with its evaluation, and the study that it comes from.

    Raises:
        DataError: if there are too few real rows to measure by.
    """
    study = study_of(run, sample)
    evaluation = replace(kind.measured(study, quiet=quiet), predictions=_predictions(run, quiet))
    return Shown(sample, evaluation, study)


def _predictions(run: Run, quiet: bool) -> Predictions | None:
    """Of the target that the run was fitted for; None if for none, or too few rows have it."""
    if not (target := run.settings.training.target):
        return None
    try:
        return kind.predictions_of(run.model, run.real_sets(), target, 0, quiet=quiet)
    except DataError:
        return None


def reported(run: Run, shown: Shown) -> dict[str, Callable[..., Figure]]:  # noqa: ARG001
    """The figures of a report, by name."""
    left_out = {"data", "distances"}
    if shown.evaluation is None or shown.evaluation.predictions is None:
        left_out.add("predictions")
    if shown.study is None:
        left_out |= {"dependence", "likelihoods", "intervals", "nearest"}
    elif len(shown.study.names) < 2:
        left_out.add("dependence")
    if shown.study is not None and not shown.study.intervals:
        left_out.add("intervals")
    return {name: figure for name, figure in FIGURES.items() if name not in left_out}


def animate(run: Run, direction: Direction, path: Path) -> None:
    """100 frames of the two numeric columns that go together most, dissolving or emerging, endless.

    A column alone shows nothing: it is coded to be normal, as the noise is. In the reverse process
    the categories are there first: numbers are drawn given them. Colours are those of the clean
    rows, by rank along the first of the two columns.

    Raises:
        ArgumentError: if the ending is unknown, the folder missing, or fewer than two columns are
            numeric.
        MissingDependencyError: if the ending needs an extra that is not installed.
        RunError: if the data cannot be had.
    """
    model, train = run.model, run.load_data().train
    names = _pair(train, model.codec)
    if direction == "forward":
        some = train.take(np.arange(min(_MOVING, len(train))))
        encoded = model.codec.encode(some)
        walk = forward_frames(run, encoded.numeric.double(), ANIMATION_FRAMES)
        frames = [(level, model.codec.decode(x, encoded.categories)) for level, x in walk]
        clean, title = frames[0][1], "Forward: dependence dissolves"
    else:
        frames = model.pictured_frames(_MOVING, ANIMATION_FRAMES)
        clean, title = frames[-1][1], "Reverse: dependence emerges"
    moving = [(model.process.coordinate(level), _numbers(rows, names)) for level, rows in frames]
    there = np.isfinite(_numbers(clean, names)).all(1)
    end = _numbers(clean, names)[there]
    write_animation(
        path,
        [(label, x[there]) for label, x in moving],
        span=steady_limits(np.concatenate([_numbers(train, names)[:_MOVING], end])),
        columns=[_axis(run, name) for name in names],
        position=end[:, 0].argsort().argsort() / max(len(end) - 1, 1),
        title=title,
    )


def _pair(train: DataTable, codec: TableCodec) -> tuple[str, str]:
    """The two numeric columns of the strongest association."""
    names = [part.name for part in codec.parts if isinstance(part, NumericCodec)]
    if len(names) < 2:
        raise ArgumentError(
            "an animation shows how two numeric columns go together, and this table has "
            f"{'one' if names else 'none'}."
        )
    kinds = {name: codec.kinds[name] for name in names}
    (numbers,) = coded([DataTable(tuple(train[name] for name in names))], kinds)
    strength = np.triu(associations(numbers), 1)
    first, second = np.unravel_index(strength.argmax(), strength.shape)
    return numbers.names[first], numbers.names[second]


def _numbers(rows: DataTable, names: tuple[str, str]) -> np.ndarray:
    """Two columns as floats `(n, 2)`, NaN for missing values; dates as days since 1970."""
    found = []
    for name in names:
        column = rows[name]
        values = column.values
        if values.dtype.kind == "M":
            values = values.astype("datetime64[us]").astype(np.int64) / 86_400e6
        found.append(np.where(column.missing, np.nan, values.astype(np.float64)))
    return np.stack(found, axis=1)


def _axis(run: Run, name: str) -> str:
    dated = run.model.codec.kinds[name] == "date"
    return plots.plain(name, 40) + (", days since 1970" if dated else "")
