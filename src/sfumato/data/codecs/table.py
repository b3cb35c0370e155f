"""Between a table and what a network likes: numbers near normal, and levels.

Each column has a number, a level or both (see `data.columns`). A row is its numbers `(C,)` and its
levels `(D,)`; a number is there only where its column's level, if it has one, says so.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.codecs.columns import CategoricalCodec, ColumnCodec, Encoded, NumericCodec, plain
from sfumato.data.io.cells import LARGEST_EXACT
from sfumato.data.table import Column, DataTable, Kind
from sfumato.errors import DataError, RunError


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTable:
    """Rows as the network sees them.

    Args:
        numbers: `(n, C)` float32; NaN where there is none, or it is not known.
        levels: `(n, D)` int64; -1 where it is not known.
        log_width: `(n,)` float64, nats: added to a log density of numbers and levels it is in the
            columns' own units.
        strange: `(n, columns)`, what was never seen in its column: a level, or a hole.
    """

    numbers: Tensor
    levels: Tensor
    log_width: np.ndarray
    strange: np.ndarray

    def __len__(self) -> int:
        """How many rows."""
        return len(self.numbers)

    def chosen(self, rows: Tensor) -> "EncodedTable":
        """Those at `rows`, `(k,)`."""
        index = rows.numpy()
        return EncodedTable(
            self.numbers[rows], self.levels[rows], self.log_width[index], self.strange[index]
        )


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Rows of a table to learn from.

    Args:
        numeric: `(n, C)` float32; 0 where a number is missing.
        categories: codes, `(n, D)` int64.
    """

    numeric: Tensor
    categories: Tensor

    def __len__(self) -> int:
        """How many."""
        return len(self.numeric)

    def __getitem__(self, index: Tensor) -> "TableRows":
        """The rows at `index`, `(k,)`."""
        return TableRows(self.numeric[index], self.categories[index])


