"""Tables as text: commas, tabs, semicolons, pipes or spaces between cells; UTF-8, or UTF-16.

The layout is checked before the cells are looked at, and every fault names its line. Rows are
taken a chunk at a time, so that memory stays near that of the columns.
"""

import codecs
import csv
import gzip
import re
import warnings
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from io import TextIOWrapper
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

import numpy as np

from sfumato.data.io.arrow import zone_of
from sfumato.data.io.cells import MISSING, MISSING_AMONG_TYPED, Cells, are_keys, number
from sfumato.data.io.forms import (
    doubted,
    is_plain,
    is_words,
    read_form,
    shown_mark,
    spoilt_form,
    writer,
)
from sfumato.data.io.reading import AS_IT_IS, Fault, Reading, quoted, refuse, short
from sfumato.data.stored import Store, fits
from sfumato.data.table import Column, DataTable, default_names, refuse_repeated
from sfumato.errors import DataError, TableWarning

MOST_COLUMNS = 10_000
LONGEST_NAME = 1000
LONGEST_LINE = 10_000_000
LONGEST_CELL = csv.field_size_limit()

_CELLS_A_CHUNK = 500_000

# What other files begin with, and what to do with them.
_SAVE = "save its table as CSV in UTF-8"
_OTHERS = [
    (rb"PK\x03\x04", f"is a zip archive or an Excel workbook; {_SAVE}"),
    (rb"\xd0\xcf\x11\xe0", f"is an old Excel workbook; {_SAVE}"),
    (rb"\x1f\x8b", "is compressed by gzip; give its name the ending .csv.gz"),
    (rb"PAR1", "is a Parquet file; give its name the ending .parquet"),
    (rb"\x93NUMPY", "is a NumPy array; give its name the ending .npy"),
    (rb"%PDF-", f"is a PDF; {_SAVE}"),
    (rb"(?i:<!doctype|<html|<\?xml|<table)", f"is a page of HTML or XML; {_SAVE}"),
    (rb"\{\s*\"|\[\s*[\"{\[]", f"is JSON; {_SAVE}"),
]
_SEPARATORS = ",;\t| "
_NUMBER_ANYWHERE = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]")
_IN_QUOTES = "\x02"


def read_csv(
    path: Path, reading: Reading = AS_IT_IS, rows_of: "Opened | None" = None
) -> tuple[DataTable, Sequence[int]]:
    """The table in a file, and the line where each of its rows stands.

    Args:
        path: of a text file.
        reading: what the user says of its cells.
        rows_of: the cells of a file of another program.

    Raises:
        DataError: saying all that is wrong with its columns, in which lines, and what to do.
        OSError: if it cannot be read.
    """
    rows_of = rows_of or _rows
    lines, markers = array("q"), {each.strip() for each in reading.missing}
    absent = MISSING | markers
    with rows_of(path) as (names, rows):
        columns = [
            Cells(
                name, name in reading.text, {"", *markers} if name in reading.verbatim else absent
            )
            for name in names
        ]
        store = Store(len(names))
        pile = _Pile(columns, store)
        for chunk, numbers in _chunks(rows, len(names)):
            lines.extend(numbers)
            pile.take(zip(*chunk, strict=True), numbers)
    if not lines:
        raise DataError(f"{path} has a header but no rows.", code="no-rows")
    for k in _in_quotes(path, absent) if rows_of is _rows else ():
        columns[k].in_quotes = True
    found = [column.column() for column in columns]
    stated = {name: form for name, form in reading.forms.items() if name not in reading.text}

    def texts_of(places: Iterable[int]) -> dict[int, Column]:
        """Columns as they stand in the file, which is read again for those that were not kept."""
        kept = {k: columns[k].is_kept and names[k] not in stated for k in places}
        again = {
            k: Cells(
                names[k], True, absent | (MISSING_AMONG_TYPED if names[k] in stated else set())
            )
            for k, is_kept in kept.items()
            if not is_kept
        }
        if again:
            with rows_of(path) as (_, rows):
                pile = _Pile(list(again.values()), store)
                for chunk, numbers in _chunks(rows, len(names)):
                    pile.take(([row[k] for row in chunk] for k in again), numbers)
        return {k: (again[k] if k in again else columns[k]).text() for k in kept}

    # Not of one plain type, or of a stated form: what matters is how the cells are written.
    late = texts_of(
        k
        for k, column in enumerate(found)
        if column is None
        or (
            names[k] in stated
            and not column.missing.all()
            and not is_plain(column, stated[names[k]])
        )
    )

    def settle(mark: str) -> dict[int, Column | Fault]:
        return {k: _settled(columns[k], text, path, reading, mark) for k, text in late.items()}

    settled = settle("")
    # A file has one decimal mark, and a column may show that of another; not one of a model's.
    marks = {"."} & {column.decimal_point for column in columns if column.name not in stated}
    marks |= {
        shown_mark(each.form, late[k].present)
        for k, each in settled.items()
        if isinstance(each, Column) and (each.name not in stated or is_words(stated[each.name]))
    }
    marks -= {""}
    if "," in marks:  # plain cells such as 1.234 may be thousands
        late |= texts_of(
            k
            for k, column in enumerate(columns)
            if k not in late and column.may_be_thousands and column.name not in stated
        )
    if marks:
        settled = settle("".join(sorted(marks)))
    if rows_of is not _rows:
        settled = {
            k: doubted(each, late[k])
            if isinstance(each, Column) and not is_words(stated.get(names[k], ""))
            else each
            for k, each in settled.items()
        }
    refuse(path, [each for each in settled.values() if isinstance(each, Fault)])
    for k, each in settled.items():
        if isinstance(each, Column) and (found[k] is None or each.values.dtype != object):
            found[k] = each
    return DataTable(tuple(column for column in found if column is not None)), lines


