"""Data frames: what goes in comes out, of the same types, and nothing changes on the way."""

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal as pandas_equal
from polars.testing import assert_frame_equal as polars_equal

from sfumato.data.io.frames import backend_of, from_frame, to_frame
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError, MissingDependencyError

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS = [*INTEGERS, "float32", "float64"]
DAY, MOMENT = date(2024, 3, 1), datetime(2024, 3, 1, 12, 30)


def _objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def _titled(name: str) -> str:
    return name.title().replace("Ui", "UI")


PANDAS: dict[str, Any] = {
    **{f"numpy {dtype}": pd.Series([1, 0], dtype=dtype) for dtype in NUMBERS},
    **{f"nullable {dtype}": pd.Series([1, None], dtype=dtype) for dtype in map(_titled, NUMBERS)},
    **{
        f"datetime {unit}": pd.Series([MOMENT, None]).astype(f"datetime64[{unit}]")
        for unit in ("s", "ms", "us", "ns")
    },
    "numpy float32 with a hole": pd.Series([0.1, np.nan], dtype="float32"),
    "numpy bool": pd.Series([True, False]),
    "nullable boolean": pd.Series([True, None], dtype="boolean"),
    "words": pd.Series(["a", None]),
    "string": pd.Series(["a", None], dtype="string"),
    "string of Python": pd.Series(["a", None], dtype="string[python]"),
    "objects that are words": _objects("a", None),
    "objects that are integers": _objects(1, None),
    "objects that are truths": _objects(True, None),
    "objects that are days": _objects(DAY, None),
    "objects that are moments": _objects(MOMENT, None),
    "objects that are nothing": _objects(None, None),
    "category": pd.Series(pd.Categorical(["b", None], categories=["z", "b"])),
    "category in order": pd.Series(pd.Categorical(["b", None], ["z", "b"], ordered=True)),
    "category of integers": pd.Series(pd.Categorical([3, None], categories=[7, 3])),
    "integer of Arrow": pd.Series([1, None], dtype="int32[pyarrow]"),
    "words of Arrow": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
    "time of Arrow": pd.Series([MOMENT, None], dtype=pd.ArrowDtype(pa.timestamp("ms"))),
}


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_comes_back_as_it_was(name: str) -> None:
    frame = pd.DataFrame({"z": [2.5, 1.5], "a": PANDAS[name]})
    again = to_frame(from_frame(frame), "pandas")
    pandas_equal(again, frame, check_exact=True)
    assert again["a"].dtype == frame["a"].dtype
    assert [type(value) for value in again["a"]] == [type(value) for value in frame["a"]]


POLARS: dict[str, pl.Series] = {
    **{
        str(dtype): pl.Series([1, None], dtype=dtype)
        for dtype in (getattr(pl, _titled(name)) for name in NUMBERS)
    },
    "truths": pl.Series([True, None]),
    "words": pl.Series(["a", None]),
    "categories": pl.Series(["a", None], dtype=pl.Categorical),
    "enumeration": pl.Series(["a", None], dtype=pl.Enum(["b", "a"])),
    "days": pl.Series([DAY, None]),
    "milliseconds": pl.Series([MOMENT, None], dtype=pl.Datetime("ms")),
    "microseconds": pl.Series([MOMENT, None], dtype=pl.Datetime("us")),
    "nanoseconds": pl.Series([MOMENT, None], dtype=pl.Datetime("ns")),
}


@pytest.mark.parametrize("name", POLARS)
def test_polars_comes_back_as_it_was(name: str) -> None:
    frame = pl.DataFrame({"z": [2.5, 1.5], "a": POLARS[name]})
    polars_equal(to_frame(from_frame(frame), "polars"), frame)


ARROW: dict[str, pa.Array] = {
    **{str(t): pa.array([1, None], t) for t in (pa.int8(), pa.uint16(), pa.int64(), pa.float32())},
    "half": pa.array(np.array([0.5, 1.5], np.float16)),
    "truths": pa.array([True, None]),
    "words": pa.array(["a", None]),
    "large words": pa.array(["a", None], pa.large_string()),
    "days": pa.array([DAY, None]),
    "seconds": pa.array([MOMENT, None], pa.timestamp("s")),
    "categories": pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), ["b", "a"]),
    "categories of integers": pa.DictionaryArray.from_arrays(
        pa.array([0, None], pa.int16()), pa.array([5, 6], pa.int8()), ordered=True
    ),
}


@pytest.mark.parametrize("name", ARROW)
def test_arrow_comes_back_as_it_was(name: str) -> None:
    frame = pa.table({"z": pa.array([2.5, 1.5]), "a": ARROW[name]})
    again = to_frame(from_frame(frame), "pyarrow")
    assert again.schema == frame.schema
    assert again.equals(frame)


