"""Durations and times of the day of frames and Parquet, held in seconds and given back exactly.

A column of them is one of numbers: integers where all are whole seconds, else decimals. The name of
its type says what it comes back as; written to a text file, whole seconds are `h:mm:ss`.
"""

import re
from datetime import time, timedelta
from typing import Any

import numpy as np

from sfumato.data.table import Column

_DAY = 24 * 3600
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# What frames call them: NumPy and pandas, polars, Arrow; the unit where there is one.
_DURATION = re.compile(r"(?:timedelta64\[|Duration\(time_unit='|duration\[)(s|ms|us|ns)\b.*")
_TIME = re.compile(r"time(?:32|64)\[(s|ms|us|ns)\](?:\[pyarrow\])?")
_OBJECTS = {"object[time]": ("time", "us"), "object[timedelta]": ("duration", "us")}

_TEXT = re.compile(r"(-?)(\d+):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)")


def elapsed_of(dtype: str) -> tuple[str, str] | None:
    """`duration` or `time`, and the unit, by the name that any frame has; None for other types."""
    if dtype in _OBJECTS:
        return _OBJECTS[dtype]
    if dtype == "Time":
        return "time", "ns"
    if found := _DURATION.fullmatch(dtype):
        return "duration", found[1]
    return ("time", found[1]) if (found := _TIME.fullmatch(dtype)) else None


def from_ticks(
    name: str, ticks: np.ndarray, missing: np.ndarray, dtype: str
) -> tuple[Column, np.ndarray]:
    """The column of such values, and which of them seconds in 64 bits do not hold exactly.

    Args:
        name: of the column.
        ticks: `(n,)` int64, in the unit of the type; any where one is missing.
        missing: `(n,)`.
        dtype: what its frame, or else Arrow, calls its type.
    """
    kind, unit = elapsed_of(dtype)  # type: ignore[misc]
    per, present = _PER_SECOND[unit], np.where(missing, 0, ticks)
    whole = not (present % per).any()
    values = present // per if whole else present / per
    note = f"{'times of the day' if kind == 'time' else 'durations'}, learned in seconds"
    form = "" if not whole or present.min(initial=0) < 0 else "hh:mm:ss"
    form = form[1:] if kind == "duration" else form
    column = Column(name, values, missing, dtype=dtype, form=form, note=note)
    return column, to_ticks(values, unit) != present


def is_held(seconds: Any, dtype: str) -> Any:
    """Whether a type can hold seconds: a time of the day is less than a day, a tick an integer.

    Args:
        seconds: a number, or `(n,)`.
        dtype: what a frame calls the type.
    """
    kind, unit = elapsed_of(dtype)  # type: ignore[misc]
    if kind == "time":
        return (seconds >= 0) & (seconds < _DAY)
    return np.abs(seconds) < 2**63 / _PER_SECOND[unit] / 2


def to_ticks(seconds: np.ndarray, unit: str) -> np.ndarray:
    """Seconds in a unit, `(n,)` int64, rounded to it."""
    per = _PER_SECOND[unit]
    return seconds * per if seconds.dtype == np.int64 else np.round(seconds * per).astype(np.int64)


def seconds_of(value: Any) -> Any:
    """A duration, a time of the day, or text of one, in seconds; any other value as it is.

    Seconds are an integer where they are whole.

    Raises:
        ValueError: if a time of the day is in a time zone.
    """
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise ValueError
        value = timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second,
            microseconds=value.microsecond,
        )  # fmt: skip
    if isinstance(value, timedelta):  # pandas' too, whose nanoseconds are beside it
        nanoseconds = getattr(value, "nanoseconds", 0)
        ticks = (value // timedelta(microseconds=1)) * 1000 + nanoseconds
        return _counted(ticks, 10**9)
    if isinstance(value, np.timedelta64):
        return _counted(int(value.astype("timedelta64[ns]").astype(np.int64)), 10**9)
    if isinstance(value, str) and (found := _TEXT.fullmatch(value.strip())):
        sign, hours, minutes, rest = found.groups()
        second, _, fraction = rest.partition(".")
        ticks = (int(hours) * 3600 + int(minutes) * 60 + int(second)) * 10**9
        ticks += int(fraction.ljust(9, "0") or "0")
        return _counted(-ticks if sign else ticks, 10**9)
    return value


def _counted(ticks: int, per: int) -> int | float:
    return ticks // per if ticks % per == 0 else ticks / per