def _settled(cells: Cells, text: Column, path: Path, reading: Reading, mark: str) -> Column | Fault:
    """A column of more than plain cells: of one written form, or text, or a fault."""
    formed = read_form(text, reading.forms.get(cells.name, ""), mark)
    if isinstance(formed, Column):
        return formed
    if cells.name in reading.identifiers:
        return text
    if formed is not None:
        return replace(formed, text=f"{path}: {formed.text}")
    if not cells.is_mixed or are_keys(text):
        return text
    spoilt = spoilt_form(text, path)
    fault = cells.fault(path)
    return (spoilt if cells.are_of_form else None) or fault or spoilt or text


class _Pile:
    """Columns of cells as they come; those that are too many for memory are put away to disk."""

    def __init__(self, columns: Sequence[Cells], store: Store) -> None:
        self._columns, self._store = columns, store
        self._rows = 0

    def take(self, cells: Iterable[Sequence[str]], lines: Sequence[int]) -> None:
        """The next rows, column by column, and where they stand."""
        for column, of_column in zip(self._columns, cells, strict=True):
            column.take(of_column, lines)
        self._rows += len(lines)
        if not fits(self._rows, self._store.columns):
            for column in self._columns:
                column.put_away(self._store)
            self._rows = 0


Row = tuple[int, list[str]]
"""The line where it ends, and its cells."""

Opened = Callable[[Path], AbstractContextManager[tuple[list[str], Iterator[Row]]]]
"""Opens a file: the names of its columns, and the rows below them."""


@contextmanager
def _rows(path: Path, *, marked: bool = False) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """The names of the columns, and the rows below them, all of one length."""
    try:
        with _opened(path) as file:
            start = file.read(512)
        for signature, what in _OTHERS:
            if re.match(signature, start.removeprefix(codecs.BOM_UTF8).lstrip()):
                raise DataError(f"{path} {what}.", code="other-format")
        wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        with _text(path, wide=wide) as text:
            layout = _layout(path, text)
        with _text(path, wide=wide) as text:
            head = list(islice(_parsed(text, layout, path, marked=True), 4))
        if not head:
            raise DataError(f"{path} is empty.", code="empty")
        quoted = [[cell.startswith(_IN_QUOTES) for cell in cells] for _, cells in head]
        names = [cell.removeprefix(_IN_QUOTES) for cell in head[0][1]]
        if len(head) > 1 and len(head[1][1]) == len(names) + 1:
            with _text(path, wide=wide) as text:
                below = islice(_parsed(text, layout, path), 1, None)
                are_quoted = all(cells[0] for cells in quoted[1:])
                if _names_rows(below, len(names), layout.separator, are_quoted=are_quoted):
                    if not are_quoted:
                        taken = "the first cells, above which no name stands, name the rows"
                        warnings.warn(f"{path}: {taken}", TableWarning, stacklevel=2)
                    names.insert(0, "")
                    quoted[0].insert(0, True)
        with _text(path, wide=wide) as text:
            rows = _parsed(text, layout, path, marked=marked)
            line, _ = next(rows)
            yield rows_below(path, (line, names), rows, quoted[:2], layout.separator)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file; save it again.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not whole UTF-16 text; save it as CSV in UTF-8.") from error


