"""Numbers and dates as people write them: read where a whole column agrees, and written back so.

A form says how the cells of a column are written:

    dates    strftime's codes, `%-d` without a leading zero: `%d.%m.%Y`, `%-m/%-d/%y %-H:%M`
    elapsed  `h:mm`, `hh:mm:ss`, ...: hours, minutes and seconds, in units of the last; with AM or
             am behind, after a space or none: a time of a day of two halves
    numbers  one thousand two hundred thirty-four as it stands: `$1,234.00`, `1234%`, `1.234,##`
    amounts  the same, and in braces what may follow, with its decimals: `€1234{|K|.#M}` for the
             number itself, thousands and millions; `1,234{.00 CR|.00 DR}` for credits and debits
    Fortran  one, with its decimals and digits of the exponent: `1.0000D+00`, `0.####D+00`

A form is taken if every cell has it, is written back in it as it was (but for zeros that end its
decimals, and 1000K, which is 1M), and no other form gives other values. Of two orders of day and
month the one is taken in which the dates begin evenly spaced months. What else may be read in two
ways is left to the user, and a form that the user or a model gives is followed exactly.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.io.cells import number
from sfumato.data.io.date_forms import (
    DATES,
    ELAPSED,
    date_in_words,
    date_writer,
    elapsed_writer,
    is_date,
    is_elapsed,
    order_of,
    read_dates,
    read_elapsed,
    same_order,
)
from sfumato.data.io.elapsed import elapsed_of
from sfumato.data.io.formed import Ambiguous, Formed
from sfumato.data.io.fortran_forms import (
    FORTRAN,
    fortran_writer,
    in_fortran_digits,
    is_fortran,
    read_fortran,
)
from sfumato.data.io.number_forms import (
    MARKS,
    NUMBER,
    are_numbers,
    by_mark,
    in_digits_of_amounts,
    number_writer,
    numbers_in_words,
    read_numbers,
    two_marks,
)
from sfumato.data.io.reading import MARKER, Fault, Reading, missing_option, option, refuse, short
from sfumato.data.table import Column, DataTable

# Cells that are looked at for their shape before a whole column is.
_FIRST = 20

# Different cells that spoil a column at most, and those of a form that are more than its markers.
_MOST_ODD, _LEAST_FORMED = 3, 10


def read_form(column: Column, form: str = "", mark: str = "") -> Column | Fault | None:
    """The column of dates or numbers that a column of text is, if it is one.

    Args:
        column: of text, as it stands in the file.
        form: as the user says (`day.month.year`, `1.234,5`), or that of a model's column.
        mark: the decimal mark of the file, where other columns show it.
    """
    known: dict[str, int] = {}
    present = column.present
    codes = (known.setdefault(cell, len(known)) for cell in present)
    place = np.fromiter(codes, np.int64, len(present))
    texts = [cell.strip() for cell in known]
    found = formed(texts, form) if texts else None
    if texts and not form:
        found = by_mark(found, texts, mark)
    if form and texts and not isinstance(found, Formed):
        odd = next((cell for cell in texts if value_in(form, cell) is None), texts[0])
        where = (
            f"the column {column.name!r} is not written as {form!r} says in all cells, one of them "
            f"is {short(odd)!r}: "
        )
        if is_form(form) and not is_words(form):  # a model's columns are what they are
            return Fault(f"{where}write all of them so", ())
        return Fault(
            f"{where}say day.month.year in its order for dates, 1,234.5 or 1.234,5 for numbers, or "
            "declare the column categorical",
            (option(column.name, "categorical"),),
        )
    if found is None:
        return None
    if isinstance(found, Ambiguous):
        return _unsettled(column.name, found)
    values = np.zeros(len(column.values), found.values.dtype)
    values[~column.missing] = found.values[place]
    first = int(place[0])
    note = f"read as {found.words}: {texts[first]} is {_plain(found.values[first])}"
    return replace(column, values=values, form=found.form, note=note)


def _unsettled(name: str, found: Ambiguous) -> Fault:
    return Fault(
        f"the column {name!r} holds {found.cell!r}, which may be {' or '.join(found.ways)}; "
        f"{found.remedy}: {' or '.join(option(name, each) for each in found.options)}",
        (option(name, found.options[0]),),
    )


def doubted(read: Column, text: Column) -> Column | Fault:
    """A column of a file that may hold numbers and not their text: is 1.234 one, or thousands?"""
    if "1.234" in read.form:
        for cell in map(str.strip, text.present):
            if re.fullmatch(r"-?[1-9][0-9]{0,2}\.[0-9]{3}", cell):
                return _unsettled(read.name, two_marks(cell))
    return read


def formed(cells: Sequence[str], form: str = "") -> Formed | Ambiguous | None:
    """Distinct cells read by the one form that they have, or the one that is given."""
    for read in (read_dates, read_elapsed, read_fortran, read_numbers):
        if made := read(cells, form):
            return made
    return None


def spoilt_form(column: Column, path: Path) -> Fault | None:
    """The few cells that spoil a column of text whose others are dates or numbers of a form."""
    present = column.present
    counts = Counter(str(cell).strip() for cell in present)
    odd, found = _all_but_few(counts)
    if not odd:
        return None
    like = next(cell for cell in counts if cell not in odd)
    share = sum(counts[cell] for cell in odd) / len(present)
    it, missing = ("it", "it is a missing value")
    if len(odd) > 1:
        it, missing = ("them", "they are missing values")
    said = (
        f"{path}: the column {column.name!r} holds {', '.join(map(repr, odd))} in {share:.1%} of "
        f"its cells, and all others are written as {like!r}"
    )
    if any(number(cell) is not None and not MARKER.fullmatch(cell) for cell in odd):
        return Fault(  # `--missing 0` would take the 0 of other columns, too
            f"{said}: write {it} so or leave {it} empty, or declare the column categorical",
            (option(column.name, "categorical"),),
        )
    ways = found.options[:1] if isinstance(found, Ambiguous) else ()
    return Fault(
        f"{said}: mend {it} or leave {it} empty, declare the column categorical, or say that "
        f"{missing}",
        (*map(missing_option, odd), *(option(column.name, way) for way in ways)),
    )


def _all_but_few(counts: Mapping[str, int]) -> tuple[list[str], Formed | Ambiguous | None]:
    """The few distinct cells without which the others have one form, and that; else none."""
    if len(counts) <= _LEAST_FORMED:
        return [], None
    for looks in (*DATES, ELAPSED, FORTRAN, NUMBER):
        odd = [cell for cell in islice(counts, _FIRST) if not looks.fullmatch(cell)]
        if len(odd) > _MOST_ODD:
            continue
        alike = {cell: _around(match) for cell in counts if (match := looks.fullmatch(cell))}
        for rest in _of_one_form(alike):
            odd = [cell for cell in counts if cell not in rest]
            few = 0 < len(odd) <= _MOST_ODD and len(rest) > _LEAST_FORMED
            if few and (found := formed(list(rest))):
                return odd, found
    return [], None


def _of_one_form(alike: Mapping[str, tuple[str | None, ...]]) -> Iterator[Mapping[str, object]]:
    """The cells that look like numbers or dates, then those of them that may have one form.

    Made one after another, as asking each cell for a form of its own takes long.
    """
    yield alike
    # $5 has a form by itself; 9 and 1.2K have one together.
    yield dict.fromkeys(cell for cell in alike if formed([cell]) is not None)
    often = Counter(alike.values())
    yield {cell: around for cell, around in alike.items() if often[around] > _MOST_ODD}


def _around(match: re.Match[str]) -> tuple[str | None, ...]:
    """What stands around a number; nothing for a date."""
    parts = match.groupdict()
    return tuple(parts.get(part) for part in ("before", "suffix", "after"))


def in_words(form: str) -> str:
    """A form as a person reads it: `day.month.year`, `1,234.5`."""
    return date_in_words(form) if is_date(form) else numbers_in_words(form)


def writer(form: str) -> Callable[[Any], str]:
    """From a value to its cell in a form; dates as `datetime`."""
    if is_date(form):
        return date_writer(form)
    if is_fortran(form):
        return fortran_writer(form)
    return elapsed_writer(form) if is_elapsed(form) else number_writer(form)


def in_digits(form: str, values: np.ndarray, sense: int = 0) -> np.ndarray:
    """Values that were drawn, with no more digits than the cells of a form have.

    Each magnitude has its own: beside 950K, 19.23M becomes 19.2M.

    Args:
        form: of a column's cells; in most forms the column's grid has the digits already.
        values: numbers, `(n,)` or of any other shape.
        sense: 1 or -1: never down, never up; 0: to the nearest.
    """
    if is_fortran(form):
        return in_fortran_digits(form, values, sense)
    return in_digits_of_amounts(form, values, sense)


def typed(
    table: DataTable, reading: Reading, where: str, *, strict: bool = False, dtype: str = ""
) -> DataTable:
    """A table with types whose columns of text are dates or amounts where all of them are.

    A column keeps the name of its type, so that `as_text` gives its text back.

    Args:
        table: its rows.
        reading: what the user says of them.
        where: what they stand in, for messages.
        strict: refuse text that may be read in two ways, which else stays text.
        dtype: the type of text that has no name for it.

    Raises:
        DataError: for such text, and for what is not written as the user says.
    """
    found = []
    for column in table:
        form, read = reading.forms.get(column.name, ""), None
        is_text = column.values.dtype == object and column.categories is None
        if is_text and column.name not in (*reading.text, *reading.identifiers):
            read = read_form(column, form)
        if isinstance(read, Fault) and not (strict or form):
            read = None
        if isinstance(read, Column):
            read = replace(read, dtype=column.dtype or dtype)
        found.append(read or column)
    refuse(where, [each for each in found if isinstance(each, Fault)])
    return DataTable(tuple(each for each in found if isinstance(each, Column)))


def as_text(column: Column) -> Column:
    """The text that a column of a frame's was read from; another column as it is."""
    if not (column.form and column.dtype) or elapsed_of(column.dtype):
        return column
    write = writer(column.form)
    cells = zip(column.values.tolist(), column.missing, strict=True)
    texts = np.array([*("" if gone else write(value) for value, gone in cells), None], object)[:-1]
    return Column(column.name, texts, column.missing, dtype=column.dtype)


