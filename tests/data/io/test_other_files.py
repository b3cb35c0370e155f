"""Tables of other programs: made by their libraries, read to the same values."""

import contextlib
import datetime as dt
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pf
import pytest

from sfumato.data.io.reading import Reading
from sfumato.data.io.rows import read_rows
from sfumato.data.table import DataTable
from sfumato.errors import DataError, MissingDependencyError


def values(table: DataTable) -> dict[str, list[Any]]:
    """By column, None for missing values."""
    return {
        c.name: [None if gone else v for v, gone in zip(c.values.tolist(), c.missing, strict=True)]
        for c in table
    }


WHEN = dt.datetime(2024, 3, 1, 12, 30)
COLUMNS = {"n": [1, None, 3], "x": [0.5, 1.5, None], "s": ["a", None, "b"], "t": [WHEN, WHEN, None]}


@pytest.mark.parametrize("ending", [".feather", ".arrow"])
@pytest.mark.parametrize("stream", [False, True])
def test_files_of_arrow(tmp_path: Path, ending: str, stream: bool) -> None:
    table, path = pa.table(COLUMNS), tmp_path / f"t{ending}"
    if stream:
        with pa.ipc.new_stream(path, table.schema) as file:
            file.write_table(table)
    else:
        pf.write_feather(table, path)
    assert values(read_rows(path)[0]) == COLUMNS
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"not a whole (Feather|Arrow) file"):
        read_rows(path)


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"n": 1, "x": 0.5, "s": "a", "born": "31.12.2024", "ok": True},
        {"n": -9, "x": None, "s": " b", "born": "01.02.2024", "ok": None},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert values(read_rows(path, Reading(missing=["-9"]))[0]) == {
        "n": [1, None],
        "x": [0.5, None],
        "s": ["a", "b"],
        "born": [dt.datetime(2024, 12, 31), dt.datetime(2024, 2, 1)],
        "ok": [True, None],
    }
    path.write_text('{"a": [1]}\n')
    with pytest.raises(DataError, match="'a' is of type list"):
        read_rows(path)
    path.write_text('{"a": 1')
    with pytest.raises(DataError, match="not a whole JSON Lines file"):
        read_rows(path)


ARFF = """% made by hand
@relation 'people and days'
@attribute age numeric
@ATTRIBUTE 'full name' string
@attribute zip {00501, 90210}
@attribute income REAL
@attribute born date "yyyy-MM-dd"

@DATA
30, 'O\\'Hara, Ada', 00501, 2.5, 2001-05-01
?, "x", 90210, ?, ?
% a comment
41, '?', ?, 3, 1999-01-31
"""


def test_files_of_weka(tmp_path: Path) -> None:
    path = tmp_path / "t.arff"
    path.write_text(ARFF)
    assert values(read_rows(path)[0]) == {
        "age": [30, None, 41],
        "full name": ["O'Hara, Ada", "x", "?"],
        "zip": ["00501", "90210", None],
        "income": [2.5, None, 3.0],
        "born": [dt.datetime(2001, 5, 1), None, dt.datetime(1999, 1, 31)],
    }


def test_na_is_a_value_that_a_file_of_weka_declares(tmp_path: Path) -> None:
    path = tmp_path / "t.arff"
    path.write_text(
        "@attribute a {NA, EU}\n@attribute b string\n@attribute c real\n@data\n"
        "NA,null,1\nEU,?,NA\n?,'NA',2\n"
    )
    assert values(read_rows(path)[0]) == {
        "a": ["NA", "EU", None], "b": ["null", None, "NA"], "c": [1, None, 2]
    }  # fmt: skip
    assert values(read_rows(path, Reading(missing=["NA"]))[0])["a"] == [None, "EU", None]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,b\n1,2\n", "line 1: 'a,b' is no part of an ARFF header"),
        ("@relation x\n@attribute a numeric\n", "has no columns and rows"),
        ("@attribute a\n@data\n1\n", "line 1: '@attribute a' declares no column"),
        ("@attribute a real\n@attribute a real\n@data\n1,2\n", "'a' stands more than once"),
        ("@attribute a real\n@data\n1,2\n", "line 3: 2 cells where 1 are expected"),
        ("@attribute a real\n@data\n{0 1}\n", "line 3: sparse rows are not read"),
        ("@attribute a real\n@data\n", "has a header but no rows"),
    ],
)
def test_what_is_wrong_with_a_file_of_weka_is_told(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "t.arff"
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        read_rows(path)


def test_workbooks(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["n", "x", "s", "t", "ok", "took", "price"],
        [1, 0.5, "a", dt.datetime(2024, 3, 1), True, dt.timedelta(hours=30), "1 234,5"],
        [],
        [None, 2.0, " b", dt.datetime(2024, 3, 2), None, dt.timedelta(minutes=1), "0,5"],
        [3, None, None, None, False, None, None],
    ):
        sheet.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "t.xlsx")
    table, place = read_rows(tmp_path / "t.xlsx")
    assert values(table) == {
        "n": [1, None, 3],
        "x": [0.5, 2.0, None],
        "s": ["a", "b", None],
        "t": [dt.datetime(2024, 3, 1), dt.datetime(2024, 3, 2), None],
        "ok": [True, None, False],
        "took": [30 * 3600, 60, None],
        "price": [1234.5, 0.5, None],
    }
    assert place(1) == "line 4"
    book["empty"]["A1"] = 1
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match=r"2 sheets with cells \(Sheet, empty\)"):
        read_rows(tmp_path / "t.xlsx")
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04rubbish")
    with pytest.raises(DataError, match=r"not a whole \.xlsx workbook"):
        read_rows(tmp_path / "t.xlsx")


