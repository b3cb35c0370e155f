"""What the cells of a column are: read from all of them, never from the first few.

A cell is a number, a boolean, a date, missing, or else text. A column is what its cells are. Where
nearly all are of one type the odd one is a mistake, told with its line; where they differ more,
the column is text, and its cells stay as they were written. An integer is held exactly or
refused, a decimal is the float64 next to it, and what is none of these is not guessed at: 0 and 1
are integers, yes and no are text, and so are 00501, +5 and 1_000. A column whose cells all are
dates or amounts of another form is read by `data.io.forms`, before any of this is said.

Spaces around a number, a date or a missing value do not count; those of text are part of it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from itertools import compress, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.io.reading import MARKER, Fault, missing_option, option, short
from sfumato.data.stored import Piece, Store, StoredColumn, as_texts
from sfumato.data.table import Column

LARGEST_EXACT = 2**53
"""Every integer up to here is a float64, and the next is not."""

INEXACT = (
    "is an integer beyond 2^53, up to which a 64-bit float holds each of them; drop the column or "
    "scale it"
)

# Cells without a value that a column of their type can have: they may be missing values.
_INFINITE = "is infinite"
_OUT_OF_RANGE = "is beyond the range of a number"
_NO_DATE = "is no date of the calendar"
_VALUELESS = {_INFINITE, _OUT_OF_RANGE, _NO_DATE}

MISSING = frozenset(["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL"])
"""A missing value in any column."""

MISSING_AMONG_TYPED = frozenset(["None", "none", "?", "."])
"""Missing where the other cells are numbers, booleans or dates; text among text."""

_NEARLY_ALL = 0.9
"""From this share of one type on, a cell of another is a mistake and not text."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?"
)
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# What was meant is plain, its value is not, or cannot be held.
_FAULTS = [
    ("number", re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE), _INFINITE),
    ("number", re.compile(r"-?[0-9]+,[0-9]+"), "has a comma in it; write numbers with a point"),
    ("number", re.compile(r"-?[0-9]{1,3}(?:[ ,'\u00a0\u202f][0-9]{3})+(?:\.[0-9]+)?"),
     "has its thousands set apart; write the digits alone"),
    ("number", re.compile(r"[-+]?[$€£¥] ?[0-9][0-9.,]*|[-+]?[0-9][0-9.,]* ?[%$€£¥]"),
     "has a sign beside the number; write the digits alone"),
    ("date", re.compile(rf"(?:{_DATE.pattern}) ?(?:Z|UTC|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)"),
     "has a time zone; write all times in one zone and leave its name away"),
    ("date", re.compile(r"[0-9-]{10}[T ][0-9:]{8}\.[0-9]{7,}"),
     "is finer than a microsecond; write six digits of a second"),
    ("date", _DATE, _NO_DATE),
]  # fmt: skip

_CODE = re.compile(r"-?0[0-9]+")
"""Digits with a leading zero, as of a postcode: it makes text of the integers beside it."""

_CALLED = {"number": "a number", "boolean": "true or false", "date": "a date"}
_MANY = {"number": "numbers", "boolean": "booleans", "date": "dates"}


@dataclass(frozen=True, slots=True)
class Sort:
    """What one cell is.

    Args:
        family: number, boolean, date, code or text; empty for a missing value.
        kind: integer, decimal, boolean or date; empty for what has no value.
        fault: why it has none, though it is of its family; of a large integer, why it is none.
    """

    family: str
    kind: str = ""
    fault: str = ""


_PLAIN_DECIMAL = Sort("number", "decimal")

# An integer that is a float64 all the same: one of a column of decimals.
_LARGE = Sort("number", "decimal", INEXACT)


def number(cell: str) -> float | None:
    """The number that a cell is, if it is one."""
    return float(cell) if _DECIMAL.fullmatch(cell.strip()) else None


def sort(cell: str) -> Sort:
    """What a cell without spaces around it is, if it stood alone."""
    if cell in MISSING or cell in MISSING_AMONG_TYPED:
        return Sort("")
    if cell in _TRUTHS:
        return Sort("boolean", "boolean")
    if _DECIMAL.fullmatch(cell):
        if math.isinf(float(cell)):
            return Sort("number", fault=_OUT_OF_RANGE)
        if not _INTEGER.fullmatch(cell):
            return _PLAIN_DECIMAL
        if abs(int(cell)) > LARGEST_EXACT:
            return _LARGE if int(float(cell)) == int(cell) else Sort("number", fault=INEXACT)
        return Sort("number", "integer")
    if _DATE.fullmatch(cell) and _valued("date", [cell]) is not None:
        return Sort("date", "date")
    if _CODE.fullmatch(cell):
        return Sort("code")
    for family, form, why in _FAULTS:
        if form.fullmatch(cell):
            return Sort(family, fault=why)
    return Sort("text")


