"""Between a table and what a network can learn: numeric values near normal, and categories.

Each column has a numeric value, a category or both (see `data.codecs.columns`). A row is its
numeric values `(C,)` and its categories `(D,)`; a numeric value is there only where its column's
category, if it has one, says so.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.codecs.columns import (
    CategoricalCodec,
    ColumnCodec,
    Encoded,
    NumericCodec,
    plain,
    within,
)
from sfumato.data.codecs.correlations import correlations
from sfumato.data.codecs.identifiers import IdentifierCodec
from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.io.forms import is_form
from sfumato.data.table import Column, ColumnType, DataTable, concatenate
from sfumato.errors import DataError, RunError


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTable:
    """Rows as the network sees them.

    Args:
        numeric: `(n, C)` float32; NaN where there is none, or it is not known.
        categories: `(n, D)` int64; -1 where it is not known.
        log_width: `(n,)` float64, nats: added to a log density of numeric values and categories it
            is in the columns' own units.
        unseen: `(n, columns)`, True where a category, a missing value or a number in a gap was not
            in the training data.
    """

    numeric: Tensor
    categories: Tensor
    log_width: np.ndarray
    unseen: np.ndarray

    def __len__(self) -> int:
        """How many rows."""
        return len(self.numeric)

    def take(self, rows: Tensor) -> "EncodedTable":
        """The rows at the indices `rows`, `(k,)`."""
        index = rows.numpy()
        return EncodedTable(
            self.numeric[rows], self.categories[rows], self.log_width[index], self.unseen[index]
        )


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Rows of a table as the network learns them.

    Args:
        numeric: `(n, C)` float32; 0 where a number is missing.
        categories: codes, `(n, D)` int64.
    """

    numeric: Tensor
    categories: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.numeric)


@dataclass(frozen=True, slots=True, eq=False)
class TableCells:
    """Rows of a table to learn from, their numeric values as cells of z.

    Args:
        low: where the cells begin, `(n, C)` float32; 0 where a number is missing.
        high: where they end; a value that has no cell is its own end.
        categories: codes, `(n, D)` int64.
    """

    low: Tensor
    high: Tensor
    categories: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.low)

    def __getitem__(self, index: Tensor) -> "TableCells":
        """The rows at `index`, `(k,)`."""
        return TableCells(self.low[index], self.high[index], self.categories[index])

    def drawn(self, share: Tensor) -> TableRows:
        """Each value at a place in its cell that has this share of the cell's mass below it.

        Args:
            share: 0 ... 1, `(n, C)`.
        """
        cells = self.low < self.high
        ends = (end[cells].double().numpy() for end in (self.low, self.high, share))
        numeric = self.low.clone()
        numeric[cells] = torch.from_numpy(within(*ends)[0]).float()
        return TableRows(numeric, self.categories)


