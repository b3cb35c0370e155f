"""Points in space: rows of up to three decimals, or of any number if the user says so."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import distributed
from sfumato.config import Settings, recipes
from sfumato.data.codecs.points import PointCodec
from sfumato.data.io.memory import accept, as_table, give_like
from sfumato.data.io.memory import give as give_in
from sfumato.data.io.reading import Reading
from sfumato.data.io.rows import check_target as check_rows_target
from sfumato.data.io.rows import data_row, points_of, read_rows, write_rows
from sfumato.data.points import Points
from sfumato.data.table import DataTable, default_names, select_columns
from sfumato.denoisers.denoiser import NetworkDenoiser
from sfumato.errors import DataError
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.evaluation import evaluate as measure_points
from sfumato.models.gaussian import check_known
from sfumato.models.model import Model
from sfumato.models.registry import OWN
from sfumato.process.process import Process
from sfumato.process.streams import chunks
from sfumato.progress import tracked
from sfumato.runs.data import Dataset, RealSets
from sfumato.runs.kinds.kind import Prepared, RowsLike
from sfumato.training.loop import Objective
from sfumato.training.regression import regression

name = "points"
unit = "rows"
sampled = 1000
sample_file = "samples.csv"
example = ("10000", "new.csv")
guesses = 40


def recipe(data: Dataset[Points], asked: Settings) -> dict[str, Any]:
    """See `config.recipes.points`; that of many rows is for our network and averaged targets."""
    rows, columns = data.train.values.shape
    suits = asked.network.name != OWN and asked.training.reference > 0
    return recipes.points(rows if suits else 0, columns)


def prepare(settings: Settings, data: Dataset[Points], codec: PointCodec | None = None) -> Prepared:
    """Columns of mean 0 and deviation 1.

    Raises:
        DataError: if no column varies.
    """
    own = codec or PointCodec.fit(data.train, standardise=settings.data.standardise)
    rows = own.encode(data.train.values)

    def objective(denoiser: NetworkDenoiser, process: Process) -> Objective:
        return regression(denoiser, process, settings.training, own.event, rows=rows)

    return Prepared(own, rows, objective)


def start_layer(model: Model) -> dict[str, Any]:  # noqa: ARG001
    """Points again, whatever their number of columns."""
    return {"kind": "points"}


# So many deviations of the start's rows off, a fit was as good as one from nothing; at nine not.
_FARTHEST = 6


def adopt(model: Model, data: Dataset[Points]) -> tuple[PointCodec, list[str]]:
    """Mean and scale stay those of the start, so that its weights mean what they meant.

    Raises:
        DataError: if the columns are others or in another order, one that was constant varies, or
            the rows lie far away from the start's.
    """
    start, rows = model.codec, data.train
    known, names = start.columns, rows.columns
    nameless = default_names(len(names)) == names or default_names(len(known)) == known
    if len(names) != len(known) or not (nameless or names == known):
        order = " in this order" if sorted(names) == sorted(known) else ""
        raise DataError(f"its columns are {', '.join(known)}{order}; got {', '.join(names)}.")
    scale, low, high = np.array(start.scale), rows.values.min(0), rows.values.max(0)
    if (new := (scale == 0) & (low < high)).any():
        name = names[int(new.argmax())]
        raise DataError(f"the column {name!r} was constant there, and has no place in the network.")
    mean = np.where(scale > 0, start.mean, low)
    codec = PointCodec(names, tuple(mean.tolist()), start.scale)
    unit = codec.encode(rows.values).double()
    centre, spread = unit.mean(0), unit.std(0)
    if (far := (unit.square().mean(0).sqrt() > _FARTHEST)).any():
        place = int(far.int().argmax())
        name = [n for n, s in zip(names, start.scale, strict=True) if s > 0][place]
        raise DataError(
            f"the column {name!r} has mean {centre[place]:.3g} and deviation {spread[place]:.3g} "
            f"in units of the start's (0 and 1), and only {_FARTHEST} are reached; bring it to the "
            "start's units, or fit without --from."
        )
    numbers = [(part.round(decimals=2) + 0.0).tolist() for part in (centre, spread)]
    ends = [f"{min(each):g} to {max(each):g}" for each in numbers]
    of_rows = f"the rows have means {ends[0]} and deviations {ends[1]}"
    return codec, [f"Columns: mean and scale stay the start's; in these {of_rows}"]


_PLAIN = "  (samples are written as plain numbers; in the file's form: --set data.kind=table)"


def describe(data: Dataset[Points], model: Model) -> list[str]:
    """Rows and columns, and how cells were read that are not plain numbers."""
    codec: PointCodec = model.codec
    rows, columns = data.train.values.shape
    names = ", ".join(" ".join(each.split()) for each in data.train.columns[:6])
    constant = columns - codec.dimension
    kept = f", {len(data.heldout):,} kept to evaluate on" if data.heldout else ""
    return [
        f"Data: {rows:,} rows of {columns} column{'' if columns == 1 else 's'} "
        f"({names}{', ...' if columns > 6 else ''}){kept}"
        + (f"; {constant} constant" if constant else ""),
        *(f"  {' '.join(name.split())}  {note}" for name, note in data.train.notes.items()),
        *([_PLAIN] if data.train.notes else []),
    ]


def summary(model: Model) -> dict[str, str]:
    """Names of the columns."""
    return {"columns": ", ".join(model.codec.columns)}


def read_like(
    model: Model,
    source: Any,
    *,
    missing: bool = False,
    partial: bool = False,  # noqa: ARG001
) -> RowsLike:
    """Rows `(n, columns)` of the model's columns, by name, or by place where there are no names.

    Raises:
        DataError: if a column is missing or not numeric, or a value is missing and may not be.
    """
    if isinstance(source, str | os.PathLike):
        reading = Reading(missing=model.settings.data.missing)
        table, place = read_rows(Path(source), reading)
        where, give = str(source), _as_it_is
    else:
        found, _ = accept(source)
        table, place, where = _a_table(found), data_row, "the data"
        give = lambda rows: give_like(source, as_table(Points(rows, model.codec.columns)))  # noqa: E731
    own = select_columns(table, model.codec.columns, where)
    if not missing:
        return RowsLike(points_of(own, where, place).values, give, own.names)
    filled = [replace(c, missing=np.zeros(len(c.missing), bool)) for c in own]
    values = points_of(DataTable(tuple(filled)), where, place).values
    return RowsLike(
        np.where(np.stack([c.missing for c in own], axis=1), np.nan, values), give, own.names
    )


def _as_it_is(rows: np.ndarray) -> np.ndarray:
    return rows


def _a_table(found: object) -> DataTable:
    if not isinstance(found, DataTable):
        raise DataError("this model is of points, and these are pictures.")
    return found


def give(model: Model, rows: np.ndarray, data: Dataset[Points] | None) -> Any:
    """An array; a data frame where the model learned from one."""
    if data is None or data.template is None or data.container in ("", "array"):
        return rows
    columns = zip(data.template, as_table(Points(rows, model.codec.columns)), strict=True)
    typed = tuple(replace(own, values=c.values, missing=c.missing) for own, c in columns)
    return give_in(DataTable(typed), data.container)


def named(model: Model, rows: np.ndarray, seed: int, first: int) -> np.ndarray:  # noqa: ARG001
    """The rows themselves."""
    return rows


def container(model: Model, rows: np.ndarray) -> Points:
    """With the columns' names."""
    return Points(rows, model.codec.columns)