@contextmanager
def _text(path: Path, *, wide: bool) -> Iterator[TextIO]:
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8-sig", "surrogateescape")
    with _opened(path) as file, TextIOWrapper(file, encoding, errors, newline="") as text:
        yield text


def _in_quotes(path: Path, absent: Set[str]) -> set[int]:
    """Which columns of numbers, or of numbers and text, stand in quotes where other numbers do not.

    Args:
        path: of the file.
        absent: cells that are missing values, which tell nothing.
    """
    with _rows(path, marked=True) as (names, rows):
        first = list(islice(rows, _LOOKED_AT))
        places = {
            k
            for _, row in first
            for k in range(len(names))
            if row[k].startswith(_IN_QUOTES) and number(row[k].removeprefix(_IN_QUOTES)) is not None
        }
        if not places or not any(number(cell) is not None for _, row in first for cell in row):
            return set()
        for chunk, _ in _chunks(chain(first, rows), len(names)):
            places = {
                k
                for k in places
                if all(row[k].startswith(_IN_QUOTES) or row[k].strip() in absent for row in chunk)
            }
            if not places:
                break
    return places


# Rows that are looked at for numbers in quotes before all are.
_LOOKED_AT = 100

# What Excel may write above a header: `sep=;`.
_HINT = re.compile(r"sep=", re.IGNORECASE)


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _checked(text: TextIO, path: Path) -> Iterator[str]:
    """The lines, of bounded length, decoded, and of text."""
    for place, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
        if len(line) == LONGEST_LINE:
            raise DataError(
                f"{path}, line {place} is longer than {LONGEST_LINE:,} characters; end each row "
                f"with a line feed, and keep at most {MOST_COLUMNS:,} columns.",
                code="long-line",
                line=place,
                most=LONGEST_LINE,
            )
        if "\0" in line:
            raise DataError(
                f"{path}, line {place} is not text: it holds zero bytes; save it as CSV in UTF-8.",
                code="not-text",
                line=place,
            )
        if not line.isascii() and (wrong := _UNDECODED.search(line)):
            raise DataError(
                f"{path}, line {place} is not UTF-8 text: byte 0x{ord(wrong[0]) & 0xFF:02x} after "
                f"{wrong.start()} characters; save it as CSV in UTF-8"
                f"{_by(path, 'of Western Windows: iconv -f CP1252 -t UTF-8')}.",
                code="not-text",
                line=place,
            )
        yield line


def _parsed(text: TextIO, layout: "_Layout", path: Path, *, marked: bool = False) -> Iterator[Row]:
    """The rows that are there; an empty line is none. Marked, quoted cells begin with a sign."""
    separator, above = layout.separator, layout.above
    lines = _checked(text, path)
    header = list(islice(lines, above, above + 1))
    lines = chain(["\n"] * above, (line[layout.is_signed :] for line in header), lines)
    if separator == " ":  # so many of them as please the eye
        lines = (line.strip().replace("\t", " ") + "\n" for line in lines)
    if marked:
        mark = re.escape(separator)
        opening = re.compile(rf'"(?<![^{mark}]")(?=[^"\r\n{mark}])')  # at a line's or cell's start
        lines = (opening.sub(f'"{_IN_QUOTES}', line) for line in lines)
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=layout.spaced)
    ended = 0
    try:
        for row in reader:
            ended = reader.line_num
            if row and not (len(row) == 1 and _BLANK.fullmatch(row[0])):
                yield ended, row
    except csv.Error as error:
        why = str(error)
        if "limit" in why or "end of data" in why:
            why = (
                f"the quotes opened after line {ended} do not close, or a cell is longer than "
                f"{LONGEST_CELL:,} characters"
            )
        remedy = "mend the quotes"
        text.seek(0)
        if '\\"' in next(islice(text, reader.line_num - 1, None), ""):
            why = 'a quote stands as \\"'
            remedy = f"write it twice{_by(path, _DOUBLING)}"
        raise DataError(
            f"{path}, line {reader.line_num}: {why}; {remedy}.",
            code="quotes",
            line=reader.line_num,
        ) from error


