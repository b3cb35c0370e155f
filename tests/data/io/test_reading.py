"""What a user says of a file's cells: markers of missing values, and spaces that do not count."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sfumato.config import DataSettings
from sfumato.data.io.frames import from_frame, to_frame
from sfumato.data.io.reading import Reading, mark_missing
from sfumato.data.io.rows import read_rows
from sfumato.data.source import take_source
from sfumato.data.table import DataTable
from sfumato.errors import DataError

CSV = """age,lab,job,day
30,-999,?,2024-01-01
.,2.5, clerk,9999-12-31
40,-999.00,clerk ,2024-01-03
50,3.5,-999,2024-01-04
"""


def test_markers_are_missing_values_of_every_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    missing = [".", "-999", "?", "9999-12-31"]
    table = read_rows(tmp_path / "t.csv", Reading(missing=missing))[0]
    assert {c.name: c.missing.tolist() for c in table} == {
        "age": [False, True, False, False],
        "lab": [True, False, True, False],
        "job": [True, False, False, True],
        "day": [False, True, False, False],
    }
    assert table["age"].values.dtype == np.int64
    assert table["job"].present.tolist() == ["clerk", "clerk"]
    assert table["lab"].present.tolist() == [2.5, 3.5]


def test_spaces_around_text_are_taken_off_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n x,p q\ny ,r\n x,r\n")
    table = read_rows(tmp_path / "t.csv")[0]
    assert table["a"].values.tolist() == ["x", "y", "x"]
    assert [c.note for c in table] == ["spaces around its texts taken off", ""]


def test_markers_of_a_frame_leave_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": np.array([1, -999, 3], "int32"),
            "f": [0.5, -999.0, 1.5],
            "c": pd.Categorical(["a", ".", "b"]),
            "d": pd.to_datetime(["2024-01-01", "9999-12-31", "2024-01-02"]).astype(
                "datetime64[us]"
            ),
        }
    )
    settings = DataSettings(missing=["-999", ".", "9999-12-31"], kind="table")
    rows, backend, _ = take_source(frame, settings)
    assert isinstance(rows, DataTable)
    back = to_frame(rows, backend)
    assert back.isna().to_numpy().tolist() == [[False] * 4, [True] * 4, [False] * 4]
    assert list(back["c"].cat.categories) == ["a", "b"]
    assert [str(t) for t in back.dtypes] == ["Int32", "float64", "category", "datetime64[us]"]
    untouched = from_frame(frame)
    assert mark_missing(untouched, []) is untouched


@pytest.mark.parametrize(("marker", "taken"), [("K", True), ("-", False)])
def test_a_word_beside_a_few_numbers_is_a_category_and_a_sign_a_marker(
    tmp_path: Path, marker: str, taken: bool
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("grade\n" + "".join(f"{k % 5}\n{marker}\n" for k in range(40)))
    if taken:
        assert read_rows(path)[0]["grade"].values.dtype == object
        return
    with pytest.raises(DataError, match=r"'-' is not a number.*50\.0%.*--missing -\)"):
        read_rows(path)


def test_a_question_mark_beside_numbers_is_missing_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,s\n1,a\n?,?\n3,b\n")
    table = read_rows(tmp_path / "t.csv")[0]
    assert [c.note for c in table] == ["'?' read as missing", ""]
    assert [c.missing.tolist() for c in table] == [[False, True, False], [False] * 3]
