"""Points from files and back: .csv, .npy, .npz and .parquet.

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
from sfumato.data.io.cells import INEXACT, LARGEST_EXACT, number, short
from sfumato.data.io.tables import Place, ending_of, read_placed, write_table
from sfumato.data.io.tables import check_target as check_table_target
from sfumato.data.points import Points
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError


def read_points(path: Path) -> Points:
    """Read the numeric table in a file.

    .npy holds `(n, d)` or `(n,)`; .npz one such array, or one named x, data or values; .csv
    commas and an optional header; .parquet needs the extra `tables`.

    Raises:
        DataError: saying what is wrong with it, where, and what to do.
        MissingDependencyError: if the extra is not installed.
    """
    try:
        return _READERS[ending_of(path, tuple(_READERS))](path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error


def _refuse_missing(points: Points, path: Path, place: Place) -> None:
    finite = np.isfinite(points.values)
    if not finite.all():
        row, column = (int(k) for k in np.argwhere(~finite)[0])
        raise DataError(
            f"{path}: {int((~finite).sum())} values are missing, NaN or infinite, the first in "
            f"{place(row)}, column {points.columns[column]!r}; drop or fill them first."
        )


# ---------------------------------------------------------------------------------- tables


def _read_table(path: Path) -> Points:
    """The numbers of a table that holds nothing else; truths are 1 and 0."""
    table, place = read_placed(path)
    for column in table:
        if column.values.dtype == object:
            _refuse_words(column, path, place)
        if column.values.dtype.kind == "M":
            raise DataError(f"{path}: the column {column.name!r} holds dates; encode or drop it.")
    values = [np.where(column.missing, np.nan, column.values) for column in table]
    points = Points(np.stack(values, axis=1), table.names)
    _refuse_missing(points, path, place)
    return points


def _refuse_words(column: Column, path: Path, place: Place) -> None:
    if path.suffix.lower() == ".parquet":
        raise DataError(
            f"{path}: the column {column.name!r} is of type string, not numeric; drop or encode it."
        )
    words = zip(column.values, column.missing, strict=True)
    row = next(k for k, (word, hole) in enumerate(words) if not hole and number(word) is None)
    raise DataError(
        f"{path}, {place(row)}, column {column.name!r}: {short(column.values[row])!r} is not a "
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


def _read_npy(path: Path) -> Points:
    return _from_array(read_array(path), path)


def _read_npz(path: Path) -> Points:
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
    return _from_array(array, path)


def _not_numpy(path: Path, error: Exception) -> str:
    if "pickle" in str(error) or "Object arrays" in str(error):
        return (
            f"{path} holds pickled Python objects, which are never opened; save a plain array of "
            "numbers with numpy.save."
        )
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{path} is not a whole {path.suffix} file ({reason}); save it again."


def _from_array(array: np.ndarray, path: Path) -> Points:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of type {array.dtype}; plain numbers are needed.")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"{path} has the shape {array.shape}; rows and columns (n, d) are needed.")
    columns = tuple(f"x{k}" for k in range(array.shape[1]))
    for k, name in enumerate(columns):
        _refuse_inexact_array(array[:, k], path, name)
    with np.errstate(over="ignore"):  # a wider float beyond the range becomes infinite
        points = Points(array.astype(np.float64), columns)
    _refuse_missing(points, path, lambda row: f"data row {row + 1}")
    if not len(points.values):
        raise DataError(f"{path} has no rows.")
    return points


def _refuse_inexact_array(column: np.ndarray, path: Path, name: str) -> None:
    if column.dtype.kind in "iu" and column.dtype.itemsize == 8:
        wrong = (column > LARGEST_EXACT) | (column < -LARGEST_EXACT)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{path}, data row {row + 1}, column {name!r}: {column[row]} {INEXACT}."
            )


_READERS: Mapping[str, Callable[[Path], Points]] = {
    ".csv": _read_table,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_table,
    ".tsv": _read_table,
    ".csv.gz": _read_table,
}


# ---------------------------------------------------------------------------------- writing


def _write_npy(path: Path, points: Points) -> None:
    with replacing(path) as temporary:
        np.save(temporary, points.values, allow_pickle=False)


def _write_table(path: Path, points: Points) -> None:
    present = np.zeros(len(points.values), dtype=bool)
    columns = zip(points.columns, points.values.T, strict=True)
    write_table(path, DataTable(tuple(Column(name, each, present) for name, each in columns)))


_WRITERS: Mapping[str, Callable[[Path, Points], None]] = {
    ".csv": _write_table,
    ".npy": _write_npy,
    ".parquet": _write_table,
}


def check_target(path: Path) -> None:
    """Refuse early what `write_points` could not do late.

    Raises:
        ArgumentError: if the ending is unknown, the folder missing, or the place not writable.
        MissingDependencyError: if the ending needs an extra that is not installed.
    """
    check_table_target(path, tuple(_WRITERS))


def write_points(path: Path, points: Points) -> None:
    """Write rows to a file, exactly: what is read back is what was given. Atomic.

    Raises:
        ArgumentError: as `check_target`.
        DataError: if a name cannot be told from a number in a text file.
        OSError: if writing fails.
    """
    check_target(path)
    _WRITERS[path.suffix.lower()](path, points)