_DOUBLING = r"""sed 's/\\"/""/g'"""

# Of a line that is none, also that which ends a file of DOS.
_BLANK = re.compile(r"\s+|\x1a")


def rows_below(
    path: Path,
    first: Row,
    rest: Iterable[Row],
    quoted: Sequence[Sequence[bool]] = (),
    separator: str = ",",
) -> tuple[list[str], Iterator[Row]]:
    """The names that the first row holds, or x0, x1, ... if it is data, and the rows.

    Columns with neither a name nor a cell are left out, with a warning.

    Args:
        path: for messages.
        first: the first row.
        rest: the rows below it.
        quoted: which cells of the first row stand in quotes, and which of the second.
        separator: between cells, for messages.
    """
    rest = iter(rest)
    below = list(islice(rest, 1))
    second = below[0][1] if below else []
    are_names = _are_names(first[1], second, quoted)
    names = _names(path, *first, separator, are_names=are_names)
    if names is None:
        body = even(chain([first], below, rest), first[1], path)
        return list(default_names(len(first[1]))), body
    body = even(chain(below, rest), first[1], path)
    if "" not in names:
        return names, body
    return [name for name in names if name], _of_named(body, names, f"{path}, line {first[0]}")


def _of_named(rows: Iterable[Row], names: Sequence[str], where: str) -> Iterator[Row]:
    """The cells of the columns that have a name.

    Raises:
        DataError: if others hold something; it names all of them.
    """
    kept, nameless = ([k for k, name in enumerate(names) if bool(name) == has] for has in (1, 0))
    filled: dict[int, str] = {}
    for line, row in rows:
        for k in nameless:
            if row[k].strip(f"{_IN_QUOTES} ") and k not in filled:
                filled[k] = f"{short(row[k])!r} in line {line}"
        if not filled:
            yield line, [row[k] for k in kept]
    if filled:
        first = ", ".join(islice(filled.values(), _TOLD))
        remedy = "give it one" if len(filled) == 1 else "give each one"
        raise DataError(
            f"{where}: {_columns(sorted(filled))} no name, and cells ({first}); {remedy}.",
            code="no-name",
            line=1,
            column=min(filled) + 1,
        )
    left_out = f"{_columns(nameless)} no name and no cells: left out"
    warnings.warn(f"{where}: {left_out}", TableWarning, stacklevel=2)


def _columns(places: Sequence[int]) -> str:
    """`column 3 has`, `columns 3, 4 have`."""
    numbers = ", ".join(str(place + 1) for place in places[:_TOLD])
    numbers += ", ..." * (len(places) > _TOLD)
    return f"columns {numbers} have" if len(places) > 1 else f"column {numbers} has"


# Faults of one kind that are told one by one, and names of columns.
_TOLD, _TOLD_NAMES = 5, 20


# Of years that name columns.
_YEARS = range(1500, 2101)


def _are_names(
    first: Sequence[str], second: Sequence[str], quoted: Sequence[Sequence[bool]]
) -> bool:
    """Whether numbers in the first row are names of columns.

    They are if they stand in quotes and the numbers below do not; and if they are years, or are
    counted from 0 as pandas does it, beside other names or above decimals.
    """
    first, second = (
        [cell.removeprefix(_IN_QUOTES).strip() for cell in cells] for cells in (first, second)
    )
    while first and not first[-1] and len(first) == len(second):  # what ends each line
        first, second = first[:-1], second[:-1]
    places = [k for k, cell in enumerate(first) if _is_number(cell)]
    if not places or len(first) != len(second):
        return False
    in_quotes = bool(quoted) and all(quoted[0][k] for k in places)
    if in_quotes and not any(quoted[1][k] and _is_number(second[k]) for k in places):
        return True
    run = [int(first[k]) for k in places if first[k].isdecimal()]
    alike = len(run) == len(places) > 2 and len({b - a for a, b in pairwise(run)}) == 1
    if not alike or run[0] >= run[-1] or places != list(range(places[0], len(first))):
        return False
    under = [value for cell in second[places[0] :] if (value := number(cell)) is not None]
    years = run[0] in _YEARS and run[-1] in _YEARS
    if years and 2 * sum(value in _YEARS for value in under) > len(under):
        return False  # a row of years as others are
    counted = run == list(range(len(run)))
    if places[0]:
        return years or (counted and first[: places[0]] == [""] != second[:1])
    return (years or counted) and any("." in cell for cell in second)


