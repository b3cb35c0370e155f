"""The names that the first row of a file holds, and the rows below it, all as long as it is."""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice, pairwise
from pathlib import Path

from sfumato.data.io.cells import MISSING, number
from sfumato.data.io.layout import MOST_COLUMNS, SEPARATORS, is_number
from sfumato.data.io.reading import by_shell, quoted, short
from sfumato.data.table import default_names, refuse_repeated
from sfumato.errors import DataError, TableWarning

LONGEST_NAME = 1000

IN_QUOTES = "\x02"
"""Begins a cell that stands in quotes, where these are marked."""

Row = tuple[int, list[str]]
"""The line where it ends, and its cells."""


def rows_below(
    path: Path,
    first: Row,
    rest: Iterable[Row],
    in_quotes: Sequence[Sequence[bool]] = (),
    separator: str = ",",
) -> tuple[list[str], Iterator[Row]]:
    """The names that the first row holds, or x0, x1, ... if it is data, and the rows.

    Columns with neither a name nor a cell are left out, with a warning.

    Args:
        path: for messages.
        first: the first row.
        rest: the rows below it.
        in_quotes: which cells of the first row stand in quotes, and which of the second.
        separator: between cells, for messages.
    """
    rest = iter(rest)
    below = list(islice(rest, 1))
    second = below[0][1] if below else []
    are_names = _are_names(first[1], second, in_quotes)
    names = _names(path, *first, separator, are_names=are_names)
    if names is None:
        body = even(chain([first], below, rest), first[1], path)
        return list(default_names(len(first[1]))), body
    body = even(chain(below, rest), first[1], path)
    if "" not in names:
        return names, body
    return [name for name in names if name], _of_named(body, names, path, first[0])


def _of_named(rows: Iterable[Row], names: Sequence[str], path: Path, header: int) -> Iterator[Row]:
    """The cells of the columns that have a name.

    Args:
        rows: below the header.
        names: of all columns.
        path: of the file.
        header: the line of the names.

    Raises:
        DataError: if others hold something; it names all of them.
    """
    kept, nameless = ([k for k, name in enumerate(names) if bool(name) == has] for has in (1, 0))
    filled: dict[int, str] = {}
    for line, row in rows:
        for k in nameless:
            if row[k].strip(f"{IN_QUOTES} ") and k not in filled:
                filled[k] = f"{short(row[k])!r} in line {line}"
        if not filled:
            yield line, [row[k] for k in kept]
    if filled:
        first = ", ".join(islice(filled.values(), _TOLD))
        remedy = "give it one" if len(filled) == 1 else "give each one"
        raise DataError(
            f"{path}, line {header}: {_columns(sorted(filled))} no name, and cells ({first}); "
            f"{remedy}.",
            code="no-name",
            line=header,
            column=min(filled) + 1,
        )
    left_out = f"{_columns(nameless)} no name and no cells: left out"
    warnings.warn(f"{path}, line {header}: {left_out}", TableWarning, stacklevel=2)


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
    first: Sequence[str], second: Sequence[str], in_quotes: Sequence[Sequence[bool]]
) -> bool:
    """Whether numbers in the first row are names of columns.

    They are if they stand in quotes and the numbers below do not; and if they are years, or are
    counted from 0 as pandas does it, beside other names or above decimals.
    """
    first, second = (
        [cell.removeprefix(IN_QUOTES).strip() for cell in cells] for cells in (first, second)
    )
    while first and not first[-1] and len(first) == len(second):  # what ends each line
        first, second = first[:-1], second[:-1]
    places = [k for k, cell in enumerate(first) if is_number(cell)]
    if not places or len(first) != len(second):
        return False
    if (
        in_quotes
        and all(in_quotes[0][k] for k in places)
        and not any(in_quotes[1][k] and is_number(second[k]) for k in places)
    ):
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


def even(
    rows: Iterable[Row], header: list[str], path: Path, *, is_row: bool = True
) -> Iterator[Row]:
    """The rows, as long as the header.

    Args:
        rows: below it.
        header: its cells.
        path: of the file.
        is_row: whether it is written as the rows are.

    Raises:
        DataError: if some are not; it counts them, names the first, and says what it may be.
    """
    places = enumerate(rows, 1)
    for place, (line, row) in places:
        if len(row) != len(header):
            raise _uneven(path, header, chain([(place, (line, row))], places), is_row=is_row)
        yield line, row


