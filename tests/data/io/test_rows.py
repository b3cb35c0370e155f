"""Points from files: exact round trips, and every fault told in one line with its place."""

import os
import pickle
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sfumato.data.io.rows import check_target, read_points, write_rows
from sfumato.data.points import Points
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError, MissingDependencyError

AWKWARD = np.array([[0.1, -1e300], [1 / 3, 5e-324], [2.0**53, -0.0], [1e-7, 123456789.123456789]])


@pytest.mark.parametrize("ending", [".csv", ".npy", ".parquet"])
def test_what_is_written_is_read_back_exactly(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"points{ending}"
    columns = ("x0", "x1") if ending == ".npy" else ("größe,\ncm", 'a "quoted" name')
    write_rows(path, Points(AWKWARD, columns))
    again = read_points(path)
    np.testing.assert_array_equal(again.values, AWKWARD)
    assert again.columns == columns


@pytest.mark.parametrize(
    ("ending", "rows"), [(".csv", "x,y\n"), (".npy", None), (".parquet", None)]
)
def test_no_rows_still_have_columns(tmp_path: Path, ending: str, rows: str | None) -> None:
    path = tmp_path / f"none{ending}"
    write_rows(path, Points(np.empty((0, 2)), ("x", "y")))
    if rows is not None:
        assert path.read_text() == rows
    elif ending == ".npy":
        assert np.load(path).shape == (0, 2)
    else:
        assert pq.read_table(path).column_names == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("1,2\n3,4", ("x0", "x1"), [[1, 2], [3, 4]]),
        ("\ufeffa,b\r\n1,2\r\n\r\n3,4\r\n", ("a", "b"), [[1, 2], [3, 4]]),
        ('"a, b","c"\n" 1 ",2e3\n-.5,4e+0\n', ("a, b", "c"), [[1, 2000], [-0.5, 4]]),
        ("v\n1\n2\n3\n", ("v",), [[1], [2], [3]]),
        ('"a\nb",c\n1,2\n3,4\n', ("a\nb", "c"), [[1, 2], [3, 4]]),
        ("mass; kg,size_x\n1,2\n3,4\n", ("mass; kg", "size_x"), [[1, 2], [3, 4]]),
    ],
)
def test_csv_as_people_write_it(
    tmp_path: Path, text: str, columns: tuple[str, ...], values: list[list[float]]
) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(text.encode())
    points = read_points(path)
    assert points.columns == columns
    assert points.values.tolist() == values


@pytest.mark.parametrize(
    ("content", "phrases"),
    [
        (b"", ["is empty"]),
        (b"\n\n", ["is empty"]),
        (b"a,b\n", ["header but no rows"]),
        (b"a,b\n1,2\n3\n", ["line 3", "1 cells", "2 are expected"]),
        (b"a,b\n1,2\n\n3,4,5\n", ["line 4", "3 cells"]),
        (b"a,b\n1,2\n3,four\n", ["line 3", "column 'b'", "'four'", "not a number"]),
        (b"a,b\n1,2\n3,1_000\n", ["line 3", "'1_000'"]),
        (b"a,b\n1,2\n3,+4\n", ["line 3", "column 'b'", "'+4'", "not a number"]),
        (b"a,b\n1,nan\n3,\n5,6\n", ["2 values", "line 2", "column 'b'", "drop or fill"]),
        (b"a,b\n1,nan\n3,\n5,inf\n", ["line 4", "column 'b'", "inf is infinite"]),
        (b"a,b\n1,2\n\n3,NA\n4,5\n", ["1 values are missing", "line 4"]),
        (b"a,b\n1,2\n3,1e400\n", ["line 3", "1e400", "beyond the range"]),
        (b"a,a\n1,2\n3,4\n", ["'a'", "more than once"]),
        (b"a,\n1,2\n3,4\n", ["column 2 has no name"]),
        (b"a,7\n1,2\n3,4\n", ["line 1", "both names and numbers"]),
        (b"a;b\n", ["header but no rows"]),
        (b"a,b\n1,2\n3,4;\n", ["line 3", "'4;'", "not a number"]),
        (b'a,b\n1,2\n3,"x\ny"\n', ["'x y'", "not a number"]),
        (b"a,b\n1,2\n3," + b"9" * 5000 + b"\n", [f"{'9' * 37}... is beyond the range"]),
        (b"a,b\n1,2\n\xff\xfe,4\n", ["not UTF-8"]),
        (b"a,b\n1,2\n3,9007199254740993\n", ["9007199254740993", "beyond 2^53"]),
        (b'a,b\n1,"2\n3,4\n', ["line"]),
        (b"a,b\n1,2\x00\n", ["zero bytes"]),
    ],
)
def test_faults_of_a_csv_are_told_in_one_line(
    tmp_path: Path, content: bytes, phrases: list[str]
) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_points(path)
    message = str(raised.value)
    assert "\n" not in message
    for phrase in [*phrases, "points.csv"]:
        assert phrase in message


@pytest.mark.parametrize(
    ("array", "phrase"),
    [
        (np.zeros((2, 2, 2)), "rows and columns"),
        (np.zeros((3, 2), dtype=complex), "complex128"),
        (np.array([["a"]]), "'a' is not a number"),
        (np.zeros((0, 2)), "has no rows"),
        (np.array([[1, 2**53 + 1], [3, 4]]), r"beyond 2\^53"),
        (np.array([[1.0, np.nan], [2, 3]]), "data row 1, column 'x1'"),
    ],
)
def test_arrays_that_are_no_table_are_told(tmp_path: Path, array: np.ndarray, phrase: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=phrase):
        read_points(tmp_path / "a.npy")