def _is_number(cell: str) -> bool:
    return number(cell) is not None or _NUMBER_ANYWHERE.fullmatch(cell) is not None


def even(rows: Iterable[Row], header: list[str], path: Path) -> Iterator[Row]:
    """The rows, as long as the header.

    Raises:
        DataError: if some are not; it counts them, names the first, and says what it may be.
    """
    places = enumerate(rows, 1)
    for place, (line, row) in places:
        if len(row) != len(header):
            raise _uneven(path, header, chain([(place, (line, row))], places))
        yield line, row


def _uneven(path: Path, header: list[str], rest: Iterable[tuple[int, Row]]) -> DataError:
    """Why rows are not as long as the header.

    Args:
        path: of the file.
        header: its first row.
        rest: rows and their places below it, from the first such row on.
    """
    width, total, lengths = len(header), 0, Counter[int]()
    odd: list[Row] = []
    wider: Row | None = None
    commented = ended = at_end = 0
    with suppress(DataError):  # another fault, farther below
        for place, (line, row) in rest:
            total, at_end = place, (at_end + 1) * (len(row) < width)
            if len(row) != width:
                lengths[len(row)] += 1
                odd += [(line, row)] * (len(odd) < _TOLD)
                wider = wider or ((line, row) if len(row) > width else None)
                commented += row[0].startswith("#")
                ended += len(row) == width + 1 and not row[-1]
    count, many = lengths.total(), sum(lengths[size] for size in lengths if size > width)
    line, row = odd[0]
    rows, plural = ("the row", "") if count == 1 else ("such rows", "s")
    if commented == count:
        remedy = f"take the comment{plural} away" + _by(path, "grep -v '^#'")
    elif ended == count:
        remedy = f"take away the separator that ends {'each' if plural else 'it'}"
    elif 2 * many > total and wider and (top := _top(*wider)):
        remedy = f"the header seems to be line {top}: take away what stands above it"
        remedy += _by(path, f"tail -n +{top}")
    elif 2 * lengths[width + 1] > total:
        remedy = (
            "put a name for the first cells in front of the header if they name the rows, or "
            "quotes around cells that hold the separator"
        )
    elif lengths.keys() == {len(row)} and count == total:
        remedy = "mend the header, which has other columns than the rows"
    elif at_end == count < total:
        remedy = f"mend {rows}, or take away what stands below the table"
        remedy += _by(path, f"head -n {line - 1}")
    elif min(lengths) > width:
        remedy = "put quotes around cells that hold the separator"
    else:
        remedy = f"mend {rows}, and put quotes around cells that hold the separator"
    others = ", ".join(f"line {place} has {len(each)}" for place, each in odd[1:])
    more = f" ({count:,} of {total:,} rows differ: {others}{', ...' * (count > len(odd))})"
    return DataError(
        f"{path}, line {line}: {len(row)} cells where {width} are expected{more * (count > 1)}; "
        f"{remedy}.",
        code="row-length",
        line=line,
        cells=len(row),
        expected=width,
    )


def _by(path: Path, command: str) -> str:
    """How a shell does it, if the file is plain text."""
    plain = path.suffix.lower() in (".csv", ".tsv", *_SPACED)
    return f" ({command} {quoted(str(path))} > new{path.suffix})" if plain else ""


