"""What a user says of a file's cells: markers of missing values, and spaces that do not count."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sfumato.cli.options import column_types
from sfumato.config import DataSettings
from sfumato.data.io.frames import from_frame, to_frame
from sfumato.data.io.reading import Reading, mark_missing, quoted
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


def test_several_words_beside_numbers_are_categories(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("grade\n" + "".join(f"{k}\n" for k in range(40)) + "red\nblue\n" * 9)
    assert read_rows(path)[0]["grade"].values.dtype == object


def test_a_question_mark_beside_numbers_is_missing_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,s\n1,a\n?,?\n3,b\n")
    table = read_rows(tmp_path / "t.csv")[0]
    assert [c.note for c in table] == ["'?' read as missing", ""]
    assert [c.missing.tolist() for c in table] == [[False, True, False], [False] * 3]


TEXTS = (
    "plain", "a b", "a  b", " a", "a\nb", "it's", 'a "b" $HOME', "6.2\x1a", "\x1b[31m5", "\x1aff",
    "°C", "back\\slash\t", "é\x85", "\xa0x", "\u202eabc", "-",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_a_message_is_what_a_shell_takes(text: str) -> None:
    line = " ".join(str(DataError(quoted(text))).split())  # as the command line prints it
    taken = subprocess.run(["bash", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert taken.stdout.decode() == text


@pytest.mark.parametrize("text", ["\udceb", "\ud800-"])
def test_a_text_that_is_no_utf_8_is_quoted_all_the_same(text: str) -> None:
    command = f"printf %s {quoted(text)}"
    taken = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert taken.stdout in {b"\xeb", b"\xed\xa0\x80-"}


@pytest.mark.parametrize(
    "content",
    [
        "v\n" + "1.5\n2.5\n3.5\nInf\n-Inf\ninf\n1e999\n" * 4,
        "v\n" + "".join(f"{k}.5\n" for k in range(40)) + "6.2\x1a\n",
        "v\n" + "".join(f"{k}.5\n" for k in range(40)) + "-\nInf\n",
        "v\n" + "".join(f"{k}.5\n" for k in range(40)) + "n.a.\n-\nk.A.\n" * 9,
        "v,w\n" + "".join(f"{k}.5,2024-03-01\n" for k in range(40)) + "12,0000-00-00\n#REF!,-\n",
        "a  \x1b b,w\n" + "".join(f"{k}.5,x\n" for k in range(40)) + '"1,5",y\n',
        "v\n1\n999999999999998592\n",
        "v\n0.5\n9007199254740993\n",
        "v\n" + "".join(f"{k}.5\n" for k in range(400)) + "".join(f"x{k}\n" for k in range(12)),
    ],
)
def test_what_a_message_says_takes_the_file_does(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(DataError) as raised:
        read_rows(path)
    line = " ".join(str(raised.value).split())
    found = re.search(r"\((--.*)\)\.$|sfumato fit \S+ (--.*)$", line)
    assert found is not None
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {found[1] or found[2]}"], capture_output=True, check=True
    )
    options = words.stdout.decode().split("\0")
    given = list(zip(options[::2], options[1::2], strict=False))
    columns = column_types([text for name, text in given if name == "--column"])
    reading = Reading.declared(
        columns.get("data", {}).get("columns", {}),
        [text for name, text in given if name == "--missing"],
    )
    assert len(read_rows(path, reading)[0]) == len(content.splitlines()) - 1
