"""Data frames of pandas, polars and pyarrow: to tables, and back to what they were.

A column remembers how its frame calls its type, so that a table goes back to the same frame, and
one that a model has made to a frame like the one it learned from, which only has to be named.

What comes back is the same but for this: integers and truths of NumPy cannot have holes, so that
where there are any a pandas column of theirs becomes the nullable one of the same width (int32 to
Int32, bool to boolean); decimals become floats; the index of pandas is left behind.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from sfumato.data.io.arrow import from_arrow, pyarrow, to_arrow
from sfumato.data.table import Column, DataTable, refuse_repeated
from sfumato.errors import DataError, MissingDependencyError, unknown

_FRAME = "the frame"


def _narwhals() -> ModuleType:
    try:
        import narwhals.stable.v1
    except ImportError as error:
        raise MissingDependencyError(
            "data frames need narwhals; install sfumato[tables], or give an array."
        ) from error
    module: ModuleType = narwhals.stable.v1
    return module


def _imported(backend: str) -> Any:
    try:
        return import_module(backend)
    except ImportError as error:
        raise MissingDependencyError(f"{backend} is not installed; install it.") from error


def backend_of(data: object) -> str | None:
    """The library that a data frame is of, as `to_frame` takes it; None if it is no frame.

    Raises:
        MissingDependencyError: if it may be one, and the extra `tables` is not installed.
    """
    if not hasattr(data, "columns"):
        return None
    narwhals = _narwhals()
    try:
        return str(narwhals.from_native(data, eager_only=True).implementation.name).lower()
    except narwhals.exceptions.DuplicateError:
        from_frame(data)  # says which name it is
        raise
    except TypeError:
        return None


def from_frame(frame: Any) -> DataTable:
    """The table that a data frame holds.

    NaN, None, NaT and NA are holes; columns of Python objects are what all of these are. Columns
    that pandas has numbered are named by their numbers.

    Args:
        frame: of pandas, polars or pyarrow.

    Raises:
        DataError: naming the column that is none of numbers, words, truths and dates, or whose
            values cannot be held exactly.
        MissingDependencyError: if the extra `tables` is not installed.
    """
    narwhals = _narwhals()
    if type(frame).__module__.startswith("pandas") and frame.columns.dtype.kind == "i":
        frame = frame.rename(columns=str)  # pandas numbers columns that were given no names
    try:
        known = narwhals.from_native(frame, eager_only=True)
    except narwhals.exceptions.DuplicateError:
        arrow = isinstance(frame, pyarrow().Table)
        refuse_repeated(_FRAME, frame.column_names if arrow else list(frame.columns))
        raise
    except TypeError as error:
        raise DataError(
            f"a data frame of pandas, polars or pyarrow is needed; got {type(frame).__name__} "
            "(collect a lazy frame first)."
        ) from error
    names = list(known.columns)
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{_FRAME}: the column name {name!r} is no text; rename it.")
    if not names or not len(known):
        raise DataError(f"{_FRAME} has no {'rows' if names else 'columns'}.")
    return DataTable(tuple(_column(name, known[name]) for name in names))


def _column(name: str, series: Any) -> Column:
    """One column, by way of Arrow, which every frame speaks."""
    native = series.to_native()
    dtype = _called(native)
    try:
        array = series.to_arrow()
        # A date and a time become two dates there, and nanoseconds microseconds.
        exact = dtype != "object" or all(
            taken is None or taken == given
            for taken, given in zip(array.to_pylist(), native, strict=True)
        )
    except (pyarrow().ArrowException, TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise DataError(
            f"{_FRAME}: the column {name!r} of type {dtype} is none of numbers, words, true and "
            "false, and dates alone; make all its values one of these."
        )
    types = pyarrow().types
    if dtype == "object" and types.is_date(array.type):
        dtype = _DATES
    if dtype == "category" and types.is_integer(array.type.value_type):
        dtype = f"category[{native.dtype.categories.dtype}]"
    column = from_arrow(name, array, _FRAME, dtype)
    # The categories of polars are shared by all its frames: those of others stand among them.
    return replace(column, categories=None) if dtype == "Categorical" else column


def _called(native: Any) -> str:
    """The type of a column in the frame's own words."""
    if isinstance(native, pyarrow().ChunkedArray):
        return str(native.type)
    dtype = str(native.dtype)
    # The one type whose name leaves something out.
    return (
        f"string[{native.dtype.storage}]"
        if repr(native.dtype).startswith("<StringDtype(storage")
        else dtype
    )


def to_frame(table: DataTable, backend: str) -> Any:
    """A data frame that holds a table.

    Args:
        table: its columns; those that came from a frame of `backend` get their types back.
        backend: pandas, polars or pyarrow, as `backend_of` says.

    Raises:
        ArgumentError: if there is no such backend.
        DataError: if a value is none of its column's type, such as 200 in int8.
        MissingDependencyError: if the backend is not installed.
    """
    if backend not in _BACKENDS:
        raise unknown("data frame", backend, _BACKENDS)
    for column in table:
        _refuse_misfit(column)
    return _BACKENDS[backend](table)


