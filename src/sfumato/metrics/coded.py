"""Tables as measures see them: numeric values, categories, features of trees, coordinates.

    (1)  numeric     continuous, integer and date columns; missing is NaN
    (2)  categories  ordinal, categorical and boolean columns, numbered from the commonest in the
                     reference to the rarest; missing is -1
    (3)  coordinates a numeric value is its rank in the reference; a category is a one among zeros;
                     missing has an axis of its own; a column's variances together are one

Ranks, because units and heavy tails should not decide which rows are neighbours; one variance for
each column, because neither should the number of its categories.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sfumato.data.table import CATEGORICAL, NUMERIC, Column, ColumnType, DataTable

# As many as scikit-learn's trees can tell apart in one column.
_TREE_CATEGORIES = 255
# Categories with an axis of their own; the rarer ones share one.
_AXES = 16
# A column that hardly varies is not blown up until one odd row is far from all others.
_LEAST_VARIANCE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A table as eqs. (1) and (2); columns that are constant or dropped are not in it.

    Args:
        numeric_names: of the numeric columns.
        categorical_names: of the categorical columns.
        numeric: `(n, numeric_names)`, float64.
        categories: `(n, categorical_names)`, int64.
    """

    numeric_names: tuple[str, ...]
    categorical_names: tuple[str, ...]
    numeric: np.ndarray
    categories: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Of all columns: numeric first, then categorical."""
        return self.numeric_names + self.categorical_names

    def __len__(self) -> int:
        """How many rows."""
        return len(self.numeric)

    def __getitem__(self, rows: np.ndarray | slice) -> "Coded":
        """Some of the rows."""
        return replace(self, numeric=self.numeric[rows], categories=self.categories[rows])

    @property
    def features(self) -> np.ndarray:
        """What trees learn from, `(n, names)`: NaN is missing, the rarest categories are one."""
        merged = np.where(
            self.categories < 0, np.nan, np.minimum(self.categories, _TREE_CATEGORIES - 1)
        )
        return np.hstack([self.numeric, merged])

    @property
    def categorical(self) -> np.ndarray:
        """Which features are categories, `(names,)`."""
        return np.repeat([False, True], [len(self.numeric_names), len(self.categorical_names)])


def coded(tables: Sequence[DataTable], kinds: Mapping[str, ColumnType]) -> list[Coded]:
    """Tables of the same columns, coded alike.

    Args:
        tables: the first is the reference, by which categories are numbered.
        kinds: of every column.
    """
    numbers = tuple(name for name in tables[0].names if kinds[name] in NUMERIC)
    levels = tuple(name for name in tables[0].names if kinds[name] in CATEGORICAL)
    of_level = [_numbered([table[name] for table in tables]) for name in levels]
    return [
        Coded(
            numbers,
            levels,
            _stacked([_as_numbers(table[name]) for name in numbers], len(table), float),
            _stacked([codes[k] for codes in of_level], len(table), np.int64),
        )
        for k, table in enumerate(tables)
    ]


def _stacked(columns: Sequence[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.empty((rows, 0), dtype)


def _as_numbers(column: Column) -> np.ndarray:
    values = column.values
    # Dates are microseconds since 1970: exact in a double until the year 2255.
    numbers = (values.astype(np.int64) if values.dtype.kind == "M" else values).astype(float)
    return np.where(column.missing, np.nan, numbers)


def _numbered(columns: Sequence[Column]) -> list[np.ndarray]:
    found = Counter(columns[0].present.tolist())
    for column in columns[1:]:
        found.update(dict.fromkeys(column.present.tolist(), 0))
    ordered = sorted(found, key=lambda level: (-found[level], level))
    code = {level: k for k, level in enumerate(ordered)}
    return [
        np.where(
            column.missing, -1, np.array([code.get(each, -1) for each in column.values.tolist()])
        )
        for column in columns
    ]


def ranks(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Which share of the reference's numbers is less, `(n,)`; equal ones count half, NaN stays."""
    known = np.sort(reference[~np.isnan(reference)])
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return np.where(np.isnan(values), np.nan, below / (2 * max(len(known), 1)))


def coordinates(tables: Sequence[Coded]) -> list[np.ndarray]:
    """Eq. (3): rows as points `(n, axes)`, to measure distances between.

    Args:
        tables: coded alike; the first is the reference, whose ranks and variances count.
    """
    reference = tables[0]
    blocks: list[list[np.ndarray]] = []
    for k in range(len(reference.numeric_names)):
        of = [ranks(each.numeric[:, k], reference.numeric[:, k]) for each in tables]
        blocks.append([np.stack([np.nan_to_num(r, nan=0.5), np.isnan(r)], 1) for r in of])
    for k in range(len(reference.categorical_names)):
        some = [np.minimum(each.categories[:, k], _AXES) + 1 for each in tables]
        axes = np.eye(max(int(codes.max()) for codes in some) + 1)
        blocks.append([axes[codes] for codes in some])
    scaled = []
    for k, block in enumerate(blocks):
        if k < len(reference.numeric_names):
            block = [part * [np.sqrt(12), 1] for part in block]  # evenly spread ranks vary by 1/12
        scale = np.sqrt(max(float(block[0].var(0).sum()), _LEAST_VARIANCE))
        scaled.append([part / scale for part in block])
    return [np.hstack(parts) for parts in zip(*scaled, strict=True)]
