"""Tables from NumPy arrays and back: columns without names are x0, x1, ..."""

from typing import Any

import numpy as np

from sfumato.data.io.cells import INEXACT, LARGEST_EXACT
from sfumato.data.table import Column, DataTable, default_names
from sfumato.errors import DataError


def from_array(values: np.ndarray, where: str = "the array") -> DataTable:
    """The table in an array `(n, columns)` or `(n,)`; NaN, NaT, None and NA are missing values.

    Args:
        values: numbers, booleans, text, dates, or Python objects of these.
        where: what to call the array in messages.

    Raises:
        DataError: if the array has another shape or type, is empty, or holds a number that is
            infinite or an integer that float64 cannot hold.
    """
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise DataError(
            f"{where} has the shape {values.shape}; rows and columns (n, d) are needed, or "
            "pictures as bytes (n, height, width, channels)."
        )
    if 0 in values.shape:
        raise DataError(f"{where} has no {'columns' if values.shape[1] == 0 else 'rows'}.")
    if values.dtype.kind not in "biufUSOM":
        raise DataError(f"{where} holds values of type {values.dtype}; numbers or text are needed.")
    names = default_names(values.shape[1])
    return DataTable(
        tuple(_column(name, each, where) for name, each in zip(names, values.T, strict=True))
    )


def _column(name: str, values: np.ndarray, where: str) -> Column:
    """A column by the type of its cells."""
    if values.dtype.kind in "US":
        return Column(name, values.astype(str).astype(object), np.zeros(len(values), bool))
    if values.dtype.kind == "O":
        return _of_objects(name, values, where)
    if values.dtype.kind == "M":
        return Column(name, values.astype("datetime64[us]"), np.isnat(values))
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if values.dtype.kind == "b":
        return Column(name, values, missing)
    if values.dtype.kind in "iu":
        # Not by abs, which overflows at the least integer.
        inexact = (values > LARGEST_EXACT) | (values < -LARGEST_EXACT)
        _refuse(inexact, INEXACT, name, values, where)
        return Column(name, values.astype(np.int64), missing)
    with np.errstate(over="ignore"):  # a wider float beyond the range becomes infinite
        floats = np.where(missing, 0, values).astype(np.float64)
    _refuse(np.isinf(floats), "is infinite; leave the row out", name, values, where)
    return Column(name, floats, missing)


def _refuse(wrong: np.ndarray, reason: str, name: str, values: np.ndarray, where: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        place = f"{where}, data row {row + 1}, column {name!r}"
        raise DataError(f"{place}: {values[row]} {reason}.")


def _of_objects(name: str, values: np.ndarray, where: str) -> Column:
    """A column of Python objects, by what all of them are; text where they differ."""
    cells = values.tolist()
    missing = np.array([each is None or not _equals_itself(each) for each in cells], bool)
    present = [each for each, empty in zip(cells, missing, strict=True) if not empty]
    types = {type(each) for each in present}
    for own, dtype in (
        ({bool, np.bool_}, np.dtype(bool)),
        ({int, np.int64}, np.dtype(np.int64)),
        ({bool, int, float, np.float64, np.int64, np.bool_}, np.dtype(np.float64)),
    ):
        if types and types <= own:
            if dtype.kind == "i" and max(map(abs, present)) > LARGEST_EXACT:
                large = max(present, key=abs)
                raise DataError(f"{where}, column {name!r}: {large} {INEXACT}.")
            filled = [0 if empty else each for each, empty in zip(cells, missing, strict=True)]
            made = _column(name, np.array(filled, dtype=dtype), where)
            return Column(name, made.values, missing)
    if not types:  # nothing but missing values
        return Column(name, np.zeros(len(values)), missing)
    text = [
        "" if empty else _text(each, name, where)
        for each, empty in zip(cells, missing, strict=True)
    ]
    return Column(name, np.array(text, dtype=object), missing)


def _text(cell: Any, name: str, where: str) -> str:
    if isinstance(cell, list | tuple | dict | set | np.ndarray | complex):
        raise DataError(
            f"{where}, column {name!r}: a cell holds a {type(cell).__name__}; numbers, text and "
            "booleans can be learned."
        )
    return str(cell)


def _equals_itself(value: Any) -> bool:
    """False for NaN, which differs from itself, and for NA, which does not say."""
    try:
        return bool(value == value)
    except (TypeError, ValueError):
        return isinstance(value, np.ndarray)


def to_array(table: DataTable) -> np.ndarray:
    """The inverse: float64 with NaN for missing values; objects where there is text or a date."""
    mixed = any(column.values.dtype.kind in "OM" for column in table)
    dtype: Any = object if mixed else np.float64
    empty: Any = None if mixed else np.nan
    return np.stack([np.where(c.missing, empty, c.values.astype(dtype)) for c in table], axis=1)