@dataclass(frozen=True, slots=True)
class TableCodec:
    """Of tables: a codec for each column.

    Args:
        parts: of the columns, in their order.
        rows: how many it was made from.
        names: of all columns of the table, those that were dropped too.
    """

    parts: tuple[ColumnCodec, ...]
    rows: int
    names: tuple[str, ...]

    @classmethod
    def fit(cls, table: DataTable, kinds: Mapping[str, Kind]) -> Self:
        """The codecs of columns of these kinds; those that are dropped are left out.

        Raises:
            DataError: if there are fewer than two rows, or nothing varies.
        """
        if len(table) < 2:
            raise DataError(f"at least 2 rows are needed to learn from; got {len(table)}.")
        parts = tuple(
            _codec_of(column, kinds[column.name])
            for column in table
            if kinds[column.name] != "dropped"
        )
        codec = cls(parts, len(table), table.names)
        if not codec.dimension:
            raise DataError("every column is constant; there is nothing to learn.")
        return codec

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(part.name for part in self.parts)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each column is."""
        return {part.name: part.kind for part in self.parts}

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels each column has that has levels, `(D,)`."""
        return tuple(size for part in self.parts for size in part.sizes)

    @property
    def states(self) -> tuple[int, ...]:
        """For each number the place among the levels that says whether it is there; -1: always."""
        found, place = [], 0
        for part in self.parts:
            if isinstance(part, NumericCodec):
                found.append(place if part.sizes else -1)
            place += len(part.sizes)
        return tuple(found)

    @property
    def holes(self) -> tuple[int, ...]:
        """For each column that has levels, the level that is a hole; -1 where there are none."""
        return tuple(size - 1 if part.holes else -1 for part in self.parts for size in part.sizes)

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a row's numbers, which a process noises."""
        return (len(self.states),)

    @property
    def dimension(self) -> int:
        """Numbers and levels of a row."""
        return len(self.states) + len(self.sizes)

    @property
    def can_be_strange(self) -> np.ndarray:
        """Of which columns something may come that was never seen, `(columns,)`.

        Not of numbers with holes; that one which does not vary might is not counted against it.
        """
        certain = (
            part.kind == "constant" or (isinstance(part, NumericCodec) and part.holes)
            for part in self.parts
        )
        return ~np.fromiter(certain, bool)

    @property
    def ends(self) -> np.ndarray:
        """The least and the largest z that each number was seen at, `(2, C)`."""
        found = [(p.heights[0], p.heights[-1]) for p in self.parts if isinstance(p, NumericCodec)]
        return np.array(found).reshape(-1, 2).T

    def beyond(self, table: DataTable) -> list[str]:
        """Columns of which more than a few values are none that were seen, in a sentence each.

        A value or two beyond the ends is what new rows of the same kind have too.
        """
        said = []
        for part in self.parts:
            column = as_learned(table[part.name], part)
            present = column.present
            if isinstance(part, NumericCodec) and len(present):
                if part.kind == "date":
                    present = present.astype(np.int64)
                count = int(((present < part.low) | (present > part.high)).sum())
                low, high = (plain(end) for end in part.nearest(np.array([part.low, part.high])))
                what = f"lie beyond {low} to {high}"
            else:
                strange = part.encode(column, None).strange & ~column.missing
                count, what = int(strange.sum()), "were never seen"
            if count * _MANY > len(present):
                of = f"{count:,} of {len(present):,} values"
                said.append(f"{part.name!r}: {of} {what}, in what was learned")
        return said

    def present(self, levels: Tensor) -> Tensor:
        """Which numbers are there, `(n, C)`, as the levels `(n, D)` say."""
        there = torch.ones(len(levels), len(self.states), dtype=torch.bool)
        for place, state in enumerate(self.states):
            if state >= 0:
                there[:, place] = levels[:, state] == 0
        return there

    def encode(self, table: DataTable, rng: np.random.Generator | None = None) -> EncodedTable:
        """Rows as the network sees them; what was never seen in a column is not known.

        Args:
            table: of these columns, in any order.
            rng: spreads values on a grid over their cell; in its middle if None.

        Raises:
            DataError: if a column is missing or of another type.
        """
        numbers, levels, strange, widths = [], [], [], np.zeros(len(table))
        for part in self.parts:
            encoded = _encoded(part, table, rng)
            widths += encoded.log_width
            strange.append(encoded.strange)
            if encoded.z is not None:
                numbers.append(encoded.z.astype(np.float32))
            if encoded.level is not None:
                levels.append(encoded.level)
        return EncodedTable(
            torch.from_numpy(_side_by_side(numbers, len(table), np.float32)),
            torch.from_numpy(_side_by_side(levels, len(table), np.int64)),
            widths,
            np.stack(strange, axis=1),
        )

    def to_learn(self, table: DataTable, rng: np.random.Generator) -> TableRows:
        """Encoded rows to learn from.

        Args:
            table: rows.
            rng: spreads values on a grid over their cell.

        Raises:
            DataError: as `encode`.
        """
        encoded = self.encode(table, rng)
        return TableRows(encoded.numbers.nan_to_num(), encoded.levels)

    def decode(self, numbers: Tensor, levels: Tensor) -> DataTable:
        """The inverse, of rows whose levels are all known."""
        z, k = numbers.double().numpy(), levels.numpy()
        columns, number, level = [], 0, 0
        for part in self.parts:
            own_z = z[:, number] if isinstance(part, NumericCodec) else None
            own_level = k[:, level] if part.sizes else None
            columns.append(part.decode(own_z, own_level, len(z)))
            number += own_z is not None
            level += own_level is not None
        return DataTable(tuple(columns))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, exact through JSON."""
        parts = [{_NAMES[type(part)]: asdict(part)} for part in self.parts]
        return {"table": parts, "rows": self.rows, "names": list(self.names)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; the values may come from a stranger's file.

        Raises:
            RunError: if they do not describe a codec.
        """
        try:
            names = tuple(_told(plain, "names", list))
            codec = cls(
                tuple(_part(each) for each in _told(plain, "table", list)),
                _told(plain, "rows", int),
                names,
            )
            sound = len(set(codec.columns)) == len(codec.parts) and codec.dimension > 0 < codec.rows
            sound = sound and set(codec.columns) <= set(names) and _all(names, str)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise RunError("the model's description of its columns is damaged.") from error
        if not sound:
            raise RunError("the model's description of its columns is damaged.")
        return codec


# One in so many is more than a few.
_MANY = 20