def _valued(kind: str, cells: Sequence[str]) -> np.ndarray | None:
    """The values of cells that have the form of their kind; None if one cannot be held."""
    if kind == "boolean":
        return np.fromiter(map(_TRUTHS.__getitem__, cells), bool, len(cells))
    if kind == "decimal":
        values = np.fromiter(map(float, cells), np.float64, len(cells))
        return values if np.isfinite(values).all() else None
    try:
        values = np.array(cells, dtype="datetime64[us]" if kind == "date" else "int64")
    except (ValueError, OverflowError):
        return None
    if kind == "date":  # there is a year 0 in NumPy alone
        return values if (values >= np.datetime64("0001-01-01", "us")).all() else None
    held = (values >= -LARGEST_EXACT) & (values <= LARGEST_EXACT)
    return values if held.all() else None


def _may_be_inexact(decimals: np.ndarray) -> bool:
    """Whether there may be an integer beyond 2^53 among them."""
    return bool((np.abs(decimals) >= LARGEST_EXACT).any())


# Tried in this order over a whole chunk; most columns are all of one kind.
_FORMS: list[tuple[Sort, Callable[[str], object]]] = [
    (Sort("number", "integer"), _INTEGER.fullmatch),
    (_PLAIN_DECIMAL, _DECIMAL.fullmatch),
    (Sort("date", "date"), _DATE.fullmatch),
    (Sort("boolean", "boolean"), _TRUTHS.__contains__),
]


@dataclass(frozen=True, slots=True)
class _Part:
    """The values of a chunk of rows; object for text."""

    values: np.ndarray
    missing: np.ndarray

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @property
    def is_empty(self) -> bool:
        """Whether all are missing."""
        return bool(self.missing.all())


