"""Dates and amounts that stand in a frame or a Parquet file as text, and times in a time zone."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sfumato
from fitted import SHORT
from quick import in_small_chunks
from sfumato.config import DataSettings
from sfumato.data.io.frames import to_frame
from sfumato.data.io.tables import read_table, write_table
from sfumato.data.source import take_source
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError

__all__ = ["in_small_chunks"]

pytestmark = pytest.mark.usefixtures("in_small_chunks")

DAYS = np.datetime64("2024-01-05") + 11 * np.arange(40)
WRITTEN: dict[str, tuple[list[str], list[Any]]] = {
    "days": ([f"{each.item():%d.%m.%Y}" for each in DAYS], list(DAYS.astype("datetime64[us]"))),
    "moments": (
        [f"{each.item():%Y-%m-%d} 0{k % 10}:30:00" for k, each in enumerate(DAYS)],
        [each + np.timedelta64(60 * (k % 10) + 30, "m") for k, each in enumerate(DAYS)],
    ),
    "percent": ([f"{k / 4:.2f}%" for k in range(40)], [k / 4 for k in range(40)]),
    "amounts": ([f"${1000 + 7 * k:,}.50" for k in range(40)], [1000.5 + 7 * k for k in range(40)]),
    "elapsed": ([f"{k}:{k:02}" for k in range(40)], [61 * k for k in range(40)]),
}
MAKE: dict[str, Any] = {
    "pandas": pd.DataFrame,
    "pandas objects": lambda cells: pd.DataFrame(cells, dtype=object),
    "pandas strings": lambda cells: pd.DataFrame(cells, dtype="string"),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "pyarrow large": lambda cells: pa.table(
        {k: pa.array(v, "large_string") for k, v in cells.items()}
    ),
}


def read(source: Any, **columns: str) -> DataTable:
    rows, _, _ = take_source(source, DataSettings(columns=columns))
    assert isinstance(rows, DataTable)
    return rows


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("frame", MAKE)
def test_text_of_a_frame_is_what_it_says_and_comes_back_as_text(kind: str, frame: str) -> None:
    texts, values = WRITTEN[kind]
    given = MAKE[frame]({"v": [*texts, None], "other": ["a"] * 41})
    column = read(given)["v"]
    assert column.values[:-1].tolist() == np.array(values).tolist()
    assert column.missing.tolist() == [False] * 40 + [True]
    assert column.note.startswith("read as ")
    again = to_frame(read(given), frame.split()[0])
    same = again.equals(given) if hasattr(again, "equals") else again.frame_equal(given)
    assert same
    if frame.startswith("pandas"):
        assert (again.dtypes == given.dtypes).all()


def test_text_that_may_be_read_in_two_ways_stays_text_until_it_is_said() -> None:
    texts = [f"0{1 + k % 9}/0{1 + k // 9}/2024" for k in range(45)]
    frame = pd.DataFrame({"day": texts})
    assert read(frame)["day"].values.dtype == object
    assert read(frame, day="date:month/day/year")["day"].values[1] == datetime(2024, 2, 1)
    assert read(frame, day="date:day/month/year")["day"].values[1] == datetime(2024, 1, 2)
    assert read(frame, day="categorical")["day"].values.dtype == object
    with pytest.raises(DataError, match="the column 'day' is not written as 'year-month-day' says"):
        read(frame, day="date:year-month-day")


def test_digits_and_declared_categories_stay_text() -> None:
    frame = pd.DataFrame({"code": ["01", "2", "30"] * 20, "share": ["5%", "7%", "9%"] * 20})
    assert read(frame)["code"].values.dtype == object
    declared = frame.assign(share=pd.Categorical(frame["share"]))
    assert read(declared)["share"].categories == ("5%", "7%", "9%")


def test_text_of_parquet_goes_back_into_parquet(tmp_path: Path) -> None:
    columns = {kind: texts for kind, (texts, _) in WRITTEN.items()}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    table = read_table(tmp_path / "in.parquet")
    assert [column.values.dtype.kind for column in table] == ["M", "M", "f", "f", "i"]
    write_table(tmp_path / "out.parquet", table)
    assert pq.read_table(tmp_path / "out.parquet").to_pydict() == columns


ZONE = "America/New_York"
# Through the hour that comes twice when summer time ends.
ZONED = [datetime(2024, 11, 3, 4, tzinfo=UTC) + timedelta(minutes=17 * k) for k in range(60)]


def test_times_of_a_zone_go_back_into_parquet_and_are_utc_in_csv(tmp_path: Path) -> None:
    kind = pa.timestamp("us", ZONE)
    pq.write_table(pa.table({"t": pa.array(ZONED, kind)}), tmp_path / "in.parquet")
    table = read_table(tmp_path / "in.parquet")
    assert table["t"].values.tolist() == [each.replace(tzinfo=None) for each in ZONED]
    assert table["t"].note == "times of America/New_York, learned in UTC"
    write_table(tmp_path / "out.parquet", table)
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.schema.field("t").type == kind
    assert [each.astimezone(UTC) for each in out["t"].to_pylist()] == ZONED
    write_table(tmp_path / "out.csv", table)
    assert (tmp_path / "out.csv").read_text().splitlines()[:2] == ["t", "2024-11-03T04:00:00Z"]
    again = read_table(tmp_path / "out.csv")["t"]
    assert again.values.tolist() == table["t"].values.tolist()


def test_a_model_of_such_columns_takes_and_gives_what_the_frame_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "day": [f"{day.item():%d.%m.%Y}" for day in DAYS.repeat(2)],
            "seen": pd.DatetimeIndex(ZONED + ZONED[:20]).tz_convert(ZONE),
            "share": [f"{k / 4:.2f}%" for k in rng.permutation(80)],
        }
    )
    settings = SHORT | {"training.steps": 1, "network.width": 16, "network.depth": 1}
    run = sfumato.fit(frame, settings=settings, out=tmp_path / "run", quiet=True)
    opened = sfumato.open(tmp_path / "run")
    drawn = opened.sample(20)
    assert (drawn.dtypes == frame.dtypes).all()
    assert drawn["day"].str.fullmatch(r"\d\d\.\d\d\.\d{4}").all()
    assert drawn["share"].str.fullmatch(r"\d+\.\d\d%").all()
    pd.testing.assert_frame_equal(drawn, run.sample(20))

    # Few rows, whose days alone might be months.
    holes = frame.iloc[[1, 2]].copy()
    holes["seen"] = pd.Series([pd.NaT] * 2, holes.index, frame["seen"].dtype)
    holes.loc[2, "day"] = None
    filled = opened.complete(holes)
    assert (filled.dtypes == frame.dtypes).all()
    assert filled["share"].tolist() == holes["share"].tolist()
    assert filled.loc[1, "day"] == holes.loc[1, "day"]
    assert filled.notna().all(axis=None)

    moment = ZONED[7]
    for given in (moment, pd.Timestamp(moment).tz_convert("Asia/Tokyo"), moment.isoformat()):
        assert (opened.sample(3, given={"seen": given})["seen"] == moment).all()
    assert (opened.sample(3, given={"day": "05.01.2024"})["day"] == "05.01.2024").all()
    with pytest.raises(
        ArgumentError, match=r"holds a date, written as day.month.year; got '31.02.2024'"
    ):
        opened.sample(1, given={"day": "31.02.2024"})
    with pytest.raises(ArgumentError, match=r"holds a number, written as 1234.00%; got 'much'"):
        opened.sample(1, given={"share": "much"})
    with pytest.raises(ArgumentError, match="the column 'seen' is never empty; give a value"):
        opened.sample(1, given={"seen": pd.NaT})
    for outside in ("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"):
        with pytest.raises(ArgumentError, match="the column 'seen' holds a date; got"):
            opened.sample(3, given={"seen": outside})


def test_a_zone_that_is_not_known_is_refused_when_it_is_read() -> None:
    times = pa.array([0, 1, 2], pa.timestamp("us", "Mars/Olympus"))
    with pytest.raises(DataError, match="in the zone 'Mars/Olympus', which is not known here"):
        take_source(pa.table({"t": times}), DataSettings())


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=1)), "-03:30", "UTC", "Europe/Paris"])
def test_zones_come_back_into_frames_and_parquet(zone: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": pd.date_range("2024-03-30", periods=40, freq="7h", tz=zone)})
    table = read(frame)
    pd.testing.assert_frame_equal(to_frame(table, "pandas"), frame)
    write_table(tmp_path / "out.parquet", table)
    stored = pd.read_parquet(tmp_path / "out.parquet")["t"]
    assert stored.dt.tz_localize(None).tolist() == frame["t"].dt.tz_localize(None).tolist()


def test_a_type_with_a_zone_makes_no_times_of_numbers_and_text(tmp_path: Path) -> None:
    zoned, none = f"timestamp[us, tz={ZONE}]", np.zeros(2, bool)
    numbers = Column("n", np.array([1.5, 2.5]), none, dtype=zoned)
    text = Column("s", np.array(["a", "b"], object), none, dtype=zoned)
    write_table(tmp_path / "out.parquet", DataTable((numbers, text)))
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.to_pydict() == {"n": [1.5, 2.5], "s": ["a", "b"]}


def test_a_zone_that_pandas_names_as_it_cannot_read_is_refused_with_one_that_it_can() -> None:
    moments = pd.date_range("2024-03-30", periods=4, tz="dateutil/Europe/Paris")
    with pytest.raises(DataError, match=r"come back as datetime64\[\w+, Europe/Paris\]; make it"):
        read(pd.DataFrame({"t": moments}))
