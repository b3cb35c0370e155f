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
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from io import TextIOWrapper
from itertools import chain, islice
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
    spoilt_form,
    writer,
)
from sfumato.data.io.header import IN_QUOTES, LONGEST_NAME, Row, names_rows, rows_below
from sfumato.data.io.layout import Layout, checked_lines, is_number, layout_of
from sfumato.data.io.number_forms import shown_mark
from sfumato.data.io.reading import AS_IT_IS, Fault, Reading, by_shell, refuse, short
from sfumato.data.stored import Store, fits
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError, TableWarning

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
_SURROGATE = re.compile("[\ud800-\udfff]")


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
            layout = layout_of(path, text)
        with _text(path, wide=wide) as text:
            head = list(islice(_parsed(text, layout, path, marked=True), 4))
        if not head:
            raise DataError(f"{path} is empty.", code="empty")
        quoted = [[cell.startswith(IN_QUOTES) for cell in cells] for _, cells in head]
        names = [cell.removeprefix(IN_QUOTES) for cell in head[0][1]]
        if len(head) > 1 and len(head[1][1]) == len(names) + 1:
            with _text(path, wide=wide) as text:
                below = islice(_parsed(text, layout, path), 1, None)
                are_quoted = all(cells[0] for cells in quoted[1:])
                if names_rows(below, len(names), layout.separator, are_quoted=are_quoted):
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
            if row[k].startswith(IN_QUOTES) and number(row[k].removeprefix(IN_QUOTES)) is not None
        }
        if not places or not any(number(cell) is not None for _, row in first for cell in row):
            return set()
        for chunk, _ in _chunks(chain(first, rows), len(names)):
            places = {
                k
                for k in places
                if all(row[k].startswith(IN_QUOTES) or row[k].strip() in absent for row in chunk)
            }
            if not places:
                break
    return places


# Rows that are looked at for numbers in quotes before all are.
_LOOKED_AT = 100


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _parsed(text: TextIO, layout: Layout, path: Path, *, marked: bool = False) -> Iterator[Row]:
    """The rows that are there; an empty line is none. Marked, quoted cells begin with a sign."""
    separator, above = layout.separator, layout.above
    lines = checked_lines(text, path)
    header = list(islice(lines, above, above + 1))
    lines = chain(["\n"] * above, (line[layout.is_signed :] for line in header), lines)
    if separator == " ":  # so many of them as please the eye
        lines = (line.strip().replace("\t", " ") + "\n" for line in lines)
    if marked:
        mark = re.escape(separator)
        opening = re.compile(rf'"(?<![^{mark}]")(?=[^"\r\n{mark}])')  # at a line's or cell's start
        lines = (opening.sub(f'"{IN_QUOTES}', line) for line in lines)
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
            remedy = f"write it twice{by_shell(path, _DOUBLING)}"
        raise DataError(
            f"{path}, line {reader.line_num}: {why}; {remedy}.",
            code="quotes",
            line=reader.line_num,
        ) from error


_DOUBLING = r"""sed 's/\\"/""/g'"""

# Of a line that is none, also that which ends a file of DOS.
_BLANK = re.compile(r"\s+|\x1a")


def _chunks(rows: Iterator[Row], width: int) -> Iterator[tuple[list[list[str]], list[int]]]:
    """Rows and their lines, so many at a time."""
    size = max(1, _CELLS_A_CHUNK // width)
    while chunk := list(islice(rows, size)):
        yield [row for _, row in chunk], [line for line, _ in chunk]


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
    apart = apart or any("\r" in text or is_number(text) for text in _texts_of_cells(table))
    _refuse_names(
        column.name
        for column, text_of in zip(table, texts, strict=True)
        if is_number(column.name)
        for cell in text_of(slice(0, 1))
        if isinstance(cell, str) and (apart or separator in cell) and is_number(cell)
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
        # A number in the first row is a name where it stands in quotes, and # no comment's sign.
        heads = csv.writer(text, writer.dialect, quoting=csv.QUOTE_ALL)
        is_bare = not any(map(is_number, table.names)) and not table.names[0].startswith("#")
        (writer if is_bare else heads).writerow(table.names)
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
