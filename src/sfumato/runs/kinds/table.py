"""Tables: columns of numbers, text, booleans and dates, any of them with missing values."""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import distributed
from sfumato.config import Settings, recipes
from sfumato.data.codecs.columns import ColumnCodec, NumericCodec
from sfumato.data.codecs.describe import described, set_aside
from sfumato.data.codecs.find_rules import found_in
from sfumato.data.codecs.identifiers import IdentifierCodec
from sfumato.data.codecs.rules import NONE, Combination
from sfumato.data.codecs.table import TableCodec, as_learned, refuse_others
from sfumato.data.io.forms import typed
from sfumato.data.io.memory import accept, give_like
from sfumato.data.io.memory import give as give_in
from sfumato.data.io.reading import Reading, mark_missing, option
from sfumato.data.io.rows import check_target as check_rows_target
from sfumato.data.io.rows import read_rows, write_rows
from sfumato.data.scratch import scratch_folder
from sfumato.data.stored import fits, in_blocks, on_disk
from sfumato.data.table import Column, DataTable, concatenate, select_columns
from sfumato.denoisers.table import TableDenoiser
from sfumato.errors import ArgumentError, DataError
from sfumato.metrics.evaluation import Evaluation
from sfumato.metrics.predictions import Predictions
from sfumato.metrics.study import TableStudy
from sfumato.models.model import Model
from sfumato.models.table import TableModel
from sfumato.process.process import Process
from sfumato.process.streams import CORRELATING, generator
from sfumato.progress import tracked
from sfumato.runs.data import Dataset, RealSets
from sfumato.runs.judge_predictions import judged_predictions
from sfumato.runs.kinds.kind import Prepared, RowsLike
from sfumato.runs.kinds.points import SCORE, refuse_scored_twice
from sfumato.training.loop import Objective
from sfumato.training.masking import Asked, masking

name = "table"
unit = "rows"
sampled = 1000
sample_file = "samples.csv"
example = ("10000", "new.csv")
guesses = 40


# Of the flow, for the law of log densities: a mean is within 0.001 nats of that of 30 steps.
_STEPS = 10

# Columns that are described one by one.
_DESCRIBED = 40

# Columns of one unit that are named.
_NAMED = 8


def recipe(data: Dataset[DataTable], asked: Settings) -> dict[str, Any]:
    """See `config.recipes.table`."""
    one_category = data.types.get(asked.training.target) in ("categorical", "ordinal", "boolean")
    return recipes.table(len(data.train), len(data.train.columns), one_category=one_category)


def prepare(
    settings: Settings, data: Dataset[DataTable], codec: TableCodec | None = None
) -> Prepared:
    """Each column by its type; values on a grid are spread over their cell.

    Raises:
        ArgumentError: if it is to be learned on a GPU.
        DataError: if no column varies.
    """
    if settings.device == "cuda":
        raise ArgumentError("a table is learned on the processor alone; leave device=auto.")
    own = codec or _codec(settings, data)
    cells = own.to_learn(data.train)
    if codec is None:
        own = own.correlated(cells, generator(settings.seed, CORRELATING))

    target = settings.training.target
    asked = Asked(*own.places(target)) if target else None

    def objective(denoiser: TableDenoiser, process: Process) -> Objective:
        relations = own.relations if own.relations else None
        of = own.sizes, own.states, relations, asked, own.repeats
        return masking(denoiser, process, settings.training, *of)

    return Prepared(own, cells, objective)


def _codec(settings: Settings, data: Dataset[DataTable]) -> TableCodec:
    """The columns' codecs, with the rules that are stated and those that are found."""
    rules = list(data.rules)
    if NONE not in (text.strip() for text in settings.data.rules):
        # In those kept out too: a rule that they break is none of the file's.
        kept = [] if data.heldout is None else [data.heldout]
        rules += found_in(concatenate([data.train, *kept]), data.types, rules)
    codec = TableCodec.fit(data.train, data.types, data.heldout, rules)
    return replace(codec, container=data.container)


def start_layer(model: Model) -> dict[str, Any]:
    """Columns of the start's types, written as they were there, with its rules."""
    own, codec = model.settings.data, model.codec
    varying = {name: kind for name, kind in codec.kinds.items() if kind != "constant"}
    names = {each.name: "identifier" for each in codec.identifiers}
    return {
        "kind": "table",
        "columns": {**varying, **names, **own.columns},
        "missing": own.missing,
        "rules": own.rules,
    }