@dataclass(frozen=True, slots=True)
class TableCodec:
    """Of tables: a codec for each column.

    Args:
        parts: of the columns, in their order.
        rows: how many it was made from.
        names: of all columns of the table, those that were dropped too.
        container: what the table came in: "pandas", "polars", "pyarrow", "array"; empty if that is
            not known.
        identifiers: of the columns that only name the rows: set aside in all but what is drawn.
        correlations: of the numeric values, `(C, C)`; empty where they are not used.
    """

    kind: ClassVar[Literal["table"]] = "table"
    classes: ClassVar[tuple[str, ...]] = ()
    bin_width: ClassVar[float | None] = None

    parts: tuple[ColumnCodec, ...]
    rows: int
    names: tuple[str, ...]
    container: str = ""
    identifiers: tuple[IdentifierCodec, ...] = ()
    correlations: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def fit(
        cls,
        table: DataTable,
        kinds: Mapping[str, ColumnType],
        heldout: DataTable | None = None,
    ) -> Self:
        """The codecs of columns of these kinds; those that are dropped are left out.

        Args:
            table: rows to learn from.
            kinds: what each column is.
            heldout: further rows of the same file, whose keys must not be drawn either.

        Raises:
            DataError: if there are fewer than two rows, or nothing varies.
        """
        if len(table) < 2:
            raise DataError(f"at least 2 rows are needed to learn from; got {len(table)}.")
        parts = tuple(
            _codec_of(column, kinds[column.name])
            for column in table
            if kinds[column.name] not in ("dropped", "identifier")
        )
        whole = table if heldout is None else concatenate([table, heldout])
        identifiers = tuple(
            IdentifierCodec.fit(each) for each in whole if kinds[each.name] == "identifier"
        )
        codec = cls(parts, len(table), table.names, identifiers=identifiers)
        if not codec.dimension:
            aside = " or only names the rows" * bool(identifiers)
            raise DataError(f"every column is constant{aside}; there is nothing to learn.")
        return codec

    def correlated(self, cells: TableCells, source: torch.Generator) -> Self:
        """The same codec with the correlations of rows, if the numeric values are 2 to 32.

        Args:
            cells: of the rows.
            source: draws the place of each value in its cell.
        """
        if not 2 <= len(self.states) <= _MOST_CORRELATED:
            return self
        z = cells.drawn(torch.rand(cells.low.shape, generator=source)).numeric
        found = correlations(torch.where(self.present(cells.categories), z, math.nan), source)
        return replace(self, correlations=tuple(map(tuple, found.tolist())))

    def named(self, drawn: DataTable, seed: int, first: int = 0) -> DataTable:
        """Drawn rows with the columns that name them, in the order of the table's.

        Args:
            drawn: rows of the learned columns.
            seed: that they were drawn with.
            first: the place of the first of them among all rows of that seed.
        """
        made = {column.name: column for column in drawn}
        for each in self.identifiers:
            made[each.name] = each.make(first, len(drawn), seed)
        return DataTable(tuple(made[name] for name in self.drawn))

    @property
    def drawn(self) -> tuple[str, ...]:
        """Names of the columns of what is drawn: those learned and those that name the rows."""
        known = {*self.columns, *(each.name for each in self.identifiers)}
        return tuple(name for name in self.names if name in known)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(part.name for part in self.parts)

    @property
    def kinds(self) -> dict[str, ColumnType]:
        """What each column is."""
        return {part.name: part.kind for part in self.parts}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each column that has some, `(D,)`."""
        return tuple(size for part in self.parts for size in part.sizes)

    @property
    def states(self) -> tuple[int, ...]:
        """For each numeric value the index of the category that says if it is there; -1: always."""
        found, place = [], 0
        for part in self.parts:
            if isinstance(part, NumericCodec):
                found.append(place if part.sizes else -1)
            place += len(part.sizes)
        return tuple(found)

    @property
    def missing_categories(self) -> tuple[int, ...]:
        """For each column with categories the one that means missing; -1 where none does."""
        return tuple(
            size - 1 if part.has_missing else -1 for part in self.parts for size in part.sizes
        )

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a row's numeric values, which a process noises."""
        return (len(self.states),)

    @property
    def dimension(self) -> int:
        """Numeric values and categories of a row."""
        return len(self.states) + len(self.sizes)

    @property
    def can_be_unseen(self) -> np.ndarray:
        """Which columns may hold something that was not in the training data, `(columns,)`.

        False for constant columns, and for numeric columns without gaps that may be missing.
        """
        certain = (
            part.kind == "constant"
            or (isinstance(part, NumericCodec) and part.has_missing and not part.has_gaps)
            for part in self.parts
        )
        return ~np.fromiter(certain, bool)

    @property
    def z_range(self) -> np.ndarray:
        """The least and the largest z of each numeric column in the training data, `(2, C)`."""
        found = [(p.heights[0], p.heights[-1]) for p in self.parts if isinstance(p, NumericCodec)]
        return np.array(found).reshape(-1, 2).T

    def out_of_range(self, table: DataTable) -> list[str]:
        """One sentence for each column with more than a few values unlike the training data.

        New rows of the same distribution have a value or two out of range too.
        """
        sentences = []
        for part in self.parts:
            column = as_learned(table[part.name], part)
            present = column.present
            if isinstance(part, NumericCodec) and len(present):
                if part.kind == "date":
                    present = present.astype(np.int64)
                in_gap = part.encode(column, None).unseen[~column.missing]
                count = int((in_gap | (present < part.low) | (present > part.high)).sum())
                low, high = (plain(end) for end in part.nearest(np.array([part.low, part.high])))
                what = f"lie beyond {low} to {high}" + " or between known values" * part.has_gaps
            else:
                unseen = part.encode(column, None).unseen & ~column.missing
                count, what = int(unseen.sum()), "were never seen"
            if count * _MANY > len(present):
                of = f"{count:,} of {len(present):,} values"
                sentences.append(f"{part.name!r}: {of} {what}, in what was learned")
        return sentences

    def present(self, categories: Tensor) -> Tensor:
        """Which numeric values are there, `(n, C)`, as the categories `(n, D)` say."""
        there = torch.ones(len(categories), len(self.states), dtype=torch.bool)
        for place, state in enumerate(self.states):
            if state >= 0:
                there[:, place] = categories[:, state] == 0
        return there

    def to_fill(self, table: DataTable) -> DataTable:
        """The table with columns of types that can hold what the model fills in.

        Where values are missing, a frame's categories get those of the model, and a column without
        any value gets the model's type if its own could not hold the model's values.

        Raises:
            DataError: if a column's categories are in an order in which the model's have no place,
                or it holds no text and the model fills in text.
        """
        parts = {part.name: part for part in self.parts}
        return DataTable(
            tuple(
                _to_fill(column, parts[column.name])
                if column.name in parts and column.missing.any()
                else column
                for column in table
            )
        )

    def encode(self, table: DataTable, rng: np.random.Generator | None = None) -> EncodedTable:
        """Rows as the network sees them; a category that training never had is not known.

        A number in a gap is at the gap's edge.

        Args:
            table: of these columns, in any order.
            rng: spreads values on a grid over their cell; in its middle if None.

        Raises:
            DataError: if a column is missing or of another type.
        """
        numeric, categories, unseen, widths = [], [], [], np.zeros(len(table))
        for part in self.parts:
            encoded = _encoded(part, table, rng)
            widths += encoded.log_width
            unseen.append(encoded.unseen)
            if encoded.z is not None:
                numeric.append(encoded.z.astype(np.float32))
            if encoded.category is not None:
                categories.append(encoded.category)
        return EncodedTable(
            torch.from_numpy(_side_by_side(numeric, len(table), np.float32)),
            torch.from_numpy(_side_by_side(categories, len(table), np.int64)),
            widths,
            np.stack(unseen, axis=1),
        )

    def to_learn(self, table: DataTable) -> TableCells:
        """Rows to learn from.

        Raises:
            DataError: as `encode`.
        """
        encoded = self.encode(table)
        cells = [
            part.cell(as_learned(table[part.name], part))
            for part in self.parts
            if isinstance(part, NumericCodec)
        ]
        there = encoded.numeric.isfinite()
        low, high = (
            torch.where(there, torch.from_numpy(_side_by_side(ends, len(table), np.float32)), 0.0)
            for ends in ([cell[end].astype(np.float32) for cell in cells] for end in (0, 1))
        )
        return TableCells(low, high, encoded.categories)

    def decode(self, numeric: Tensor, categories: Tensor) -> DataTable:
        """The inverse, of rows whose categories are all known."""
        z, k = numeric.double().numpy(), categories.numpy()
        columns, i, j = [], 0, 0
        for part in self.parts:
            of_z = z[:, i] if isinstance(part, NumericCodec) else None
            of_k = k[:, j] if part.sizes else None
            columns.append(part.decode(of_z, of_k, len(z)))
            i += of_z is not None
            j += of_k is not None
        return DataTable(tuple(columns))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, exact through JSON."""
        parts = [{_NAMES[type(part)]: asdict(part)} for part in self.parts]
        names = list(self.names)
        identifiers = [asdict(each) for each in self.identifiers]
        rest = {"rows": self.rows, "names": names, "container": self.container}
        together = {"identifiers": identifiers, "correlations": [*map(list, self.correlations)]}
        return {"table": parts, **rest, **together}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; the values may come from a stranger's file.

        Raises:
            RunError: if they do not describe a codec.
        """
        try:
            names = tuple(_field(plain, "names", list))
            codec = cls(
                tuple(_part(each) for each in _field(plain, "table", list)),
                _field(plain, "rows", int),
                names,
                str(plain.get("container", "")),
                tuple(IdentifierCodec.from_dict(each) for each in plain.get("identifiers", ())),
                tuple(tuple(row) for row in plain.get("correlations", ())),
            )
            columns = (*codec.columns, *(each.name for each in codec.identifiers))
            sound = len(set(columns)) == len(columns) and codec.dimension > 0 < codec.rows
            sound = sound and set(columns) <= set(names) and _all(names, str)
            sound = sound and codec.container in _CONTAINERS and _are_correlations(codec)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise RunError("the model's description of its columns is damaged.") from error
        if not sound:
            raise RunError("the model's description of its columns is damaged.")
        return codec