def _refuse_misfit(column: Column) -> None:
    """Integers beyond the width of their type would wrap around, times lose their fraction."""
    plain = _plain(column.dtype)
    if plain is None or column.values.dtype == object:
        return
    values = column.present
    misfit = values.astype(plain).astype(values.dtype) != values
    if misfit.any():
        raise DataError(
            f"the column {column.name!r} holds {values[misfit][0]}, which its type {column.dtype} "
            "cannot."
        )


def _plain(dtype: str) -> np.dtype[Any] | None:
    """NumPy's type for integers and dates by the name that any frame has for them."""
    name = dtype.lower()
    if integer := re.match(r"u?int(8|16|32|64)\b", name):
        return np.dtype(integer[0])
    if unit := re.match(r"(?:datetime|timestamp).*?\b(s|ms|us|ns)\b", name):
        return np.dtype(f"datetime64[{unit[1]}]")
    return np.dtype("datetime64[D]") if re.search(r"\bdate(32)?\b", name) else None


# ----------------------------------------------------------------------------------- pyarrow


def _arrow_frame(table: DataTable) -> Any:
    return pyarrow().table([_arrow_array(column) for column in table], names=list(table.names))


def _arrow_array(column: Column) -> Any:
    """Of the type that the column remembers, if Arrow knows it."""
    arrow, array = pyarrow(), to_arrow(column)
    if coded := re.match(r"dictionary<values=(\w+), indices=(\w+)", column.dtype):
        return arrow.DictionaryArray.from_arrays(
            array.indices.cast(coded[2]), array.dictionary.cast(coded[1]), ordered=column.ordered
        )
    try:
        return array.cast(arrow.type_for_alias(column.dtype.removesuffix("[pyarrow]")))
    except (ValueError, arrow.ArrowException):  # another's name for it, or none
        return array


# ------------------------------------------------------------------------------------ polars


def _polars_frame(table: DataTable) -> Any:
    polars = _imported("polars")

    def series(column: Column) -> Any:
        made = polars.Series(
            column.name, polars.from_arrow(to_arrow(replace(column, categories=None)))
        )
        name = column.dtype.partition("(")[0]
        if name == "Enum" and column.categories is not None:
            return made.cast(polars.Enum(column.categories))
        if name == "Datetime":
            unit: Any = re.findall(r"'(ms|us|ns)'", column.dtype)[0]
            return made.cast(polars.Datetime(unit))
        return made.cast(getattr(polars, name)) if name in _POLARS else made

    return polars.DataFrame([series(column) for column in table])


_POLARS = frozenset(
    [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    + ["Float32", "Float64", "Boolean", "String", "Categorical", "Date"]
)


# ------------------------------------------------------------------------------------ pandas

_DATES = "object[date]"
"""Python's dates in a column of objects, which pandas has no name for."""


def _pandas_frame(table: DataTable) -> Any:
    pandas = _imported("pandas")

    return pandas.DataFrame({column.name: _pandas_series(column) for column in table})


def _pandas_series(column: Column) -> Any:
    pandas = _imported("pandas")

    dtype = column.dtype
    if dtype.endswith("[pyarrow]"):
        return pandas.Series(pandas.arrays.ArrowExtensionArray(_arrow_array(column)))
    values = column.values
    if column.missing.any():
        values = values.astype(object)
        values[column.missing] = None
    if dtype == _DATES:
        return pandas.Series([each and each.date() for each in values.astype(object)], dtype=object)
    if column.values.dtype == object:
        if dtype == "object" or dtype.startswith("str"):
            return pandas.Series(list(values), dtype=dtype)
        if column.categories is not None:
            return pandas.Series(_pandas_categories(column, values))
        return pandas.Series(list(values))  # pandas has a type for words of its own
    try:
        target = pandas.api.types.pandas_dtype(dtype)
    except TypeError:  # another's name for it, or none
        target = column.values.dtype
    if column.missing.any() and isinstance(target, np.dtype) and target.kind in _NULLABLE:
        target = _NULLABLE[target.kind].format(8 * target.itemsize)
    return pandas.Series(values, dtype=target)


_NULLABLE = {"i": "Int{}", "u": "UInt{}", "b": "boolean"}


def _pandas_categories(column: Column, values: np.ndarray) -> Any:
    pandas = _imported("pandas")

    assert column.categories is not None
    made = pandas.Categorical(values, categories=list(column.categories), ordered=column.ordered)
    inner = re.fullmatch(r"category\[(\w+)\]", column.dtype)
    if inner is None:
        return made
    return made.rename_categories(
        pandas.Index([int(category) for category in column.categories], dtype=inner[1])
    )


_BACKENDS: Mapping[str, Callable[[DataTable], Any]] = {
    "pandas": _pandas_frame,
    "polars": _polars_frame,
    "pyarrow": _arrow_frame,
}
