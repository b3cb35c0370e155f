"""Rows of numbers with names for their columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np

from sfumato.data.table import ColumnType
from sfumato.errors import ArgumentError


def refuse_rules(texts: Sequence[str]) -> tuple[()]:
    """No rules, of what is no table.

    Raises:
        ArgumentError: if some are stated.
    """
    if texts:
        raise ArgumentError("rules (--rule) are of the columns of a table; leave them out.")
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """A table of finite numbers.

    Args:
        values: `(n, d)`, float64.
        columns: d names.
        position: `(n,)` in [0, 1], where along its structure each row lies; colours figures.
        notes: of columns by name, how their cells were read.
    """

    kind: ClassVar[Literal["points"]] = "points"

    values: np.ndarray
    columns: tuple[str, ...]
    position: np.ndarray | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.values.ndim == 2
        assert self.values.shape[1] == len(self.columns)
        assert self.position is None or self.position.shape == self.values.shape[:1]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.values)

    def take(self, rows: np.ndarray) -> Self:
        """Those at `rows`, `(k,)`."""
        position = None if self.position is None else self.position[rows]
        return replace(self, values=self.values[rows], position=position)

    def decimals(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each column of decimals: its name and its values."""
        yield from zip(self.columns, self.values.T, strict=True)

    def column_types(self, given: Mapping[str, str], rules: Sequence[str]) -> dict[str, ColumnType]:  # noqa: ARG002
        """Of a table only what each column is; points are all continuous."""
        return {}

    def stated_rules(self, texts: Sequence[str], types: Mapping[str, ColumnType]) -> tuple[()]:  # noqa: ARG002
        """Points have no rules.

        Raises:
            ArgumentError: if some are stated.
        """
        return refuse_rules(texts)

    def side_by_side(self, order: np.ndarray) -> np.ndarray:
        """The order of rows with those that are much alike together: each is alone."""
        return order
