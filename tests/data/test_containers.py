"""The same data are the same rows, whatever they come in: files, lists, arrays, pictures."""

import csv
import io
import math
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.atomic import sha256
from sfumato.config import DataSettings
from sfumato.data.images import Images
from sfumato.data.points import Points
from sfumato.data.source import read_source, take_source
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError

ROWS = np.random.default_rng(0).normal(size=(9, 3))
MIXED = [["red", 1, 0.5], ["blue", 2, 1.5], ["red", 3, None]]
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 6, 6, 3)).astype(np.uint8)
HERE = DataSettings(source="array")


def taken(source: Any, **settings: Any) -> Any:
    return take_source(source, HERE.model_copy(update=settings))[0]


def container_of(source: Any) -> str:
    return take_source(source, HERE)[1]


# ------------------------------------------------------------------------------- rows in Python


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        ROWS.tolist(),
        tuple(map(tuple, ROWS.tolist())),
        list(ROWS),
        torch.from_numpy(ROWS),
        list(torch.from_numpy(ROWS)),
        torch.from_numpy(ROWS).requires_grad_(),
        ROWS.astype(object),
    ],
)
def test_rows_of_decimals_are_points(source: Any) -> None:
    points = taken(source)
    assert isinstance(points, Points)
    np.testing.assert_array_equal(points.values, ROWS)
    assert points.columns == ("x0", "x1", "x2")
    assert container_of(source) == "array"


def test_a_list_of_numbers_is_a_column() -> None:
    for source in (ROWS[:, 0], ROWS[:, 0].tolist(), torch.from_numpy(ROWS[:, 0])):
        points = taken(source)
        assert isinstance(points, Points)
        np.testing.assert_array_equal(points.values, ROWS[:, :1])


@pytest.mark.parametrize(
    ("source", "is_table"),
    [
        (np.ones((4, 3)), False),
        (np.ones((4, 4)), True),
        (np.ones((4, 2), np.int64), True),
        (np.array([[1.0, 2.0], [math.nan, 3.0]]), True),
        (np.array([["a"], ["b"]]), True),
    ],
)
def test_up_to_three_columns_of_decimals_are_points_and_all_else_is_a_table(
    source: np.ndarray, is_table: bool
) -> None:
    assert isinstance(taken(source), DataTable if is_table else Points)
    assert isinstance(taken(source, kind="table"), DataTable)
    decimal = source.dtype.kind == "f" and np.isfinite(source).all()
    if decimal or source.dtype.kind == "i":
        points = taken(source, kind="points")
        assert isinstance(points, Points)
        np.testing.assert_array_equal(points.values, source)
    else:
        with pytest.raises(DataError):
            taken(source, kind="points")


def test_rows_of_numbers_and_text_keep_their_types() -> None:
    table = taken(MIXED)
    assert isinstance(table, DataTable)
    word, count, share = table
    assert word.values.tolist() == ["red", "blue", "red"]
    assert count.values.dtype == np.int64
    assert count.values.tolist() == [1, 2, 3]
    assert share.present.tolist() == [0.5, 1.5]
    assert share.missing.tolist() == [False, False, True]
    assert container_of(MIXED) == "array"


