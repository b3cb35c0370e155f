"""Tables as Arrow has them: of Parquet files and of data frames, to ours and back.

What a column of ours cannot hold exactly is refused: an integer beyond 2^53, an infinity, a time
finer than a microsecond or in a time zone, a number of another kind, anything nested.
"""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from sfumato.data.io.cells import INEXACT, LARGEST_EXACT
from sfumato.data.table import Column
from sfumato.errors import DataError, MissingDependencyError

_EPOCH = np.datetime64(0, "us")


def pyarrow() -> ModuleType:
    """The module.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files and data frames need pyarrow; install sfumato[tables], or use .csv."
        ) from error
    module: ModuleType = pyarrow
    return module


def from_arrow(name: str, array: Any, where: str, dtype: str = "") -> Column:
    """Our column for an array of Arrow's, chunked or not.

    Args:
        name: of the column.
        array: its values.
        where: the file or frame, for messages.
        dtype: how the frame calls its type.

    Raises:
        DataError: naming the column, and the row if it is one value that cannot be held.
    """
    types = pyarrow().types
    if not isinstance(array, pyarrow().ChunkedArray):
        array = pyarrow().chunked_array([array])
    kind = array.type

    def refuse(wrong: np.ndarray, why: str, values: np.ndarray | None = None) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            value = array[row].as_py() if values is None else values[row]
            raise DataError(f"{where}, data row {row + 1}, column {name!r}: {value} {why}.")

    if types.is_dictionary(kind):
        return _categories(name, array, where, dtype)
    if _is_text(kind):
        return replace(_categories(name, array.dictionary_encode(), where, dtype), categories=None)
    missing = array.is_null().to_numpy().astype(bool)
    if types.is_null(kind):
        return Column(name, np.zeros(len(array)), missing, dtype=dtype)
    if types.is_boolean(kind):
        return Column(name, array.fill_null(False).to_numpy().astype(bool), missing, dtype=dtype)
    if types.is_integer(kind):
        values = array.fill_null(0).to_numpy()
        refuse((values > LARGEST_EXACT) | (values < -LARGEST_EXACT), INEXACT)
        return Column(name, values.astype(np.int64), missing, dtype=dtype)
    if types.is_decimal(kind):
        values = array.cast(pyarrow().float64()).fill_null(0.0).to_numpy()
        large = np.abs(values) >= LARGEST_EXACT
        for row in np.flatnonzero(large):
            exact = array[int(row)].as_py()
            large[row] = exact == exact.to_integral_value() and int(values[row]) != exact
        refuse(large, INEXACT)
        return Column(name, values, missing, dtype=dtype)
    if types.is_floating(kind):
        values = array.cast(pyarrow().float64()).fill_null(0.0).to_numpy()
        refuse(np.isinf(values), "is infinite; make it a hole if it is not known")
        missing |= np.isnan(values)
        return Column(name, np.where(missing, 0.0, values), missing, dtype=dtype)
    if types.is_timestamp(kind) and kind.tz is not None:
        raise DataError(
            f"{where}: the column {name!r} has the time zone {kind.tz}; write its times in one "
            "zone and take the zone off."
        )
    if types.is_date(kind) or types.is_timestamp(kind):
        told = array.to_numpy()
        years = told.astype("datetime64[Y]").astype(np.int64) + 1970  # no tick overflows on the way
        refuse(~missing & ((years < 1) | (years > 9999)), "is outside of the years 1 to 9999", told)
        values = told.astype("datetime64[us]")
        refuse(~missing & (values.astype(told.dtype) != told), "is finer than a microsecond", told)
        return Column(name, np.where(missing, _EPOCH, values), missing, dtype=dtype)
    raise DataError(
        f"{where}: the column {name!r} is of type {dtype or kind}; numbers, words, true and false, "
        "and dates are read: encode it or drop it."
    )


def _is_text(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _categories(name: str, array: Any, where: str, dtype: str) -> Column:
    """Words with their levels; integers that are categories are words of digits."""
    kind = array.type
    if not (_is_text(kind.value_type) or pyarrow().types.is_integer(kind.value_type)):
        raise DataError(
            f"{where}: the column {name!r} has categories of type {kind.value_type}; make them "
            "words or integers."
        )
    whole = array.unify_dictionaries().combine_chunks()
    levels = [None if level is None else str(level) for level in whole.dictionary.to_pylist()]
    codes = whole.indices.cast("int64").fill_null(-1).to_numpy()
    words = np.array([*levels, None], dtype=object)[codes]
    missing = np.array([word is None for word in words], dtype=bool)
    words[missing] = ""
    told = tuple(dict.fromkeys(level for level in levels if level is not None))
    return Column(name, words, missing, told, bool(kind.ordered), dtype)


def to_arrow(column: Column) -> Any:
    """Arrow's array for a column of ours, with nulls for holes.

    Words with levels become a dictionary, dates a timestamp in microseconds.
    """
    if column.categories is None:
        kind = pyarrow().string() if column.values.dtype == object else None
        return pyarrow().array(column.values, kind, mask=column.missing)
    code = {level: k for k, level in enumerate(column.categories)}
    codes = np.array([code.get(word, -1) for word in column.values], dtype=np.int32)
    assert (codes[~column.missing] >= 0).all()
    return pyarrow().DictionaryArray.from_arrays(
        pyarrow().array(codes, mask=column.missing),
        pyarrow().array(column.categories, pyarrow().string()),
        ordered=column.ordered,
    )
