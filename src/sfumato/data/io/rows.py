"""Rows from files and back: tables, and arrays of numbers (.npy, .npz).

Nothing is guessed silently and nothing is lost: a cell that is not a finite number, a row of
another length, an integer that float64 cannot hold, is an error that names its place. Nothing
is ever unpickled.
"""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile, ZipFile

import numpy as np

from sfumato.atomic import replacing
from sfumato.data.io.arrays import from_array, to_array
from sfumato.data.io.cells import number
from sfumato.data.io.memory import as_table
from sfumato.data.io.reading import AS_IT_IS, Reading, mark_missing, short, strip_text
from sfumato.data.io.tables import ENDINGS, READ, Place, ending_of, read_placed, write_table
from sfumato.data.io.tables import check_target as check_table_target
from sfumato.data.points import Points
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError

ROW_FILES = (*READ, ".npy", ".npz")


def data_row(row: int) -> str:
    """Where a row stands that has no line of a file."""
    return f"data row {row + 1}"


def read_rows(path: Path, reading: Reading = AS_IT_IS) -> tuple[DataTable, Place]:
    """Read the table or the array of rows in a file, and where each of its rows stands.

    .npy holds `(n, d)` or `(n,)`; .npz one such array, or one named x, data or values. The others
    are those of `io.tables.read_table`.

    Args:
        path: the file.
        reading: what the user says of its cells. Spaces around text are taken off, with a note.

    Raises:
        DataError: saying what is wrong with it, where, and what to do.
        MissingDependencyError: if the extra is not installed.
    """
    try:
        ending = ending_of(path, ROW_FILES)
        if ending in _ARRAYS:
            table = from_array(_ARRAYS[ending](path), str(path))
            return mark_missing(table, reading.missing), data_row
        table, place = read_placed(path, reading)
        table = table if ending in (".parquet", ".feather", ".arrow") else strip_text(table)
        return mark_missing(table, reading.missing), place
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def read_points(path: Path) -> Points:
    """The rows of a file that holds nothing but numbers.

    Raises:
        DataError: as `read_rows` and `points_of`.
        MissingDependencyError: as `read_rows`.
    """
    table, place = read_rows(path)
    return points_of(table, str(path), place)


def points_of(table: DataTable, where: str, place: Place = data_row) -> Points:
    """The numbers of a table that holds nothing else; booleans are 1 and 0.

    Args:
        table: its columns.
        where: what to call it in messages.
        place: where each row stands.

    Raises:
        DataError: naming the first cell that is missing, text or a date.
    """
    for column in table:
        if column.values.dtype == object:
            _refuse_text(column, where, place)
        if column.values.dtype.kind == "M":
            raise DataError(f"{where}: the column {column.name!r} holds dates; encode or drop it.")
    missing = np.stack([column.missing for column in table], axis=1)
    if missing.any():
        row, k = (int(each) for each in np.argwhere(missing)[0])
        raise DataError(
            f"{where}: {int(missing.sum())} values are missing, NaN or infinite, the first in "
            f"{place(row)}, column {table.names[k]!r}; drop or fill them first."
        )
    values = np.stack([column.values.astype(np.float64) for column in table], axis=1)
    notes = {column.name: column.note for column in table if column.note}
    return Points(values, table.names, notes=notes)


def _refuse_text(column: Column, where: str, place: Place) -> None:
    cells = zip(column.values, column.missing, strict=True)
    wrong = (k for k, (cell, empty) in enumerate(cells) if not empty and number(cell) is None)
    if (row := next(wrong, None)) is None:
        raise DataError(
            f"{where}: the column {column.name!r} is of type string, not numeric; drop or encode "
            "it."
        )
    raise DataError(
        f"{where}, {place(row)}, column {column.name!r}: {short(column.values[row])!r} is not a "
        "number; mend the cell or drop the column."
    )


# ------------------------------------------------------------------------------------ numpy

# What numpy and zipfile raise over bytes that are damaged, encrypted or somebody else's.
_DAMAGE = (
    ValueError, EOFError, BadZipFile, KeyError, RuntimeError, TokenError, MemoryError, zlib.error,
)  # fmt: skip


def read_array(path: Path) -> np.ndarray:
    """The one array in a .npy file, whatever its shape.

    Raises:
        DataError: if it is damaged, pickled or an archive.
        OSError: if it cannot be read.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(_not_numpy(path, error)) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} is an archive of arrays; name it .npz.")
    return array


def _read_npz(path: Path) -> np.ndarray:
    try:
        with ZipFile(path):
            pass
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            wanted = (
                names if len(names) == 1 else [n for n in ("x", "data", "values") if n in names]
            )
            if len(wanted) != 1:
                raise DataError(
                    f"{path} holds the arrays {', '.join(names) or 'none'}; keep one, or name the "
                    "one to use x, data or values."
                )
            array = arrays[wanted[0]]
            if not isinstance(array, np.ndarray):
                raise DataError(f"{path} holds files that are no arrays; save with numpy.savez.")
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(_not_numpy(path, error)) from error
    return array


def _not_numpy(path: Path, error: Exception) -> str:
    if "pickle" in str(error) or "Object arrays" in str(error):
        return (
            f"{path} holds pickled Python objects, which are never opened; save a plain array of "
            "numbers with numpy.save."
        )
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{path} is not a whole {path.suffix} file ({reason}); save it again."


_ARRAYS: Mapping[str, Callable[[Path], np.ndarray]] = {".npy": read_array, ".npz": _read_npz}


# ---------------------------------------------------------------------------------- writing


_WRITTEN = (*ENDINGS, ".npy")


def check_target(path: Path, rows: DataTable | None = None) -> None:
    """Refuse early what `write_rows` could not do late.

    Args:
        path: where to.
        rows: with the columns that are to be written, if they may be other than numbers.

    Raises:
        ArgumentError: if the ending is unknown, the folder missing, the place not writable, or an
            array is to hold what is no number.
        MissingDependencyError: if the ending needs an extra that is not installed.
    """
    check_table_target(path, _WRITTEN)
    if path.suffix.lower() == ".npy":
        for column in rows or ():
            if column.values.dtype.kind in _NO_NUMBERS:
                raise ArgumentError(
                    f"cannot write {path}: an array holds numbers alone, and the column "
                    f"{column.name!r} holds {_NO_NUMBERS[column.values.dtype.kind]}; write .csv or "
                    ".parquet."
                )


_NO_NUMBERS = {"O": "text", "M": "dates", "b": "booleans"}


def write_rows(path: Path, rows: Points | DataTable) -> None:
    """Write rows to a file, exactly: what is read back is what was given. Atomic.

    Raises:
        ArgumentError: as `check_target`.
        DataError: if a name cannot be told from a number in a text file.
        OSError: if writing fails.
    """
    table = as_table(rows) if isinstance(rows, Points) else rows
    check_target(path, table)
    if path.suffix.lower() == ".npy":
        with replacing(path) as temporary:
            np.save(temporary, to_array(table), allow_pickle=False)
    else:
        write_table(path, table)
