"""Predictions of a column of real rows, judged beside laws that need no diffusion."""

import math
from dataclasses import replace

import numpy as np

from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError
from sfumato.metrics.coded import coded
from sfumato.metrics.predictions import (
    CategoryPicture,
    Density,
    Laws,
    NumberPicture,
    Predictions,
    Score,
    chosen_rows,
    floats,
    judged_categories,
    judged_numbers,
)
from sfumato.metrics.references import (
    features,
    linear_categories,
    linear_numbers,
    unconditional_categories,
    unconditional_numbers,
)
from sfumato.models.predictive import PredictedCategories, PredictedNumbers, joined, predict_chunks
from sfumato.models.table import TableModel
from sfumato.progress import collected

# Rows of which a number is predicted: some milliseconds each, and errors fall with the root.
_ROWS = 2000

# With fewer rows chance explains everything.
_LEAST_ROWS = 10

# Of the flow, for densities: a mean is within 0.001 nats of that of 30 steps.
_STEPS = 10

# Values that stand for a law that is drawn.
_DRAWN_VALUES = 256

_DAY = 86_400e6


def judged_predictions(
    model: TableModel,
    rows: DataTable,
    train: DataTable | None,
    target: str,
    *,
    seed: int = 0,
    quiet: bool = True,
) -> Predictions:
    """How well a column is predicted from the others; see `metrics.predictions`.

    Args:
        model: of a table.
        rows: of the model's columns, none of them seen in training.
        train: rows that it learned from, for the laws beside it; None where they are not known.
        target: the column.
        seed: of what is drawn where more is missing than the target, and of folds.
        quiet: show no progress.

    Raises:
        ArgumentError: if there is no such column that varies.
        DataError: if too few rows have a value there.
    """
    part = _part(model, target)
    whole = None if train is None else train[target]
    rows, train, notes = _with_truth(rows, train, part)
    if isinstance(part, NumericCodec):
        rows = rows.take(np.arange(min(_ROWS, len(rows))))
    chunks = predict_chunks(model, rows, target, seed=seed)
    law = joined(collected(chunks, "predict", len(rows), "rows", quiet=quiet))
    seen = None
    if train is not None:
        learned, new = coded([train, rows], model.codec.kinds)
        seen = features(learned, new, target)
    scores: tuple[Score, ...]
    picture: NumberPicture | CategoryPicture
    if isinstance(law, PredictedCategories):
        scores, picture = _categories(law, rows, train, seen)
    else:
        scores, picture = _numbers(model, law, rows, train, seen, whole, seed)
    unit = "days" if part.kind == "date" else ""
    return Predictions(target, len(rows), unit, scores, picture, notes)


def _part(model: TableModel, target: str) -> CategoricalCodec | NumericCodec:
    """The codec of the column.

    Raises:
        ArgumentError: if there is no such column that varies.
    """
    model.codec.places(target)
    part = next(part for part in model.codec.parts if part.name == target)
    assert isinstance(part, CategoricalCodec | NumericCodec)
    return part


def _with_truth(
    rows: DataTable, train: DataTable | None, part: CategoricalCodec | NumericCodec
) -> tuple[DataTable, DataTable | None, tuple[str, ...]]:
    """Rows with a value in the target that can be predicted, and what is said of the others.

    Raises:
        DataError: if there are too few.
    """
    column, notes = rows[part.name], []
    usable = ~column.missing
    if empty := int(column.missing.sum()):
        notes.append(f"{empty:,} rows are left out: no value of {part.name!r} is known in them.")
    if isinstance(part, CategoricalCodec):
        unseen = usable & (_codes(part, column) < 0)
        usable &= ~unseen
        if unseen.any():
            notes.append(
                f"{int(unseen.sum()):,} rows are left out: their {part.name!r} was never seen in "
                "training."
            )
    if (count := int(usable.sum())) < _LEAST_ROWS:
        raise DataError(
            f"predictions of {part.name!r} are judged by at least {_LEAST_ROWS} rows that have a "
            f"value there; {count} of those kept out have. Compare with other real ones "
            "(--against)."
        )
    kept = rows.take(np.flatnonzero(usable))
    if len(np.unique(kept[part.name].values)) < 2:
        raise DataError(
            f"all {len(kept):,} rows to predict have the same {part.name!r}; there is nothing to "
            "judge. Compare with other real ones (--against)."
        )
    if train is not None:
        known = ~train[part.name].missing
        if isinstance(part, CategoricalCodec):
            known &= _codes(part, train[part.name]) >= 0
        train = train.take(np.flatnonzero(known))
    return kept, train, tuple(notes)


