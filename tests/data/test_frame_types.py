"""Every type that a column of a frame can have: it comes back as it was, or one line says why not.

Each goes the way of a fit and of a draw without the training between: to a table, to what a network
sees, through the text of a model file, and back to the frame; and once more with a cell to fill in.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sfumato.data.codecs.table import TableCodec
from sfumato.data.column_types import column_types_of
from sfumato.data.io.frames import from_frame, to_frame
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError
from sfumato.runs.kinds.table import put_back

INTEGERS, FRACTIONS, TEXT = [1, 2, None, 1], [0.5, 1.5, None, 0.5], ["a", "b", None, "a"]
BOOLEANS, NULLS, BYTES = [True, False, None, True], [None] * 4, [b"a"] * 4
DAYS = [date(2024, 1, 1), date(2025, 3, 1), None, date(2024, 1, 1)]
MOMENTS = [datetime(2024, 1, 1, 3), datetime(2025, 7, 1, 4), None, datetime(2024, 1, 1, 3)]
ZONED = [each and each.replace(tzinfo=UTC) for each in MOMENTS]
ZONES = "UTC", "America/New_York", "UTC+02:00"
CENTS = [Decimal("0.30"), Decimal("2.50"), None, Decimal("0.30")]

Cases = Iterator[tuple[str, Any]]

# ----------------------------------------------------------------------------------- pyarrow


def _coded(index: Any, values: pa.Array, *, ordered: bool = False) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([1, 2, None, 1], index), values, ordered=ordered)


def _arrow() -> Cases:
    for width, sign in product((8, 16, 32, 64), ("int", "uint")):
        yield f"{sign}{width}", pa.array(INTEGERS, f"{sign}{width}")
    for of in (pa.float16(), pa.float32(), pa.float64()):
        floats = np.array([0.5, 1.5, np.nan, 0.5], of.to_pandas_dtype())
        yield str(of), pa.array(floats, of, from_pandas=True)
    for of in (pa.decimal32(5, 2), pa.decimal64(9, 2), pa.decimal128(38, 20), pa.decimal256(60, 9)):
        yield str(of), pa.array(CENTS, of)
    for of in (pa.string(), pa.large_string(), pa.string_view()):
        yield str(of), pa.array(TEXT, of)
    for of in (pa.date32(), pa.date64()):
        yield str(of), pa.array(DAYS, of)
    for unit in ("s", "ms", "us", "ns"):
        yield f"timestamp {unit}", pa.array(MOMENTS, pa.timestamp(unit))
        for zone in (*ZONES[:2], "+02:00"):
            yield f"timestamp {unit} of {zone}", pa.array(ZONED, pa.timestamp(unit, zone))
        for cells in (INTEGERS, [-(10**6) - 1, 90_000, None, 5]):
            yield f"duration {unit} {cells[0]}", pa.array(cells, pa.duration(unit))
        of = pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
        cells = [1000, 86_399_000, None, 0] if unit == "ns" else [1, 86_399, None, 0]
        yield f"time {unit}", pa.array(cells, of)  # Python's own are no finer than microseconds
    yield "bool", pa.array(BOOLEANS)
    yield "null", pa.nulls(4)
    text = [pa.array(["z", "a", "b"], of) for of in (pa.string(), pa.large_string())]
    integers = [pa.array([9, 5, 7], of) for of in (pa.int8(), pa.int64(), pa.uint64())]
    for values in (*text, pa.array(["z", "a", "b"], pa.string_view()), *integers):
        yield f"categories of {values.type}", _coded(pa.int32(), values)
    for index, ordered in product((pa.int8(), pa.uint8(), pa.int64()), (False, True)):
        yield f"categories by {index}, {ordered}", _coded(index, text[0], ordered=ordered)
    for of, values in [
        (pa.int64(), INTEGERS), (pa.float32(), FRACTIONS), (pa.string(), TEXT), (pa.null(), NULLS),
        (pa.bool_(), BOOLEANS), (pa.date32(), DAYS), (pa.timestamp("ms"), MOMENTS),
        (pa.decimal128(5, 2), CENTS), (pa.timestamp("s", "Asia/Tokyo"), ZONED),
    ]:  # fmt: skip
        yield f"runs of {of}", pc.run_end_encode(pa.array(values, of))
    for ends in (pa.int16(), pa.int64()):
        yield f"runs by {ends}", pc.run_end_encode(pa.array(INTEGERS), ends)


def _arrow_refused() -> Iterator[tuple[str, Any, str]]:
    other = "; numbers, text, true and false, dates, times and durations are read"
    for of, values in [
        (pa.run_end_encoded(pa.int32(), pa.duration("s")), INTEGERS),
        (pa.binary(), BYTES), (pa.large_binary(), BYTES), (pa.binary_view(), BYTES),
        (pa.binary(1), BYTES), (pa.list_(pa.int64()), [[1]] * 4), (pa.json_(), ["1"] * 4),
        (pa.struct({"a": pa.int64()}), [{"a": 1}] * 4), (pa.uuid(), [b"a" * 16] * 4),
        (pa.map_(pa.string(), pa.int64()), [[("a", 1)]] * 4),
        (pa.month_day_nano_interval(), [(1, 2, 3)] * 4),
    ]:  # fmt: skip
        array = pa.array(values, getattr(of, "value_type", of) if "run_end" in str(of) else of)
        yield str(of), pc.run_end_encode(array) if "run_end" in str(of) else array, other
    eight = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1, 0], pa.int8()))
    yield "bool8", eight, other
    for values in (
        pa.array([0.5, 1.5, 2.5]), pa.array([True, False, None]), pa.array(DAYS[:3]),
        pa.array(CENTS[:3]), pa.array(BYTES[:3]), pa.array(MOMENTS[:3]),
    ):  # fmt: skip
        why = f"'v' has categories of type {values.type}; make them text or integers"
        yield f"categories of {values.type}", _coded(pa.int8(), values), why
    long = pa.array([Decimal("0.12345678901234567"), None], pa.decimal128(20, 17))
    yield "digits", long, "row 1, column 'v': 0.12345678901234567 is a decimal of more digits"


# ------------------------------------------------------------------------------------ polars


def _polars() -> Cases:
    for width, sign in product((8, 16, 32, 64, 128), ("Int", "UInt")):
        yield f"{sign}{width}", pl.Series(INTEGERS, dtype=getattr(pl, f"{sign}{width}"))
    for width in (16, 32, 64):
        yield f"Float{width}", pl.Series(FRACTIONS, dtype=getattr(pl, f"Float{width}"))
    for unit in ("ms", "us", "ns"):
        yield f"Datetime {unit}", pl.Series(MOMENTS, dtype=pl.Datetime(unit))
        for zone in ZONES[:2]:
            zoned = pl.Series(ZONED).dt.convert_time_zone(zone)
            yield f"Datetime {unit} of {zone}", zoned.cast(pl.Datetime(unit, zone))
        yield f"Duration {unit}", pl.Series(INTEGERS).cast(pl.Duration(unit))
    yield "Time", pl.Series([time(1), time(23, 59, 59, 999_999), None, time(0)])
    for precision, scale in ((5, 2), (38, 20)):
        yield f"Decimal {precision}", pl.Series(CENTS, dtype=pl.Decimal(precision, scale))
    yield "Boolean", pl.Series(BOOLEANS)
    yield "String", pl.Series(TEXT)
    yield "Date", pl.Series(DAYS)
    yield "Null", pl.Series(NULLS)
    yield "Categorical", pl.Series(TEXT, dtype=pl.Categorical)
    yield "Enum", pl.Series(TEXT, dtype=pl.Enum(["z", "b", "a"]))
    for what, named in {
        "named": pl.Categories("kinds"), "quoted": pl.Categories("kinds, ('of') \"these\"", "here"),
        "small": pl.Categories("small", physical=pl.UInt8), "random": pl.Categories.random(),
    }.items():  # fmt: skip
        yield f"Categories {what}", pl.Series(TEXT, dtype=pl.Categorical(named))


def _polars_refused() -> Iterator[tuple[str, Any, str]]:
    other = "; numbers, text, true and false, dates, times and durations are read"
    yield "Binary", pl.Series(BYTES), other
    yield "List", pl.Series([[1]] * 4), other
    yield "Array", pl.Series([[1]] * 4, dtype=pl.Array(pl.Int64, 1)), other
    yield "Struct", pl.Series([{"a": 1}] * 4), other
    yield "Object", pl.Series([object()] * 4), other
    for name in ("Int128", "UInt128"):
        wide = pl.Series([1, 2**53 + 1], dtype=getattr(pl, name))
        yield name, wide, "data row 2, column 'v': 9007199254740993 is an integer beyond 2^53"
    yield (
        "least Int128",
        pl.Series([-(2**100), None], dtype=pl.Int128),
        f"row 1, column 'v': -{2**100} is",
    )
    long = pl.Series([Decimal("0.12345678901234567")], dtype=pl.Decimal(20, 17))
    yield "digits", long, "0.12345678901234567 is a decimal of more digits"


# ------------------------------------------------------------------------------------ pandas

STRINGS = [pd.StringDtype(s, na_value=n) for s in ("python", "pyarrow") for n in (pd.NA, np.nan)]


def _pandas() -> Cases:
    for width, sign in product((8, 16, 32, 64), ("int", "uint")):
        yield f"{sign}{width}", pd.Series([1, 2, 3, 1], dtype=f"{sign}{width}")
        nullable = f"{sign.title().replace('Ui', 'UI')}{width}"
        yield nullable, pd.Series(INTEGERS, dtype=nullable)
    for dtype in ("float16", "float32", "float64", "Float32", "Float64"):
        yield dtype, pd.Series(FRACTIONS, dtype=dtype)
    yield "bool", pd.Series([True, False, True, False])
    yield "boolean", pd.Series(BOOLEANS, dtype="boolean")
    for text in STRINGS:
        yield f"{text!r} {text.storage}", pd.Series(TEXT, dtype=text)
    for unit in ("s", "ms", "us", "ns"):
        yield f"datetime {unit}", pd.Series(MOMENTS).astype(f"datetime64[{unit}]")
        for zone in ZONES:
            zoned = pd.Series(ZONED).dt.tz_convert(zone)
            yield f"datetime {unit} of {zone}", zoned.astype(f"datetime64[{unit}, {zone}]")
        yield (
            f"timedelta {unit}",
            pd.Series(INTEGERS).astype("Int64").astype(f"timedelta64[{unit}]"),
        )
    clocks, long = (
        [time(1), time(23, 59), None, time(0)],
        [timedelta(1), timedelta(-2), None, timedelta(0)],
    )
    for cells in (
        TEXT, INTEGERS, FRACTIONS, BOOLEANS, DAYS, MOMENTS, CENTS, NULLS, clocks, long
    ):  # fmt: skip
        yield f"objects {cells[0]!r}", pd.Series(cells, dtype=object)
    categories = [pd.Index(["b", "a"], dtype=text) for text in (*STRINGS, object)]
    categories += [pd.Index(["b", "a"], dtype=pd.ArrowDtype(t)) for t in (pa.string(), pa.utf8())]
    integers = ("int8", "uint16", "Int64", "UInt8", pd.ArrowDtype(pa.int64()), object)
    categories += [pd.Index([2, 1], dtype=dtype) for dtype in integers]
    for of, ordered in product(categories, (False, True)):
        made = pd.Categorical.from_codes([0, 1, -1, 0], categories=of, ordered=ordered)
        yield f"categories of {of.dtype!r} {ordered} {of[0]!r}", pd.Series(made)
    yield "no categories", pd.Series(pd.Categorical(NULLS))
    for sparse in ("int64", "uint8", "bool", "float64"):
        yield f"Sparse {sparse}", pd.Series([0, 1, 1, 0], dtype=f"Sparse[{sparse}]")
    for dtype in ("int32", "bool", "float32"):
        cells = pd.arrays.SparseArray(np.array([0, 1, 1, 0]).astype(dtype))
        yield f"Sparse array of {dtype}", pd.Series(cells)
    yield "Sparse of fives", pd.Series([0, 1, 5, 0], dtype=pd.SparseDtype("int64", 5))
    yield "Sparse of holes", pd.Series(FRACTIONS, dtype="Sparse[float64]")
    yield "Sparse of zeros", pd.Series(FRACTIONS, dtype=pd.SparseDtype("float32", 0.0))
    for name, array in _arrow():
        yield f"{name} of Arrow", pd.Series(pd.arrays.ArrowExtensionArray(array))


def _pandas_refused() -> Iterator[tuple[str, Any, str]]:
    other = "; numbers, text, true and false, dates, times and durations are read"
    for name, array, why in _arrow_refused():
        yield f"{name} of Arrow", pd.Series(pd.arrays.ArrowExtensionArray(array)), why
    yield "sparse durations", pd.Series(pd.arrays.SparseArray(pd.to_timedelta([1] * 4))), other
    yield "periods", pd.Series(pd.period_range("2024", periods=4)), other
    yield "intervals", pd.Series(pd.interval_range(0, 4)), other
    yield "objects of a zone", pd.Series(ZONED, dtype=object), "objects with the time zone UTC"
    yield "complex", pd.Series([1j] * 4), "of type complex128 is none of numbers"
    words = pd.Series(pd.arrays.SparseArray(["a", "b"], fill_value="a"))
    yield "sparse text", words, "is of type Sparse[object, 'a'], which would come back as "
    moments = pd.Series(pd.arrays.SparseArray(np.array(["2024-01-01"], "datetime64[us]")))
    yield "sparse dates", moments, "would come back as datetime64[us]; make it that"
    if np.dtype("longdouble").itemsize > 8:
        wide = pd.Series(FRACTIONS, dtype="longdouble")
        yield "long double", wide, "wider than the 64 bits of a float that can be kept"
    for of in (pd.Index([0.5, 1]), pd.Index([True, False]), pd.to_datetime(["2024", "2025"])):
        yield f"categories {of.dtype}", pd.Series(pd.Categorical(of)), "make them text or integers"


# --------------------------------------------------------------------------------- the way round

KEPT = {
    f"{library}: {name}": (library, series)
    for library, cases in (("pyarrow", _arrow), ("polars", _polars), ("pandas", _pandas))
    for name, series in cases()
}
REFUSED = {
    f"{library}: {name}": (library, series, why)
    for library, cases in (
        ("pyarrow", _arrow_refused), ("polars", _polars_refused), ("pandas", _pandas_refused),
    )
    for name, series, why in cases()
}  # fmt: skip
MAKE: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def _frame(library: str, series: Any) -> Any:
    return MAKE[library]({"z": [2.5, 1.5, 3.5, 4.0][: len(series)], "v": series})


def _type(frame: Any) -> Any:
    return frame["v"].type if isinstance(frame, pa.Table) else frame["v"].dtype


def _cells(frame: Any) -> list[Any]:
    cells = frame["v"].to_pylist() if isinstance(frame, pa.Table) else frame["v"].to_list()
    return [None if pd.isna(cell) else cell for cell in cells]


@pytest.mark.parametrize("name", KEPT)
def test_a_type_goes_all_the_way_and_comes_back(name: str) -> None:
    library, series = KEPT[name]
    frame = _frame(library, series)
    table = from_frame(frame)
    fitted = TableCodec.fit(table, column_types_of(table, {}))
    read = TableCodec.from_dict(json.loads(json.dumps(fitted.to_dict())))
    for codec in (fitted, read):
        encoded = codec.encode(table)
        again = to_frame(codec.decode(encoded.numeric, encoded.categories), library)
        assert _type(again) == _type(frame)
        assert _cells(again) == _cells(frame)
        for other in MAKE:  # they have no such type, but one that can hold its values
            made = to_frame(codec.decode(encoded.numeric, encoded.categories), other)
            assert [each is None for each in _cells(made)] == [c is None for c in _cells(frame)]


@pytest.mark.parametrize("name", KEPT)
def test_a_type_is_kept_where_cells_are_filled_in(name: str) -> None:
    library, series = KEPT[name]
    frame = _frame(library, series)
    table = from_frame(frame)
    codec = TableCodec.fit(table, column_types_of(table, {}))
    encoded = codec.encode(table)
    drawn = codec.decode(encoded.numeric, encoded.categories)
    holes = np.arange(4) % 2 == 0
    column = table["v"]
    holed = Column("v", column.values, holes | column.missing, column.categories, column.ordered,
                   column.dtype)  # fmt: skip
    given = codec.to_fill(DataTable((table["z"], holed)))
    filled = to_frame(put_back(given, np.flatnonzero(holes), drawn.take(holes)), library)
    assert _type(filled) == _type(frame)
    assert _cells(filled) == _cells(frame)


@pytest.mark.parametrize("name", REFUSED)
def test_a_type_that_cannot_be_kept_is_refused_in_a_line(name: str) -> None:
    library, series, why = REFUSED[name]
    with pytest.raises(DataError) as raised:
        from_frame(_frame(library, series))
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "'v'" in str(raised.value)


# ------------------------------------------------------------------------------------ decimals


def test_a_decimal_is_the_float_next_to_it() -> None:
    """Not what Arrow's own cast says: 0.30000000000000004 for 0.3."""
    tenths = [Decimal(k).scaleb(-1) for k in range(-999, 1000)]
    table = from_frame(pa.table({"v": pa.array(tenths)}))
    assert table["v"].values.tolist() == [float(each) for each in tenths]


