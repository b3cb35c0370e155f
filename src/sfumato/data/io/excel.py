"""Excel workbooks (.xlsx): the cells of the one sheet that is not empty, as a text file has them.

They are read as those of a CSV are, so that the same table is the same data in both.
"""

import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from sfumato.data.io.header import Row, rows_below
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
    except ImportError as error:
        raise MissingDependencyError(
            "Excel workbooks need openpyxl; install sfumato[excel], or save the sheet as CSV."
        ) from error
    sheets: dict[str, list[Row]] = {}
    try:
        with closing(load_workbook(path, read_only=True, data_only=True)) as book:
            empty: set[tuple[str, int, int]] = set()
            for sheet in book.worksheets:
                sheets[sheet.title] = list(_filled(sheet, empty))
        if empty:
            with closing(load_workbook(path, read_only=True)) as book:
                _refuse_formulas(path, book, empty)
    except DataError:
        raise
    except _DAMAGE as error:
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


# What openpyxl, zipfile and XML raise over bytes that are damaged or somebody else's; the errors of
# XML are those of syntax.
_DAMAGE = (
    BadZipFile, SyntaxError, zlib.error, EOFError, TypeError, LookupError, ValueError,
    AttributeError, NotImplementedError, RuntimeError,
)  # fmt: skip


def _filled(sheet: Any, empty: set[tuple[str, int, int]]) -> Iterator[Row]:
    """The rows that hold a cell, as wide as the first of them; cells without a value to `empty`."""
    width = 0
    for line, cells in enumerate(sheet.iter_rows(), 1):
        for place, cell in enumerate(cells, 1):
            # A formula may have an empty text for its value.
            if cell.value is None and hasattr(cell, "row") and not cell.data_type.startswith("s"):
                empty.add((sheet.title, line, place))
        texts = [_text(cell.value) for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        width = width or len(texts)
        if texts:
            yield line, texts + [""] * (width - len(texts))


def _refuse_formulas(path: Path, book: Any, empty: set[tuple[str, int, int]]) -> None:
    """A formula whose value was never saved is no missing value."""
    for sheet in book.worksheets:
        for line, cells in enumerate(sheet.iter_rows(), 1):
            for place, cell in enumerate(cells, 1):
                if cell.data_type == "f" and (sheet.title, line, place) in empty:
                    raise DataError(
                        f"{path}, sheet {sheet.title!r}, cell {cell.coordinate}: the formula has "
                        "no saved value; open the workbook in a spreadsheet program and save it, "
                        "or save the sheet as CSV."
                    )


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
