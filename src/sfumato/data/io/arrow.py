"""Tables as Arrow has them: of Parquet files and of data frames, to ours and back.

What a column of ours cannot hold exactly is refused: an integer beyond 2^53, an infinity, a time
finer than a microsecond, a number of another kind, anything nested. A decimal becomes the float64
next to it; of a frame, which is to get it back, one of more digits is refused. Times in a time zone
are held in UTC, and their type says in which zone they are given back.
"""

import re
from dataclasses import replace
from decimal import Context, Decimal
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from sfumato.data.io.cells import INEXACT, LARGEST_EXACT
from sfumato.data.io.elapsed import elapsed_of, from_ticks, is_held, to_ticks
from sfumato.data.table import Column
from sfumato.errors import DataError, MissingDependencyError

_EPOCH = np.datetime64(0, "us")

# More than a float has before the point and a decimal of 256 bits after it.
_DIGITS = 400

# Decimals of so many digits all differ as float64.
_SURE_DIGITS = 15

_LONG = "is a decimal of more digits than a 64-bit float holds; round it, or make the column floats"


def pyarrow() -> ModuleType:
    """The module.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.json
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

    if types.is_run_end_encoded(kind):
        return from_arrow(name, pyarrow().compute.run_end_decode(array), where, dtype)
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
        # By way of text: Arrow's own cast makes 0.30000000000000004 of 0.3.
        text = array.cast(pyarrow().string())
        values = text.cast(pyarrow().float64()).fill_null(0.0).to_numpy()
        large = np.abs(values) >= LARGEST_EXACT
        for row in np.flatnonzero(large):
            exact = array[int(row)].as_py()
            large[row] = exact == exact.to_integral_value() and int(values[row]) != exact
        refuse(large, INEXACT)
        if dtype and kind.precision > _SURE_DIGITS:
            again = decimals(values, missing, kind.scale)
            pairs = zip(again, array.to_pylist(), strict=True)
            refuse(np.array([one != other for one, other in pairs]), _LONG)
        return Column(name, values, missing, dtype=dtype)
    if types.is_floating(kind):
        values = array.cast(pyarrow().float64()).fill_null(0.0).to_numpy()
        refuse(np.isinf(values), "is infinite; make it missing if it is not known")
        missing |= np.isnan(values)
        return Column(name, np.where(missing, 0.0, values), missing, dtype=dtype)
    note = ""
    if types.is_timestamp(kind) and kind.tz is not None:
        dtype, note = dtype or str(kind), f"times of {kind.tz}, learned in UTC"
        if not zone_of(dtype):  # Python objects
            raise DataError(
                f"{where}: the column {name!r} holds objects with the time zone {kind.tz}; make it "
                "a column of dates (pandas.to_datetime)."
            )
        if not is_zone(kind.tz):
            raise DataError(
                f"{where}: the column {name!r} is of times in the zone {kind.tz!r}, which is not "
                "known here; name it as the tz database does (Europe/Paris), or by its offset "
                "(+01:00)."
            )
        if dtype.startswith("datetime64["):  # Arrow names zones so that both read them
            dtype = f"datetime64[{kind.unit}, {kind.tz}]"
        array = array.cast(pyarrow().timestamp(kind.unit))
    if types.is_date(kind) or types.is_timestamp(kind):
        moments = array.to_numpy()
        years = (
            moments.astype("datetime64[Y]").astype(np.int64) + 1970
        )  # no tick overflows on the way
        refuse(
            ~missing & ((years < 1) | (years > 9999)), "is outside of the years 1 to 9999", moments
        )
        values = moments.astype("datetime64[us]")
        refuse(
            ~missing & (values.astype(moments.dtype) != moments),
            "is finer than a microsecond",
            moments,
        )
        return Column(name, np.where(missing, _EPOCH, values), missing, dtype=dtype, note=note)
    if (types.is_duration(kind) or types.is_time(kind)) and elapsed_of(dtype or str(kind)):
        ticks = array.cast(pyarrow().int32()) if types.is_time32(kind) else array
        counted = ticks.cast(pyarrow().int64()).fill_null(0).to_numpy()
        column, inexact = from_ticks(name, counted, missing, dtype or str(kind))
        refuse(inexact, "is finer than 64 bits of seconds hold; round it", counted)
        return column
    raise DataError(
        f"{where}: the column {name!r} is of type {dtype or kind}; numbers, text, true and false, "
        "dates, times and durations are read: encode it or drop it."
    )


def elapsed_array(column: Column) -> Any:
    """Arrow's array of durations or times of the day, of the type that the column remembers.

    Raises:
        DataError: if a value is none of the type, such as 25 hours in a time of the day.
    """
    if (misfit := ~(is_held(column.values, column.dtype) | column.missing)).any():
        raise DataError(
            f"the column {column.name!r} holds {column.values[misfit][0]} seconds, which its type "
            f"{column.dtype} cannot."
        )
    what, unit = elapsed_of(column.dtype)  # type: ignore[misc]
    arrow = pyarrow()
    ticks = to_ticks(np.where(column.missing, 0, column.values), unit)
    if what == "duration":
        return arrow.array(ticks, arrow.int64(), mask=column.missing).cast(arrow.duration(unit))
    if unit in ("s", "ms"):
        return arrow.array(ticks, arrow.int32(), mask=column.missing).cast(arrow.time32(unit))
    return arrow.array(ticks, arrow.int64(), mask=column.missing).cast(arrow.time64(unit))


def _is_text(kind: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _categories(name: str, array: Any, where: str, dtype: str) -> Column:
    """Text with its categories; integers that are categories are text of digits."""
    kind = array.type
    whole = array.unify_dictionaries().combine_chunks()
    known = _is_text(kind.value_type) or pyarrow().types.is_integer(kind.value_type)
    if not known and len(whole.dictionary):  # pandas calls no categories at all float64
        raise DataError(
            f"{where}: the column {name!r} has categories of type {kind.value_type}; make them "
            "text or integers."
        )
    categories = [None if level is None else str(level) for level in whole.dictionary.to_pylist()]
    codes = whole.indices.cast("int64").fill_null(-1).to_numpy()
    text = np.array([*categories, None], dtype=object)[codes]
    missing = np.array([each is None for each in text], dtype=bool)
    text[missing] = ""
    declared = tuple(dict.fromkeys(level for level in categories if level is not None))
    return Column(name, text, missing, declared, bool(kind.ordered), dtype)


def to_arrow(column: Column) -> Any:
    """Arrow's array for a column of ours, with nulls for missing values.

    Text with categories becomes a dictionary, dates a timestamp in microseconds.
    """
    if column.categories is None:
        kind = pyarrow().string() if column.values.dtype == object else None
        return pyarrow().array(column.values, kind, mask=column.missing)
    code = {level: k for k, level in enumerate(column.categories)}
    codes = np.array([code.get(each, -1) for each in column.values], dtype=np.int32)
    assert (codes[~column.missing] >= 0).all()
    return pyarrow().DictionaryArray.from_arrays(
        pyarrow().array(codes, mask=column.missing),
        pyarrow().array(column.categories, pyarrow().string()),
        ordered=column.ordered,
    )


def arrow_type(name: str) -> Any | None:
    """Arrow's type as `str` of it says; None if it is another library's, or of unknown parts."""
    arrow = pyarrow()
    try:
        if coded := re.fullmatch(
            r"dictionary<values=([^<>]+), indices=(\w+), ordered=([01])>", name
        ):
            values, indices = arrow_type(coded[1]), arrow_type(coded[2])
            return arrow.dictionary(indices, values, coded[3] == "1")
        if runs := re.fullmatch(r"run_end_encoded<run_ends: (\w+), values: ([^<>]+)>", name):
            return arrow.run_end_encoded(arrow_type(runs[1]), arrow_type(runs[2]))
        if moment := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=([^\[\]]+)\]", name):
            return arrow.timestamp(moment[1], moment[2])
        if digits := re.fullmatch(r"(decimal(?:32|64|128|256))\((\d+), (-?\d+)\)", name):
            return getattr(arrow, digits[1])(int(digits[2]), int(digits[3]))
        return arrow.type_for_alias(name)
    except (ValueError, TypeError, AttributeError, arrow.ArrowException):
        return None


def to_arrow_type(column: Column, kind: Any) -> Any:
    """Arrow's array of that type.

    Decimals are rounded to the digits that their type has. Codes of categories and run ends get a
    wider integer than the type says where there are more of them than it can count.

    Raises:
        ValueError: if a value is none of the type; Arrow's errors are.
    """
    arrow, types = pyarrow(), pyarrow().types
    if types.is_run_end_encoded(kind):
        ends = _wide_enough(kind.run_end_type, len(column.values))
        return arrow.compute.run_end_encode(to_arrow_type(column, kind.value_type), ends)
    if types.is_decimal(kind):
        return arrow.array(decimals(column.values, column.missing, kind.scale), kind)
    if types.is_null(kind) and column.missing.all():
        return arrow.nulls(len(column.values))
    if _is_text(kind):  # older versions cannot cast to string_view
        return arrow.array(column.values, kind, mask=column.missing)
    array = to_arrow(column)
    if not types.is_dictionary(kind):
        return array.cast(kind)
    if column.categories is None:
        array = array.cast(arrow.string()).dictionary_encode()
    values = np.array(array.dictionary.to_pylist(), dtype=object)
    of = to_arrow_type(Column(column.name, values, np.zeros(len(values), bool)), kind.value_type)
    codes = array.indices.cast(_wide_enough(kind.index_type, len(values) - 1))
    return arrow.DictionaryArray.from_arrays(codes, of, ordered=column.ordered)


def zone_of(dtype: str) -> str:
    """The time zone in the name that a frame or Arrow has for a type; empty where there is none."""
    found = re.search(
        r"(?:datetime64\[\w+, |timestamp\[\w+, tz=|Datetime\(.*time_zone=')([^]']+)", dtype
    )
    return found[1] if found else ""


def is_zone(zone: str) -> bool:
    """Whether a time zone is known here: by its name in the tz database, or an offset (+01:00)."""
    if re.fullmatch(r"[+-]([01]\d|2[0-3]):[0-5]\d", zone):
        return True
    try:
        return bool(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of a folder there, or of no name at all
        return False


def _wide_enough(kind: Any, largest: int) -> Any:
    """The integer type, or the narrowest wider one that can hold a number."""
    sign, bits = re.fullmatch(r"(u?int)(\d+)", str(kind)).groups()  # type: ignore[union-attr]
    widths = (width for width in (8, 16, 32, 64) if width >= int(bits))
    names = (f"{sign}{width}" for width in widths)
    return next(pyarrow().type_for_alias(n) for n in names if np.iinfo(n).max >= largest)


def decimals(values: np.ndarray, missing: np.ndarray, scale: int) -> list[Decimal | None]:
    """Numbers as the nearest decimals of so many digits after the point; None where missing."""
    unit, wide = Decimal(1).scaleb(-scale), Context(prec=_DIGITS)
    cells = zip(values.tolist(), missing, strict=True)
    return [
        None if absent else Decimal(repr(each)).quantize(unit, context=wide)
        for each, absent in cells
    ]