def rows(container: Points) -> np.ndarray:
    """The values."""
    return container.values


def write(
    path: Path,
    rows: np.ndarray,
    model: Model,
    labels: np.ndarray | None = None,  # noqa: ARG001
    *,
    in_a_row: bool = False,  # noqa: ARG001
) -> None:
    """A table with the columns' names, or an array."""
    write_rows(path, Points(rows, model.codec.columns))


def check_target(path: Path, model: Model) -> None:  # noqa: ARG001
    """See `io.rows.check_target`."""
    check_rows_target(path)


def check_scored(path: Path, like: RowsLike) -> None:
    """As `check_target`, and the model must have no such column.

    Raises:
        DataError: if it has.
    """
    check_rows_target(path)
    refuse_scored_twice(like.source, path)


def write_scored(path: Path, like: RowsLike, model: Model, nats: np.ndarray) -> None:
    """A table or an array with one column more."""
    values = np.concatenate([like.rows, nats[:, None]], axis=1)
    write_rows(path, Points(values, (*model.codec.columns, SCORE)))


SCORE = "log_prob"


def refuse_scored_twice(names: Sequence[str], path: Path) -> None:
    """Names of columns that are to be written beside the score must not be its own.

    Raises:
        DataError: if one is.
    """
    if SCORE in names:
        raise DataError(
            f"the rows have a column {SCORE} of their own, which {path} would hold twice; leave "
            "--to out, and take run.log_prob in Python."
        )


