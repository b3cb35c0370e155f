"""Excel workbooks (.xlsx): the cells of the one sheet that is not empty, as a text file has them.

They are read as those of a CSV are, so that the same table is the same data in both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from sfumato.data.io.csv import Row, rows_below
from sfumato.errors import DataError, MissingDependencyError


@contextmanager
def sheet_rows(path: Path) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """The names of the columns, and the rows below them.

    Raises:
        DataError: if it is no workbook, or not one sheet of it holds a table.
        MissingDependencyError: if openpyxl is not installed.
    """
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise MissingDependencyError(
            "Excel workbooks need openpyxl; install sfumato[excel], or save the sheet as CSV."
        ) from error
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = {sheet.title: list(_filled(sheet)) for sheet in book.worksheets}
        book.close()
    except (BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a whole .xlsx workbook; save it again.") from error
    named = {title: rows for title, rows in sheets.items() if rows}
    if len(named) > 1:
        raise DataError(
            f"{path} has {len(named)} sheets with cells ({', '.join(list(named)[:4])}); keep the "
            "one to learn from, or save it as CSV."
        )
    if not named:
        raise DataError(f"{path} is empty.")
    first, *rest = next(iter(named.values()))
    yield rows_below(path, first, rest)


def _filled(sheet: Any) -> Iterator[Row]:
    """The rows that hold a cell, as wide as the first of them."""
    width = 0
    for line, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        texts = [_text(cell) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        width = width or len(texts)
        if texts:
            yield line, texts + [""] * (width - len(texts))


def _text(cell: Any) -> str:
    """A cell as a text file has it."""
    if cell is None or cell == "#N/A":
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(cell)
