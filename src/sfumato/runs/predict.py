"""A table with the predictions of one of its columns beside it."""

import numpy as np

from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.models.predictive import PredictedCategories, PredictedNumbers

QUANTILES = (0.05, 0.5, 0.95)


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
