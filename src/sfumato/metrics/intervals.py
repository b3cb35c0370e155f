"""Do imputed values lie about the truth as they claim to?

The truth of a hidden cell and D independent draws for it are D + 1 values in no order, if the
draws are from the truth's own law given the rest of the row: each of them is as likely to be any
one. So

    (1)  numbers  the truth is among the i lowest or the i highest of them in 2 i/(D + 1) of the
                  cells, and between the i-th lowest and the i-th highest in the rest
    (2)  text     it is among the 2 i whose category is rarest among them as often

exactly, whatever the law, where ties are broken at random. With D = 20 and i = 1 that is the
central interval, or the smallest set of categories, of 19/21: 90 %. After Talts et al. (2018), and
for (2) as in conformal prediction (Vovk, Gammerman & Shafer 2005).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sfumato.data.table import CATEGORICAL, NUMERIC, ColumnType, DataTable
from sfumato.errors import DataError
from sfumato.metrics.coded import Coded, coded

Imputer = Callable[[DataTable, int], Sequence[DataTable]]

DRAWS = 20
ROWS, _HIDDEN = 300, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """How deep each of the D + 1 values of a hidden cell lies among them all.

    Args:
        depth: `(cells, D + 1)`: the i at and beyond which a value is outside; the truth is first.
        error: of one imputed value for each cell.
        plain_error: of filling with the mean or the commonest category.
    """

    depth: np.ndarray
    error: float
    plain_error: float

    @property
    def nominal(self) -> np.ndarray:
        """What shares the intervals should hold, falling, `(D // 2,)`."""
        values = self.depth.shape[1]
        return np.asarray(1 - 2 * np.arange(1, values // 2 + 1) / values)

    def observed(self, value: int = 0) -> np.ndarray:
        """What shares they do hold of the truth, or of another value in its place, `(D // 2,)`."""
        inside = np.arange(1, len(self.nominal) + 1)
        return np.asarray((self.depth[:, value, None] >= inside).mean(0))


def hidden(
    table: DataTable, kinds: Mapping[str, ColumnType], *, seed: int = 0
) -> tuple[DataTable, np.ndarray]:
    """The first 300 rows with a fifth of their cells missing, and which, `(rows, columns)`.

    Args:
        table: real rows.
        kinds: of every column; constant and dropped ones are left as they are.
        seed: which cells.
    """
    table = table.take(np.arange(min(len(table), ROWS)))
    drawn = np.random.default_rng(seed).random((len(table), len(table.columns))) < _HIDDEN
    varies = np.array([kinds[name] in NUMERIC + CATEGORICAL for name in table.names])
    there = ~np.stack([column.missing for column in table], axis=1)
    cells = drawn & varies & there
    columns = [
        replace(column, missing=column.missing | cells[:, k]) for k, column in enumerate(table)
    ]
    return DataTable(tuple(columns)), cells


def intervals(
    impute: Imputer, reference: DataTable, kinds: Mapping[str, ColumnType], *, seed: int = 0
) -> dict[str, Intervals]:
    """Hide cells, impute them, look: of "numbers" and of "categories", where there are any.

    Args:
        impute: a table with missing values and how many draws to that many filled tables.
        reference: real rows that were not used in training.
        kinds: of every column.
        seed: which cells to hide, and how ties are broken.

    Raises:
        DataError: if a missing value was not filled.
    """
    with_holes, cells = hidden(reference, kinds, seed=seed)
    draws = impute(with_holes, DRAWS)
    truth, *drawn = coded([reference.take(np.arange(len(with_holes))), *draws], kinds)
    place = {name: k for k, name in enumerate(reference.names)}
    rng = np.random.default_rng(seed)
    found = {}
    for what, names in (("numbers", truth.numeric_names), ("categories", truth.categorical_names)):
        of_column = [
            _column(truth, drawn, name, cells[:, place[name]])
            for name in names
            if cells[:, place[name]].any()
        ]
        if not of_column:
            continue
        values, squares, plain_squares = (
            np.concatenate(parts) for parts in zip(*of_column, strict=True)
        )
        if np.isnan(values).any():
            raise DataError(f"imputing left {int(np.isnan(values).any(1).sum())} cells empty.")
        depth = _depth(values, rng) if what == "numbers" else _commonness(values, rng)
        root = 0.5 if what == "numbers" else 1.0
        error, plain = float(squares.mean()) ** root, float(plain_squares.mean()) ** root
        found[what] = Intervals(depth, error, plain)
    return found


def _column(
    truth: Coded, drawn: Sequence[Coded], name: str, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and draws of the hidden cells, and what the best guess and a plain one are off by."""
    k = truth.names.index(name)
    values = np.stack([each.features[:, k] for each in (truth, *drawn)], axis=1)
    known, values = values[~cells, 0], values[cells]
    known = known[~np.isnan(known)]
    if name in truth.numeric_names:
        every = np.concatenate([known, values[:, 0]])
        largest = np.abs(every).max() or 1.0  # so that squares do not overflow
        spread = (every / largest).std() or 1.0
        plain = (known / largest).mean() if len(known) else 0.0
        right, best = values[:, 0] / largest, (values[:, 1:] / largest).mean(1)
        return values, ((best - right) / spread) ** 2, ((plain - right) / spread) ** 2
    same = (values[:, 1:, None] == values[:, None, 1:]).sum(2)
    best = np.take_along_axis(values, 1 + same.argmax(1)[:, None], axis=1)[:, 0]
    plain = float(np.bincount(known.astype(int)).argmax()) if len(known) else 0.0
    return values, (best != values[:, 0]).astype(float), (plain != values[:, 0]).astype(float)


def _order(keys: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rank of each in its row, from 0; ties at random."""
    order = np.lexsort((rng.random(keys.shape), keys), axis=1)
    return np.argsort(order, axis=1)


def _depth(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Eq. (1): how many values at most lie on the nearer side."""
    rank = _order(values, rng)
    return np.asarray(np.minimum(rank, values.shape[1] - 1 - rank))


def _commonness(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Eq. (2): half as many as have a rarer level."""
    count = (values[:, :, None] == values[:, None, :]).sum(2)
    return np.asarray(_order(count, rng) // 2)
