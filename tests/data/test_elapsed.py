"""Durations and times of the day in frames and Parquet: read, learned, given back as they were."""

from datetime import time, timedelta
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
from sfumato.data.io.frames import from_frame, to_frame
from sfumato.data.io.tables import read_table, write_table
from sfumato.errors import ArgumentError, DataError

__all__ = ["in_small_chunks"]

pytestmark = pytest.mark.usefixtures("in_small_chunks")

N = 160
NARROW = SHORT | {"network.width": 16, "network.depth": 1}
_SECONDS = np.random.default_rng(0).integers(0, 24 * 3600, N).tolist()
TIMES = [
    None if k % 9 == 0 else time(s // 3600, s // 60 % 60, s % 60) for k, s in enumerate(_SECONDS)
]
FINE = [each and each.replace(microsecond=123_457) for each in TIMES]
LONG = [
    None if each is None else timedelta(seconds=s, days=3)
    for each, s in zip(TIMES, _SECONDS, strict=True)
]
SIGNED = [each and timedelta(seconds=-40_000, microseconds=1) + each for each in LONG]


def series(values: list[Any], dtype: Any) -> "pd.Series[Any]":
    return pd.Series(values, dtype=dtype)


FRAMES: dict[str, Any] = {
    "pandas": pd.DataFrame(
        {
            "objects": series(TIMES, object),
            "fine objects": series(FINE, object),
            "deltas": series(LONG, object),
            **{u: pd.Series(LONG).astype(f"timedelta64[{u}]") for u in ("s", "ms", "us", "ns")},
            "signed": pd.Series(SIGNED).astype("timedelta64[us]"),
            "arrow times": series(FINE, "time64[us][pyarrow]"),
            "arrow seconds": series(TIMES, "time32[s][pyarrow]"),
            "arrow durations": series(SIGNED, "duration[us][pyarrow]"),
        }
    ),
    "polars": pl.DataFrame(
        {
            "times": TIMES,
            "fine": FINE,
            **{u: pl.Series(LONG).cast(pl.Duration(u)) for u in ("ms", "us", "ns")},
            "signed": SIGNED,
        }
    ),
    "pyarrow": pa.table(
        {
            "s": pa.array(TIMES, pa.time32("s")),
            "ms": pa.array(TIMES, pa.time32("ms")),
            "us": pa.array(FINE, pa.time64("us")),
            "ns": pa.array(FINE, pa.time64("ns")),
            **{f"long {u}": pa.array(LONG, pa.duration(u)) for u in ("s", "ms", "us", "ns")},
            "signed": pa.array(SIGNED, pa.duration("us")),
        }
    ),
}  # fmt: skip


def same(one: Any, other: Any) -> None:
    """Values and types."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
        return
    assert one.schema == other.schema
    assert one.equals(other)


def texts(frame: Any, name: str) -> list[str]:
    column = frame[name]
    values = column.to_pylist() if isinstance(frame, pa.Table) else column.to_list()
    return [str(each) for each in values]


@pytest.mark.parametrize("backend", FRAMES)
def test_a_frame_comes_back_as_it_was(backend: str) -> None:
    table = from_frame(FRAMES[backend])
    same(FRAMES[backend], to_frame(table, backend))
    assert all("learned in seconds" in column.note for column in table)
    for other in FRAMES:  # which has such types, too
        again = from_frame(to_frame(table, other))
        for column, known in zip(again, table, strict=True):
            np.testing.assert_array_equal(column.present, known.present)


@pytest.mark.parametrize("backend", FRAMES)
def test_a_model_draws_scores_and_takes_them_as_conditions(backend: str, tmp_path: Path) -> None:
    frame = FRAMES[backend]
    sfumato.fit(frame, out=tmp_path / "run", settings=NARROW, quiet=True)
    run = sfumato.open(tmp_path / "run")
    drawn = run.sample(40)
    if backend == "pandas":
        assert drawn.dtypes.tolist() == frame.dtypes.tolist()
    else:
        assert drawn.schema == frame.schema
    for name in run.model.codec.columns:
        values = [each for each in texts(drawn, name) if each not in ("None", "NaT", "<NA>", "nan")]
        assert values
    first = frame.head(20) if backend == "pandas" else frame.slice(0, 20)
    assert np.isfinite(run.log_prob(first, steps=5)).all()
    name = run.model.codec.columns[-1]
    present = next(each for each in (SIGNED if name != "s" else TIMES) if each is not None)
    assert set(texts(run.sample(3, given={name: present}), name)) == {texts(frame, name)[1]}


def test_conditions_may_be_text_and_must_be_of_the_type(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": TIMES, "d": pd.Series(LONG), "x": range(N)})
    run = sfumato.fit(frame, out=tmp_path / "run", settings=NARROW, quiet=True)
    for given in ("08:30:00", time(8, 30), 8.5 * 3600):
        assert set(run.sample(3, given={"t": given})["t"]) == {time(8, 30)}
    for long in ("80:00:01", timedelta(hours=80, seconds=1), np.timedelta64(288_001, "s")):
        assert set(run.sample(3, given={"d": long})["d"]) == {timedelta(hours=80, seconds=1)}
    for wrong in ("25:00:00", "-1:00:00", "noon", timedelta(days=1)):
        with pytest.raises(ArgumentError, match=r"'t' holds a time of the day \(hh:mm:ss\); got"):
            run.sample(1, given={"t": wrong})
    with pytest.raises(ArgumentError, match=r"'d' holds a duration \(h:mm:ss\); got 'long'"):
        run.sample(1, given={"d": "long"})


def test_a_parquet_file_gets_its_types_back_and_a_text_file_hours(tmp_path: Path) -> None:
    for table in (FRAMES["pyarrow"],):
        pq.write_table(table, tmp_path / "a.parquet")
        read = read_table(tmp_path / "a.parquet")
        write_table(tmp_path / "b.parquet", read)
        same(pq.read_table(tmp_path / "a.parquet"), pq.read_table(tmp_path / "b.parquet"))
    write_table(tmp_path / "c.csv", read.take(np.arange(1, 2)))
    cells = dict(
        zip(
            *(line.split(",") for line in (tmp_path / "c.csv").read_text().splitlines()),
            strict=True,
        )
    )
    hours, rest = divmod(_SECONDS[1], 3600)
    assert cells["s"] == str(TIMES[1])
    assert cells["long s"] == f"{hours + 72}:{rest // 60:02}:{rest % 60:02}"


def test_what_seconds_cannot_hold_is_refused() -> None:
    ticks = pa.array([10**18 + 1, 5], pa.duration("ns"))
    with pytest.raises(DataError, match=r"row 1, column 'd': .* is finer than 64 bits of seconds"):
        from_frame(pa.table({"d": ticks}))