@pytest.mark.parametrize("of", [pa.decimal128(38, 20), pa.decimal256(76, 40)])
def test_decimals_come_back_digit_for_digit(of: Any) -> None:
    rng = np.random.default_rng(0)
    digits = [int(d) for d in rng.integers(-(10**15), 10**15, 200)]
    exact = [
        Decimal(d).scaleb(-int(k)) for d, k in zip(digits, rng.integers(0, 20, 200), strict=True)
    ]
    frame = pa.table({"v": pa.array(exact, of)})
    assert to_frame(from_frame(frame), "pyarrow").equals(frame)


def test_a_drawn_number_is_rounded_to_the_digits_of_its_decimals() -> None:
    column = Column("v", np.array([0.125, 2.0]), np.array([False, True]), dtype="decimal128(5, 1)")
    assert to_frame(DataTable((column,)), "pyarrow")["v"].to_pylist() == [Decimal("0.1"), None]
    large = Column("v", np.array([12345.0]), np.array([False]), dtype="decimal128(5, 1)")
    with pytest.raises(DataError, match=r"'v' cannot be of type decimal128\(5, 1\): ") as raised:
        to_frame(DataTable((large,)), "pyarrow")
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------- narrow whole types


def test_a_code_that_is_too_narrow_is_widened() -> None:
    """A dictionary by int8 counts to 127, and runs that end in int16 to 32,767."""
    levels = tuple(f"{k}" for k in range(200))
    values = np.array(levels, dtype=object)
    name = "dictionary<values=string, indices=int8, ordered=0>"
    column = Column("v", values, np.zeros(200, bool), levels, dtype=name)
    made = to_frame(DataTable((column,)), "pyarrow")["v"]
    assert made.type == pa.dictionary(pa.int16(), pa.string())
    assert made.to_pylist() == list(levels)
    name = "run_end_encoded<run_ends: int16, values: int64>"
    column = Column("v", np.zeros(40_000, np.int64), np.zeros(40_000, bool), dtype=name)
    made = to_frame(DataTable((column,)), "pyarrow")["v"]
    assert made.type == pa.run_end_encoded(pa.int32(), pa.int64())


