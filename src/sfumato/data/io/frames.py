"""Data frames of pandas, polars and pyarrow: to tables, and back to what they were.

A column remembers how its frame calls its type, so that a table goes back to the same frame, and
one that a model has made to a frame like the one it learned from, which only has to be named.

What comes back is the same but for this: integers and booleans of NumPy have no missing values, so
where there are any a pandas column of theirs becomes the nullable one of the same width (int32 to
Int32, bool to boolean); the index of pandas is left behind. A type that would come back as another
is refused before anything is learned from it.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from sfumato.data.io.arrow import (
    arrow_type,
    decimals,
    elapsed_array,
    from_arrow,
    pyarrow,
    to_arrow,
    to_arrow_type,
    zone_of,
)
from sfumato.data.io.cells import INEXACT, LARGEST_EXACT
from sfumato.data.io.elapsed import elapsed_of
from sfumato.data.io.forms import as_text
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

    NaN, None, NaT and NA are missing; columns of Python objects are what all of these are. Columns
    that pandas has numbered are named by their numbers.

    Args:
        frame: of pandas, polars or pyarrow.

    Raises:
        DataError: naming the column that is none of numbers, text, booleans and dates, whose values
            cannot be held exactly, or whose type could not be given back.
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
    backend = str(known.implementation.name).lower()
    if backend not in _BACKENDS:
        raise DataError(f"a data frame of pandas, polars or pyarrow is needed; got {backend}'s.")
    columns = tuple(_column(name, known[name]) for name in names)
    for column in columns:
        _refuse_another(column, known[column.name].to_native(), backend)
    return DataTable(columns)


def _refuse_another(column: Column, native: Any, backend: str) -> None:
    """A type that would not come back, such as an extension's that is stored as numbers."""
    made = _BACKENDS[backend](DataTable((column.take(np.arange(1)),)))[column.name]
    given, again = (each.type if backend == "pyarrow" else each.dtype for each in (native, made))
    if given != again:
        raise DataError(
            f"{_FRAME}: the column {column.name!r} is of type {given}, which would come back as "
            f"{again}; make it that."
        )


def _column(name: str, series: Any) -> Column:
    """One column, by way of Arrow, which every frame speaks."""
    native = series.to_native()
    dtype = _called(native)
    series = _plainer(series, name, dtype)
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
            f"{_FRAME}: the column {name!r} of type {dtype} is none of numbers, text, true and "
            "false, dates, times and durations alone; make all its values one of these."
        )
    types = pyarrow().types
    if dtype == "object" and types.is_date(array.type):
        dtype = _DATES
    if dtype == "object" and types.is_decimal(array.type):
        dtype = f"object[{array.type}]"
    if dtype == "object" and types.is_time(array.type):
        dtype = "object[time]"
    if dtype == "object" and types.is_duration(array.type):
        dtype = "object[timedelta]"
    if dtype == "category":
        dtype = _category_called(native, array.type.value_type)
    column = from_arrow(name, array, _FRAME, dtype)
    # The categories of polars are shared by all its frames: those of others stand among them.
    return replace(column, categories=None) if dtype.startswith("Categorical") else column


def _plainer(series: Any, name: str, dtype: str) -> Any:
    """The same values in a type that Arrow has, where the frame's own is none.

    Raises:
        DataError: if the type holds more than can be kept.
    """
    native = series.to_native()
    if dtype.startswith("Sparse["):
        native = native.sparse.to_dense()
    elif dtype in ("Int128", "UInt128"):
        wrong = np.array([each is not None and abs(each) > LARGEST_EXACT for each in native])
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{_FRAME}, data row {row + 1}, column {name!r}: {native[row]} {INEXACT}."
            )
        native = native.cast(_imported("polars").Int64)
    elif dtype in ("float96", "float128"):
        raise DataError(
            f"{_FRAME}: the column {name!r} is of type {dtype}, wider than the 64 bits of a float "
            "that can be kept; make it float64."
        )
    else:
        return series
    return _narwhals().from_native(native, series_only=True)


def _called(native: Any) -> str:
    """The type of a column in the frame's own words, and what they leave out."""
    if isinstance(native, pyarrow().ChunkedArray):
        return str(native.type)
    dtype = str(native.dtype)
    if dtype in ("str", "string") and native.dtype.storage != "pyarrow":
        return f"{dtype}[{native.dtype.storage}]"
    if dtype.startswith("Sparse["):  # the fill value may be np.int32(0) there
        return f"Sparse[{native.dtype.subtype}, {native.dtype.fill_value}]"
    if dtype.startswith("Categorical(") and hasattr(native.dtype, "categories"):
        named = native.dtype.categories
        return "Categorical" + json.dumps([named.name(), named.namespace(), str(named.physical())])
    return "Enum" if dtype.startswith("Enum(") else dtype