def test_what_a_frame_holds_is_what_the_table_holds() -> None:
    frame = pd.DataFrame(
        {
            "n": [0.1, np.nan],
            "i": pd.Series([-(2**53), None], dtype="Int64"),
            "w": pd.Categorical(["lo", None], ["lo", "hi"], ordered=True),
            "d": [pd.NaT, pd.Timestamp("2024-03-01T12:30")],
            "b": _objects(True, pd.NA),
        }
    )
    table = from_frame(frame)
    assert table.names == ("n", "i", "w", "d", "b")
    assert [column.values.dtype.str for column in table] == ["<f8", "<i8", "|O", "<M8[us]", "|b1"]
    assert [column.missing.tolist() for column in table] == [
        [False, True], [False, True], [False, True], [True, False], [False, True],
    ]  # fmt: skip
    assert [column.present.tolist() for column in table] == [
        [0.1], [-(2**53)], ["lo"], [MOMENT], [True],
    ]  # fmt: skip
    assert (table["w"].categories, table["w"].ordered) == (("lo", "hi"), True)


def test_a_hole_where_the_type_has_none_makes_it_the_nullable_one() -> None:
    frame = pd.DataFrame({"i": pd.Series([1, 2], dtype="int32"), "b": [True, False]})
    table = from_frame(frame)
    holes = np.array([False, True])
    holed = DataTable(tuple(Column(c.name, c.values, holes, dtype=c.dtype) for c in table))
    expected = pd.DataFrame(
        {"i": pd.Series([1, None], dtype="Int32"), "b": pd.Series([True, None], dtype="boolean")}
    )
    pandas_equal(to_frame(holed, "pandas"), expected)


def test_a_table_of_a_file_becomes_any_frame() -> None:
    hole = np.array([False, True])
    table = DataTable(
        (
            Column("i", np.array([1, 0]), hole),
            Column("f", np.array([0.5, 0.0]), hole),
            Column("w", np.array(["a", ""], dtype=object), hole),
            Column("d", np.array([MOMENT, 0], dtype="datetime64[us]"), hole),
        )
    )
    rows = {"i": [1, None], "f": [0.5, None], "w": ["a", None], "d": [MOMENT, None]}
    assert to_frame(table, "polars").to_dict(as_series=False) == rows
    assert to_frame(table, "pyarrow").to_pydict() == rows
    made = to_frame(table, "pandas")
    assert made.isna().to_numpy().tolist() == [[False] * 4, [True] * 4]
    assert made.iloc[0].tolist() == [1, 0.5, "a", MOMENT]
    assert [str(made[name].dtype) for name in "ifd"] == ["Int64", "float64", "datetime64[us]"]


def test_the_index_is_left_behind() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    assert to_frame(from_frame(frame), "pandas").index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("made", "backend"),
    [(pd.DataFrame, "pandas"), (pl.DataFrame, "polars"), (pa.table, "pyarrow")],
)
def test_a_frame_names_its_library(made: Any, backend: str) -> None:
    assert backend_of(made({"a": [1]})) == backend


@pytest.mark.parametrize("data", [[[1]], np.ones((2, 2)), {"a": [1]}, None, "a.csv", pl.LazyFrame])
def test_what_is_no_frame_has_no_library(data: object) -> None:
    assert backend_of(data) is None


# ----------------------------------------------------------------------------------- faults

NESTED = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
OF_ONE: dict[str, tuple[Any, str]] = {
    "words and integers": (_objects("a", 1), "'v' of type object is none of numbers, text"),
    "truths and integers": (_objects(1, True), "none of numbers"),
    "days and moments": (_objects(DAY, MOMENT), "none of numbers"),
    "moments and days": (_objects(MOMENT, DAY), "none of numbers"),
    "a moment of nanoseconds": (_objects(pd.Timestamp(1)), "none of numbers"),
    "integers beyond 64 bits": (_objects(2**70), "none of numbers"),
    "integers beyond 2^53": (pd.Series([1, 2**53 + 1]), "data row 2, column 'v': 9007199254740993"),
    "an integer beside fractions": (_objects(0.5, 2**53 + 1), "none of numbers"),
    "decimals beyond 2^53": (_objects(Decimal(2**53 + 1)), "data row 1, column 'v'"),
    "infinity": (pd.Series([0, -np.inf]), "data row 2, column 'v': -inf is infinite"),
    "complex": (pd.Series([1j]), "of type complex128 is none of"),
    "objects that are complex": (_objects(1j), "none of numbers"),
    "a duration too fine": (pd.Series(pd.to_timedelta([10**18 + 1])), "data row 1, column 'v'"),
    "periods": (pd.Series(pd.period_range("2024", periods=1)), r"of type period\[D\]"),
    "intervals": (pd.Series(pd.interval_range(0, 1)), "of type interval"),
    "sparse words": (pd.Series(pd.arrays.SparseArray(["a", "b"])), "of type Sparse"),
    "objects in a time zone": (
        _objects(datetime(2024, 1, 1, tzinfo=UTC)),
        "'v' holds objects with the time zone UTC; make it a column of dates",
    ),
    "nanoseconds": (pd.Series(pd.to_datetime([0, 1])), "data row 2, column 'v': .* finer"),
    "bytes": (_objects(b"a"), "'v' is of type object"),
    "lists": (_objects([1], [2]), "'v' is of type object"),
    "categories of fractions": (pd.Series(pd.Categorical([0.5])), "categories of type double"),
}


