"""Points from files and back: .csv, .npy, .npz and .parquet.

Nothing is guessed silently and nothing is lost: a cell that is not a finite number, a row of
another length, an integer that float64 cannot hold, is an error that names its place. Nothing
is ever unpickled.
"""

import csv
import io
import math
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from sfumato.data.points import Points
from sfumato.errors import ArgumentError, DataError, MissingDependencyError
from sfumato.storage import replacing

_LARGEST_EXACT = 2**53


def read_points(path: Path) -> Points:
    """Read the numeric table in a file.

    .npy holds `(n, d)` or `(n,)`; .npz one such array, or one named x, data or values; .csv
    commas and an optional header; .parquet needs the extra `tables`.

    Raises:
        DataError: saying what is wrong with it, where, and what to do.
        MissingDependencyError: if the extra is not installed.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a file of points.")
        if path.suffix.lower() not in _READERS:
            raise DataError(f"cannot read {path}: the ending must be one of {', '.join(_READERS)}.")
        if not path.exists():
            raise DataError(f"there is no file {path}.")
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.")
        points = _READERS[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    _check(points, path)
    return points


def _check(points: Points, path: Path) -> None:
    """What every table must be: rows, all finite, names told apart."""
    columns = points.columns
    twice = (
        sorted({name for name in columns if columns.count(name) > 1})
        if len(set(columns)) < len(columns)
        else []
    )
    if twice:
        raise DataError(f"{path}: the column name {twice[0]!r} stands more than once; rename one.")
    _refuse_missing(points, path, lambda row: f"data row {row + 1}")
    if not len(points.values):
        raise DataError(f"{path} has no rows.")


def _refuse_missing(points: Points, path: Path, place: Callable[[int], str]) -> None:
    """`place` says in the file's own terms where a row stands."""
    finite = np.isfinite(points.values)
    if not finite.all():
        row, column = (int(k) for k in np.argwhere(~finite)[0])
        raise DataError(
            f"{path}: {int((~finite).sum())} values are missing, NaN or infinite, the first in "
            f"{place(row)}, column {points.columns[column]!r}; drop or fill them first."
        )


def _short(text: object) -> str:
    """One line of at most 40 characters, for a message."""
    line = " ".join(str(text).split())
    return line if len(line) <= 40 else f"{line[:37]}..."


# ------------------------------------------------------------------------------------- csv


def _read_csv(path: Path) -> Points:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it holds zero bytes; save it as CSV in UTF-8.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for row in reader:
            # The first cell decides for nearly every row, and there may be millions.
            if row and (row[0].strip() or any(cell.strip() for cell in row)):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.") from error
    if not rows:
        raise DataError(f"{path} is empty.")
    width = len(rows[0])
    for separator, name in {";": "semicolons", "\t": "tabs"}.items():
        # A name may hold one; a number, which the last row is made of, may not.
        if all(any(separator in cell.strip() for cell in row) for row in (rows[0], rows[-1])):
            raise DataError(
                f"{path} looks separated by {name}; save it with commas between cells and points "
                "in the numbers."
            )
    header = [cell.strip() for cell in rows[0]]
    named = any(_number(cell) is None and cell for cell in header)
    if named:
        numbers = [cell for cell in header if _number(cell) is not None]
        if numbers:
            raise DataError(
                f"{path}, line {lines[0]} holds both names and numbers ({numbers[0]!r}); if it is "
                "a header, give every column a name that is no number; if it is data, mend it."
            )
        for place, name in enumerate(header):
            if not name:
                raise DataError(f"{path}: column {place + 1} has no name; give it one.")
    else:
        header = [f"x{k}" for k in range(width)]
    body = rows[1:] if named else rows
    if not body:
        raise DataError(f"{path} has a header but no rows.")
    for line, row in zip(lines[named:], body, strict=True):
        if len(row) != width:
            raise DataError(
                f"{path}, line {line}: {len(row)} cells where {width} are expected; mend the row."
            )
    try:
        if "_" in text.partition("\n")[2]:  # Python takes 1_000 for a number; nobody else does
            raise ValueError
        values = np.array(body, dtype=np.float64)
    except ValueError:
        values = np.array(_slowly(path, header, lines[named:], body))
    integers = np.abs(values) >= _LARGEST_EXACT
    if integers.any():
        for row, column in np.argwhere(integers & np.isfinite(values)):
            where = f"line {lines[named:][row]}"
            _refuse_inexact(path, where, header[column], body[row][column])
        for row, column in np.argwhere(np.isinf(values)):
            if "inf" not in body[row][column].lower():
                raise DataError(
                    f"{path}, line {lines[named:][row]}, column {header[column]!r}: "
                    f"{_short(body[row][column])} is beyond the range of a number."
                )
    points = Points(values, tuple(header))
    _refuse_missing(points, path, lambda row: f"line {lines[named:][row]}")
    return points


