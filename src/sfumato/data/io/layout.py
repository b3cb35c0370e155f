"""How rows stand in a text file: what separates cells, which lines above the header are none."""

import csv
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sfumato.data.io.cells import MISSING, number
from sfumato.data.io.reading import SPACED, by_shell
from sfumato.errors import DataError, TableWarning

LONGEST_LINE = 10_000_000
MOST_COLUMNS = 10_000

SEPARATORS = ",;\t| "
_NUMBER_ANYWHERE = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_UNDECODED = re.compile("[\udc80-\udcff]")

# What Excel may write above a header: `sep=;`.
_HINT = re.compile(r"sep=", re.IGNORECASE)


def is_number(cell: str) -> bool:
    """Whether a cell without spaces around it is a number, with a comma or a point."""
    return number(cell) is not None or _NUMBER_ANYWHERE.fullmatch(cell) is not None


@dataclass(frozen=True, slots=True)
class Layout:
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


def layout_of(path: Path, text: TextIO) -> Layout:
    """What the first lines show; comments above the header are left out, with a warning."""
    own = "\t" if path.suffix.lower() == ".tsv" else ","
    hint, above, last = "", 0, 0
    left: list[str] = []
    comments: list[str] = []
    lines: list[str] = []
    for place, line in enumerate(checked_lines(text, path), 1):
        if not lines and (found := _HINT.match(line)):
            hint, above = line[found.end() : found.end() + 1].strip("\r\n") or own, place
            left, comments = [*left, *comments], []
        elif not lines and line.startswith("#"):
            comments, last = [*comments, line], place
        elif line.strip():
            lines.append(line)
        if lines and _RULED.fullmatch(line.strip()):
            by = by_shell(path, f"sed {place}d")
            raise DataError(
                f"{path}, line {place} is ruled, as psql, sqlcmd and Markdown draw tables; "
                f"export it as CSV (psql --csv), or take the line away{by}."
            )
        if len(lines) == 2 or len(comments) > _MOST_COMMENTS:
            break
    if not lines:  # all begin so: they are rows
        lines, comments, last = comments[:2], [], 0
    head = _header_in(comments, lines, hint, own, path) if comments else None
    is_signed = head is not None and head != comments[-1]
    if head is not None:
        comments, lines = comments[:-1], [head, lines[0]]
    separator = hint or _separator(lines, own, path)
    if left := [*left, *comments]:
        what = f"the {len(left)} lines" if left[1:] else "the line"
        left_out = f"{what} above the header with # {'are' if left[1:] else 'is'} left out"
        warnings.warn(f"{path}: {left_out}", TableWarning, stacklevel=2)
    if head is not None and not any(is_number(cell.strip()) for cell in _cut(lines[1], separator)):
        taken = "the line with # above the rows is taken for the header"
        warnings.warn(f"{path}: {taken}", TableWarning, stacklevel=2)
    return Layout(
        separator,
        max(above, last - (head is not None)),
        is_signed,
        separator == " "
        or any(_SPACED_QUOTE.fullmatch(cell) for line in lines for cell in _cut(line, separator)),
    )


# More lines that begin with # are rows.
_MOST_COMMENTS = 1000

_RULED = re.compile(r"(?=.*---)(?=.*-[+|,;: \t]+-)[-+|,;: \t]+")

# A cell in quotes, or its first part, after spaces: the csv module would take it for text.
_SPACED_QUOTE = re.compile(r'\s+"(?:[^"]|"")*"?')


def _header_in(
    comments: Sequence[str], lines: Sequence[str], hint: str, own: str, path: Path
) -> str | None:
    """The header that the last comment is, with its sign or without it; None if it is none.

    It has as many cells as the row below, which is not a header itself.

    Raises:
        DataError: if others have as many cells, too, and may be rows.
    """
    *others, last = comments
    width = len(_cut(lines[0], hint or _separator(lines, own, path)))
    found, most = None, int(width > 1)  # one cell is no header of rows of several
    for head in (last, last[1:]):
        separator = hint or _separator([head, lines[0]], own, path)
        names, first, *second = (_cut(line, separator) for line in (head, *lines))
        above = second and not any(map(is_number, first)) and any(map(is_number, second[0]))
        if len(names) == len(first) > most and not (above and MISSING.isdisjoint(first)):
            found, most = head, len(first)
            may_be_rows = most > 1 or not is_number(first[0].strip())
            if may_be_rows and any(len(_cut(each, separator)) == most for each in others):
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
    for separator in SEPARATORS:
        cut = [_cut(line, separator) for line in (lines[0], lines[-1])]
        short = len(cut[0]) + 1 == len(cut[1]) > 2  # R names the rows, and not their column
        if separator == own or not (len(cut[0]) == len(cut[1]) > 1 or short):
            continue
        numeric = all(_NUMBER_ANYWHERE.fullmatch(cell.strip()) for cell in cut[1][short:])
        # A name or text may hold one; numbers with a comma are what they look like.
        spaced = numeric or path.suffix.lower() in SPACED
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


def checked_lines(text: TextIO, path: Path) -> Iterator[str]:
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
                f"{by_shell(path, 'of Western Windows: iconv -f CP1252 -t UTF-8')}.",
                code="not-text",
                line=place,
            )
        yield line