def adopt(model: Model, data: Dataset[DataTable]) -> tuple[TableCodec, list[str]]:
    """The start's codec: its columns, their types, categories and ranges.

    Raises:
        DataError: if a column is missing, too many or of another type, or holds what the start has
            no place for.
    """
    start, rows = model.codec, data.train
    known = {*start.columns, *(each.name for each in start.identifiers)}
    if lacking := [name for name in start.drawn if name not in rows.names]:
        raise DataError(f"it has the column {lacking[0]!r}, and these rows have not.")
    for column in rows:
        if column.name not in known and data.types[column.name] != "dropped":
            raise DataError(
                f"it has no column {column.name!r}; drop that ({option(column.name, 'dropped')})."
            )
    for part in start.parts:
        kind = data.types[part.name]
        if part.kind != kind and "constant" not in (part.kind, kind):
            raise DataError(f"the column {part.name!r} is {part.kind} there, and {kind} here.")
    whole = rows if data.heldout is None else concatenate([rows, data.heldout])
    for part in start.parts:
        as_learned(whole[part.name], part)  # names the row of the file, not that of a block
    broken = np.zeros(len(start.rules), np.int64)
    for block in in_blocks(whole):
        encoded = start.encode(block)
        for part, unseen in zip(start.parts, encoded.unseen.T, strict=True):
            _refuse_unseen(part, block[part.name], unseen)
        broken += encoded.broken.sum(0)
    for rule, count in zip(start.rules, broken, strict=True):
        if count:
            raise DataError(f"the rule {rule.text!r} does not hold in {count:,} rows.")
    if beyond := start.out_of_range(whole):
        raise DataError(f"of the column {beyond[0]}, and samples could not go there.")
    fitted = tuple(IdentifierCodec.fit(whole[each.name]) for each in start.identifiers)
    codec = replace(start, names=rows.names, container=data.container, identifiers=fitted)
    notes = ["Columns: types, categories and ranges stay the start's"]
    if few := _outside(start, rows):
        notes.append(f"Of them: {few:,} numbers are out of its range, and samples stay within")
    return codec, notes


def _refuse_unseen(part: ColumnCodec, column: Column, unseen: np.ndarray) -> None:
    """Refuse what the start has no place for; numbers out of range are looked at by `adopt`."""
    if (unseen := unseen & (column.missing | (not isinstance(part, NumericCodec)))).any():
        row = int(unseen.argmax())
        what = "missing value" if column.missing[row] else f"value {str(column.values[row])!r}"
        raise DataError(
            f"the column {part.name!r} has the {what}, which was not in its training rows and "
            "has no place in the network; leave such rows out, or fit without --from."
        )


def _outside(codec: TableCodec, rows: DataTable) -> int:
    """How many numbers lie beyond those of the training rows, or in a gap."""
    found = 0
    for part in codec.numeric_parts:
        column = as_learned(rows[part.name], part)
        values = column.values.astype(np.int64) if part.kind == "date" else column.values
        beyond = (values < part.low) | (values > part.high)
        found += int((~column.missing & (beyond | part.encode(column, None).unseen)).sum())
    return found


def describe(data: Dataset[DataTable], model: Model) -> list[str]:
    """What each column was taken for."""
    codec: TableCodec = model.codec
    missing, columns = count_missing(data.train), len(data.train.columns)
    parts = {part.name: part for part in (*codec.parts, *codec.identifiers)}
    said, aside = [], []
    for column in data.train:
        title = " ".join(column.name.split()) or repr(column.name)
        part, share = parts.get(column.name), column.missing.mean()
        if isinstance(part, IdentifierCodec):
            aside.append((title, f"{data.types[column.name]}, {set_aside(part, column)}"))
            continue
        what = f"{data.types[column.name]}, {described(part)}" if part else "dropped"
        what += f"; {column.note}" if part and column.note else ""
        said.append((title, what + (f"; {share:.1%} missing" if part and share else "")))
    width = min(24, max(len(title) for title, _ in (*said, *aside)))
    kept = f"; {len(data.heldout):,} rows kept to evaluate on" if data.heldout else ""
    return [
        f"Data: {len(data.train):,} rows of {columns} columns, {missing:,} values missing{kept}",
        *_of_large(data, model),
        *(f"  {title:<{width}}  {what}" for title, what in aside),
        *(f"  {title:<{width}}  {what}" for title, what in said[:_DESCRIBED]),
        *([f"  and {len(said) - _DESCRIBED} more"] if len(said) > _DESCRIBED else []),
        "  (another type: --column NAME=TYPE)",
        *_rules_of(codec),
        *(_unit_of(unit.names) for unit in codec.units),
    ]