def test_one_dimension_is_one_column_and_integers_are_exact(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, -(2**53), 3]))
    assert read_points(tmp_path / "a.npy").values.tolist() == [[1], [-(2**53)], [3]]


def test_npz_takes_the_only_array_or_the_named_one(tmp_path: Path) -> None:
    rows = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "one.npz", anything=rows)
    np.savez(tmp_path / "two.npz", x=rows, other=np.zeros(3))
    np.savez(tmp_path / "unclear.npz", a=rows, b=rows)
    for name in ("one.npz", "two.npz"):
        np.testing.assert_array_equal(read_points(tmp_path / name).values, rows)
    with pytest.raises(DataError, match="holds the arrays a, b"):
        read_points(tmp_path / "unclear.npz")


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet"])
def test_a_pickle_is_never_opened(tmp_path: Path, ending: str) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / f"data{ending}"
    path.write_bytes(pickle.dumps(_Trap(sprung)))
    with pytest.raises(DataError):
        read_points(path)
    assert not sprung.exists()


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "objects.npy"
    np.save(path, np.array([_Trap(sprung)], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="never opened"):
        read_points(path)
    assert not sprung.exists()


@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_told(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"data{ending}"
    rows = np.random.default_rng(0).standard_normal((50, 2))
    if ending == ".npz":
        np.savez(path, rows=rows)
    else:
        write_rows(path, Points(rows, ("a", "b")))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="not a whole"):
        read_points(path)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet"])
def test_a_flipped_bit_is_read_or_told_in_one_line(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data{ending}"
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20, 2))
    if ending == ".npz":
        np.savez_compressed(path, rows=rows)
    else:
        write_rows(path, Points(rows, ("a", "b")))
    whole = path.read_bytes()
    for k in range(400):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole) if k % 2 else 150))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read_points(path)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_an_archive_of_something_else_is_told(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "sheet.npz", "w") as archive:
        archive.writestr("sheet.xml", "<sheet/>")
    with pytest.raises(DataError, match="no arrays"):
        read_points(tmp_path / "sheet.npz")


def test_parquet_faults_name_the_column(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pair = pa.array([1.0, 2.0])
    pq.write_table(pa.Table.from_arrays([pair, pair], names=["a", "a"]), path)
    with pytest.raises(DataError, match="'a' stands more than once"):
        read_points(path)
    pq.write_table(pa.table({"d": [Decimal(1), Decimal(2**53 + 1)]}), path)
    with pytest.raises(DataError, match="data row 2, column 'd': 9007199254740993 is an integer"):
        read_points(path)


def test_parquet_columns_of_every_numeric_kind(tmp_path: Path) -> None:
    table = pa.table({"i": [1, 2], "b": [True, False], "f": pa.array([0.5, 1.5], pa.float32())})
    pq.write_table(table, tmp_path / "t.parquet")
    points = read_points(tmp_path / "t.parquet")
    assert points.values.tolist() == [[1, 1, 0.5], [2, 0, 1.5]]
    pq.write_table(pa.table({"x": [1.0, None], "y": [1, 2]}), tmp_path / "null.parquet")
    with pytest.raises(DataError, match="1 values are missing"):
        read_points(tmp_path / "null.parquet")
    pq.write_table(pa.table({"x": ["a", "b"]}), tmp_path / "text.parquet")
    with pytest.raises(DataError, match="column 'x': 'a' is not a number"):
        read_points(tmp_path / "text.parquet")


def test_places_that_are_no_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder").mkdir()
    for name, phrase in {
        "none.csv": "there is no file",
        "folder.csv": "is a folder",
        "folder": "is a folder",
        "points.xls": "ending must be one of .csv, .csv.gz, .tsv, .txt",
    }.items():
        with pytest.raises(DataError, match=phrase):
            read_points(tmp_path / name)


def test_a_place_that_the_system_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / f"{'a' * 300}.csv"
    with pytest.raises(DataError, match="cannot read"):
        read_points(long)
    with pytest.raises(ArgumentError, match="cannot write"):
        check_target(long)

    def refused(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refused)
    with pytest.raises(DataError, match=r"cannot read .*: Permission denied"):
        read_points(tmp_path / "points.csv")


def test_parquet_without_its_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingDependencyError, match=r"sfumato\[tables\]"):
        read_points(tmp_path / "t.parquet")
    with pytest.raises(MissingDependencyError, match=r"sfumato\[tables\]"):
        check_target(tmp_path / "out.parquet")


def test_targets_are_refused_early(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"one of \.csv, \.csv\.gz, \.tsv, \.parquet, \.npy"):
        check_target(tmp_path / "out.xls")
    with pytest.raises(ArgumentError, match="there is no folder"):
        check_target(tmp_path / "none" / "out.csv")
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(ArgumentError, match="is a folder"):
        check_target(tmp_path / "out.csv")


def test_an_array_takes_numbers_of_a_table_alone(tmp_path: Path) -> None:
    path, present = tmp_path / "rows.npy", np.zeros(2, dtype=bool)
    ages = Column("age", np.array([40, 0]), np.array([False, True]))
    write_rows(path, DataTable((ages, Column("x", np.array([0.5, 1.5]), present))))
    np.testing.assert_array_equal(np.load(path), [[40, 0.5], [np.nan, 1.5]])
    for values, what in ((np.array(["F", "M"], object), "text"), (np.array([True, False]), "bool")):
        with pytest.raises(ArgumentError, match=f"the column 'sex' holds {what}.*write .csv"):
            write_rows(path, DataTable((ages, Column("sex", values, present))))


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "points.csv"
    path.write_text("precious")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space.*points\.csv"):
        write_rows(path, Points(np.ones((3, 2)), ("a", "b")))
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == ["points.csv"]