# Of more numbers than these their posterior would cost more than the network.
_MOST_CORRELATED = 32

# One in so many is more than a few.
_MANY = 20

_NAMES = {CategoricalCodec: "categorical", NumericCodec: "numeric"}

# Dates are of the years 1 to 9999.
_FIRST_DAY, _END_OF_DAYS = np.array(["0001-01-01", "10000-01-01"], "datetime64[us]")

_CONTAINERS = ("", "array", "pandas", "polars", "pyarrow")


def _codec_of(column: Column, kind: ColumnType) -> ColumnCodec:
    if kind in ("continuous", "integer", "date"):
        return NumericCodec.fit(column, kind)
    return CategoricalCodec.fit(column, kind)


def _encoded(part: ColumnCodec, table: DataTable, rng: np.random.Generator | None) -> Encoded:
    """A column of the table, brought to the type that its codec knows."""
    if part.name not in table.names:
        raise DataError(
            f"the column {part.name!r}, which the model learned, is not there; the columns are "
            f"{', '.join(table.names[:8])}{', ...' * (len(table.names) > 8)}."
        )
    return part.encode(
        as_learned(table[part.name], part), None if rng is None else rng.random(len(table))
    )


def as_learned(column: Column, part: ColumnCodec) -> Column:
    """The column with values of the codec's type, if they can be.

    Raises:
        DataError: if they cannot.
    """
    values, want = column.values, np.dtype(part.dtype)
    if values.dtype.kind == want.kind:
        return Column(column.name, values.astype(want), column.missing)
    if column.missing.all():
        return Column(column.name, np.zeros(len(values), want), column.missing)
    converted = None
    if want.kind in "fi" and values.dtype.kind in "fib":
        if want.kind == "i" and np.abs(column.present.astype(np.float64)).max() > LARGEST_EXACT:
            raise DataError(
                f"the column {part.name!r} holds numbers beyond 2^53; the model learned integers "
                "there."
            )
        converted = np.where(column.missing, 0, values).astype(want)
        whole = np.where(column.missing, 0, values).astype(np.float64)
        if want.kind == "i" and not np.array_equal(np.round(whole), whole):
            row = int(np.flatnonzero(np.round(whole) != whole)[0])
            raise DataError(
                f"row {row + 1}, column {part.name!r}: {whole[row]:g} is no integer, and the model "
                "learned integers there."
            )
    elif want.kind == "O":
        converted = values.astype(str).astype(object)
    elif want.kind == "b" and values.dtype.kind in "fi" and np.isin(column.present, (0, 1)).all():
        converted = values.astype(bool)
    if converted is None:
        raise DataError(
            f"the column {part.name!r} holds {_NOUNS[values.dtype.kind]}; the model learned "
            f"{_NOUNS[want.kind]} there."
        )
    return Column(column.name, converted, column.missing)