def test_a_formula_without_a_saved_value_is_named(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, book = tmp_path / "t.xlsx", openpyxl.Workbook()
    for row in (["n", "m"], [1, "=A2*2"], [2, None]):
        book.active.append(row)
    book.save(path)
    with pytest.raises(DataError, match=r"sheet 'Sheet', cell B2: the formula has no saved value"):
        read_rows(path)
    # As Excel saves it: the value beside the formula.
    _in_zip(path, b"<f>A2*2</f>", b"<f>A2*2</f><v>7</v>")
    assert values(read_rows(path)[0]) == {"n": [1, 2], "m": [7, None]}


def test_a_formula_whose_value_is_an_empty_text_is_missing(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, book = tmp_path / "t.xlsx", openpyxl.Workbook()
    for row in (["n", "m"], [1, '=""'], [2, 5]):
        book.active.append(row)
    book.save(path)
    _in_zip(path, b'<c r="B2">', b'<c r="B2" t="str">')
    assert values(read_rows(path)[0]) == {"n": [1, 2], "m": [None, 5]}


def test_a_number_of_a_workbook_is_not_read_as_thousands(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, book = tmp_path / "t.xlsx", openpyxl.Workbook()
    for row in (["a", "b", "c"], ["1.312,5", 1.234, "2,5"], ["2,5", 2.345, 1.234]):
        book.active.append(row)
    book.save(path)
    with pytest.raises(DataError, match=r"'b' holds '1\.234', which may be thousands") as raised:
        read_rows(path)
    assert "'c' holds '1.234', which may be thousands" in str(raised.value)
    with pytest.raises(DataError, match=r"'b' holds '1\.234', which may be thousands"):
        read_rows(path, Reading(forms={"b": "1.234,#"}, text=["a", "c"]))
    read = Reading(forms={"b": "1,234.5"}, text=["c"])
    assert values(read_rows(path, read)[0])["b"] == [1.234, 2.345]


def _in_zip(path: Path, old: bytes, new: bytes) -> None:
    """Put other bytes into the one part of a workbook that holds some."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    changed = {name: part.replace(old, new) for name, part in parts.items()}
    assert sum(changed[name] != part for name, part in parts.items()) == 1
    with zipfile.ZipFile(path, "w") as file:
        for name, part in changed.items():
            file.writestr(name, part)


def test_damaged_workbooks_are_one_line(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, book = tmp_path / "t.xlsx", openpyxl.Workbook()
    for k in range(50):
        book.active.append([f"a{k}", k])
    book.save(path)
    whole = path.read_bytes()
    for damaged in (
        b"PK", whole[:-30], whole[: len(whole) // 2],
        *(whole[:at] + b"\xff" * 40 + whole[at + 40 :] for at in range(0, len(whole) - 40, 400)),
    ):  # fmt: skip
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            read_rows(path)
    path.write_bytes(whole)
    _in_zip(path, b"</sheetData>", b"</sheet")
    with pytest.raises(DataError, match=r"not a whole \.xlsx workbook"):
        read_rows(path)


def test_files_of_stata_and_spss(tmp_path: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame(
        {
            "sex": [1.0, 2.0, 1.0],
            "age": [30.0, -9.0, 41.0],
            "visits": [3.0, -1.0, 0.0],
            "income": [1.5, np.nan, 2.5],
            "word": ["a", "", "b"],
        }
    )
    labels = {"sex": {2: "woman", 1: "man"}, "visits": {-1: "refused"}}
    expected = {
        "sex": ["man", "woman", "man"],
        "age": [30, None, 41],
        "visits": [3, -1, 0],
        "income": [1.5, None, 2.5],
        "word": ["a", None, "b"],
    }
    declared = {"age": [{"lo": -9, "hi": -9}]}
    path = tmp_path / "t.sav"
    pyreadstat.write_sav(frame, str(path), variable_value_labels=labels, missing_ranges=declared)
    table = read_rows(path)[0]
    assert values(table) == expected
    assert table["sex"].categories == ("man", "woman")
    frame.loc[1, "age"] = np.nan
    path = tmp_path / "t.dta"
    pyreadstat.write_dta(
        frame.astype({"sex": int, "visits": int}), str(path), variable_value_labels=labels
    )
    assert values(read_rows(path, Reading(missing=["-1"]))[0]) == {
        **expected,
        "visits": [3, None, 0],
    }
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"not a whole \.dta file"):
        read_rows(path)


@pytest.mark.parametrize("labels", [("a", "a"), ("a", " "), ("NA", "b"), ("a", "a ")])
def test_labels_that_do_not_tell_values_apart_leave_the_numbers(
    tmp_path: Path, labels: tuple[str, str]
) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    path, frame = tmp_path / "t.dta", pd.DataFrame({"v": [1, 2, 1]})
    pyreadstat.write_dta(
        frame, str(path), variable_value_labels={"v": dict(zip((1, 2), labels, strict=True))}
    )
    assert values(read_rows(path)[0]) == {"v": [1, 2, 1]}


@pytest.mark.parametrize(("name", "needed"), [("t.xlsx", "excel"), ("t.sav", "survey")])
def test_an_extra_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needed: str
) -> None:
    for module in ("openpyxl", "pyreadstat"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(MissingDependencyError, match=rf"sfumato\[{needed}\]"):
        read_rows(tmp_path / name)