def test_rows_with_names_are_columns_of_these_names() -> None:
    table = taken([{"b": "red", "a": 1}, {"a": 2, "c": 0.5}])
    assert isinstance(table, DataTable)
    assert table.names == ("b", "a", "c")
    assert table["a"].values.tolist() == [1, 2]
    assert table["b"].missing.tolist() == [False, True]
    assert table["c"].missing.tolist() == [True, False]
    structured = np.array([(1, 0.5), (2, 1.5)], [("n", int), ("x", float)])
    named = taken(structured)
    assert isinstance(named, DataTable)
    assert named.names == ("n", "x")
    for source in ([{"a": 1.0}, {"a": 2.0}], structured):
        assert container_of(source) == ""  # an array would lose the names


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([], "the list is empty"),
        ([[1.0, 2.0], [3.0]], r"the rows of the list differ in shape \(\(1,\) and \(2,\)\)"),
        ([[1.0, [2.0]], [3.0, [4.0]]], "a row of the list holds lists of several lengths"),
        ({1: 2}, "cannot learn from a dict"),
        (None, "cannot learn from a NoneType"),
        (3.5, "cannot learn from a float"),
        (np.float64(3.5), "cannot learn from a float64"),
        (np.zeros((3, 0)), "has no columns"),
        (np.zeros((0, 3)), "has no rows"),
        (np.zeros((3, 4, 4)), "pictures are bytes"),
        (np.array([1j]), "complex128"),
        ([{"a": 2**60}, {"a": 1}], "column"),
    ],
)
def test_what_holds_no_rows_is_refused_in_one_line(source: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        taken(source)
    assert "\n" not in str(refused.value)


# -------------------------------------------------------------------------------------- pictures


def test_pictures_of_pillow_are_their_bytes() -> None:
    for source in ([Image.fromarray(each) for each in PIXELS], PIXELS, torch.from_numpy(PIXELS)):
        pictures = taken(source)
        assert isinstance(pictures, Images)
        np.testing.assert_array_equal(pictures.pixels, PIXELS)
    grey = taken([Image.fromarray(each[:, :, 0]) for each in PIXELS])
    np.testing.assert_array_equal(grey.pixels, PIXELS[:, :, :, :1])
    np.testing.assert_array_equal(taken(PIXELS[:, :, :, 0]).pixels, PIXELS[:, :, :, :1])


def test_what_is_transparent_lies_on_the_background_that_is_set(tmp_path: Path) -> None:
    clear = Image.fromarray(np.zeros((6, 6, 4), np.uint8))
    for k in range(2):
        clear.save(tmp_path / f"{k}.png")
    for background, value in (("white", 255), ("black", 0), ("#808080", 128)):
        data = DataSettings(source=str(tmp_path), background=background)
        for pictures in (taken([clear, clear], background=background), read_source(data)[0]):
            assert isinstance(pictures, Images)
            assert set(pictures.pixels.ravel()) == {value}
    with pytest.raises(DataError, match="must be a colour"):
        taken([clear, clear], background="whitish")


def test_pictures_of_several_sizes_are_brought_to_one_if_it_is_given() -> None:
    shown = [Image.fromarray(PIXELS[0]), Image.fromarray(PIXELS[1]).resize((9, 8))]
    with pytest.raises(
        DataError, match=r"9 x 8 .*\(6 x 6 pixels\)\. Do: settings=\{'data.size': 32"
    ):
        taken(shown)
    assert taken(shown, size=5).pixels.shape == (2, 5, 5, 3)
    with pytest.raises(DataError, match=r"1 of 3 .* no picture: picture 3"):
        taken([*shown, None], size=5)


def test_the_size_that_is_given_holds_for_every_container(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS)
    data = DataSettings(source=str(tmp_path / "pixels.npy"), size=4)
    of_file = read_source(data)[0]
    assert isinstance(of_file, Images)
    assert of_file.pixels.shape == (5, 4, 4, 3)
    for source in (PIXELS, torch.from_numpy(PIXELS), [Image.fromarray(each) for each in PIXELS]):
        np.testing.assert_array_equal(taken(source, size=4).pixels, of_file.pixels)
    np.testing.assert_array_equal(taken(PIXELS, size=6).pixels, PIXELS)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_one_picture_is_not_many(channels: int) -> None:
    one = np.zeros((7, 5, channels), np.uint8)
    said = rf"one picture of 5 x 7 in {channels} channels?, and at least 2 pictures are needed"
    with pytest.raises(DataError, match=said):
        taken(one)


def test_pictures_have_no_classes_unless_they_come_with_some() -> None:
    with pytest.raises(DataError, match="has no classes to learn"):
        taken(PIXELS, labels=True)


# ----------------------------------------------------------------------------------------- files


def text_of(rows: list[list[Any]], header: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode()


def zipped(path: Path, files: dict[str, bytes]) -> DataSettings:
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return DataSettings(source=str(path))


@pytest.mark.parametrize(
    ("rows", "kind"), [(ROWS[:, :2].tolist(), Points), (MIXED, DataTable)], ids=["points", "table"]
)
def test_a_table_in_an_archive_is_the_table(
    tmp_path: Path, rows: list[list[Any]], kind: type
) -> None:
    text = text_of(rows, ["b", "a", "c"][: len(rows[0])])
    (tmp_path / "rows.csv").write_bytes(text)
    archive = {"folder/rows.csv": text, "__MACOSX/._rows.csv": b"junk", "folder/.hidden": b"junk"}
    packed, mark = read_source(zipped(tmp_path / "rows.zip", archive))
    plain, _ = read_source(DataSettings(source=str(tmp_path / "rows.csv")))
    assert mark == sha256(tmp_path / "rows.zip")
    assert type(packed) is type(plain) is kind
    if isinstance(packed, Points) and isinstance(plain, Points):
        np.testing.assert_array_equal(packed.values, plain.values)
        assert packed.columns == plain.columns == ("b", "a")
    elif isinstance(packed, DataTable) and isinstance(plain, DataTable):
        assert packed.names == plain.names == ("b", "a", "c")
        for own, other in zip(packed, plain, strict=True):
            assert own.values.tolist() == other.values.tolist()
            assert own.missing.tolist() == other.missing.tolist()


def test_an_archive_of_two_tables_or_of_a_damaged_one_is_refused(tmp_path: Path) -> None:
    text = text_of(MIXED, ["a", "b", "c"])
    two = zipped(tmp_path / "two.zip", {"one.csv": text, "two.csv": text})
    with pytest.raises(DataError, match=r"holds 2 tables \(one.csv, two.csv\); unpack it"):
        read_source(two)
    ragged = zipped(tmp_path / "ragged.zip", {"in/rows.csv": b"a,b\n1,2\n3,4,5\n"})
    with pytest.raises(DataError) as refused:
        read_source(ragged)
    assert str(refused.value).startswith(f"{tmp_path / 'ragged.zip'}/in/rows.csv")
    assert "sfumato/" not in str(refused.value)  # no temporary folder is named
    odd = b"a b,c\n" + b"0.5,1\n" * 30 + b"x,1\n-,y\n"
    spaced = zipped(tmp_path / "my two.zip", {"the rows.csv": odd})
    with pytest.raises(DataError) as refused:
        read_source(spaced)
    assert "sfumato fit '" + str(tmp_path / "my two.zip") + "' --missing x" in str(refused.value)
    footed = zipped(tmp_path / "footed.zip", {"rows.csv": b"a,b\n1,2\n3,4\nSource\n"})
    with pytest.raises(DataError, match=r"take away what stands below the table\.$"):
        read_source(footed)
    whole = (tmp_path / "two.zip").read_bytes()
    (tmp_path / "one.zip").write_bytes(whole)
    zipped(tmp_path / "one.zip", {"one.csv": text * 50})
    broken = bytearray((tmp_path / "one.zip").read_bytes())
    broken[60] ^= 1
    (tmp_path / "one.zip").write_bytes(broken)
    with pytest.raises(DataError, match=r"one\.csv cannot be unpacked"):
        read_source(DataSettings(source=str(tmp_path / "one.zip")))


def test_the_same_rows_are_the_same_data_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(text_of(ROWS.tolist(), ["x0", "x1", "x2"]))
    np.save(tmp_path / "rows.npy", ROWS)
    np.savez(tmp_path / "rows.npz", x=ROWS)
    for ending in ("csv", "npy", "npz"):
        points, _ = read_source(DataSettings(source=str(tmp_path / f"rows.{ending}")))
        assert isinstance(points, Points)
        np.testing.assert_array_equal(points.values, ROWS)
        assert points.columns == ("x0", "x1", "x2")


def test_numpy_takes_a_table_as_rows() -> None:
    rows = np.array([[1.5, 2.0], [3.0, math.nan]])
    table = DataTable(
        tuple(
            Column(name, np.nan_to_num(values), np.isnan(values))
            for name, values in zip("ab", rows.T, strict=True)
        )
    )
    np.testing.assert_array_equal(np.asarray(table), rows)
    assert np.asarray(table, np.float32).dtype == np.float32