@dataclass(slots=True)
class Cells:
    """The cells of one column, a chunk of rows at a time, and what they are in the end.

    Args:
        name: of the column.
        as_text: whether they are text whatever they look like.
        absent: cells that are missing values.
        in_quotes: whether all stand in quotes in a file that has other numbers without.
    """

    name: str
    as_text: bool
    absent: Set[str] = MISSING
    in_quotes: bool = False
    _parts: list[_Part] = field(default_factory=list)
    _pieces: list[Piece] = field(default_factory=list)
    _codes: dict[str, int] = field(default_factory=dict)
    _store: Store | None = None
    _tally: Counter[Sort] = field(default_factory=Counter)
    _first: dict[Sort, tuple[int, str]] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _distinct: set[str] = field(default_factory=set)
    _odd: dict[str, tuple[Sort, int]] = field(default_factory=dict)
    _shapes: set[tuple[int, str]] = field(default_factory=set)
    _marks: set[str] = field(default_factory=set)
    _has_point: bool = False

    def take(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """The next chunk, and where its cells stand."""
        bare = list(map(str.strip, cells))
        missing, present = np.zeros(len(bare), dtype=bool), bare
        if not self.absent.isdisjoint(bare):
            missing = np.array([cell in self.absent for cell in bare])
            present = list(compress(bare, ~missing))
        if self.as_text:
            return self._take_words(cells, missing)
        if len(self._distinct) <= _FEW_VALUES:
            self._distinct.update(islice(dict.fromkeys(present), _FEW_VALUES + 1))
        self._has_point = self._has_point or any(map(_shows_point, present))
        for each, has_form in _FORMS:
            if all(map(has_form, present)):
                values = _valued(each.kind, present)
                if values is None or (each.kind == "decimal" and _may_be_inexact(values)):
                    break  # some of them, and only a look at each tells which
                if present:
                    self._tally[each] += len(present)
                    self._first.setdefault(each, (lines[int(missing.argmin())], present[0]))
                if each.kind == "date":
                    self._shapes |= {(len(cell), cell[10:11]) for cell in present}
                return self._take_values(values, missing)
        return self._take_mixed(cells, bare, missing, lines)

    def _take_mixed(
        self, cells: Sequence[str], bare: list[str], missing: np.ndarray, lines: Sequence[int]
    ) -> None:
        """Cell by cell: of several kinds, or faulty, or text."""
        here = (cell for cell, gone in zip(bare, missing, strict=True) if not gone)
        counts = Counter(here)  # in the order in which they come first
        known = {cell: sort(cell) for cell in counts}
        for cell, each in known.items():
            if not each.family:
                self._marks.add(cell)
            if each.family:
                self._tally[each] += counts[cell]
                if each not in self._first:
                    self._first[each] = lines[bare.index(cell)], cell
                odd = each.family in ("text", "code") or each.fault in _VALUELESS
                if odd and len(self._odd) < _KEPT_ODD:
                    self._odd.setdefault(cell, (each, lines[bare.index(cell)]))
                if each.kind == "date":
                    self._shapes.add((len(cell), cell[10:11]))
        kinds = {each.kind for each in known.values() if each.family}
        if kinds == {"integer", "decimal"}:
            kinds = {"decimal"}
        if len(kinds) > 1 or "" in kinds:
            return self._take_words(cells, missing)
        absent = missing | [cell in known and not known[cell].family for cell in bare]
        values = _valued(kinds.pop() if kinds else "decimal", list(compress(bare, ~absent)))
        assert values is not None  # each of them has one
        return self._take_values(values, absent)

    def _take_values(self, values: np.ndarray, missing: np.ndarray) -> None:
        placed = values
        if missing.any():
            placed = np.zeros(len(missing), dtype=values.dtype)
            placed[~missing] = values
        self._parts.append(_Part(placed, missing))

    def _take_words(self, cells: Sequence[str], missing: np.ndarray) -> None:
        text = np.array([self._texts.setdefault(cell, cell) for cell in cells], dtype=object)
        text[missing] = ""
        self._parts.append(_Part(text, missing))

    def put_away(self, store: Store) -> None:
        """Write to disk what is in memory of the cells; they make a stored column."""
        self._store = store
        for _, parts in groupby(self._parts, lambda part: part.dtype):
            values, missing = zip(*((each.values, each.missing) for each in parts), strict=True)
            piece = store.put(np.concatenate(values), np.concatenate(missing), self._codes)
            self._pieces.append(piece)
        self._parts = []

    def column(self) -> Column | None:
        """What they are; None if they may be text, or are of several types."""
        if self.as_text:
            return self.text()
        if self.is_mixed:
            return None
        dtypes = {part.dtype for part in self._rows if not part.is_empty}
        dtype = np.result_type(*dtypes) if dtypes else np.dtype("float64")  # some are decimals: all
        (shape,) = self._shapes if len(self._shapes) == 1 else [(0, "")]
        marks = " and ".join(map(repr, sorted(self._marks)))
        note = f"{marks} read as missing" if marks else ""
        return self._joined(dtype, _DATE_SHAPES.get(shape, ""), note)

    def text(self) -> Column:
        """Them as they stand, if they were all kept so."""
        assert self.as_text or self.is_kept
        return self._joined(np.dtype(object))

    def _joined(self, dtype: np.dtype[Any], form: str = "", note: str = "") -> Column:
        if self._store is not None:
            self.put_away(self._store)
            how: dict[str, Any] = {"form": form, "note": note, "in_quotes": self.in_quotes}
            said = Column(self.name, np.empty(0, dtype), np.empty(0, bool), **how)
            pieces, texts = tuple(self._pieces), as_texts(self._codes)
            return StoredColumn.of(said, self._store, pieces, texts, dtype)
        return Column(
            self.name,
            np.concatenate([part.values.astype(dtype, copy=False) for part in self._parts]),
            np.concatenate([part.missing for part in self._parts]),
            form=form,
            note=note,
            in_quotes=self.in_quotes,
        )

    @property
    def is_kept(self) -> bool:
        """Whether all of them were kept as they stand."""
        return all(part.dtype == object for part in self._rows)

    @property
    def _rows(self) -> list[Piece | _Part]:
        """All chunks, on disk and in memory."""
        return [*self._pieces, *self._parts]

    @property
    def decimal_point(self) -> str:
        """A point, if some are decimals that show it to be the decimal mark."""
        return "." * (self._has_point and _PLAIN_DECIMAL in self._tally)

    @property
    def may_be_thousands(self) -> bool:
        """Whether every point among them may set thousands apart."""
        return not self._has_point and _PLAIN_DECIMAL in self._tally

    @property
    def is_mixed(self) -> bool:
        """Whether some are text, or of another type than most, or have no exact value."""
        families = {each.family for each in self._tally}
        return bool(self._faults) or len(families) > 1 or not families.isdisjoint(("text", "code"))

    @property
    def _faults(self) -> set[str]:
        """Why some have no value; among decimals a large integer has one."""
        held = {_LARGE} if _PLAIN_DECIMAL in self._tally else set()
        return {each.fault for each in self._tally if each.fault and each not in held}

    @property
    def are_of_form(self) -> bool:
        """Whether most are amounts or dates as people write them."""
        formed = (each for each in self._tally if each.fault not in {"", INEXACT, *_VALUELESS})
        return 2 * sum(map(self._tally.__getitem__, formed)) > self._tally.total()

    def fault(self, path: Path) -> Fault | None:
        """Why they are no text: nearly all are of one type, or all but one cell of numbers are.

        In quotes they are meant as text, unless one marker alone stands beside many numbers.
        """
        families: Counter[str] = Counter()
        for each, count in self._tally.items():
            families[each.family] += count
        main = max(families, key=families.__getitem__, default="")
        marked = self._has_markers(families)
        if self.in_quotes and not marked:
            return None
        whole = all(
            each.kind == "integer" or each.fault == INEXACT
            for each in self._tally
            if each.family == "number"
        )
        if not marked and (
            main in ("text", "code")
            or (families.keys() == {"number", "code"} and whole)
            or families[main] < _NEARLY_ALL * families.total()
        ):
            return None
        main = next(iter(families.keys() - {"text"})) if marked else main
        faults = self._faults
        odd = [each for each in self._tally if each.fault in faults or each.family != main]
        first = min(odd, key=self._first.__getitem__)
        line, cell = self._first[first]
        others = [repr(short(each)) for each in self._odd if each != cell]
        why, _, remedy = first.fault.partition("; ")
        listed = ", ".join(others) + ", ..." * (len(self._odd) == _KEPT_ODD)
        if first.fault:
            said = f"{short(cell)} {why}" + f" (nor do {listed} fit)" * bool(others)
        else:
            beside = "and all other" if marked and not faults else "as nearly all"
            said = f"{short(cell)!r} is not {_CALLED[main]}" + f" (nor {listed})" * bool(others)
            said += f", {beside} cells are {_MANY[main]}"
        count = sum(self._tally[each] for each in odd)
        known = not first.fault or first.fault in _VALUELESS or count == 1
        stands = "they stand" if others else "it stands" if known else "such cells stand"
        once = {place for _, place in self._odd.values()} if count == len(self._odd) else ()
        options: tuple[str, ...] = (option(self.name, "categorical"),)
        other = "or declare the column categorical"
        few = len(self._odd) < _KEPT_ODD and all(map(_is_short, self._odd))
        if first.fault == INEXACT and len(self._distinct) > _FEW_VALUES:
            options = (option(self.name, "identifier"),)
            other = "or declare that it only names the rows"
        elif few and faults <= _VALUELESS and families.keys() <= {main, "text"}:
            options = tuple(map(missing_option, self._odd))
            missing = "they are missing values" if others else "it is a missing value"
            other = f"declare the column categorical, or say that {missing}"
        stands += f" in {count / families.total():.1%} of the column"
        return Fault(
            f"{path}, line {line}, column {self.name!r}: {said}; {stands}: "
            f"{remedy or 'mend the cell or leave it empty'}, {other}",
            options,
            code="odd-cell",
            values={"line": line, "column": self.name, "cell": short(cell)},
            lines=tuple(sorted(once)),
        )

    def _has_markers(self, families: Counter[str]) -> bool:
        """Whether the texts beside numbers or dates stand for missing values.

        It may be any one, but of two kinds of boats, 1 to 14 and A to D, all are names.
        """
        typed = families.keys() - {"text"}
        texts = [cell for cell, (each, _) in self._odd.items() if each.family == "text"]
        if not texts or len(typed) != 1 or not typed <= {"number", "date"}:
            return False
        known = all(MARKER.fullmatch(cell.lower()) for cell in texts)
        many = len(self._distinct) > _FEW_VALUES or not any(map(_WORD.search, texts))
        few = len(texts) == 1 or (known and len(self._odd) < _KEPT_ODD)
        return few and many and all(map(_is_short, texts))


def are_keys(column: Column) -> bool:
    """Whether all cells are integers, all different, and most too large to be held."""
    present = column.present
    cells = {str(cell).strip() for cell in present}
    if len(cells) < max(len(present), _LEAST_KEYS) or not all(map(_INTEGER.fullmatch, cells)):
        return False
    return 2 * sum(len(cell) > _LONGEST_EXACT for cell in cells) > len(cells)


def _is_short(cell: str) -> bool:
    return short(cell) == cell


_LEAST_KEYS = 20

# Digits of the largest integer that is held.
_LONGEST_EXACT = len(str(LARGEST_EXACT))

# Distinct odd cells that are kept to be named; more are no markers.
_KEPT_ODD = 8

# Up to so many different cells a word beside numbers makes categories of them.
_FEW_VALUES = 10

_WORD = re.compile(r"\w")

# 1.234 may be a number with a decimal point, or with its thousands apart.
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}\.[0-9]{3}")


def _shows_point(cell: str) -> bool:
    return "." in cell and bool(_DECIMAL.fullmatch(cell)) and not _THOUSANDS.fullmatch(cell)


# Dates that are plain but for how they are written out.
_DATE_SHAPES = {
    (16, "T"): "%Y-%m-%dT%H:%M",
    (16, " "): "%Y-%m-%d %H:%M",
    (19, "T"): "%Y-%m-%dT%H:%M:%S",
    (19, " "): "%Y-%m-%d %H:%M:%S",
}
