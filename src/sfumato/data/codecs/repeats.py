"""Columns that often repeat another: a payment of the whole bill, a second price like the first.

Where two columns are equal in many rows, a network of noisy numbers makes them nearly equal. So in
these rows the one that repeats has a category, `as the other`, in the place of a number of its own;
it gets the other's value when that is there, and its probability is the category's.

Where such a number is known and the other is not, it is open whether it repeats the other: then the
number is shown without its category, which is drawn, or decided, before anything else. If it does,
the other is known too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from sfumato.data.codecs.columns import Encoded, NumericCodec
from sfumato.data.table import Column

# A column repeats another of the same grid, which is never missing, if they are equal in such a
# share of the rows, and so many, beside frequent values, and so many times as often as by chance.
_SHARE, _ROWS, _ABOVE_CHANCE = 0.03, 50, 5.0

# Columns that are compared, and rows that rule out most pairs.
_MOST_COLUMNS, _FIRST_ROWS = 100, 5_000


@dataclass(frozen=True, slots=True)
class Repeat:
    """A column that repeats another, by places.

    Args:
        number: its place among the numbers.
        category: its place among the categories.
        code: the category `as the other`.
        other_number: the other's place among the numbers.
        other_category: the other's place among the categories; -1 if it has none.
        other_codes: the categories of the other that leave its value open.
    """

    number: int
    category: int
    code: int
    other_number: int
    other_category: int
    other_codes: tuple[int, ...]


def found_in(
    columns: Sequence[Column], parts: Mapping[str, NumericCodec], bound: Collection[str]
) -> dict[str, str]:
    """Which of the columns repeats which other: each one at most, and none itself through others.

    Args:
        columns: of the table.
        parts: the codecs of those that are numeric.
        bound: names of columns that rules bind, which are left alone.
    """
    numeric = [c for c in columns if c.name in parts and c.name not in bound][:_MOST_COLUMNS]
    total = len(columns[0].values) if columns else 0
    some = np.random.default_rng(0).permutation(total)[:_FIRST_ROWS]
    few = {c.name: _exact(c, parts[c.name])[some] for c in numeric}
    found: list[tuple[float, int, str, str]] = []
    for own, other in permutations(numeric, 2):
        unlike = not may_repeat(parts[own.name], parts[other.name])
        if unlike or (few[own.name] == few[other.name]).mean() < _SHARE / 2:
            continue
        rows = repeating(own, other, parts[own.name])
        share = float(rows.mean())
        if rows.sum() >= _ROWS and share >= max(
            _SHARE, _ABOVE_CHANCE * _chance(own, other, rows, parts[own.name])
        ):
            # Of two that repeat each other as often, the one with fewer values of its own.
            found.append((round(share, 2), -len(np.unique(own.present)), own.name, other.name))
    chosen: dict[str, str] = {}
    for *_, own_name, other_name in sorted(found, reverse=True):
        if own_name not in chosen and own_name not in _through(other_name, chosen):
            chosen[own_name] = other_name
    return chosen


def may_repeat(own: NumericCodec, other: NumericCodec) -> bool:
    """Whether a column may be said to repeat another: of its kind, on its grid, never missing."""
    same = (own.kind == "date") == (other.kind == "date") and own.grid_step == other.grid_step
    return same and not other.has_missing


def repeating(own: Column, other: Column, part: NumericCodec) -> np.ndarray:
    """Rows in which a column has the other's value, and not a frequent one of its own, `(n,)`."""
    a, b = (_exact(column, part) for column in (own, other))
    masses = np.array(part.point_masses, own.values.dtype)
    frequent = np.isin(a, _exact(Column(own.name, masses, np.zeros(len(masses), bool)), part))
    return np.asarray((a == b) & ~own.missing & ~other.missing & ~frequent)


def _exact(column: Column, part: NumericCodec) -> np.ndarray:
    """Values that can be compared: places on the part's grid, where it has one."""
    values = _plain(column)
    dates = column.values.dtype.kind == "M"
    return np.round(values / part.grid_step) if part.grid_step and not dates else values


def _plain(column: Column) -> np.ndarray:
    """Its values, dates in microseconds."""
    values = column.values
    return values.astype("datetime64[us]").astype(np.int64) if values.dtype.kind == "M" else values


def _chance(own: Column, other: Column, rows: np.ndarray, part: NumericCodec) -> float:
    """How often they would be equal if either were shuffled, of the values that are repeated."""
    shared = np.unique(_exact(own, part)[rows])
    shares = []
    for column in (own, other):
        values = np.sort(_exact(column, part)[~column.missing])
        counts = np.searchsorted(values, shared, "right") - np.searchsorted(values, shared)
        shares.append(counts / len(column.values))
    return float(np.sum(shares[0] * shares[1]))


def _through(name: str, chosen: Mapping[str, str]) -> list[str]:
    """A column and those that it repeats, one through another."""
    found = [name]
    while found[-1] in chosen:
        found.append(chosen[found[-1]])
    return found


def in_order(parts: Sequence[NumericCodec]) -> list[NumericCodec]:
    """The columns that repeat others, those first that others repeat.

    Raises:
        ValueError: if one repeats what is no numeric column, or itself through others.
    """
    others = {part.name: part.repeats for part in parts if part.repeats}
    names = {part.name: part for part in parts}
    depth: dict[str, int] = {}
    for name in others:
        chain = [name]
        while (last := chain[-1]) in others:
            if others[last] in chain or others[last] not in names:
                raise ValueError
            chain.append(others[last])
        depth[name] = len(chain)
    return [names[name] for name in sorted(others, key=lambda name: depth[name])]


def nearest(own: Column, other: NumericCodec) -> Column:
    """A column's values as the nearest that the other may have."""
    return Column(other.name, other.nearest(_plain(own)), own.missing)


def has_value(other: NumericCodec, own: Column) -> np.ndarray:
    """Which values of a column another may have, `(n,)`."""
    found = nearest(own, other)
    unlike = (_exact(found, other) != _exact(own, other)) | other.encode(found, None).unseen
    return np.asarray(~own.missing & ~unlike)


def as_repeats(encoded: Encoded, rows: np.ndarray, part: NumericCodec) -> Encoded:
    """A column's encoding where in some rows, `(n,)`, it repeats the other."""
    category = encoded.category
    assert encoded.z is not None
    assert category is not None
    return replace(
        encoded,
        z=np.where(rows, np.nan, encoded.z),
        category=np.where(rows, part.repeat_code, category),
        log_width=np.where(rows, -np.log(part.unit), encoded.log_width),
        unseen=encoded.unseen & ~rows,
    )


def repeated(own: Column, other: Column, rows: np.ndarray, part: NumericCodec) -> Column:
    """A drawn column with the other's values in some rows, or the nearest that it may have."""
    values = np.where(rows, nearest(other, part).values, own.values)
    return replace(own, values=values)