def unseen(model: Model, rows: Any) -> list[str]:  # noqa: ARG001
    """Nothing: space has no bounds."""
    return []


def unfilled(rows: np.ndarray) -> list[str]:  # noqa: ARG001
    """None: every value is filled."""
    return []


def count_missing(rows: np.ndarray) -> int:
    """NaN."""
    return int(np.isnan(rows).sum())


def shares(model: Model, n: int, first: int) -> list[tuple[int, int]]:
    """Of each process whole chunks."""
    starts = [chunk.first for chunk in chunks(model.codec.event, n, first)]
    return distributed.shares(n, starts, first)


def joined(chunks: Sequence[np.ndarray], lengths: list[int]) -> np.ndarray:
    """The rows of all processes."""
    return distributed.gathered(np.concatenate(chunks), lengths)


def take(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Those at `index`."""
    return np.asarray(rows[index])


def to_fill(model: Model, rows: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """The rows themselves: decimal numbers hold whatever is filled in."""
    return rows


def incomplete(rows: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Which rows hold NaN, or are not known in some column.

    Raises:
        DataError: if what is known is not said for each of their numbers.
    """
    known = np.isfinite(rows) if known is None else known
    check_known(known, rows.shape)
    return np.flatnonzero(~known.reshape(len(rows), -1).all(1))


def best_guess(
    model: Model,  # noqa: ARG001
    drawn: np.ndarray,
    draws: int,
    rows: np.ndarray,  # noqa: ARG001
) -> np.ndarray:
    """The mean; what all draws agree on, as what is known, to the last bit."""
    each = drawn.reshape(-1, draws, *drawn.shape[1:])
    return np.where((each == each[:, :1]).all(1), each[:, 0], each.mean(1))


def put_back(rows: np.ndarray, index: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """A copy with these rows filled."""
    whole = rows.copy()
    whole[index] = filled
    return whole


def evaluate(
    model: Model,  # noqa: ARG001
    real: RealSets[Points],
    sample: np.ndarray,
    *,
    log_prob: Callable[..., np.ndarray],  # noqa: ARG001
    complete: Callable[..., list[Any]],  # noqa: ARG001
    target: str | None,  # noqa: ARG001
    seed: int,
    labels: np.ndarray | None,  # noqa: ARG001
    quiet: bool,
) -> Evaluation:
    """See `metrics.evaluation`.

    Raises:
        ArgumentError: if a column is to be predicted.
        DataError: if the sample is too small or of other columns.
    """
    rows = len(real.reference)
    if len(sample) < rows:
        raise DataError(f"{rows} rows are needed to measure; got {len(sample)}.")
    train = None if real.train is None else real.train.values
    measured = measure_points(
        sample[:rows],
        real.reference.values,
        [each.values for each in real.others],
        train,
        log_density=real.log_density,
        seed=seed,
    )
    total = 5 + (real.log_density is not None) - (train is None)
    return Evaluation(tuple(tracked(measured, "evaluate", total, "measures", quiet=quiet)), rows)