def _category_called(native: Any, kind: Any) -> str:
    """A categorical type of pandas with that of its categories, unless it is text's usual one."""
    of = native.dtype.categories
    if of.dtype == _imported("pandas").Index(["a"]).dtype:
        return "category"
    text = of.dtype == object and not pyarrow().types.is_integer(kind)
    return f"category[{_OBJECTS_OF_TEXT if text else _called(of)}]"


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
    table = DataTable(tuple(map(as_text, table)))
    for column in table:
        _refuse_misfit(column)
    return _BACKENDS[backend](table)


def _refuse_misfit(column: Column) -> None:
    """Integers beyond the width of their type would wrap around, times lose their fraction."""
    plain = _plain(column.dtype)
    if plain is None or column.values.dtype == object:
        return
    values = column.present
    if (plain.kind == "M") != (values.dtype.kind == "M"):
        misfit = np.ones(len(values), bool)
    elif plain.kind in "iu":
        least, most = np.iinfo(plain).min, np.iinfo(plain).max
        misfit = (values < least) | (values > most) | (np.round(values) != values)
    elif plain.kind == "f":
        with np.errstate(over="ignore"):
            misfit = np.isinf(values.astype(plain))
    else:
        misfit = values.astype(plain).astype(values.dtype) != values
    if misfit.any():
        raise DataError(
            f"the column {column.name!r} holds {values[misfit][0]}, which its type {column.dtype} "
            "cannot."
        )


def _plain(dtype: str) -> np.dtype[Any] | None:
    """NumPy's type for what is narrower than ours, by the name that any frame has for it."""
    name = re.sub(r"^(sparse\[|run_end_encoded<.*values: )", "", dtype.lower())
    word = re.match(r"[a-z]*[0-9]*", name)[0]  # type: ignore[index]
    if re.fullmatch("u?int(8|16|32|64)|float(16|32)", word):
        return np.dtype(word)
    if word in _NARROW:
        return np.dtype(_NARROW[word])
    if unit := re.match(r"(?:datetime|timestamp).*?\b(s|ms|us|ns)\b", name):
        return np.dtype(f"datetime64[{unit[1]}]")
    return np.dtype("datetime64[D]") if re.search(r"\bdate(32|64)?\b", name) else None


# Whatever has no number of bits, or more of them than ours; `float` is Arrow's.
_NARROW = {
    "bool": "bool",
    "boolean": "bool",
    "float": "float32",
    "halffloat": "float16",
    "uint128": "uint64",
}


def _made(column: Column, make: Callable[[Column], Any]) -> Any:
    """The frame's own column.

    Raises:
        DataError: if a value is none of its type, in its library's words.
    """
    refusals: list[type[Exception]] = [TypeError, ValueError, ArithmeticError]
    refusals.append(pyarrow().ArrowException)
    if polars := sys.modules.get("polars"):
        refusals.append(polars.exceptions.PolarsError)
    try:
        return make(column)
    except tuple(refusals) as error:
        why = " ".join(str(error).partition("\n")[0].split())
        raise DataError(
            f"the column {column.name!r} cannot be of type {column.dtype}: {why}"
        ) from error


# ----------------------------------------------------------------------------------- pyarrow


def _arrow_frame(table: DataTable) -> Any:
    arrays = [_made(column, _arrow_array) for column in table]
    return pyarrow().table(arrays, names=list(table.names))


def _arrow_array(column: Column) -> Any:
    """Of the type that the column remembers, if Arrow knows it."""
    if elapsed_of(column.dtype):
        return elapsed_array(column)
    kind = arrow_type(column.dtype.removesuffix("[pyarrow]"))
    return to_arrow(column) if kind is None else to_arrow_type(column, kind)


# ------------------------------------------------------------------------------------ polars


def _polars_frame(table: DataTable) -> Any:
    polars = _imported("polars")

    def series(column: Column) -> Any:
        if elapsed_of(column.dtype):
            return polars.Series(column.name, polars.from_arrow(elapsed_array(column)))
        kind = _polars_type(column)
        if kind is not None and kind == polars.Decimal:
            cells = decimals(column.values, column.missing, kind.scale)
            return polars.Series(column.name, cells, dtype=kind)
        made = polars.Series(
            column.name, polars.from_arrow(to_arrow(replace(column, categories=None)))
        )
        return made if kind is None else made.cast(kind)

    return polars.DataFrame([_made(column, series) for column in table])


def _polars_type(column: Column) -> Any | None:
    """The type that the column remembers; None if it is another library's."""
    polars = _imported("polars")
    name, _, inner = column.dtype.partition("(")
    if name == "Enum" and column.categories is not None:
        return polars.Enum(column.categories)
    if name == "Datetime" and (unit := re.search(r"'(ms|us|ns)'", inner)):
        return polars.Datetime(unit[1], zone_of(column.dtype) or None)
    if digits := re.fullmatch(r"precision=(\d+), scale=(\d+)\)", inner):
        return polars.Decimal(int(digits[1]), int(digits[2]))
    if column.dtype.startswith("Categorical[") and hasattr(polars, "Categories"):
        named, namespace, physical = json.loads(column.dtype.removeprefix("Categorical"))
        codes = {"UInt8": polars.UInt8, "UInt16": polars.UInt16}.get(physical, polars.UInt32)
        return polars.Categorical(polars.Categories(named, namespace, physical=codes))
    if (order := re.search(r"ordering='(\w+)'", inner)) and not hasattr(polars, "Categories"):
        return polars.Categorical(order[1])  # of polars before 1.32
    return getattr(polars, name, None) if name in _POLARS else None