def _codes(part: CategoricalCodec, column: Column) -> np.ndarray:
    """Which of the column's categories each row has, -1 where none, `(n,)`."""
    codes = part.encode(column, None).category
    assert codes is not None
    return np.where(column.missing, -1, codes)


def _categories(
    law: PredictedCategories,
    rows: DataTable,
    train: DataTable | None,
    seen: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[tuple[Score, ...], CategoryPicture]:
    """Of predicted categories."""
    truth, count = _codes(law.part, rows[law.part.name]), len(law.part.categories)
    laws = {"model": law.probabilities.astype(np.float64)}
    if train is not None and seen is not None:
        known = _codes(law.part, train[law.part.name])
        laws["linear"] = linear_categories(seen[0], known, seen[1], count)
        laws["unconditional"] = unconditional_categories(known, count, len(truth))
    return judged_categories(laws, truth, [str(each) for each in law.part.categories])


def _numbers(
    model: TableModel,
    law: PredictedNumbers,
    rows: DataTable,
    train: DataTable | None,
    seen: tuple[np.ndarray, np.ndarray] | None,
    whole: Column | None,
    seed: int,
) -> tuple[tuple[Score, ...], NumberPicture]:
    """Of predicted numbers or dates."""
    part, truth = law.part, floats(rows[law.part.name].values)
    laws: dict[str, Laws] = {"model": law}
    density = model.log_prob_chunks(rows, target=part.name, steps=_STEPS, seed=seed)
    log_scores = {"model": -np.concatenate([each.nats.numpy() for each in density])}
    if train is not None and seen is not None and whole is not None:
        known = floats(train[part.name].values)
        linear = linear_numbers(seen[0], known, seen[1], part.nearest, seed=seed)
        laws["linear"] = linear
        laws["unconditional"] = unconditional_numbers(known, len(truth), part.nearest)
        if part.grid_step or not _has_jumps(part):
            # On a grid densities are probabilities over the step, but of dates probabilities.
            nats = linear.normal_log_density(truth, part.grid_step) - math.log(part.unit)
            log_scores["linear"] = -nats - math.log(len(train) / len(whole.values))
        log_scores["unconditional"] = -_marginal_log_density(part, rows[part.name], whole)
    scale = _DAY if part.kind == "date" else 1.0
    scores, picture = judged_numbers(laws, truth, part.grid_step, scale, log_scores=log_scores)
    widths = picture.quantiles[:, -1] - picture.quantiles[:, 0]
    chosen = chosen_rows(law.values, law.weights, widths, *law.cdf(truth))
    some = rows.take(np.array(list(chosen)))
    fine = joined([*predict_chunks(model, some, part.name, seed=seed, values=_DRAWN_VALUES)])
    assert isinstance(fine, PredictedNumbers)
    densities = [
        Density(why, fine.values[j] / scale, fine.weights[j], fine.is_mass[j], truth[k] / scale)
        for j, (k, why) in enumerate(chosen.items())
    ]
    return scores, replace(picture, step=part.grid_step / scale, densities=tuple(densities))


def _has_jumps(part: NumericCodec) -> bool:
    """Whether some of its numbers have probabilities, others densities."""
    return bool(part.point_masses) or bool((np.diff(part.knots) == 0).any())


def _marginal_log_density(part: NumericCodec, column: Column, train: Column) -> np.ndarray:
    """Log densities of the column's values by its own law in training, nats `(n,)`.

    Numbers by the codec, which makes them N(0, 1); how often there is a number, a point mass or a
    missing value by Laplace's rule. In the units of `TableModel.log_prob_chunks`.
    """
    encoded, known = part.encode(column, None), part.encode(train, None).category
    z = encoded.z
    assert z is not None
    nats = encoded.log_width - np.where(np.isnan(z), 0, (z**2 + math.log(2 * math.pi)) / 2)
    if known is not None and encoded.category is not None:
        counts = np.bincount(known, minlength=part.sizes[0]) + 1
        nats += np.log(counts / counts.sum())[encoded.category]
    return np.where(encoded.unseen, -math.log(len(train.values) + 1), nats)