def _of_large(data: Dataset[DataTable], model: Model) -> list[str]:
    """Where a table lies that does not fit into memory, and what is learned from some of it."""
    rows, some = len(data.train), model.codec.rows_correlated
    if fits(rows, len(data.train.columns)):
        return []
    size = on_disk(data.train) + rows * model.codec.row.itemsize
    fewer = some < rows and model.codec.correlations and not model.settings.start.path
    said = f"  Correlations and units of its numbers: of {some:,} rows at random"
    return [
        f"  too large for memory: {size / 2**30:.2g} GiB in {scratch_folder()} while it is learned",
        *([said] if fewer else []),
    ]


def _unit_of(names: Sequence[str]) -> str:
    """The columns of one unit."""
    more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
    named = ", ".join(" ".join(name.split()) or repr(name) for name in names[:_NAMED])
    return f"Of one unit, as their values are often close: {named}{more}"


def stated_rules(codec: TableCodec) -> list[tuple[str, bool]]:
    """The text of each rule and whether it was found, without those that follow from others."""
    every = dict.fromkeys(
        (rule.text, rule.found)
        for rule in codec.rules
        if isinstance(rule, Combination) or not rule.unless
    )
    return list(every)


def _rules_of(codec: TableCodec) -> list[str]:
    """The rules that are held, and how those that were found are left out."""
    said = stated_rules(codec)
    if not said:
        return []
    lines = [f"  {text}" + "  (found in all rows)" * found for text, found in said]
    left_out = "  (found rules are left out: --rule none, and --rule for each that is to stay)"
    return [
        "Rules, held in every row that is drawn or filled:",
        *lines,
        *([left_out] if any(found for _, found in said) else []),
    ]


def summary(model: Model) -> dict[str, str]:
    """Columns and their types."""
    codec = model.codec
    kinds = codec.kinds | {each.name: "identifier" for each in codec.identifiers}
    columns = (f"{title} ({kinds[title]})" for title in codec.names if title in kinds)
    return {
        "columns": ", ".join(columns),
        **({"rules": "; ".join(text for text, _ in stated_rules(codec))} if codec.rules else {}),
        "learned": f"{codec.event[0]} numeric, {len(codec.sizes)} categorical parts of columns",
    }


def read_like(
    model: Model,
    source: Any,
    *,
    missing: bool = True,  # noqa: ARG001
    partial: bool = False,
) -> RowsLike:
    """Rows of the model's columns, by name, or by place where there are no names.

    Raises:
        DataError: if a column is missing or of another type.
    """
    codec: TableCodec = model.codec
    give: Callable[[Any], Any]
    parts = (*codec.parts, *codec.identifiers)
    reading = Reading(
        [part.name for part in parts if part.dtype == "object"],
        model.settings.data.missing,
        {part.name: part.form for part in codec.parts if part.form},
    )
    if isinstance(source, str | os.PathLike):
        table, where = read_rows(Path(source), reading)[0], str(source)
        give = functools.partial(_among_others, table)
    else:
        found = accept(source)[0]
        if not isinstance(found, DataTable):
            raise DataError("this model is of a table, and these are pictures.")
        where = "the data"
        table = typed(mark_missing(found, reading.missing), reading, where)
        give = lambda rows: give_like(source, _among_others(table, rows))  # noqa: E731
    own = _selected(_with_unknown(table, model) if partial else table, codec, where)
    refuse_others(own, codec.parts, where)
    return RowsLike(own, give, table)


def unknown_columns(model: Model, source: DataTable) -> list[str]:
    """The names of columns that the model does not have."""
    known = model.empty().names
    return [each for each in source.names if source.has_names and each not in known]


def _with_unknown(table: DataTable, model: Model) -> DataTable:
    """The table with the model's columns that it lacks, nothing of which is known.

    Raises:
        DataError: if it has none of them.
    """
    if not table.has_names:
        return table
    if not {*table.names} & {*model.codec.columns}:
        raise DataError(
            f"none of the columns is one of the model's: {', '.join(model.codec.columns[:12])}."
        )
    nothing = model.condition({}).take(np.zeros(len(table), np.int64))
    return DataTable((*table, *(each for each in nothing if each.name not in table.names)))