def _to_fill(column: Column, part: ColumnCodec) -> Column:
    """A column with missing values, so that it can hold those of the codec; see `to_fill`."""
    want, kind = np.dtype(part.dtype), column.values.dtype.kind
    text = part.categories if isinstance(part, CategoricalCodec) and want.kind == "O" else ()
    if part.kind == "constant" and not (isinstance(part, CategoricalCodec) and part.categories):
        return column  # nothing is filled in
    if column.missing.all() and (part.form or not _can_hold(column, want)):
        empty = np.zeros(len(column.values), want)
        if column.dtype == "object":  # of pandas, which holds anything
            return replace(column, values=empty)
        declared, ordered = (
            (part.declared, part.ordered) if isinstance(part, CategoricalCodec) else (None, False)
        )
        frame = declared, ordered, part.frame_dtype
        return Column(column.name, empty, column.missing, *frame, form=part.form)
    if text and kind != "O":
        raise DataError(
            f"the column {column.name!r} holds {_NOUNS[kind]}, and the model fills in text, such "
            f"as {text[0]!r}; make the column text."
        )
    return _with_categories(
        column, text, part.declared if isinstance(part, CategoricalCodec) else None
    )


def _can_hold(column: Column, want: np.dtype[Any]) -> bool:
    """Whether a column without any value can hold values of a type."""
    if column.dtype.lower().startswith("null") or column.categories == ():
        return False
    kinds = column.values.dtype.kind, want.kind
    return kinds[0] == kinds[1] or set(kinds) <= set("fib")