_POLARS = frozenset(
    [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)]
    + ["Float16", "Float32", "Float64", "Boolean", "String", "Categorical", "Date", "Null"]
)


# ------------------------------------------------------------------------------------ pandas

_DATES = "object[date]"
"""Python's dates in a column of objects, which pandas has no name for."""

_OBJECTS_OF_TEXT = "object[text]"
"""Text in an index of objects, where they are categories; `object` alone is of integers."""


def _pandas_frame(table: DataTable) -> Any:
    pandas = _imported("pandas")

    return pandas.DataFrame({column.name: _made(column, _pandas_series) for column in table})


def _pandas_type(name: str) -> Any | None:
    """The type of that name; None if it is another library's."""
    pandas = _imported("pandas")
    if name.endswith("[pyarrow]"):
        kind = arrow_type(name.removesuffix("[pyarrow]"))
        return None if kind is None else pandas.ArrowDtype(kind)
    if text := re.fullmatch(r"string(?:\[(\w+)\])?", name):
        return pandas.StringDtype(text[1] or "pyarrow")
    if text := re.fullmatch(r"str\[(\w+)\]", name):
        return pandas.StringDtype(text[1], na_value=np.nan)
    if sparse := re.fullmatch(r"Sparse\[(\w+), (.+)\]", name):
        dtype, fill = np.dtype(sparse[1]), sparse[2]
        if fill in ("True", "False"):
            return pandas.SparseDtype(dtype, fill == "True")
        return pandas.SparseDtype(dtype, np.nan if fill == "nan" else dtype.type(fill))
    try:
        return pandas.api.types.pandas_dtype(name)
    except (TypeError, ValueError, NotImplementedError):
        return None


def _pandas_series(column: Column) -> Any:
    pandas = _imported("pandas")

    dtype = column.dtype
    if dtype.endswith("[pyarrow]"):
        return pandas.Series(pandas.arrays.ArrowExtensionArray(_arrow_array(column)))
    if elapsed_of(dtype):
        made = elapsed_array(column)
        objects = dtype.startswith("object")
        return pandas.Series(made.to_pylist(), dtype=object) if objects else made.to_pandas()
    values = column.values
    if column.missing.any():
        values = values.astype(object)
        values[column.missing] = None
    if dtype == _DATES:
        return pandas.Series([each and each.date() for each in values.astype(object)], dtype=object)
    if dtype.startswith("object[") and (kind := arrow_type(dtype[7:-1])) is not None:
        return pandas.Series(decimals(column.values, column.missing, kind.scale), dtype=object)
    if column.categories is not None:
        return pandas.Series(_pandas_categories(column, values))
    if column.values.dtype == object:
        if dtype == "object" or dtype.startswith("str"):
            target = _pandas_type(dtype)
            return pandas.Series(list(values), dtype=target)
        return pandas.Series(list(values))  # pandas has a type for text of its own
    if zone := zone_of(dtype):
        moments = pandas.Series(values, dtype="datetime64[us]")
        target = _pandas_type(dtype) or f"datetime64[us, {zone}]"
        return moments.dt.tz_localize("UTC").astype(target)
    target = _pandas_type(dtype)
    if target is None:  # another's name for it, or none
        target = column.values.dtype
    dense = getattr(target, "subtype", target)  # of a sparse one
    if column.missing.any() and isinstance(dense, np.dtype) and dense.kind in _NULLABLE:
        target = _NULLABLE[dense.kind].format(8 * dense.itemsize)
    return pandas.Series(values, dtype=target)


_NULLABLE = {"i": "Int{}", "u": "UInt{}", "b": "boolean"}


def _pandas_categories(column: Column, values: np.ndarray) -> Any:
    pandas = _imported("pandas")

    categories = list(column.categories or ())
    made = pandas.Categorical(values, categories=categories, ordered=column.ordered)
    inner = re.fullmatch(r"category\[(.+)\]|dictionary<values=(u?int\d+),.*", column.dtype)
    if inner is None:
        return made
    name = inner[1] or inner[2]
    if name == _OBJECTS_OF_TEXT:
        return made.rename_categories(pandas.Index(categories, dtype=object))
    of = (
        [int(each) for each in categories] if re.match("object|u?int", name.lower()) else categories
    )
    return made.rename_categories(pandas.Index(of, dtype=_pandas_type(name)))


_BACKENDS: Mapping[str, Callable[[DataTable], Any]] = {
    "pandas": _pandas_frame,
    "polars": _polars_frame,
    "pyarrow": _arrow_frame,
}
