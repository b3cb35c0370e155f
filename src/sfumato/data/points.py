"""Rows of numbers with names for their columns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """A table of finite numbers.

    Args:
        values: `(n, d)`, float64.
        columns: d names.
        position: `(n,)` in [0, 1], where along its structure each row lies; colours figures.
    """

    values: np.ndarray
    columns: tuple[str, ...]
    position: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.values.ndim == 2
        assert self.values.shape[1] == len(self.columns)
        assert self.position is None or self.position.shape == self.values.shape[:1]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.values)

    def take(self, rows: np.ndarray) -> "Points":
        """Those at `rows`, `(k,)`."""
        position = None if self.position is None else self.position[rows]
        return Points(self.values[rows], self.columns, position)