def _with_categories(column: Column, text: Sequence[str], declared: Sequence[str] | None) -> Column:
    """The frame's categories and those of the model, in the model's order if that is theirs too."""
    if column.categories is None or set(text) <= set(column.categories):
        return column
    if (
        declared is not None
        and tuple(k for k in declared if k in column.categories) == column.categories
    ):
        return replace(column, categories=tuple(declared))
    new = [each for each in text if each not in column.categories]
    if column.ordered and not column.dtype.startswith("Enum"):  # an Enum always has an order
        raise DataError(
            f"the column {column.name!r} has categories in an order, without {new[0]!r}, which the "
            "model may fill in; add it to them in its place."
        )
    return replace(column, categories=(*column.categories, *new))


_NOUNS = {"f": "numbers", "i": "integers", "b": "booleans", "O": "text", "M": "dates"}


def _side_by_side(arrays: list[np.ndarray], rows: int, dtype: Any) -> np.ndarray:
    return np.stack(arrays, axis=1) if arrays else np.empty((rows, 0), dtype)


def _are_correlations(codec: TableCodec) -> bool:
    """Whether its correlations are some: symmetric, positive definite, 1 on the diagonal."""
    found, count = codec.correlations, len(codec.states)
    if not found:
        return True
    if not 2 <= len(found) == count <= _MOST_CORRELATED or any(len(row) != count for row in found):
        return False
    if not all(_all(row, int, float) for row in found):
        return False
    matrix = np.array(found, np.float64)
    if not np.isfinite(matrix).all() or not np.array_equal(matrix, matrix.T):
        return False
    return bool((np.diagonal(matrix) == 1).all() and np.linalg.eigvalsh(matrix)[0] > 0)


def _field(plain: Mapping[str, Any], name: str, kind: type) -> Any:
    """The value of a field, of a type; raises what `from_dict` catches."""
    value = plain[name]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise TypeError
    return value