def _uneven(
    path: Path, header: list[str], rest: Iterable[tuple[int, Row]], *, is_row: bool
) -> DataError:
    """Why rows are not as long as the header.

    Args:
        path: of the file.
        header: as for `even`.
        rest: rows and their places below it, from the first such row on.
        is_row: as for `even`.
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
        remedy = f"take the comment{plural} away"
        if count == len(odd) and all(_start(*each) == each[0] for each in odd):
            remedy += by_shell(path, f"sed {quoted(';'.join(f'{place}d' for place, _ in odd))}")
    elif ended == count:
        remedy = f"take away the separator that ends {'each' if plural else 'it'}"
    elif is_row and 2 * many > total and wider and (top := _top(*wider)):
        remedy = f"the header seems to be line {top}: take away what stands above it"
        remedy += by_shell(path, f"tail -n +{top}")
    elif is_row and 2 * lengths[width + 1] > total:
        remedy = (
            "put a name for the first cells in front of the header if they name the rows, or "
            "quotes around cells that hold the separator"
        )
    elif lengths.keys() == {len(row)} and count == total:
        remedy = "mend the header, which has other columns than the rows"
    elif at_end == count < total:
        remedy = f"mend {rows}, or take away what stands below the table"
        remedy += by_shell(path, f"head -n {_start(line, row) - 1}")
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


def _top(line: int, row: list[str]) -> int | None:
    """The line where a header begins, if a row is one that ends in this line."""
    numbers = [cell.strip() for cell in row if is_number(cell.strip())]
    years = all(cell.isdecimal() and int(cell) in _YEARS for cell in numbers)
    if (
        not years
        or len(numbers) == len(row)
        or not set(SEPARATORS.strip()).isdisjoint("".join(row))
    ):
        return None
    return _start(line, row)


def _start(line: int, row: list[str]) -> int:
    """The line where a row begins that ends in this one."""
    return line - "".join(row).count("\n")


def names_rows(rows: Iterable[Row], width: int, separator: str, *, are_quoted: bool) -> bool:
    """Whether each row has one cell more than the header, the first, as R names rows.

    They all differ then, and the first row has no words above numbers: that would be the header,
    below a title. Without quotes around them nothing may show that a cell was cut in two: a decimal
    comma, or the space after a comma of text; and one name above two cells may be a title.

    Args:
        rows: below the header.
        width: of the header.
        separator: between cells.
        are_quoted: whether the first cells stand in quotes.
    """
    seen: set[str] = set()
    has_point, last_is_empty = False, True
    cut, spaced = set(range(width)), set(range(1, width + 1))
    words: list[int] | None = None
    for _, row in rows:
        if len(row) != width + 1 or row[0] in seen:
            return False
        if words is None:
            words = [k for k in spaced if number(row[k]) is None and row[k].strip() not in MISSING]
        elif any(number(row[k]) is not None for k in words):
            return False
        seen.add(row[0])
        last_is_empty &= not row[-1]
        has_point |= any("." in cell and number(cell) is not None for cell in row)
        cut = {k for k in cut if _CUT.fullmatch(f"{row[k]},{row[k + 1]}")}
        spaced = {k for k in spaced if row[k].startswith(" ")}
    may_be_cut = (separator == "," and cut and not has_point) or 0 < len(spaced) < width
    bare = width > 1 and (separator in " \t" or not may_be_cut)
    return not last_is_empty and (are_quoted or bare)


# Of two cells that may be one number with a decimal comma.
_CUT = re.compile(r"-?[0-9]+,[0-9]+")


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
    # As R writes the names of rows; among numbers with other holes it is a hole.
    of_rows = are_names or all(names[1:]) or not all(is_number(name) for name in names if name)
    if not names[0] and any(names[1:]) and of_rows:
        taken = ("row", *(f"row_{k}" for k in range(1, len(names) + 1)))
        names[0] = next(name for name in taken if name not in names)
    numbers = [] if are_names else [name for name in names if is_number(name)]
    if numbers and all(name in MISSING for name in names if name not in numbers):
        return None
    if numbers:
        above = separator.replace("\t", "\\t").join(default_names(len(names)))
        top, fits = _start(line, row), len(names) <= _TOLD_NAMES and not names[0].startswith("#")
        command = by_shell(path, f"sed '{top}i {above}'", is_above=top == 1) if fits else ""
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