def _top(line: int, row: list[str]) -> int | None:
    """The line where a header begins, if a row is one that ends in this line."""
    text = "".join(row)
    numbers = [cell.strip() for cell in row if _is_number(cell.strip())]
    years = all(cell.isdecimal() and int(cell) in _YEARS for cell in numbers)
    if not years or len(numbers) == len(row) or not set(_SEPARATORS.strip()).isdisjoint(text):
        return None
    return line - text.count("\n")


def _names_rows(rows: Iterable[Row], width: int, separator: str, *, are_quoted: bool) -> bool:
    """Whether each row has one cell more than the header, the first, as R names rows.

    They all differ then. Without quotes around them nothing may show that a cell was cut in two: a
    decimal comma, or the space after a comma of text.

    Args:
        rows: below the header.
        width: of the header.
        separator: between cells.
        are_quoted: whether the first cells stand in quotes.
    """
    seen: set[str] = set()
    has_point, last_is_empty = False, True
    cut, spaced = set(range(width)), set(range(1, width + 1))
    for _, row in rows:
        if len(row) != width + 1 or row[0] in seen:
            return False
        seen.add(row[0])
        last_is_empty &= not row[-1]
        has_point |= any("." in cell and number(cell) is not None for cell in row)
        cut = {k for k in cut if _CUT.fullmatch(f"{row[k]},{row[k + 1]}")}
        spaced = {k for k in spaced if row[k].startswith(" ")}
    may_be_cut = (separator == "," and cut and not has_point) or 0 < len(spaced) < width
    return not last_is_empty and (are_quoted or separator in " \t" or not may_be_cut)


# Of two cells that may be one number with a decimal comma.
_CUT = re.compile(r"-?[0-9]+,[0-9]+")