def _all(values: Iterable[Any], *kinds: type) -> bool:
    return all(isinstance(each, kinds) and not isinstance(each, bool) for each in values)


def _part(plain: Mapping[str, Any]) -> ColumnCodec:
    """A column's codec from plain values; raises what `from_dict` catches."""
    ((name, values),) = plain.items()
    kind = {v: k for k, v in _NAMES.items()}[name]
    values = {"form": "", **values}  # of a model of before there were any
    if set(values) != {field.name for field in fields(kind)}:
        raise ValueError
    part = kind(
        **{k: tuple(each) if isinstance(each, list) else each for k, each in values.items()}
    )
    for field in ("name", "kind", "dtype", "frame_dtype", "form"):
        _field(values, field, str)
    _field(values, "has_missing", bool)
    if not _all([part.grid_step], int, float) or not 0 <= float(part.grid_step) < math.inf:
        raise ValueError
    if not is_form(part.form, part.dtype):
        raise ValueError
    return _sound_categorical(part) if isinstance(part, CategoricalCodec) else _sound_numeric(part)


def _sound_categorical(part: CategoricalCodec) -> CategoricalCodec:
    kinds = {"object": str, "int64": int, "float64": float, "bool": bool, "datetime64[us]": str}
    of = kinds[part.dtype]
    texts = part.declared is None or (isinstance(part.declared, tuple) and _all(part.declared, str))
    if part.kind not in ("categorical", "ordinal", "boolean", "constant") or not texts:
        raise ValueError
    if not isinstance(part.categories, tuple) or not all(
        type(each) is of for each in part.categories
    ):
        raise TypeError
    values = np.array(part.categories, dtype=part.dtype)
    if len(set(values.tolist())) != len(part.categories):
        raise ValueError
    if part.dtype == "float64" and not np.isfinite(values).all():
        raise ValueError
    if part.dtype == "datetime64[us]":
        exact = all(
            plain(value) == each for value, each in zip(values, part.categories, strict=True)
        )
        if not exact or not ((values >= _FIRST_DAY) & (values < _END_OF_DAYS)).all():
            raise ValueError
    if not isinstance(part.ordered, bool):
        raise TypeError
    return part


def _sound_numeric(part: NumericCodec) -> NumericCodec:
    types = {"continuous": ("float64", "int64"), "integer": ("int64", "float64"),
             "date": ("datetime64[us]",)}  # fmt: skip
    if part.dtype not in types[part.kind]:
        raise ValueError
    every = (part.low, part.high, *part.point_masses, *part.knots, *part.heights)
    if not _all(every, int, float) or not all(map(math.isfinite, every)):
        raise ValueError
    held = (part.low, part.high, *part.point_masses)
    if part.dtype != "float64" and not _all(held, int):
        raise ValueError
    # Floats may be as large as they are finite; integers are exact as floats.
    least, most = (-LARGEST_EXACT, LARGEST_EXACT)
    if part.kind == "date":
        least, most = _FIRST_DAY.astype(int), _END_OF_DAYS.astype(int) - 1
    if not all(isinstance(each, float) or least <= each <= most for each in held):
        raise ValueError
    # The difference of two decimals may be a little less than their grid's step.
    step = part.grid_step / 2 if part.dtype == "float64" else part.grid_step
    if not step <= part.high - part.low < math.inf:
        raise ValueError
    if len(part.knots) != len(part.heights) or len(part.knots) < 2 or not part.low < part.high:
        raise ValueError
    rising = all(
        b > a or (b == a and d > c)  # level, or a jump
        for (a, c), (b, d) in [*pairwise(zip(part.knots, part.heights, strict=True)),
                               *pairwise(zip(part.heights, part.knots, strict=True))]
    )  # fmt: skip
    if not rising or part.knots[0] == part.knots[-1] or part.heights[0] == part.heights[-1]:
        raise ValueError
    if any(a >= b for a, b in pairwise(part.point_masses)):
        raise ValueError
    return part