@pytest.mark.parametrize("name", OF_ONE)
def test_a_column_that_cannot_be_held_is_named(name: str) -> None:
    series, phrase = OF_ONE[name]
    with pytest.raises(DataError, match=phrase) as raised:
        from_frame(pd.DataFrame({"a": np.zeros(len(series)), "v": series}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("frame", "phrase"),
    [
        (pd.DataFrame({0: [1], "a": [2]}), "the column name 0 is no text; rename it"),
        (pd.DataFrame([[1, 2]], columns=NESTED), r"\('a', 'b'\) is no text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' stands more than once; rename one"),
        (pa.table([[1], [2]], names=["a", "a"]), "'a' stands more than once; rename one"),
        (pd.DataFrame({"a": []}), "has no rows"),
        (pd.DataFrame(index=[1, 2]), "has no columns"),
        (pl.LazyFrame({"a": [1]}), "got LazyFrame .collect a lazy frame first"),
        (np.ones((2, 2)), "a data frame of pandas, polars or pyarrow is needed; got ndarray"),
        (pl.DataFrame({"v": [[1]]}), r"'v' is of type List\(Int64\)"),
        (pl.DataFrame({"v": [object()]}), "'v' is of type Object"),
        (pl.DataFrame({"v": [b"a"]}), "'v' is of type Binary"),
        (pl.DataFrame({"v": [2**70]}, schema={"v": pl.Int128}), f"row 1, column 'v': {2**70} is"),
        (pa.table({"v": [{"a": 1}]}), "'v' is of type struct"),
    ],
)
def test_a_frame_that_is_no_table_is_told(frame: Any, phrase: str) -> None:
    with pytest.raises(DataError, match=phrase) as raised:
        from_frame(frame)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(
    ("values", "dtypes"),
    [
        (np.array([1, 200]), ("int8", "Int8", "int8")),
        (np.array([1, -1]), ("UInt8", "UInt8", "uint8")),
        (np.array([1.0, 2.5]), ("int64", "Int64", "int64")),
        (
            np.array(["2024-03-01", "2024-03-01T00:00:00.0005"], dtype="datetime64[us]"),
            ("datetime64[ms]", "Datetime(time_unit='ms', time_zone=None)", "timestamp[ms]"),
        ),
        (
            np.array(["2024-03-01", "2024-03-01T12"], dtype="datetime64[us]"),
            ("object[date]", "Date", "date32[day]"),
        ),
        (
            np.array(["2024-03-01", "9999-03-01"], dtype="datetime64[us]"),
            ("datetime64[ns]", "Datetime(time_unit='ns', time_zone=None)", "timestamp[ns]"),
        ),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_refused(
    backend: str, values: np.ndarray, dtypes: tuple[str, str, str]
) -> None:
    dtype = dict(zip(["pandas", "polars", "pyarrow"], dtypes, strict=True))[backend]
    column = Column("v", values, np.zeros(2, dtype=bool), dtype=dtype)
    with pytest.raises(DataError, match=r"the column 'v' holds .*, which its type"):
        to_frame(DataTable((column,)), backend)


def test_an_unknown_library_is_told() -> None:
    table = from_frame(pd.DataFrame({"a": [1]}))
    with pytest.raises(ArgumentError, match="did you mean 'pandas'"):
        to_frame(table, "panda")


@pytest.mark.parametrize("missing", ["narwhals.stable.v1", "pyarrow"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=r"install sfumato\[tables\]"):
        from_frame(pd.DataFrame({"a": [1]}))


def test_lists_and_arrays_need_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "narwhals.stable.v1", None)
    assert backend_of([[1]]) is None
    assert backend_of(np.ones((2, 2))) is None
    with pytest.raises(MissingDependencyError):
        backend_of(pd.DataFrame({"a": [1]}))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    table = from_frame(pd.DataFrame({"a": [1]}))
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingDependencyError, match="polars is not installed"):
        to_frame(table, "polars")