@pytest.mark.parametrize(
    ("values", "dtype", "backend"),
    [
        (np.array([2]), "bool", "pandas"),
        (np.array([2]), "boolean", "pandas"),
        (np.array([-1]), "uint64", "pandas"),
        (np.array([-1]), "UInt128", "polars"),
        (np.array([1e6]), "float16", "pandas"),
        (np.array([1e6]), "Float16", "polars"),
        (np.array([1e39]), "float", "pyarrow"),
        (np.array([0.5]), "Sparse[int64, 0]", "pandas"),
        (np.array([300]), "run_end_encoded<run_ends: int32, values: int8>", "pyarrow"),
        (np.array(["2024-01-01T12"], "datetime64[us]"), "date64[ms]", "pyarrow"),
    ],
)
def test_a_value_is_never_bent_to_its_type(values: np.ndarray, dtype: str, backend: str) -> None:
    column = Column("v", values, np.zeros(1, bool), dtype=dtype)
    with pytest.raises(DataError, match=r"the column 'v' holds .*, which its type"):
        to_frame(DataTable((column,)), backend)


@pytest.mark.parametrize(
    ("dtype", "levels", "backend"),
    [
        ("category[int8]", ("x",), "pandas"),
        ("category[int8]", ("300",), "pandas"),
        ("Enum", ("y",), "polars"),
        ("dictionary<values=int8, indices=int8, ordered=0>", ("x",), "pyarrow"),
        ("float64", None, "polars"),
        ("Int64", None, "polars"),
        ("int64", None, "pyarrow"),
        ("int64[pyarrow]", None, "pandas"),
    ],
)
def test_a_word_that_its_type_cannot_hold_ends_in_a_line(
    dtype: str, levels: tuple[str, ...] | None, backend: str
) -> None:
    column = Column("v", np.array(["x"], object), np.zeros(1, bool), levels, dtype=dtype)
    if dtype == "float64":  # another library's name is no type of this one
        assert to_frame(DataTable((column,)), backend)["v"].to_list() == ["x"]
        return
    if levels == ("300",):
        column = Column("v", np.array(["300"], object), column.missing, levels, dtype=dtype)
    with pytest.raises(DataError, match=r"the column 'v' cannot be of type") as raised:
        to_frame(DataTable((column,)), backend)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "dictionary<values=list<item: string>, indices=int8, ordered=0>",
        "decimal128(999, 2)",
        "run_end_encoded<run_ends: string, values: int64>",
        "Categorical[",
        'Categorical["a", "b", "Nonsense"]',
        "Decimal(precision=999, scale=2)",
        "Sparse[nonsense, 0]",
        "category[nonsense]",
        "object[nonsense]",
        "str[nonsense]",
        "nonsense[pyarrow]",
        "Datetime(",
        "Sparse[int8, nonsense]",
        "category[category[int8]]",
    ],
)
@pytest.mark.parametrize("backend", MAKE)
def test_a_name_of_no_type_ends_in_a_line_or_is_passed_over(name: str, backend: str) -> None:
    """A model file may come from a stranger."""
    for values in (np.array(["a"], object), np.array([1.5]), np.array([1], "datetime64[us]")):
        for levels in (None, ("a",)) if values.dtype == object else (None,):
            column = Column("v", values, np.zeros(1, bool), levels, dtype=name)
            try:
                made = to_frame(DataTable((column,)), backend)
            except DataError as error:
                lines = str(error).split("\n")
            else:
                lines = [f"'v' is {from_frame(made)['v'].values[0]}"]
            assert len(lines) == 1
            assert "'v' " in lines[0]


