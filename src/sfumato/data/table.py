"""Tables as they are: columns of numbers, text, booleans and dates, any with missing values."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from sfumato.errors import DataError

if TYPE_CHECKING:
    from sfumato.data.codecs.rules import Rule

ColumnType = Literal[
    "continuous",
    "integer",
    "ordinal",
    "categorical",
    "boolean",
    "date",
    "constant",
    "identifier",
    "dropped",
]
"""What a column is to the model, see `data.column_types`."""

NUMERIC: tuple[ColumnType, ...] = ("continuous", "integer", "date")
CATEGORICAL: tuple[ColumnType, ...] = ("ordinal", "categorical", "boolean")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one column.

    Args:
        name: its own.
        values: `(n,)`: float64, int64, bool, datetime64[us], or object for text (str). Where a
            value is missing, any value of that type stands, without a meaning; there is no NaN
            elsewhere.
        missing: `(n,)`, True where the value is missing.
        categories: of text, all values that are possible, in their order, where declared.
        ordered: whether their order means something.
        dtype: how the frame that it came from calls its type ("int32", "category", ...), to give
            it back; empty for a file's.
        form: how a text file writes its values, see `data.io.forms`; empty where that is plain.
        note: how it was read, for people.
        in_quotes: whether a text file has all its integers in quotes, and other numbers without, so
            that they are meant as codes.
    """

    name: str
    values: np.ndarray
    missing: np.ndarray
    categories: tuple[str, ...] | None = None
    ordered: bool = False
    dtype: str = ""
    form: str = ""
    note: str = ""
    in_quotes: bool = False

    def __post_init__(self) -> None:
        assert self.values.ndim == 1
        assert self.values.dtype.kind in "fibMO"
        assert self.missing.dtype == np.bool_
        assert self.missing.shape == self.values.shape

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.values)

    @property
    def present(self) -> np.ndarray:
        """The values that are there."""
        return np.asarray(self.values[~self.missing])

    def take(self, rows: np.ndarray) -> "Column":
        """Those at `rows`: numbers `(k,)`, or a mask."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def followed_by(self, others: "Sequence[Column]") -> "Column":
        """The rows of several columns, one after the other."""
        return replace(
            self,
            values=np.concatenate([self.values, *(each.values for each in others)]),
            missing=np.concatenate([self.missing, *(each.missing for each in others)]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class DataTable:
    """Columns of equal length, whose names differ.

    Args:
        columns: one or more.
    """

    kind: ClassVar[Literal["table"]] = "table"

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        assert len({column.count for column in self.columns}) == 1
        assert len(set(self.names)) == len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def has_names(self) -> bool:
        """False where the columns have no names of their own and are x0, x1, ..., as an array's."""
        return self.names != default_names(len(self.columns))

    def __len__(self) -> int:
        """How many rows."""
        return self.columns[0].count

    def __iter__(self) -> Iterator[Column]:
        """The columns."""
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: if there is none.
        """
        try:
            return self.columns[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def decimals(self) -> Iterator[tuple[str, np.ndarray]]:
        """Each column of decimals: its name and the values that are there."""
        return ((c.name, c.present) for c in self.columns if c.values.dtype.kind == "f")

    def column_types(self, given: Mapping[str, str], rules: Sequence[str]) -> dict[str, ColumnType]:
        """What each column is; see `data.column_types`. What `rules` compare is numeric.

        Raises:
            ArgumentError: if a column or type is unknown, or a column cannot be of its type.
            DataError: if a column has too many categories, or holds dates as text.
        """
        from sfumato.data.codecs.rules import numeric_where_compared
        from sfumato.data.column_types import column_types_of

        return numeric_where_compared(column_types_of(self, given), self, rules, given)

    def stated_rules(
        self, texts: Sequence[str], types: Mapping[str, ColumnType]
    ) -> "tuple[Rule, ...]":
        """The rules of a user, checked on all rows; see `data.codecs.rules.stated`."""
        from sfumato.data.codecs.rules import stated

        return stated(texts, self, types)

    def side_by_side(self, order: np.ndarray) -> np.ndarray:
        """The order of rows with those that are much alike together: each is alone."""
        return order

    def take(self, rows: np.ndarray) -> Self:
        """The rows at `rows`: numbers `(k,)`, or a mask."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(self, columns=tuple(column.take(rows) for column in self.columns))

    def to_pandas(self) -> Any:
        """The same as a pandas data frame, with the columns' own types.

        Raises:
            MissingDependencyError: if pandas is not installed.
        """
        return self._to_frame("pandas")

    def to_polars(self) -> Any:
        """The same as a polars data frame, with the columns' own types.

        Raises:
            MissingDependencyError: if polars is not installed.
        """
        return self._to_frame("polars")

    def to_arrow(self) -> Any:
        """The same as a pyarrow table, with the columns' own types.

        Raises:
            MissingDependencyError: if pyarrow is not installed.
        """
        return self._to_frame("pyarrow")

    def to_numpy(self) -> np.ndarray:
        """Float64 `(n, columns)` with NaN for missing values; objects where there is text."""
        from sfumato.data.io.arrays import to_array

        return to_array(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """As `to_numpy`, for `np.asarray`."""
        return np.array(self.to_numpy(), dtype, copy=copy)

    def _to_frame(self, backend: str) -> Any:
        from sfumato.data.io.frames import to_frame

        return to_frame(self, backend)

    def __repr__(self) -> str:
        names = ", ".join(self.names[:8]) + ", ..." * (len(self.names) > 8)
        return f"DataTable({len(self):,} rows of {names})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the first rows."""
        return str(self.take(np.arange(min(len(self), 20))).to_pandas()._repr_html_())


def default_names(count: int) -> tuple[str, ...]:
    """The names of columns that have none: x0, x1, ..."""
    return tuple(f"x{k}" for k in range(count))


def is_no_value(value: Any) -> bool:
    """Whether it is NaN or NaT, which differ from themselves, or NA, which does not say."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def select_columns(table: DataTable, names: Sequence[str], where: str) -> DataTable:
    """The columns of these names, in their order; by place where either side has no names.

    Names like an array's (x0, x1) are names where the table has names and one of them among these.

    Args:
        table: may hold others beside them if it has names.
        names: those of a model.
        where: what to call the table in messages.

    Raises:
        DataError: if one is missing, or the number of nameless columns differs.
    """
    nameless = tuple(names) == default_names(len(names)) and not {*names} & {*table.names}
    if table.has_names and not nameless:
        if missing := [name for name in names if name not in table.names]:
            raise DataError(
                f"{where} lacks the column{'s' if len(missing) > 1 else ''} "
                f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; this run's are "
                f"{', '.join(names[:12])}"
                f"{', ...' if len(names) > 12 else ''}."
            )
        return DataTable(tuple(table[name] for name in names))
    if len(table.columns) != len(names):
        raise DataError(
            f"{where} has {len(table.columns)} columns, which are matched by place, and this run "
            f"has {len(names)}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}."
        )
    return DataTable(
        tuple(replace(column, name=name) for column, name in zip(table, names, strict=True))
    )


def concatenate(tables: Sequence[DataTable]) -> DataTable:
    """The rows of several tables of the same columns, one after the other."""
    first, *others = tables
    return DataTable(
        tuple(
            column.followed_by([each.columns[k] for each in others])
            for k, column in enumerate(first.columns)
        )
    )


def refuse_repeated(where: str, names: Sequence[str]) -> None:
    """Names of columns must differ.

    Raises:
        DataError: if some stand twice, naming them and `where` they stand.
    """
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        more = f" (so do {', '.join(map(repr, twice[1:6]))}{', ...' * (len(twice) > 6)})"
        raise DataError(
            f"{where}: the column name {twice[0]!r} stands more than once"
            f"{more * (len(twice) > 1)}; rename one.",
            code="repeated-name",
            column=twice[0],
        )