def _number(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _slowly(
    path: Path, header: list[str], lines: list[int], body: list[list[str]]
) -> list[list[float]]:
    """Cell by cell, to take empty cells as missing and to name the first that is no number."""
    missing = {"", "na", "n/a", "null", "none"}
    values = []
    for line, row in zip(lines, body, strict=True):
        numbers = []
        for name, cell in zip(header, row, strict=True):
            number = math.nan if cell.strip().lower() in missing else _number(cell)
            if number is None:
                raise DataError(
                    f"{path}, line {line}, column {name!r}: {_short(cell)!r} is not a number; "
                    "mend the cell or drop the column."
                )
            numbers.append(number)
        values.append(numbers)
    return values


def _refuse_inexact(path: Path, place: str, column: str, cell: str) -> None:
    """An integer that float64 would change is refused rather than changed."""
    try:
        exact = int(cell)
    except ValueError:
        return  # written as a float: its reader knows
    if int(float(exact)) != exact:
        raise DataError(
            f"{path}, {place}, column {column!r}: {_short(cell)} is an integer that a 64-bit "
            "float cannot hold exactly; drop the column or scale it."
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
    with np.errstate(over="ignore"):  # a wider float beyond the range becomes infinite: told later
        return Points(array.astype(np.float64), columns)


def _refuse_inexact_array(column: np.ndarray, path: Path, name: str) -> None:
    if column.dtype.kind in "iu" and column.dtype.itemsize == 8:
        large = np.flatnonzero((column >= _LARGEST_EXACT) | (column <= -_LARGEST_EXACT))
        inexact = [k for k in large if int(float(column[k])) != int(column[k])]
        if inexact:
            raise DataError(
                f"{path}, data row {inexact[0] + 1}, column {name!r}: {column[inexact[0]]} is an "
                "integer that a 64-bit float cannot hold exactly; drop the column or scale it."
            )


# ---------------------------------------------------------------------------------- parquet


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need pyarrow; install sfumato[tables], or use .csv or .npy."
        ) from error
    return pyarrow, pyarrow.parquet


def _read_parquet(path: Path) -> Points:
    pyarrow, parquet = _pyarrow()
    try:
        # Not read_table, which refuses a name that stands twice without saying which.
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's own, such as a permission; damage has no number
        raise DataError(f"{path} is not a whole Parquet file; save it again.") from error
    if table.num_columns == 0:
        raise DataError(f"{path} has no columns.")
    arrays = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        types = pyarrow.types
        if types.is_decimal(kind):
            exact, column = column, column.cast(pyarrow.float64())
            for row in np.flatnonzero(np.abs(column.to_numpy()) >= _LARGEST_EXACT):
                _refuse_inexact(path, f"data row {row + 1}", name, f"{exact[int(row)].as_py():f}")
        elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise DataError(
                f"{path}: the column {name!r} is of type {kind}, not numeric; drop or encode it."
            )
        if types.is_integer(kind) and column.null_count == 0:
            _refuse_inexact_array(column.to_numpy(), path, name)
        arrays.append(
            np.array(column.to_pylist(), dtype=np.float64)
            if column.null_count or types.is_boolean(kind)
            else column.to_numpy().astype(np.float64)
        )
    return Points(np.stack(arrays, axis=1), tuple(table.column_names))


_READERS: Mapping[str, Callable[[Path], Points]] = {
    ".csv": _read_csv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}


# ---------------------------------------------------------------------------------- writing


def _write_csv(path: Path, points: Points) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(points.columns)
        writer.writerows(points.values.tolist())  # Python's float text is the shortest exact one


def _write_npy(path: Path, points: Points) -> None:
    np.save(path, points.values, allow_pickle=False)


def _write_parquet(path: Path, points: Points) -> None:
    pyarrow, parquet = _pyarrow()
    parquet.write_table(
        pyarrow.table(
            [points.values[:, k] for k in range(len(points.columns))], names=list(points.columns)
        ),
        path,
    )


_WRITERS: Mapping[str, Callable[[Path, Points], None]] = {
    ".csv": _write_csv,
    ".npy": _write_npy,
    ".parquet": _write_parquet,
}


def check_target(path: Path) -> None:
    """Refuse early what `write_points` could not do late.

    Raises:
        ArgumentError: if the ending is unknown, the folder missing, or the place not writable.
        MissingDependencyError: if the ending needs an extra that is not installed.
    """
    if path.suffix.lower() not in _WRITERS:
        raise ArgumentError(
            f"cannot write {path}: the ending must be one of {', '.join(_WRITERS)}."
        )
    if path.suffix.lower() == ".parquet":
        _pyarrow()
    try:
        if path.is_dir():
            raise ArgumentError(f"{path} is a folder; give a file's name.")
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror or error}.") from error
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ArgumentError(f"the folder {path.parent} cannot be written to.")


def write_points(path: Path, points: Points) -> None:
    """Write rows to a file, exactly: what is read back is what was given. Atomic.

    Raises:
        ArgumentError: as `check_target`.
        OSError: if writing fails.
    """
    check_target(path)
    with replacing(path) as temporary:
        _WRITERS[path.suffix.lower()](temporary, points)