def _chunks(rows: Iterator[Row], width: int) -> Iterator[tuple[list[list[str]], list[int]]]:
    """Rows and their lines, so many at a time."""
    size = max(1, _CELLS_A_CHUNK // width)
    while chunk := list(islice(rows, size)):
        yield [row for _, row in chunk], [line for line, _ in chunk]


def _names(
    path: Path, line: int, row: list[str], separator: str, *, are_names: bool
) -> list[str] | None:
    """The names that the first row holds; None if it holds numbers that are none."""
    if len(row) > MOST_COLUMNS:
        raise DataError(
            f"{path} has {len(row):,} columns; at most {MOST_COLUMNS:,} are read: keep those that "
            "matter.",
            code="many-columns",
            columns=len(row),
            most=MOST_COLUMNS,
        )
    names = [cell.strip() for cell in row]
    if not names[0] and any(names[1:]):  # as R writes the names of rows
        taken = ("row", *(f"row_{k}" for k in range(1, len(names) + 1)))
        names[0] = next(name for name in taken if name not in names)
    numbers = [] if are_names else [name for name in names if _is_number(name)]
    if numbers and all(name in MISSING for name in names if name not in numbers):
        return None
    if numbers:
        above = separator.replace("\t", "\\t").join(default_names(len(names)))
        command = _by(path, f"sed '1i {above}'") if len(names) <= _TOLD_NAMES else ""
        raise DataError(
            f"{path}, line {line} holds both names and numbers ({short(numbers[0])!r}); in a "
            "header give every column a name that is no number, above data put a line with names"
            f"{command}.",
            code="names-and-numbers",
            line=line,
            cell=short(numbers[0]),
        )
    if not any(names):
        raise DataError(
            f"{path}, line {line}: column 1 has no name, nor has another; give each one.",
            code="no-name",
            line=line,
            column=1,
        )
    for place, name in enumerate(names, 1):
        if len(name) > LONGEST_NAME:
            raise DataError(
                f"{path}, line {line}: the name of column {place} ({short(name)!r}) is longer than "
                f"{LONGEST_NAME:,} characters; shorten it.",
                code="long-name",
                line=line,
                column=place,
                most=LONGEST_NAME,
            )
    refuse_repeated(f"{path}, line {line}", [name for name in names if name])
    return names


@dataclass(frozen=True, slots=True)
class _Layout:
    """How rows stand in a text file.

    Args:
        separator: between cells.
        above: how many lines stand above the header: comments, and Excel's hint.
        is_signed: whether the header begins with a comment's sign that is no part of a name.
        spaced: whether spaces may stand between a separator and a quote.
    """

    separator: str
    above: int = 0
    is_signed: bool = False
    spaced: bool = False


def _layout(path: Path, text: TextIO) -> _Layout:
    """What the first lines show; comments above the header are left out, with a warning."""
    own = "\t" if path.suffix.lower() == ".tsv" else ","
    hint, above, last = "", 0, 0
    comments: list[str] = []
    lines: list[str] = []
    for place, line in enumerate(_checked(text, path), 1):
        if not lines and (found := _HINT.match(line)):
            hint, above = line[found.end() : found.end() + 1].strip("\r\n") or own, place
        elif not lines and line.startswith("#"):
            comments, last = [*comments, line], place
        elif line.strip():
            lines.append(line)
        if len(lines) == 2 and _RULED.fullmatch(line.strip()):
            raise DataError(
                f"{path}, line {place} is ruled, as psql, sqlcmd and Markdown draw tables; "
                f"export it as CSV (psql --csv), or take the line away{_by(path, f'sed {place}d')}."
            )
        if len(lines) == 2 or len(comments) > _MOST_COMMENTS:
            break
    if not lines:  # all begin so: they are rows
        lines, comments, last = comments[:2], [], 0
    head = _header_in(comments, lines, own, path) if comments else None
    is_signed = head is not None and head != comments[-1]
    if head is not None:
        comments, lines = comments[:-1], [head, lines[0]]
    if comments:
        what = f"the {len(comments)} lines" if comments[1:] else "the line"
        left_out = f"{what} above the header with # {'are' if comments[1:] else 'is'} left out"
        warnings.warn(f"{path}: {left_out}", TableWarning, stacklevel=2)
    separator = hint or _separator(lines, own, path)
    return _Layout(
        separator,
        max(above, last - (head is not None)),
        is_signed,
        separator == " "
        or any(_SPACED_QUOTE.match(cell) for line in lines for cell in _cut(line, separator)),
    )


# More lines that begin with # are rows.
_MOST_COMMENTS = 1000

_RULED = re.compile(r"(?=.*---)(?=.*-[+|,;: \t]+-)[-+|,;: \t]+")

# Of a cell whose quotes stand after spaces, which the csv module would take for text.
_SPACED_QUOTE = re.compile(r'\s+"')


def _header_in(comments: Sequence[str], lines: Sequence[str], own: str, path: Path) -> str | None:
    """The header that the last comment is, with its sign or without it; None if it is none.

    It has as many cells as the row below, which is not a header itself.

    Raises:
        DataError: if others have as many cells, too, and may be rows.
    """
    *others, last = comments
    found, most = None, 0
    for head in (last, last[1:]):
        separator = _separator([head, lines[0]], own, path)
        names, first, *second = (_cut(line, separator) for line in (head, *lines))
        above = second and not any(map(_is_number, first)) and any(map(_is_number, second[0]))
        if len(names) == len(first) > most and not (above and MISSING.isdisjoint(first)):
            found, most = head, len(first)
            if most > 1 and any(len(_cut(each, separator)) == most for each in others):
                raise DataError(
                    f"{path} begins with several lines with # that have as many cells as its rows "
                    f"({most}); take away those that are comments."
                )
    return found


def _separator(lines: Sequence[str], own: str, path: Path) -> str:
    """What stands between cells: what the ending says, unless it does not fit and another does."""
    if not lines:
        return own
    first = _cut(lines[0], own)
    for separator in _SEPARATORS:
        cut = [_cut(line, separator) for line in (lines[0], lines[-1])]
        short = len(cut[0]) + 1 == len(cut[1]) > 2  # R names the rows, and not their column
        if separator == own or not (len(cut[0]) == len(cut[1]) > 1 or short):
            continue
        numeric = all(_NUMBER_ANYWHERE.fullmatch(cell.strip()) for cell in cut[1][short:])
        # A name or text may hold one; numbers with a comma are what they look like.
        spaced = numeric or path.suffix.lower() in _SPACED
        if (separator != " " or spaced) if len(first) == 1 else (separator != " " and numeric):
            return separator
    return own


def _cut(line: str, separator: str) -> list[str]:
    """The cells of one line; spaces in a row are one separator."""
    line = line.strip().replace("\t", " ") if separator == " " else line
    reader = csv.reader([line], delimiter=separator, skipinitialspace=separator == " ")
    try:
        return next(reader, [""])
    except csv.Error:  # a cell longer than any, unless something else stands between cells
        return [""]


# Endings of files in which a space may stand between cells of text.
_SPACED = (".txt", ".dat", ".data")


def write_csv(path: Path, table: DataTable) -> None:
    """A missing value becomes an empty cell, a number its shortest exact text, a date ISO 8601.

    Raises:
        DataError: if a name or text would not be read back as it is.
        OSError: if writing fails.
    """
    _refuse_unreadable(table)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    texts = [_texts(column) for column in table]
    # The csv module leaves a lone carriage return bare, where every reader sees a new line; and
    # numbers that are text are known by their quotes.
    apart = any("\r" in name for name in table.names)
    apart = apart or any("\r" in text or _is_number(text) for text in _texts_of_cells(table))
    _refuse_names(
        column.name
        for column, text_of in zip(table, texts, strict=True)
        if _is_number(column.name)
        for cell in text_of(slice(0, 1))
        if isinstance(cell, str) and (apart or separator in cell) and _is_number(cell)
    )
    with (
        path.open("wb") as raw,
        # No time and no name inside: the same table is the same file.
        (
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix.lower() == ".gz" else raw
        ) as out,
        TextIOWrapper(out, "utf-8", newline="") as text,
    ):
        writer = csv.writer(
            text,
            delimiter=separator,
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC if apart else csv.QUOTE_MINIMAL,
        )
        # A number in the first row is a name where it stands in quotes.
        heads = csv.writer(text, writer.dialect, quoting=csv.QUOTE_ALL)
        (heads if any(map(_is_number, table.names)) else writer).writerow(table.names)
        size = max(1, _CELLS_A_CHUNK // len(texts))
        for start in range(0, len(table), size):
            rows = slice(start, start + size)
            writer.writerows(zip(*(text_of(rows) for text_of in texts), strict=True))


def _texts(column: Column) -> Callable[[slice], list[object]]:
    """What to write for some rows of a column; None for a missing value."""
    unit: Literal["D", "s", "us"] = "us"
    zone = zone_of(column.dtype)
    if column.values.dtype.kind == "M":
        coarser: tuple[Literal["D", "s"], ...] = ("s",) if zone else ("D", "s")  # a day has no zone
        for coarse in coarser:
            if (column.present.astype(f"datetime64[{coarse}]") == column.present).all():
                unit = coarse
                break

    write = writer(column.form) if column.form else None

    def texts(rows: slice) -> list[object]:
        values = column.values[rows]
        if write is not None:
            cells = zip(values.tolist(), column.missing[rows], strict=True)
            return [None if gone else write(value) for value, gone in cells]
        if values.dtype.kind == "M":
            values = np.datetime_as_string(values, unit=unit)
            values = np.char.add(values, "Z") if zone else values
        if values.dtype.kind == "b":
            values = np.where(values, "true", "false")
        written = values.astype(object)
        written[column.missing[rows]] = None
        return list(written.tolist())

    return texts


def _texts_of_cells(table: DataTable) -> Iterator[str]:
    """The texts of every column once."""
    for column in table:
        if column.values.dtype == object:
            yield from set(column.present)


def _refuse_names(names: Iterable[str]) -> None:
    for name in names:
        raise DataError(
            f"the column name {short(name)!r} would not be read back from CSV as it is; rename "
            "the column or write .parquet."
        )


def _refuse_unreadable(table: DataTable) -> None:
    """CSV has no types and no way to tell text from a missing value: Parquet has."""
    _refuse_names(
        name
        for name in table.names
        if not name
        or name != name.strip()
        or len(name) > LONGEST_NAME
        or name.startswith(codecs.BOM_UTF8.decode())
        or name.lower().startswith("sep=")
    )
    for text in (*table.names, *_texts_of_cells(table)):
        if text.strip() in MISSING:
            raise DataError(
                f"the text {text!r} would be read back from CSV as a missing value; write .parquet."
            )
        if "\0" in text or len(text) >= LONGEST_CELL or _SURROGATE.search(text):
            raise DataError(f"{short(text)!r} cannot be written as CSV; write .parquet.")