def _selected(table: DataTable, codec: TableCodec, where: str) -> DataTable:
    """The model's columns; a nameless table may also hold those that the fit left out."""
    if table.has_names or len(table.columns) == len(codec.columns):
        return select_columns(table, codec.columns, where)
    drawn = codec.drawn
    whole = select_columns(table, drawn if len(table.columns) == len(drawn) else codec.names, where)
    return DataTable(tuple(whole[each] for each in codec.columns))


def _among_others(table: DataTable, rows: DataTable) -> DataTable:
    """The table with the columns that the model has in place of its own, under its own names."""
    if not table.has_names and len(table.columns) == len(rows.columns):
        pairs = zip(table, rows, strict=True)
        return DataTable(tuple(replace(new, name=old.name) for old, new in pairs))
    return DataTable(tuple(rows[c.name] if c.name in rows.names else c for c in table))


def give(model: Model, rows: DataTable, data: Dataset[DataTable] | None) -> Any:  # noqa: ARG001
    """A frame or array like the one learned from; our own table for a file's."""
    codec: TableCodec = model.codec
    return give_in(rows, codec.container)


def named(model: Model, rows: DataTable, seed: int, first: int) -> DataTable:
    """See `TableCodec.named`."""
    codec: TableCodec = model.codec
    return codec.named(rows, seed, first)


def container(model: Model, rows: DataTable) -> DataTable:  # noqa: ARG001
    """The rows themselves."""
    return rows


def rows(container: DataTable) -> DataTable:
    """The table itself."""
    return container


def write(
    path: Path,
    rows: DataTable,
    model: Model,  # noqa: ARG001
    labels: np.ndarray | None = None,  # noqa: ARG001
    *,
    in_a_row: bool = False,  # noqa: ARG001
) -> None:
    """A file with the columns' own names and types."""
    write_rows(path, rows)


def check_target(path: Path, model: Model) -> None:
    """See `io.rows.check_target`."""
    check_rows_target(path, model.codec.named(model.empty(), 0))


def check_scored(path: Path, like: RowsLike) -> None:
    """As `check_target`, and the rows must have no such column.

    Raises:
        DataError: if they have.
    """
    check_rows_target(path, like.source)
    refuse_scored_twice(like.source.names, path)


def write_scored(path: Path, like: RowsLike, model: Model, nats: np.ndarray) -> None:  # noqa: ARG001
    """All columns of the rows, and one more."""
    scores = Column(SCORE, nats, np.zeros(len(nats), bool))
    write_rows(path, DataTable((*like.source.columns, scores)))


def unseen(model: Model, rows: Any) -> list[str]:
    """Columns with values outside what was seen."""
    return list(model.codec.out_of_range(rows))


def unfilled(rows: DataTable) -> list[str]:
    """Columns without a value in training."""
    return [column.name for column in rows if column.missing.any()]


def count_missing(rows: DataTable) -> int:
    """Cells of all columns."""
    return sum(int(column.missing.sum()) for column in rows)


def shares(model: Model, n: int, first: int) -> list[tuple[int, int]]:  # noqa: ARG001
    """The first process draws all: it is not what takes long."""
    return [(first, n), *[(first + n, 0)] * (distributed.count() - 1)]


def joined(chunks: Sequence[DataTable], lengths: list[int]) -> DataTable:  # noqa: ARG001
    """One after the other."""
    return concatenate(chunks)


def take(rows: DataTable, index: np.ndarray) -> DataTable:
    """Those at `index`."""
    return rows.take(index)


def to_fill(model: Model, rows: DataTable) -> DataTable:
    """See `TableCodec.to_fill`."""
    codec: TableCodec = model.codec
    return codec.to_fill(rows)


def incomplete(rows: DataTable, known: np.ndarray | None) -> np.ndarray:
    """Which rows have a missing value.

    Raises:
        ArgumentError: if it is said what is known.
    """
    if known is not None:
        raise ArgumentError(
            "what is known of a table is what is not missing in it; leave `known` out."
        )
    return np.flatnonzero(np.stack([column.missing for column in rows]).any(0))


