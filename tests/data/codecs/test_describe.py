"""What a column is, in words: in its own units, on one line, not too long."""

from typing import Any

import numpy as np
import pytest

from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.codecs.describe import described
from sfumato.data.table import Column, ColumnType


def column(values: Any, missing: Any = False) -> Column:
    values = np.array(values)
    values = values.astype(object) if values.dtype.kind == "U" else values
    return Column("x", values, np.broadcast_to(missing, values.shape).copy())


def told(kind: ColumnType, values: Any) -> str:
    of = NumericCodec if kind in ("continuous", "integer", "date") else CategoricalCodec
    return described(of.fit(column(values), kind))


def test_ranges_are_in_the_columns_own_units() -> None:
    assert told("integer", [3, 90, 41]) == "3 to 90"
    assert told("continuous", [0.1 + 0.2, 1.5, 2.0]) == "0.3 to 2"
    days = np.array(["2020-02-29", "2021-03-01"], "datetime64[us]")
    assert told("date", days) == "2020-02-29 to 2021-03-01"


def test_values_that_come_often_are_named_dates_as_dates() -> None:
    numbers = [0.0] * 40 + [k + 0.5 for k in range(60)]
    assert told("continuous", numbers) == "0 to 59.5; often 0"
    days = np.datetime64("2020-01-01", "us") + np.arange(60) * np.timedelta64(1, "D")
    often = np.concatenate([np.repeat(np.datetime64("1970-01-01", "us"), 40), days])
    assert told("date", often) == (
        "1970-01-01 to 2020-02-29; often 1970-01-01; 1970-01-01 may mean missing "
        "(--missing 1970-01-01)"
    )


def test_levels_are_cut_short_and_stay_on_one_line() -> None:
    assert told("categorical", ["a\nb", "c"]) == "2 categories: a b, c"
    assert told("categorical", ["x" * 30, " "]) == f"2 categories: ' ', {'x' * 17}..."
    assert told("categorical", list("abcdefg")) == "7 categories: a, b, c, d, e, ..."
    assert told("constant", [7, 7]) == "always 7"
    assert (
        described(CategoricalCodec.fit(column(["", ""], True), "constant")) == "missing values only"
    )


@pytest.mark.parametrize("mark", ["#NULL!", ".r", "n.a.", "k.A.", "?", "Unknown", "\\N"])
def test_texts_that_often_stand_for_missing_values_are_named(mark: str) -> None:
    assert f"{mark!r} may mean missing (--missing " in told("categorical", ["a", "b", mark])


def test_other_texts_are_no_marks() -> None:
    assert "missing" not in told("categorical", ["NO", "#1", "ka", ".5x", "N"])