# ---------------------------------------------------------- what the model fills in, and the type


def _learned(values: list[Any], **of: Any) -> TableCodec:
    """The codec of a column of words beside one of numbers, its categories as `of` says."""
    frame = pd.DataFrame({"z": np.arange(len(values)) / 2, "v": pd.Categorical(values, **of)})
    table = from_frame(frame)
    return TableCodec.fit(table, column_types_of(table, {}))


def _filled(codec: TableCodec, frame: Any, words: list[str]) -> Any:
    """The frame with its holes filled by these words, as the model might draw them."""
    table = codec.to_fill(from_frame(frame))
    index, nowhere = np.flatnonzero(table["v"].missing), np.zeros(len(words), bool)
    drawn = DataTable((table["z"].take(index), Column("v", np.array(words, object), nowhere)))
    library = {pd.DataFrame: "pandas", pl.DataFrame: "polars", pa.Table: "pyarrow"}[type(frame)]
    return to_frame(put_back(table, index, drawn), library)


PARTIAL: dict[str, Any] = {
    "pandas": pd.DataFrame({"z": [0.5, 1.0], "v": pd.Categorical(["c", None])}),
    "pandas of objects": pd.DataFrame(
        {"z": [0.5, 1.0], "v": pd.Categorical(["c", None], pd.Index(["c"], dtype=object))}
    ),
    "pyarrow": pa.table({"z": [0.5, 1.0], "v": pa.array(["c", None]).dictionary_encode()}),
    "pyarrow in pandas": pd.DataFrame(
        {
            "z": [0.5, 1.0],
            "v": pd.arrays.ArrowExtensionArray(pa.array(["c", None]).dictionary_encode()),
        }
    ),
    "categories of polars": pl.DataFrame(
        {"z": [0.5, 1.0], "v": ["c", None]}, schema_overrides={"v": pl.Categorical}
    ),
    "enumeration": pl.DataFrame(
        {"z": [0.5, 1.0], "v": ["c", None]}, schema_overrides={"v": pl.Enum(["c"])}
    ),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_categories_made_of_the_rows_alone_get_those_of_the_model(name: str) -> None:
    codec = _learned(["a", "b", "c", "a"])
    for word in ("a", "b", "c"):
        assert _cells(_filled(codec, PARTIAL[name], [word])) == ["c", word]


def test_the_type_does_not_hang_on_what_is_drawn() -> None:
    codec = _learned(["a", "b", "c", "a"], categories=["c", "never", "b", "a"])
    kinds = {_filled(codec, PARTIAL["pandas"], [word])["v"].dtype for word in ("a", "b", "c")}
    assert kinds == {pd.CategoricalDtype(["c", "never", "b", "a"])}  # as the model has them
    kinds = {_filled(codec, PARTIAL["enumeration"], [word])["v"].dtype for word in ("a", "c")}
    assert kinds == {pl.Enum(["c", "never", "b", "a"])}


def test_categories_of_another_order_are_added_at_the_end() -> None:
    codec = _learned(["a", "b", "c", "a"])
    rows = pd.DataFrame({"z": [1.0] * 3, "v": pd.Categorical(["x", "c", None], ["x", "c", "a"])})
    assert list(_filled(codec, rows, ["b"])["v"].cat.categories) == ["x", "c", "a", "b"]
    of_polars = pl.DataFrame(
        {"z": [1.0] * 3, "v": ["c", "a", None]}, schema_overrides={"v": pl.Enum(["c", "a"])}
    )
    assert _filled(codec, of_polars, ["b"])["v"].dtype == pl.Enum(["c", "a", "b"])


def test_categories_that_hold_all_of_the_models_stay_as_they_are() -> None:
    codec = _learned(["a", "b", "a", "a"], categories=["b", "a", "never"])
    rows = pd.DataFrame({"z": [1.0, 2.0], "v": pd.Categorical(["a", None], ["a", "x", "b"])})
    assert _filled(codec, rows, ["b"])["v"].dtype == rows["v"].dtype
    whole = rows.head(1)  # nothing to fill in
    table = codec.to_fill(from_frame(whole))
    assert to_frame(table, "pandas")["v"].dtype == rows["v"].dtype


def test_categories_in_an_order_get_the_models_in_their_place_or_are_refused() -> None:
    codec = _learned(["low", "mid", "high", "low"], categories=["low", "mid", "high"], ordered=True)
    short = pd.Categorical(["low", None], ["low", "high"], ordered=True)
    filled = _filled(codec, pd.DataFrame({"z": [1.0, 2.0], "v": short}), ["mid"])
    assert filled["v"].dtype == pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    turned = pd.Categorical(["low", None], ["high", "low"], ordered=True)
    with pytest.raises(DataError, match="'v' has categories in an order, without 'mid'") as raised:
        codec.to_fill(from_frame(pd.DataFrame({"z": [1.0, 2.0], "v": turned})))
    assert "\n" not in str(raised.value)


EMPTY: dict[str, Any] = {
    "floats": pd.DataFrame({"z": [1.0, 2.0], "v": [np.nan, np.nan]}),
    "objects": pd.DataFrame({"z": [1.0, 2.0], "v": pd.Series([None, None], dtype=object)}),
    "no categories": pd.DataFrame({"z": [1.0, 2.0], "v": pd.Categorical([None, None])}),
    "nullable": pd.DataFrame({"z": [1.0, 2.0], "v": pd.Series([None, None], dtype="Int8")}),
    "words": pd.DataFrame({"z": [1.0, 2.0], "v": pd.Series([None, None], dtype="str")}),
    "dates": pd.DataFrame({"z": [1.0, 2.0], "v": pd.to_datetime([None, None])}),
    "Null": pl.DataFrame({"z": [1.0, 2.0], "v": [None, None]}),
    "Float64": pl.DataFrame({"z": [1.0, 2.0], "v": pl.Series([None, None], dtype=pl.Float64)}),
    "null": pa.table({"z": [1.0, 2.0], "v": pa.nulls(2)}),
    "int8": pa.table({"z": [1.0, 2.0], "v": pa.nulls(2, pa.int8())}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_column_of_holes_takes_what_the_model_has(name: str) -> None:
    filled = _filled(_learned(["a", "b", "a", "a"]), EMPTY[name], ["b", "a"])
    assert _cells(filled) == ["b", "a"]


@pytest.mark.parametrize("name", EMPTY)
def test_a_column_of_holes_takes_numbers_too(name: str) -> None:
    learned = from_frame(pd.DataFrame({"z": [0.5, 1.0, 2.0], "v": [1.5, 2.5, 4.0]}))
    codec = TableCodec.fit(learned, column_types_of(learned, {"v": "continuous"}))
    given, library = from_frame(EMPTY[name]), type(EMPTY[name]).__module__.partition(".")[0]
    drawn = DataTable((given["z"], Column("v", np.array([2.0, 4.0]), np.zeros(2, bool))))
    filled = to_frame(put_back(codec.to_fill(given), np.arange(2), drawn), library)
    assert _cells(filled) == [2.0, 4.0]


def test_numbers_with_holes_where_the_model_has_words_are_refused() -> None:
    rows = pd.DataFrame({"z": [1.0, 2.0], "v": pd.Series([501, None], dtype="Int64")})
    codec = _learned(["00501", "10012", "501", "10012"])
    with pytest.raises(DataError, match="'v' holds integers, and the model fills in text"):
        codec.to_fill(from_frame(rows))
    whole = rows.assign(v=501)  # nothing to fill in
    assert codec.encode(codec.to_fill(from_frame(whole))).categories[0, 0] == 2
