"""Columns of a table that is too large for memory: they lie on disk and are read one at a time.

A value takes as few bytes there as hold it exactly: a decimal 8, an integer 1 to 8, a text that of
its code among the column's texts. Rows that are taken from such a table are a view: the places of
its rows, held once for all columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sfumato.data.scratch import ScratchFile
from sfumato.data.table import Column, DataTable

# Bytes of a table's values; what is more lies on disk. To learn a table that is held in memory
# takes seven times as many.
IN_MEMORY = 2**28

# Of a value, and of whether it is missing.
_CELL = 9

# Such a part of a table that is just held in memory is read, and encoded, at once.
_BLOCKS = 4


def fits(rows: int, columns: int) -> bool:
    """Whether a table of this size is held in memory."""
    return rows <= most_rows(columns)


def most_rows(columns: int) -> int:
    """How many rows of a table are held in memory."""
    return IN_MEMORY // (_CELL * columns)


def block_rows(columns: int) -> int:
    """How many rows of a table that lies on disk are in memory at once."""
    return max(1, most_rows(columns) // _BLOCKS)


def in_blocks(table: DataTable) -> Iterator[DataTable]:
    """The rows, so many at a time, in memory; all at once where they fit."""
    if fits(len(table), len(table.columns)):
        yield table
        return
    size = block_rows(len(table.columns))
    for start in range(0, len(table), size):
        yield table.take(np.arange(start, min(start + size, len(table))))


class Store:
    """Where the columns of a table lie.

    Args:
        columns: how many there are.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        # What was read, or worked out, last: most is asked for several times in a row.
        self._read: tuple[Any, Any, tuple[np.ndarray, np.ndarray]] | None = None
        self._places: tuple[Sequence[Any], np.ndarray] | None = None

    @cached_property
    def file(self) -> ScratchFile:
        """The file, made when something is written."""
        return ScratchFile()

    def put(self, values: np.ndarray, missing: np.ndarray, texts: dict[str, int]) -> "Piece":
        """Write rows of a column; `texts` are its codes so far, to which new texts are added.

        Raises:
            DataError: if the disk has no room for them.
        """
        held = values
        if values.dtype == object:
            codes = [texts.setdefault(each, len(texts)) for each in values.tolist()]
            held = np.array(codes, np.min_scalar_type(max(len(texts) - 1, 0)))
        elif values.dtype.kind == "i" and len(values):
            least, most = values.min(), values.max()
            held = values.astype(next(t for t in _INTEGERS if _holds(t, least, most)))
        return Piece(
            len(values),
            values.dtype,
            held.dtype,
            self.file.append(held),
            self.file.append(np.packbits(missing)) if missing.any() else -1,
            bool(missing.all()),
        )

    def read(self, column: "StoredColumn") -> tuple[np.ndarray, np.ndarray]:
        """All values of a column and which are missing."""
        last = self._read
        if last is None or last[0] is not column.pieces or last[1] is not column.rows:
            self._read = None  # two would be in memory otherwise
            last = column.pieces, column.rows, column.read(column.rows)
            self._read = last
        return last[2]

    def places(
        self, parts: Sequence[np.ndarray | range], rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Places of the rows of all parts, one after another; or of those at `rows` among them.

        Columns that are asked for one after another share what was made for the first.
        """
        key = (*parts, rows)
        last = self._places
        if last is None or len(last[0]) != len(key) or not all(map(_is_same, last[0], key)):
            found = np.concatenate([np.asarray(each, np.int64) for each in parts])
            last = self._places = key, found if rows is None else found[rows]
        return last[1]


_INTEGERS = (np.int8, np.int16, np.int32, np.int64)


def _holds(integer: type[np.signedinteger[Any]], least: int, most: int) -> bool:
    return bool(np.iinfo(integer).min <= least and most <= np.iinfo(integer).max)


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, range) and isinstance(other, range) and one == other)


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a column as they lie in the file.

    Args:
        count: how many.
        dtype: of the values in memory.
        held: of the values in the file, or of the codes of texts.
        start: the byte where they begin.
        missing: the byte where the bits begin that say which are missing; -1 if none is.
        is_empty: whether all are missing.
    """

    count: int
    dtype: np.dtype[Any]
    held: np.dtype[Any]
    start: int
    missing: int
    is_empty: bool

    def read(self, file: ScratchFile, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The values, or codes of texts, from row `first` to before `last`; which are missing."""
        start = self.start + first * self.held.itemsize
        values, missing = file.read(start, last - first, self.held), np.zeros(last - first, bool)
        if self.missing >= 0:
            byte = first // 8
            bits = file.read(self.missing + byte, -(-last // 8) - byte, np.dtype(np.uint8))
            missing = np.unpackbits(bits)[first - 8 * byte : last - 8 * byte].astype(bool)
        return values, missing


@dataclass(frozen=True, eq=False, init=False, repr=False)  # slots would take `values` away
class StoredColumn(Column):
    """A column whose values lie on disk, and are read each time that they are asked for.

    Args:
        store: where.
        pieces: its rows in their order.
        texts: the texts that the codes of a column of text stand for.
        kind: type of its values.
        rows: the places of the rows that it has; all where None.

    The others are those of `Column`: its values are written when it is made, so that
    `dataclasses.replace` gives a stored column, too.
    """

    store: Store = field(kw_only=True)
    pieces: tuple[Piece, ...] = field(init=False)
    texts: np.ndarray = field(init=False)
    kind: np.dtype[Any] = field(init=False)
    rows: np.ndarray | None = field(init=False)

    def __init__(
        self,
        name: str,
        values: np.ndarray,
        missing: np.ndarray,
        categories: tuple[str, ...] | None = None,
        ordered: bool = False,
        dtype: str = "",
        form: str = "",
        note: str = "",
        in_quotes: bool = False,
        *,
        store: Store,
    ) -> None:
        texts: dict[str, int] = {}
        piece = store.put(values, missing, texts)
        told = categories, ordered, dtype, form, note, in_quotes
        said = Column(name, values[:0], missing[:0], *told)
        self._set(said, store, (piece,), as_texts(texts), values.dtype, None)

    @classmethod
    def of(
        cls,
        said: Column,
        store: Store,
        pieces: tuple[Piece, ...],
        texts: np.ndarray,
        kind: np.dtype[Any],
        rows: np.ndarray | None = None,
    ) -> "StoredColumn":
        """The column of pieces that are in the file already; `said` tells all but its values."""
        column = object.__new__(cls)
        column._set(said, store, pieces, texts, kind, rows)
        return column

    def _set(
        self,
        said: Column,
        store: Store,
        pieces: tuple[Piece, ...],
        texts: np.ndarray,
        kind: np.dtype[Any],
        rows: np.ndarray | None,
    ) -> None:
        own = {"store": store, "pieces": pieces, "texts": texts, "kind": kind, "rows": rows}
        for name in ("name", "categories", "ordered", "dtype", "form", "note", "in_quotes"):
            object.__setattr__(self, name, getattr(said, name))
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def values(self) -> np.ndarray:
        """See `Column`."""
        return self.store.read(self)[0]

    @property  # type: ignore[misc]
    def missing(self) -> np.ndarray:
        """See `Column`."""
        return self.store.read(self)[1]

    @property
    def count(self) -> int:
        """How many rows."""
        return sum(piece.count for piece in self.pieces) if self.rows is None else len(self.rows)

    def read(self, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The values at these places of the file's rows, and which are missing; all where None."""
        whole = sum(piece.count for piece in self.pieces)
        if rows is None:
            return self._between(0, whole)
        first, last = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        assert 0 <= first <= last <= whole, "rows are counted from 0"
        values, missing = self._between(first, last)
        return values[rows - first], missing[rows - first]

    def _between(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        values, missing = np.empty(last - first, self.kind), np.empty(last - first, bool)
        before = 0
        for piece in self.pieces:
            own = slice(max(first - before, 0), min(last - before, piece.count))
            if own.start < own.stop:
                held, gone = piece.read(self.store.file, own.start, own.stop)
                held = self.texts[held] if self.kind.kind == "O" else held.astype(piece.dtype)
                there = slice(before + own.start - first, before + own.stop - first)
                values[there], missing[there] = held.astype(self.kind, copy=False), gone
            before += piece.count
        return values, missing

    def take(self, rows: np.ndarray) -> Column:
        """Those at `rows`, numbers `(k,)` or a mask: in memory if they are few, else a view."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        if fits(len(rows), self.store.columns):
            values, missing = self.read(rows if self.rows is None else self.rows[rows])
            how = self.form, self.note, self.in_quotes
            told = self.categories, self.ordered, self.dtype, *how
            return Column(self.name, values, missing, *told)
        places = self.store.places([self._own], rows)
        return self.of(self, self.store, self.pieces, self.texts, self.kind, places)

    @property
    def _own(self) -> np.ndarray | range:
        """The places of its rows."""
        return range(self.count) if self.rows is None else self.rows

    def followed_by(self, others: Sequence[Column]) -> Column:
        """See `Column`; what lies on disk already is not written again."""
        pieces, parts = self.pieces, [self._own]
        codes = {text: code for code, text in enumerate(self.texts.tolist())}
        for each in others:
            if isinstance(each, StoredColumn) and each.pieces is self.pieces:
                parts.append(each._own)
            elif each.values.dtype != self.kind:
                return Column.followed_by(self, others)
            else:
                before = sum(piece.count for piece in pieces)
                pieces = (*pieces, self.store.put(each.values, each.missing, codes))
                parts.append(range(before, before + each.count))
        places, texts = self.store.places(parts), as_texts(codes)
        return self.of(self, self.store, pieces, texts, self.kind, places)


def stored(column: Column, store: Store) -> StoredColumn:
    """A column in memory, written to disk."""
    how = column.form, column.note, column.in_quotes
    told = column.categories, column.ordered, column.dtype, *how
    return StoredColumn(column.name, column.values, column.missing, *told, store=store)


def as_texts(codes: dict[str, int]) -> np.ndarray:
    """The texts by their codes."""
    return np.array([*codes, None], object)[:-1]


def on_disk(table: DataTable) -> int:
    """How many bytes of the table lie on disk; 0 where it is in memory."""
    stores = {column.store for column in table if isinstance(column, StoredColumn)}
    return sum(store.file.size for store in stores)