def best_guess(model: Model, drawn: DataTable, draws: int, rows: DataTable) -> DataTable:
    """Of numeric columns the mean on the column's grid, of categorical ones the most frequent.

    Where rules bind columns, what is left out is computed from the means of the others, and of
    combinations of categories the most frequent is taken as a whole.
    """
    codec: TableCodec = model.codec
    columns = zip(drawn, codec.parts, strict=True)
    guess = DataTable(
        tuple(
            replace(
                column,
                values=_best(column.values.reshape(-1, draws), part),
                missing=column.missing[::draws],
            )
            for column, part in columns
        )
    )
    return codec.held(guess, drawn, draws, rows) if codec.rules else guess


def _best(drawn: np.ndarray, part: ColumnCodec) -> np.ndarray:
    """The best guess of each row's draws, `(rows, draws)`."""
    if isinstance(part, NumericCodec):
        kind = np.int64 if drawn.dtype.kind == "M" else drawn.dtype
        return part.nearest(drawn.astype(kind).astype(np.float64).mean(1)).astype(drawn.dtype)
    values, places = np.unique(
        drawn.astype(str) if drawn.dtype == object else drawn, return_inverse=True
    )
    counts = np.zeros((len(drawn), len(values)), np.int64)
    np.add.at(counts, (np.arange(len(drawn))[:, None], places.reshape(drawn.shape)), 1)
    return np.asarray(values[counts.argmax(1)].astype(drawn.dtype))


def put_back(rows: DataTable, index: np.ndarray, filled: DataTable) -> DataTable:
    """The missing values of the rows at `index` filled from what was drawn for them."""
    columns = []
    for column in rows:
        new, missing = filled[column.name], column.missing.copy()
        values = column.values.astype(np.promote_types(column.values.dtype, new.values.dtype))
        empty = column.missing[index]
        values[index[empty]] = new.values[empty]
        missing[index[empty]] = new.missing[empty]  # of a column that never had a value
        columns.append(replace(column, values=values, missing=missing))
    return DataTable(tuple(columns))


def evaluate(
    model: Model,
    real: RealSets[DataTable],
    sample: Any,
    *,
    log_prob: Callable[..., np.ndarray],
    complete: Callable[..., list[Any]],
    target: str | None,
    seed: int,
    labels: np.ndarray | None,  # noqa: ARG001
    quiet: bool,
) -> Evaluation:
    """Quality and privacy, see `metrics.tables`; of a target how well it is predicted, too.

    Raises:
        ArgumentError: if there is no such column to predict.
        DataError: if there are too few rows.
    """
    found = None if target is None else predictions_of(model, real, target, seed, quiet=quiet)
    study = study_of(model, real, sample, log_prob=log_prob, complete=complete, seed=seed)
    return replace(measured(study, target, quiet=quiet), predictions=found)


def predictions_of(
    model: Model, real: RealSets[DataTable], target: str, seed: int, *, quiet: bool = True
) -> Predictions:
    """How well a column of the reference is predicted; see `runs.judge_predictions`.

    Raises:
        ArgumentError: if there is no such column to predict.
        DataError: if there are too few rows that have a value there.
    """
    own = functools.partial(_selected, codec=model.codec, where="the rows")
    train = None if real.train is None else own(real.train)
    assert isinstance(model, TableModel)
    return judged_predictions(model, own(real.reference), train, target, seed=seed, quiet=quiet)


def study_of(
    model: Model,
    real: RealSets[DataTable],
    sample: Any,
    *,
    log_prob: Callable[..., np.ndarray],
    complete: Callable[..., list[Any]],
    seed: int,
) -> TableStudy:
    """Generated rows beside real ones, to measure and to draw."""
    own = functools.partial(_selected, codec=model.codec, where="the rows")
    rows = min(len(real.reference), len(sample))
    return TableStudy(
        own(sample).take(np.arange(rows)),
        own(real.reference),
        [own(each) for each in real.others],
        None if real.train is None else own(real.train),
        model.codec.kinds,
        functools.partial(log_prob, steps=_STEPS),
        complete,
        seed,
    )


def measured(study: TableStudy, target: str | None = None, *, quiet: bool = True) -> Evaluation:
    """All measures of a study."""
    measures, count = study.measures(target), study.number_of_measures
    shown = tracked(measures, "evaluate", count, "measures", quiet=quiet)
    return Evaluation(tuple(shown), len(study.reference))