_NAMES = {CategoricalCodec: "levels", NumericCodec: "numbers"}


def _codec_of(column: Column, kind: Kind) -> ColumnCodec:
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
                f"the column {part.name!r} holds numbers beyond 2^53; the model learned whole "
                "numbers there."
            )
        converted = np.where(column.missing, 0, values).astype(want)
        whole = np.where(column.missing, 0, values).astype(np.float64)
        if want.kind == "i" and not np.array_equal(np.round(whole), whole):
            row = int(np.flatnonzero(np.round(whole) != whole)[0])
            raise DataError(
                f"row {row + 1}, column {part.name!r}: {whole[row]:g} is no whole number, and the "
                "model learned whole numbers there."
            )
    elif want.kind == "O":
        converted = values.astype(str).astype(object)
    elif want.kind == "b" and values.dtype.kind in "fi" and np.isin(column.present, (0, 1)).all():
        converted = values.astype(bool)
    if converted is None:
        raise DataError(
            f"the column {part.name!r} holds {_WORDS[values.dtype.kind]}; the model learned "
            f"{_WORDS[want.kind]} there."
        )
    return Column(column.name, converted, column.missing)


_WORDS = {"f": "numbers", "i": "whole numbers", "b": "truths", "O": "words", "M": "dates"}


def _side_by_side(arrays: list[np.ndarray], rows: int, dtype: Any) -> np.ndarray:
    return np.stack(arrays, axis=1) if arrays else np.empty((rows, 0), dtype)


def _told(plain: Mapping[str, Any], name: str, kind: type) -> Any:
    """What is told under a name, of a type; raises what `from_dict` catches."""
    value = plain[name]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise TypeError
    return value


def _all(values: Iterable[Any], *kinds: type) -> bool:
    return all(isinstance(each, kinds) and not isinstance(each, bool) for each in values)


def _part(plain: Mapping[str, Any]) -> ColumnCodec:
    """A column's codec from plain values; raises what `from_dict` catches."""
    ((name, told),) = plain.items()
    kind = {v: k for k, v in _NAMES.items()}[name]
    if set(told) != {field.name for field in fields(kind)}:
        raise ValueError
    part = kind(**{k: tuple(each) if isinstance(each, list) else each for k, each in told.items()})
    for field in ("name", "kind", "dtype", "frame_dtype"):
        _told(told, field, str)
    _told(told, "holes", bool)
    if not _all([part.step], int, float) or not 0 <= part.step < math.inf:
        raise ValueError
    return _sound_levels(part) if isinstance(part, CategoricalCodec) else _sound_numbers(part)


def _sound_levels(part: CategoricalCodec) -> CategoricalCodec:
    kinds = {"object": str, "int64": int, "float64": float, "bool": bool, "datetime64[us]": str}
    of = kinds[part.dtype]
    words = part.declared is None or (isinstance(part.declared, tuple) and _all(part.declared, str))
    if part.kind not in ("categorical", "ordinal", "boolean", "constant") or not words:
        raise ValueError
    if not isinstance(part.values, tuple) or not all(type(each) is of for each in part.values):
        raise TypeError
    if len(set(np.array(part.values, dtype=part.dtype).tolist())) != len(part.values):
        raise ValueError
    if not isinstance(part.ordered, bool):
        raise TypeError
    return part


def _sound_numbers(part: NumericCodec) -> NumericCodec:
    types = {"continuous": ("float64",), "integer": ("int64", "float64"),
             "date": ("datetime64[us]",)}  # fmt: skip
    if part.dtype not in types[part.kind]:
        raise ValueError
    every = (part.low, part.high, *part.lumps, *part.knots, *part.heights)
    if not _all(every, int, float) or not all(map(math.isfinite, every)):
        raise ValueError
    if part.dtype != "float64" and not _all((part.low, part.high), int):
        raise ValueError
    rising = all(
        len(each) >= 2 and all(b - a > 1e-201 for a, b in pairwise(each))
        for each in (part.knots, part.heights)
    )
    if not rising or len(part.knots) != len(part.heights) or not part.low < part.high:
        raise ValueError
    if any(a >= b for a, b in pairwise(part.lumps)):
        raise ValueError
    return part