def is_form(form: str, dtype: str = "") -> bool:
    """Whether a text is a form that can be written; a model's may come from a stranger's file.

    Args:
        form: of a column's cells; empty if it has none.
        dtype: of its values, which the form must fit; any if empty.
    """
    if form == "":
        return True
    if len(form) >= 100:
        return False
    if is_date(form):
        codes = re.fullmatch(r"(?:[^%]|%(?:[-^]?[dmbByYHIMSpP]|[1-6]f))*", form)
        return codes is not None and dtype in ("", "datetime64[us]")
    if form.lstrip("h").startswith(":mm"):
        return is_elapsed(form) and dtype in ("", "int64")
    if is_fortran(form):
        return dtype in ("", "float64")
    return are_numbers(form) and dtype in ("", "int64", "float64")


def is_words(form: str) -> bool:
    """Whether a form is a user's: the order of a date, or how marks are meant."""
    return form in MARKS or (bool(order_of(form)) and not is_date(form))


def is_plain(column: Column, form: str) -> bool:
    """Whether plain cells are what a form says: ISO 8601 has the year first, numbers a point."""
    kind = column.values.dtype.kind
    return (kind == "M" and same_order("%Y-%m-%d", form)) or (
        kind in "fi" and MARKS.get(form) == "."
    )


def value_in(form: str, cell: str) -> Any | None:
    """The value of one cell in a form, for what a user gives; None if it is not written so."""
    found = formed([cell.strip()], form)
    return found.values[0] if isinstance(found, Formed) else None


def _plain(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return f"{float(value):.15g}"
