"""A table with the predictions of one of its columns beside it."""

from dataclasses import replace

import numpy as np

from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.models.predictive import PredictedCategories, PredictedNumbers, known_without
from sfumato.models.table import TableModel
from sfumato.runs.kinds.kind import RowsLike
from sfumato.runs.run import Run

QUANTILES = (0.05, 0.5, 0.95)

# What becomes of a condition that was never seen.
TAKEN = "a number is taken as the nearest seen, a category as not known"


def remarks(run: Run, like: RowsLike, target: str, where: str) -> list[str]:
    """What to know of rows that a column is to be predicted of, a sentence each.

    Columns that they lack, values that were never seen, and rows that break a rule that was found.

    Args:
        run: that is to predict.
        like: the rows.
        target: the column.
        where: what the rows are called.

    Raises:
        ArgumentError: if there is no such column that varies.
        DataError: if rows break a stated rule.
    """
    model = run.model
    assert isinstance(model, TableModel)
    model.codec.places(target)
    found, names = [], (*like.source.names, target)
    varying = (part.name for part in model.codec.parts if part.kind != "constant")
    if lacking := [name for name in varying if name not in names]:
        found.append(f"{where} lacks {', '.join(map(repr, lacking))}: taken as not known")
    others = DataTable(
        tuple(replace(each, missing=each.missing | (each.name == target)) for each in like.rows)
    )
    found += [f"{each}; {TAKEN}" for each in run.kind.unseen(model, others)]
    for rule, rows in model.codec.broken_rules(known_without(model, others, target)):
        found.append(
            f"the rule {rule.text!r}, which held in all rows of training, is broken by "
            f"{rows.sum():,} of {len(rows):,} rows, first by row {rows.argmax() + 1}; they are "
            "predicted as they stand"
        )
    return found


def predicted_columns(
    source: DataTable,
    target: str,
    law: PredictedNumbers | PredictedCategories,
    draws: int | None = None,
) -> DataTable:
    """The source's own columns, and what is predicted of the target.

    Args:
        source: the rows.
        target: the column.
        law: of each row.
        draws: so many equally likely values of a number as well.

    Raises:
        ArgumentError: if draws of a category are asked for.
        DataError: if the source has a column of the same name as a new one.
    """
    new: dict[str, np.ndarray] = {}
    if isinstance(law, PredictedCategories):
        if draws is not None:
            raise ArgumentError(
                f"the column {target!r} is of categories: its probabilities say all that draws "
                "would; leave `--draws` out."
            )
        new[f"{target} predicted"] = law.most_probable()
        for name, chance in zip(law.categories.tolist(), law.probabilities.T, strict=True):
            new[f"{target} = {name}"] = chance
    else:
        new[f"{target} mean"] = law.mean()
        for level, values in zip(QUANTILES, law.quantiles(QUANTILES).T, strict=True):
            new[f"{target} {level:.0%}"] = values
        if draws is not None:
            places = (np.arange(draws) + 0.5) / draws
            for k, values in enumerate(law.quantiles(places).T, start=1):
                new[f"{target} draw {k}"] = values
    if twice := [name for name in new if name in source.names]:
        raise DataError(f"the file has a column {twice[0]!r} already; rename or drop it.")
    nothing = np.zeros(len(source), bool)
    return DataTable((*source, *(Column(name, values, nothing) for name, values in new.items())))
