"""What each column of a table is taken for, and how a user says otherwise.

boolean      true or false
categorical  text; numbers, if the user says so
ordinal      numbers of a few values that come often; integers that a file has in quotes, as codes
integer      integers: come out as integers, spread over the range of the data
continuous   other numbers
date         days or times
constant     one value, or missing values only
identifier   names the rows and says nothing of them: set aside, see `data.codecs.identifiers`
dropped      left out, if the user says so
"""

import re
from collections.abc import Mapping
from typing import get_args

import numpy as np

from sfumato.data.codecs.identifiers import numbers_the_rows
from sfumato.data.io.forms import read_form
from sfumato.data.io.reading import Fault, option
from sfumato.data.table import Column, ColumnType, DataTable
from sfumato.errors import ArgumentError, DataError, unknown

# Numbers of so few values are ordinal, if each comes so often in the mean.
_FEW, _OFTEN_WHOLE, _OFTEN = 32, 5, 10

# Text that mostly differs names the rows, and so does a short column of text that always does.
_IDENTIFIER = 0.5
_LEAST_IDENTIFIER = 100
_LEAST_DIFFERENT = 20

# As people write dates.
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ] *\d.*)?")

# What integers are called that name the rows, if they all differ; `row` is R's and pandas' index.
_KEY = re.compile(r"(?:.*[\W_])?(?i:row|id)|.*[a-z0-9]I[Dd]|[A-Z]ID")

# The form of digits alone, which may be keys.
_DIGITS = "1234"

# A column may not have more categories.
_MOST_CATEGORIES = 10_000


def column_types_of(table: DataTable, declared: Mapping[str, str]) -> dict[str, ColumnType]:
    """The type of each column: as declared, else as its values suggest.

    Args:
        table: all its rows.
        declared: types by column.

    Raises:
        ArgumentError: if a column or kind is unknown, or a column cannot be of the kind declared.
        DataError: if a column declared categorical has too many categories, or one holds dates as
            text.
    """
    known = get_args(ColumnType)
    declared = {name: kind.partition(":")[0] for name, kind in declared.items()}
    for name, kind in declared.items():
        if name not in table.names:
            raise unknown("column", name, table.names)
        if kind not in known or kind == "constant":
            raise unknown(f"kind (for the column {name!r})", kind, set(known) - {"constant"})
    return {
        column.name: _checked(column, declared[column.name])  # type: ignore[arg-type]
        if column.name in declared
        else _guessed(column)
        for column in table
    }


def _guessed(column: Column) -> ColumnType:
    present = column.present
    distinct = _distinct(present)
    if len(distinct) <= 1:
        return "constant"
    if present.dtype == np.bool_:
        return "boolean"
    if present.dtype == object:
        return "identifier" if _names_the_rows(column, len(distinct)) else "categorical"
    if present.dtype.kind == "M":
        return "date"
    whole = present.dtype.kind == "i" or bool(np.array_equal(np.round(present), present))
    if present.dtype.kind == "i" and (
        (len(present) > _LEAST_IDENTIFIER and numbers_the_rows(present))
        or _counts(column)
        or (_KEY.fullmatch(column.name) and len(distinct) == len(present) >= _LEAST_DIFFERENT)
    ):
        return "identifier"
    if column.in_quotes and present.dtype.kind == "i":
        return "identifier" if _are_keys(column, len(distinct)) else "ordinal"
    often = len(present) / len(distinct)
    if len(distinct) <= _FEW and often >= (_OFTEN_WHOLE if whole else _OFTEN):
        return "ordinal"
    return "integer" if present.dtype.kind == "i" else "continuous"


def _names_the_rows(column: Column, distinct: int) -> bool:
    """Whether text nearly always differs, or differs too much to be categories.

    Raises:
        DataError: if it is dates or amounts.
    """
    present = column.present
    differs = distinct > max(_LEAST_IDENTIFIER, _IDENTIFIER * len(present))
    if not (differs or distinct == len(present) >= _LEAST_DIFFERENT):
        return distinct > _MOST_CATEGORIES
    read = read_form(column)
    formed = isinstance(read, Fault) or (read is not None and read.form != _DIGITS)
    if formed or all(map(_DATE.fullmatch, present[:20])):
        raise DataError(
            f"the column {column.name!r} holds dates or amounts as text, as {present[0]!r}; make "
            "them dates or numbers (pandas.to_datetime, to_numeric), in a file write all alike, or "
            f"keep the text ({option(column.name, 'categorical')}).",
            code="forms-as-text",
            column=column.name,
            cell=str(present[0])[:40],
        )
    return True


def _are_keys(column: Column, distinct: int) -> bool:
    """Whether codes are names of rows: R counts those from 1, and others differ as text does."""
    rows = len(column.values)
    differ = distinct > max(_LEAST_IDENTIFIER, _IDENTIFIER * rows) or distinct > _MOST_CATEGORIES
    counted = np.array_equal(column.values, np.arange(1, rows + 1))
    return counted or differ or distinct == rows >= _LEAST_DIFFERENT


def _counts(column: Column) -> bool:
    """Whether integers count the rows as they stand, from 0 or 1."""
    first, rows = int(column.values[0]), len(column.values)
    counted = first in (0, 1) and rows >= _LEAST_DIFFERENT and not column.missing.any()
    return counted and bool(np.array_equal(column.values, np.arange(first, first + rows)))


def _checked(column: Column, kind: ColumnType) -> ColumnType:
    """The kind, if the column can be of it."""
    present = column.present
    distinct = _distinct(present)
    if kind in ("dropped", "identifier"):
        return kind
    if len(distinct) <= 1:
        return "constant"
    numeric = present.dtype.kind in "fi"
    whole = numeric and bool(np.array_equal(np.round(present.astype(np.float64)), present))
    can = {
        "continuous": numeric,
        "integer": whole,
        "date": present.dtype.kind == "M",
        "boolean": len(distinct) <= 2,
        "ordinal": True,
        "categorical": True,
    }
    if not can[kind]:
        what = {"f": "numbers with decimals", "i": "integers", "M": "dates", "b": "booleans"}
        raise ArgumentError(
            f"the column {column.name!r} cannot be {kind}: it holds "
            f"{what.get(present.dtype.kind, 'text')} of {len(distinct):,} different values."
        )
    return _few_enough(column, distinct, kind) if kind in ("ordinal", "categorical") else kind


def _few_enough(column: Column, distinct: set[object], kind: ColumnType) -> ColumnType:
    if len(distinct) > _MOST_CATEGORIES:
        raise DataError(
            f"the column {column.name!r} has {len(distinct):,} different values, more than the "
            f"{_MOST_CATEGORIES:,} categories that can be learned; merge the rare ones, or leave "
            f"it out ({option(column.name, 'dropped')}).",
            code="many-categories",
            column=column.name,
            distinct=len(distinct),
            most=_MOST_CATEGORIES,
        )
    return kind


def _distinct(values: np.ndarray) -> set[object]:
    return set(values.tolist())
