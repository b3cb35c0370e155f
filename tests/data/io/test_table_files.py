"""Tables from files: every cell as it was written, or an error with its line."""

import gzip
import re
import subprocess
import sys
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_tables import BAD, BadTable
from sfumato.data.io.reading import Reading
from sfumato.data.io.tables import check_target, read_placed, read_table, write_table
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError, MissingDependencyError, TableWarning


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_file_is_told_in_one_line_with_its_place(tmp_path: Path, bad: BadTable) -> None:
    path = bad.write(tmp_path)
    with pytest.raises(DataError) as raised:
        read_table(path)
    message = str(raised.value)
    assert message.count("\n") == 0
    assert len(message) < len(str(path)) + 300
    for phrase in (*bad.phrases, bad.name):
        assert phrase in message


HOLE = None
TEXTS: list[tuple[str, str, list[Any]]] = [
    # What the cells of one column are read as.
    ("integers", "5 -3 0 9007199254740992 -9007199254740992", [5, -3, 0, 2**53, -(2**53)]),
    ("decimals", "1.5 -.5 2. 1e5 1E-3 -0.0", [1.5, -0.5, 2.0, 1e5, 1e-3, -0.0]),
    ("integers beside decimals", "1 2.5", [1.0, 2.5]),
    ("a minus nought is no integer", "1 -0", [1.0, -0.0]),
    ("an exact decimal beyond 2^53", "1e22 0.5", [1e22, 0.5]),
    ("integers beyond 2^53 that are decimals", "999999999999998592 0.5 -9007199254740994",
     [999999999999998592.0, 0.5, -9007199254740994.0]),
    ("the least and the largest", "5e-324 1.7976931348623157e308",
     [5e-324, 1.7976931348623157e308]),
    ("noughts and ones are integers", "0 1 1", [0, 1, 1]),
    ("truths", "true FALSE True", [True, False, True]),
    ("yes and no are words", "yes no", ["yes", "no"]),
    ("t and f are words", "t f", ["t", "f"]),
    ("days", "2024-02-29 0001-01-01", [datetime(2024, 2, 29), datetime(1, 1, 1)]),
    ("days and times", "2024-03-01 2024-03-01T12:30 2024-03-01T12:30:00.25",
     [datetime(2024, 3, 1), datetime(2024, 3, 1, 12, 30),
      datetime(2024, 3, 1, 12, 30, 0, 250_000)]),
    ("dates of other forms are words", "03/01/2024 1.3.2024", ["03/01/2024", "1.3.2024"]),
    ("years are integers", "2023 2024", [2023, 2024]),
    ("words", "Ada ada Zoë 上海", ["Ada", "ada", "Zoë", "上海"]),
    ("postcodes", "00501 90210 10001", ["00501", "90210", "10001"]),
    ("one leading nought among many", "012 " + "1 " * 30, ["012", *["1"] * 30]),
    ("postcodes longer than any number", "012345678901234567890 12345678901234567890",
     ["012345678901234567890", "12345678901234567890"]),
    ("a plus is part of a word", "+4912345 +4967890", ["+4912345", "+4967890"]),
    ("an underscore too", "1_000 2_000", ["1_000", "2_000"]),
    ("numbers among words", "12 apples 7 pears x y", ["12", "apples", "7", "pears", "x", "y"]),
    ("numbers and truths", "1 true 0 false", ["1", "true", "0", "false"]),
    ("numbers and days", "1 2024-03-01", ["1", "2024-03-01"]),
    ("versions", "1.2.3 1.10.0", ["1.2.3", "1.10.0"]),
    ("infinity among words", "inf sup max", ["inf", "sup", "max"]),
    ("holes among numbers", "1 NA N/A NaN nan null NULL None none ? 2", [1, *[HOLE] * 9, 2]),
    ("holes among decimals", "? 2.5 None .", [HOLE, 2.5, HOLE, HOLE]),
    ("holes among truths", "true NA None", [True, HOLE, HOLE]),
    ("holes among days", "2024-03-01 nan .", [datetime(2024, 3, 1), HOLE, HOLE]),
    ("holes among words", "a NA null None ? . nan", ["a", HOLE, HOLE, "None", "?", ".", HOLE]),
    ("nothing but holes", "NA nan null ?", [HOLE, HOLE, HOLE, HOLE]),
    ("the smallest share of numbers that is words", "1 " * 8 + "x", [*["1"] * 8, "x"]),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_a_column_is_what_all_its_cells_are(
    tmp_path: Path, cells: str, expected: list[Any]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name\n" + cells.strip().replace(" ", "\n") + "\n", encoding="utf-8")
    column = read_table(path)["name"]
    assert _shown(column) == [(type(each), repr(each)) for each in expected]


def _shown(column: Column) -> list[tuple[type, str]]:
    """Type and text of each value, so that 1, 1.0 and True differ, and 0.0 and -0.0."""
    values = [
        None if hole else value
        for value, hole in zip(column.values.astype(object), column.missing, strict=True)
    ]
    return [(type(each), repr(each)) for each in values]


LAYOUTS: list[tuple[str, str, bytes, dict[str, list[Any]]]] = [
    ("a mark of UTF-8", "t.csv", b"\xef\xbb\xbfa,b\n1,2\n", {"a": [1], "b": [2]}),
    ("lines of Windows", "t.csv", b"a,b\r\n1,2\r\n3,4\r\n", {"a": [1, 3], "b": [2, 4]}),
    ("lines of old Macs", "t.csv", b"a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),
    ("no end of the last line", "t.csv", b"a,b\n1,2", {"a": [1], "b": [2]}),
    ("empty lines", "t.csv", b"\na\n\n1\n   \n2\n\n\n", {"a": [1, 2]}),
    ("a row of holes stays", "t.csv", b"a,b\n,\n3,4\n", {"a": [HOLE, 3], "b": [HOLE, 4]}),
    ("a hole alone in its row", "t.csv", b'a\n1\n""\n2\n', {"a": [1, HOLE, 2]}),
    ("no header", "t.csv", b"1,2.5\n3,4\n", {"x0": [1, 3], "x1": [2.5, 4.0]}),
    ("a hole in the first row, no header", "t.csv", b"1,\n3,4\n", {"x0": [1, 3], "x1": [HOLE, 4]}),
    ("NaN in the first row, no header", "t.csv", b"1,NaN\n3,4\n", {"x0": [1, 3], "x1": [HOLE, 4]}),
    ("spaces around numbers", "t.csv", b"a , b\n 1 , 2.5\n3,  \n", {"a": [1, 3], "b": [2.5, HOLE]}),
    ("spaces of words are theirs", "t.csv", b"a,b\n1, x\n3,x\n", {"a": [1, 3], "b": [" x", "x"]}),
    ("quotes", "t.csv", b'"a","b, c"\n"1","x ""y"""\n', {"a": [1], "b, c": ['x "y"']}),
    ("a line feed in a cell", "t.csv", b'a,b\n1,"x\ny"\n', {"a": [1], "b": ["x\ny"]}),
    ("commas in words", "t.csv", b'a,b\n1,"x, y"\n', {"a": [1], "b": ["x, y"]}),
    ("spaces before quotes", "t.csv", b'"a", "b"\n"x", "Rome, IT"\n"y",  "Oslo"\n',
     {"a": ["x", "y"], "b": ["Rome, IT", "Oslo"]}),
    ("a word in quotes after a space", "t.csv", b'a,b\nx, "Al" Roe\ny,Bo\n',
     {"a": ["x", "y"], "b": [' "Al" Roe', "Bo"]}),
    ("numbers with several holes in the first row", "t.csv", b",1,,2\n3,4,5,6\n",
     {"x0": [HOLE, 3], "x1": [1, 4], "x2": [HOLE, 5], "x3": [2, 6]}),
    ("the last byte of DOS", "t.csv", b"a,b\r\n1,2\r\n\x1a", {"a": [1], "b": [2]}),
    ("a header after a comment's sign", "t.txt", b"# x y\n1.5 2\n2.5 3\n",
     {"x": [1.5, 2.5], "y": [2, 3]}),
    ("semicolons in words", "t.csv", b"a; b,c\nx; y,1\n", {"a; b": ["x; y"], "c": [1]}),
    ("a comment's sign in a name", "t.csv", b"#,name\n1,x\n", {"#": [1], "name": ["x"]}),
    ("spaces in words", "t.csv", b"full name\nAda Byron\n", {"full name": ["Ada Byron"]}),
    ("a space between day and time", "t.csv", b"t\n2024-03-01 12:30:00.25\n2024-03-01 00:00\n",
     {"t": [datetime(2024, 3, 1, 12, 30, 0, 250_000), datetime(2024, 3, 1)]}),
    ("a comment's sign in all rows", "t.csv", b"#tag,n\n#love,5\n#cat,3\n",
     {"#tag": ["#love", "#cat"], "n": [5, 3]}),
    ("tabs", "t.tsv", b"a\tb\n1\tx, y\n", {"a": [1], "b": ["x, y"]}),
    ("commas for tabs", "t.tsv", b"a,b\n1,2\n", {"a": [1], "b": [2]}),
    ("tabs for commas", "t.csv", b"a\tb\n1\tx, y\n", {"a": [1], "b": ["x, y"]}),
    ("semicolons and decimal commas", "t.csv", b"a;b\n1,5;2\n3;4\n",
     {"a": [1.5, 3.0], "b": [2, 4]}),
    ("semicolons of text", "t.csv", b"name;city\nAda;London, UK\n",
     {"name": ["Ada"], "city": ["London, UK"]}),
    ("semicolons without a header", "t.csv", b"1,5;2,3\n2,5;3,1\n",
     {"x0": [1.5, 2.5], "x1": [2.3, 3.1]}),
    ("Excel's hint", "t.csv", b"sep=;\na;b\n1;x\n", {"a": [1], "b": ["x"]}),
    ("pipes", "t.csv", b"a|b\n1|2\n", {"a": [1], "b": [2]}),
    ("spaces", "t.csv", b"a b\n1 2\n", {"a": [1], "b": [2]}),
    ("columns of spaces", "t.dat", b' cyl  name\n 8\t"chevrolet  x"\n  10  "buick"\n',
     {"cyl": [8, 10], "name": ["chevrolet  x", "buick"]}),
    ("R's write.table", "t.txt", b'"size" "sex"\n"1" 1.5 "F"\n"2" 2.5 "M"\n',
     {"row": [1, 2], "size": [1.5, 2.5], "sex": ["F", "M"]}),
    ("R's write.csv", "t.csv", b'"","size"\n"a",1.5\n"b",2.5\n',
     {"row": ["a", "b"], "size": [1.5, 2.5]}),
    ("R's write.table with commas", "t.csv", b'"size","sex"\n"1",1.5,"F"\n"2",2.5,"M"\n',
     {"row": [1, 2], "size": [1.5, 2.5], "sex": ["F", "M"]}),
    ("R's write.table of a matrix", "t.csv", b'"1","2"\n"a",5,6\n"b",7,8\n',
     {"row": ["a", "b"], "1": [5, 7], "2": [6, 8]}),
    ("R's write.table with semicolons", "t.csv", b'"size";"sex"\n"a b";1,5;"F"\n"c";2,5;"M"\n',
     {"row": ["a b", "c"], "size": [1.5, 2.5], "sex": ["F", "M"]}),
    ("a matrix of R", "t.csv", b'"","142.2","144.8"\n"9.4",0,1\n"9.5",2,3\n',
     {"row": [9.4, 9.5], "142.2": [0, 2], "144.8": [1, 3]}),
    ("numbers in quotes above numbers", "t.csv", b'"1","2"\n5,6\n7,8\n',
     {"1": [5, 7], "2": [6, 8]}),
    ("quoted years over a hole", "t.csv", b'"land","1960","1970"\n"Aruba",,4.5\n',
     {"land": ["Aruba"], "1960": [HOLE], "1970": [4.5]}),
    ("years beside names", "t.csv", b"land,1960,1961,1962\nAruba,4.8,,4.5\n",
     {"land": ["Aruba"], "1960": [4.8], "1961": [HOLE], "1962": [4.5]}),
    ("an array of pandas", "t.csv", b",0,1,2\n0,5,6,7\n1,8,9,7\n",
     {"row": [0, 1], "0": [5, 8], "1": [6, 9], "2": [7, 7]}),
    ("an array of pandas without its index", "t.csv", b"0,1,2\n0.5,6.0,7.0\n",
     {"0": [0.5], "1": [6.0], "2": [7.0]}),
    ("integers that are counted may be data", "t.csv", b"0,1,2\n2,1,0\n",
     {"x0": [0, 2], "x1": [1, 1], "x2": [2, 0]}),
    ("years above years are data", "t.csv", b"1990,1991,1992\n1995,1997,1999.5\n",
     {"x0": [1990, 1995], "x1": [1991, 1997], "x2": [1992.0, 1999.5]}),
    ("numbers that all stand in quotes", "t.csv", b'"1","2"\n"3","4"\n',
     {"x0": [1, 3], "x1": [2, 4]}),
    ("a row beside a nameless column", "t.csv", b",row\n1,2\n", {"row_1": [1], "row": [2]}),
    ("UTF-16 of Excel", "t.txt", "a\tb\n1\té\n".encode("utf-16"), {"a": [1], "b": ["é"]}),
    ("UTF-16, the other end first", "t.csv", b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"),
     {"a": [1], "b": ["é"]}),
    ("gzip", "t.csv.gz", gzip.compress(b"a,b\n1,x\n"), {"a": [1], "b": ["x"]}),
    ("an ending in capitals", "T.CSV", b"a\n1\n", {"a": [1]}),
    ("names that Python or JSON might mind", "t.csv", b"[kg],{x},<y>,NA,class\n1,2,3,4,5\n",
     {"[kg]": [1], "{x}": [2], "<y>": [3], "NA": [4], "class": [5]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "expected"), [t[1:] for t in LAYOUTS], ids=[t[0] for t in LAYOUTS]
)
def test_a_layout_is_read_as_it_is(
    tmp_path: Path, name: str, content: bytes, expected: dict[str, list[Any]]
) -> None:
    (tmp_path / name).write_bytes(content)
    table = read_table(tmp_path / name)
    assert list(table.names) == list(expected)
    for column in table:
        assert _shown(column) == [(type(each), repr(each)) for each in expected[column.name]]


LEFT_OUT: list[tuple[str, bytes, dict[str, list[Any]], str]] = [
    ("t.csv", b"a,b,\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}, "line 1: column 3 has no name"),
    ("t.tsv", b"\n\ta\t\tb\t\t\nx\t1\t\t2\t\t\n", {"row": ["x"], "a": [1], "b": [2]},
     "line 2: columns 3, 5, 6 have no name and no cells: left out"),
    ("t.csv", b'"land","1960","1961","1962",\n"Aruba","4.8","","4.5",\n',
     {"land": ["Aruba"], "1960": [4.8], "1961": [HOLE], "1962": [4.5]}, "column 5 has no name"),
    ("t.csv", b"# made by hand\na,b\n1,2\n", {"a": [1], "b": [2]}, "the line above the header"),
    ("t.csv", b'#, "it\'s\n\n# here, too\na;b\n1;2\n', {"a": [1], "b": [2]}, "the 2 lines above"),
    ("t.csv", b"# made, by hand\na,b\n1,2\n", {"a": [1], "b": [2]}, "the line above the header"),
    ("t.csv", b"# made by hand\n# a,b\n1,2\n", {"# a": [1], "b": [2]}, "the line above"),
    ("t.csv", b"# made by hand\na;b\nx;y\n", {"a": ["x"], "b": ["y"]}, "the line above"),
    ("t.csv", b"# made by hand\na b\n1 2\n3 4\n", {"a": [1, 3], "b": [2, 4]}, "the line above"),
    ("t.csv", b"# made\nsep=;\na;b\n1;2\n", {"a": [1], "b": [2]}, "the line above the header"),
    ("t.csv", b"#a;b\nsep=;\na;b\n1;2\n", {"a": [1], "b": [2]}, "the line above the header"),
    ("t.csv", b"sep=;\n# made\na;b\n1;2\n", {"a": [1], "b": [2]}, "the line above the header"),
    ("t.csv", b"# name,city\nAda,Bonn\n", {"# name": ["Ada"], "city": ["Bonn"]},
     "the line with # above the rows is taken for the header"),
    ("t.csv", b"x,y\nr1,NA,NA\nr2,1,2\n", {"row": ["r1", "r2"], "x": [HOLE, 1], "y": [HOLE, 2]},
     "the first cells, above which"),
    ("t.csv", b"# a,b\nx,NA\ny,3\n", {"# a": ["x", "y"], "b": [HOLE, 3]},
     "the line with # above the rows is taken for the header"),
    ("t.csv", b"a,b,c\nu,5,6,1.5\nv,7,8,2.5\n",
     {"row": ["u", "v"], "a": [5, 7], "b": [6, 8], "c": [1.5, 2.5]},
     "the first cells, above which"),
    ("t.tsv", b"a\tb\nu\t 1\t2\nv\t 3\t4\n", {"row": ["u", "v"], "a": [1, 3], "b": [2, 4]},
     "the first cells, above which"),
    ("t.csv", b",1960,1961,1962,\nA,1.5,2,3,\n",
     {"row": ["A"], "1960": [1.5], "1961": [2], "1962": [3]}, "column 5 has no name and no cells"),
    ("t.csv", b"x,g\ncar 1,1.5,a\ncar 2,2.5,b\n",
     {"row": ["car 1", "car 2"], "x": [1.5, 2.5], "g": ["a", "b"]}, "the first cells, above which"),
    ("t.csv", b"x;g\nu;1;2\nv;3;4\n", {"row": ["u", "v"], "x": [1, 3], "g": [2, 4]}, "name the"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected", "said"), LEFT_OUT)
def test_what_is_left_out_or_taken_for_names_is_said(
    tmp_path: Path, name: str, content: bytes, expected: dict[str, list[Any]], said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.warns(TableWarning) as warned:
        table = read_table(path)
    assert {str(each.message) for each in warned} == {str(warned[0].message)}
    assert said in str(warned[0].message)
    assert list(table.names) == list(expected)
    for column in table:
        assert _shown(column) == [(type(each), repr(each)) for each in expected[column.name]]
    write_table(path, table)
    again = read_table(path)
    assert again.names == table.names
    assert [_shown(column) for column in again] == [_shown(column) for column in table]


SHELLS: list[tuple[str, str, dict[str, list[Any]]]] = [
    ("t.csv", "1,red\n2,blue\n", {"x0": [1, 2], "x1": ["red", "blue"]}),
    ("t.tsv", "1\tred\n2\tblue\n", {"x0": [1, 2], "x1": ["red", "blue"]}),
    ("t.csv", "# made by hand\n1,red\n2,blue\n", {"x0": [1, 2], "x1": ["red", "blue"]}),
    ("t.csv", "sep=;\n1;red\n2;blue\n", {"x0": [1, 2], "x1": ["red", "blue"]}),
    ("t.csv", "\n\n1,red\n2,blue\n", {"x0": [1, 2], "x1": ["red", "blue"]}),
    ("t.csv", "# a,b\n1,2\n3,4\n# end\n", {"# a": [1, 3], "b": [2, 4]}),
    ("t.csv", "tag,n\n#x,1\n# one\n#y,2\n# two\n", {"tag": ["#x", "#y"], "n": [1, 2]}),
    ("t.csv", "Title\n\na,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
    ("t.csv", "\ufeffTitle\n\na,b\n1,2\n3,4\n", {"a": [1, 3], "b": [2, 4]}),
    ("t.csv", "a,b\n1,2\n3,4\nSource\nof May\n", {"a": [1, 3], "b": [2, 4]}),
    ("new.csv", "a,b\n1,2\n3,4\nSource\n", {"a": [1, 3], "b": [2, 4]}),
    ("my table.csv", "a,b\n1,2\n3,4\nSource\n", {"a": [1, 3], "b": [2, 4]}),
    ("t.txt", "a|b\n---+---\n1|x\n2|y\n", {"a": [1, 2], "b": ["x", "y"]}),
    ("t.csv", 'a,b\n"1 \\" x",2\n', {"a": ['1 " x'], "b": [2]}),
    ("t.csv", "a,b\nZo\udceb,2\n", {"a": ["Zoë"], "b": [2]}),
]


@pytest.mark.filterwarnings("ignore::sfumato.errors.TableWarning")
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "content", "expected"), SHELLS)
def test_what_a_message_has_a_shell_do_makes_a_file_that_is_read(
    tmp_path: Path, name: str, content: str, expected: dict[str, list[Any]], ends: str
) -> None:
    path = tmp_path / name
    before = content.replace("\n", ends).encode(errors="surrogateescape")
    path.write_bytes(before)
    with pytest.raises(DataError) as refused:
        read_table(path)
    command = r"\((?:of Western Windows: )?((?:sed|head|tail|iconv) .* > (new\w*\.\w+))\)\.$"
    found = re.search(command, str(refused.value))
    assert found is not None, str(refused.value)
    subprocess.run(["bash", "-c", found[1]], cwd=tmp_path, check=True)
    assert path.read_bytes() == before
    table = read_table(tmp_path / found[2])
    assert list(table.names) == list(expected)
    for column in table:
        assert _shown(column) == [(type(each), repr(each)) for each in expected[column.name]]


@pytest.mark.parametrize(
    "content",
    [
        "1,red\n2,blue\n".encode("utf-16"),
        "1,red\n2,blue\n".encode("utf-8-sig"),
        b"1,red\r2,blue\r",
        b"# 2020,2021\n1.5,2.5\n3.5,4.5\n",
        b"a,b\n1,2\r3,4\nSource\n",
    ],
)
def test_no_command_is_told_where_a_shell_sees_other_lines(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_table(tmp_path / "t.csv")
    assert "new.csv" not in str(refused.value)


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("5", "x", ["5", "x"]),
        ("007", "5", ["007", "5"]),
        ("5", "007", ["5", "007"]),
        ("", "x", [None, "x"]),
        ("?", "x", ["?", "x"]),
        ("None", "5", [None, 5]),
        ("", "5", [None, 5]),
        ("5", "2.5", [5.0, 2.5]),
        ("true", "1", ["true", "1"]),
        ("2024-03-01", "x", ["2024-03-01", "x"]),
    ],
)
def test_a_type_that_shows_late_is_that_of_every_cell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
    then: str,
    expected: list[Any],
) -> None:
    monkeypatch.setattr("sfumato.data.io.csv._CELLS_A_CHUNK", 6)
    path = tmp_path / "t.csv"
    path.write_text("v,k\n" + f"{first},1\n" * 10 + f"{then},2\n" * 10)
    table = read_table(path)
    assert _shown(table["v"]) == [(type(e), repr(e)) for e in expected for _ in range(10)]
    assert table["k"].values.tolist() == [1] * 10 + [2] * 10


def test_the_first_odd_cell_is_named_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.data.io.csv._CELLS_A_CHUNK", 10)
    path = tmp_path / "t.csv"
    path.write_text("v\n" + "1\n" * 57 + "odd\n" + "2\n" * 30 + "even\n" + "3\n" * 20)
    with pytest.raises(DataError, match="line 59, column 'v': 'odd' is not a number"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        (b'"","n","x"\n"1","4",0.5\n"2","6",1\n', ["row", "n"]),
        (b'"n","x"\n"4",0.5\nNA,1\n"",2\n', ["n"]),
        (b'n\tx\n"4"\t1\n"6"\t2\n', ["n"]),
        (b'"n","x"\n"4","1"\n"6","2"\n', []),  # whoever quotes all says nothing
        (b'"n","x"\n"4",1\n6,2\n', []),
        (b'"n","x"\n' + b'"4",1\n' * 300 + b"6,2\n", []),
        (b'"n","x"\n"4","a"\n"6","b, ""5"\n', []),
        (b'n,"x"\n4,"a"\n6,"b\n""5,"\n', []),
    ],
)
def test_integers_in_quotes_are_told_from_others(
    tmp_path: Path, content: bytes, quoted: list[str]
) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    assert [column.name for column in read_table(path) if column.in_quotes] == quoted


def test_numbers_beside_a_word_are_text_where_all_of_them_stand_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = ["4", "6", "8"] * 20 + ["rotary"]
    path.write_text("n,x\n" + "".join(f'"{each}",1.5\n' for each in cells))
    assert read_table(path)["n"].values.tolist() == cells
    path.write_text("n,x\n" + "".join(f"{each},1.5\n" for each in cells))
    with pytest.raises(DataError, match="'rotary' is not a number, as nearly all"):
        read_table(path)
    # One mark beside many numbers stands for a missing value, whoever quotes it.
    path.write_text("n,x\n" + "".join(f'"{each}",1.5\n' for each in [*range(60), "-"]))
    with pytest.raises(DataError, match="--missing -"):
        read_table(path)


def test_numbers_that_are_text_are_written_in_quotes(tmp_path: Path) -> None:
    path, none = tmp_path / "t.csv", np.zeros(61, bool)
    mixed = np.array(["4", "6", "8"] * 20 + ["rotary"], object)
    digits = np.array([str(k) for k in range(61)], object)
    size = Column("size", np.arange(61) + 0.5, none)
    write_table(path, DataTable((Column("n", mixed, none), Column("k", digits, none), size)))
    table = read_table(path)
    assert table["n"].values.tolist() == mixed.tolist()
    assert table["k"].in_quotes
    assert not table["size"].in_quotes
    assert table["size"].values.tolist() == size.values.tolist()


def test_rows_are_placed_in_their_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n\n1,"x\ny"\n2,z\n')
    _, place = read_placed(path)
    assert [place(row) for row in range(2)] == ["line 4", "line 5"]


def test_columns_that_are_said_to_be_words_are(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1.50,1,x\nNA,2,y\n 3,3,z\n")
    table = read_table(path, Reading(text=["a"]))
    assert _shown(table["a"]) == [(str, "'1.50'"), (type(None), "None"), (str, "' 3'")]
    assert table["b"].values.dtype == np.int64


# ---------------------------------------------------------------------------------- parquet


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    made = {
        "i": pa.array([1, None], pa.int8()),
        "u": pa.array([2**53, 0], pa.uint64()),
        "f": pa.array([0.5, float("nan")], pa.float32()),
        "h": pa.array(np.array([0.5, np.nan], dtype=np.float16)),
        "m": pa.array([Decimal("1.25"), None]),
        "b": pa.array([True, None]),
        "s": pa.array(["007", None]),
        "d": pa.array([date(2024, 3, 1), None]),
        "t": pa.array([datetime(2024, 3, 1, 12, 30), None], pa.timestamp("ns")),
        "n": pa.nulls(2),
    }
    pq.write_table(pa.table(made), path)
    table = read_table(path)
    assert {c.name: [v for _, v in _shown(c)] for c in table} == {
        "i": ["1", "None"],
        "u": [str(2**53), "0"],
        "f": ["0.5", "None"],
        "h": ["0.5", "None"],
        "m": ["1.25", "None"],
        "b": ["True", "None"],
        "s": ["'007'", "None"],
        "d": [repr(datetime(2024, 3, 1)), "None"],
        "t": [repr(datetime(2024, 3, 1, 12, 30)), "None"],
        "n": ["None", "None"],
    }


def test_categories_of_parquet_keep_their_levels(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    words = pd.Categorical(["mid", None, "low"], ["low", "mid", "high"], ordered=True)
    numbers = pd.Categorical([3, 1, 3], categories=[1, 2, 3])
    pd.DataFrame({"w": words, "n": numbers}).to_parquet(path)
    table = read_table(path)
    assert table["w"].categories == ("low", "mid", "high")
    assert table["w"].ordered
    assert _shown(table["w"]) == [(str, "'mid'"), (type(None), "None"), (str, "'low'")]
    assert table["n"].categories is None  # Parquet has categories of words alone
    assert table["n"].values.tolist() == [3, 1, 3]


# ---------------------------------------------------------------------------------- writing

_WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
_NAMES = _WORDS.filter(lambda name: bool(name.strip()) and not name.startswith("\ufeff"))


@st.composite
def _columns(draw: st.DrawFn, name: str, rows: int) -> Column:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "float64": st.floats(allow_nan=False, allow_infinity=False),
        "int64": st.integers(-(2**53), 2**53),
        "bool": st.booleans(),
        "datetime64[us]": st.datetimes() | st.dates().map(lambda d: datetime.combine(d, time())),
        "object": _WORDS,
    }  # fmt: skip
    dtype = draw(st.sampled_from(sorted(kinds)))
    values = np.array([draw(kinds[dtype]) for _ in range(rows)], dtype=dtype)
    missing = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), dtype=bool)
    missing[draw(st.integers(0, rows - 1))] = False  # a column of holes has no type in a text
    return Column(name, values, missing)


@st.composite
def _tables(draw: st.DrawFn) -> DataTable:
    rows = draw(st.integers(1, 5))
    names = draw(st.lists(_NAMES, min_size=1, max_size=4, unique=True))
    return DataTable(tuple(draw(_columns(name, rows)) for name in names))


def _assert_same(again: DataTable, table: DataTable) -> None:
    assert again.names == table.names
    for a, b in zip(again, table, strict=True):
        assert a.values.dtype == b.values.dtype
        assert _shown(a) == _shown(b)


@given(_tables())
def test_parquet_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: DataTable
) -> None:
    path = tmp_path_factory.mktemp("written") / "t.parquet"
    write_table(path, table)
    _assert_same(read_table(path), table)


@given(_tables(), st.sampled_from([".csv", ".csv.gz", ".tsv"]))
def test_text_gives_back_what_was_written_or_is_not_written(
    tmp_path_factory: pytest.TempPathFactory, table: DataTable, ending: str
) -> None:
    path = tmp_path_factory.mktemp("written") / f"t{ending}"
    words = [column.name for column in table if column.values.dtype == object]
    try:
        write_table(path, table)
    except DataError as error:
        assert "write .parquet" in str(error)  # noqa: PT017
        assert not path.exists()
        return
    _assert_same(read_table(path, Reading(text=words)), table)


def test_text_is_written_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    hole = np.array([False, True, False])

    def column(name: str, values: list[Any], dtype: str) -> Column:
        return Column(name, np.array(values, dtype=dtype), hole)

    table = DataTable(
        (
            column("id", [1, 0, -3], "int64"),
            column("x, y", [0.1, 0, 1e22], "float64"),
            column("ok", [True, False, False], "bool"),
            column("day", ["2024-03-01", "1970-01-01T00:00:01", "2024-12-31"], "datetime64[us]"),
            column("at", ["2024-03-01", 0, "2024-12-31T06:30:05"], "datetime64[us]"),
            column("word", ["é", "", 'a "b"'], "object"),
        )
    )
    write_table(path, table)
    assert path.read_text(encoding="utf-8") == (
        'id,"x, y",ok,day,at,word\n'
        "1,0.1,true,2024-03-01,2024-03-01T00:00:00,é\n"
        ",,,,,\n"
        '-3,1e+22,false,2024-12-31,2024-12-31T06:30:05,"a ""b"""\n'
    )
    _assert_same(read_table(path), table)
    assert pd.read_csv(path)["x, y"].tolist()[::2] == [0.1, 1e22]


@pytest.mark.parametrize("word", ["", "  ", "NA", " nan", "a\0b", "\ud800", "x" * 200_000])
def test_a_word_that_text_cannot_hold_is_not_written(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("precious")
    column = Column("a", np.array(["x", word], dtype=object), np.zeros(2, dtype=bool))
    with pytest.raises(DataError, match=r"write \.parquet"):
        write_table(path, DataTable((column,)))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["", " a", "a" * 1001, "sep=", "\ufeffa"])
def test_a_name_that_text_cannot_hold_is_not_written(tmp_path: Path, name: str) -> None:
    column = Column(name, np.zeros(2), np.zeros(2, dtype=bool))
    with pytest.raises(DataError, match=r"rename the column or write \.parquet"):
        write_table(tmp_path / "t.csv", DataTable((column,)))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("names", [["7"], ["1e5", "a"], ["7", "1,5"], ["0", "1", "2"]])
def test_names_that_are_numbers_come_back(tmp_path: Path, names: list[str], ending: str) -> None:
    path, none = tmp_path / f"t{ending}", np.zeros(2, dtype=bool)
    columns = [Column(name, np.array([3, 4]), none) for name in names]
    text = Column("t", np.array(["5", "x, y"], object), none)
    write_table(path, DataTable((*columns, text)))
    again = read_table(path)
    assert list(again.names) == [*names, "t"]
    assert all(again[name].values.tolist() == [3, 4] for name in names)


@pytest.mark.parametrize("names", [["#a"], ["#a", "b"], ["# a", "7"]])
def test_names_that_begin_like_comments_come_back(tmp_path: Path, names: list[str]) -> None:
    cells, none = np.array(["#x", "y", "z"], object), np.zeros(3, dtype=bool)
    table = DataTable(tuple(Column(name, cells, none) for name in names))
    write_table(tmp_path / "t.csv", table)
    _assert_same(read_table(tmp_path / "t.csv"), table)


@pytest.mark.parametrize("cells", [["1,5", "x"], ["5", "a\rb"]])
def test_a_name_that_is_a_number_above_one_in_quotes_is_not_written(
    tmp_path: Path, cells: list[str]
) -> None:
    column = Column("7", np.array(cells, object), np.zeros(2, bool))
    with pytest.raises(DataError, match=r"the column name '7' .* rename the column"):
        write_table(tmp_path / "t.csv", DataTable((column,)))


def test_the_same_table_is_the_same_compressed_file(tmp_path: Path) -> None:
    table = DataTable((Column("a", np.arange(3), np.zeros(3, dtype=bool)),))
    for name in ("one.csv.gz", "two.csv.gz"):
        write_table(tmp_path / name, table)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()


# ----------------------------------------------------------------------------------- places


def test_places_that_are_no_table_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, phrase in {
        "none.csv": "there is no file",
        "folder.csv": "is a folder",
        ".csv": "the ending must be one of",
        "sheet.xls": r"must be one of \.csv, \.csv\.gz, \.tsv, \.txt, \.dat",
        f"{'a' * 300}.csv": "cannot read .*File name too long",
    }.items():
        with pytest.raises(DataError, match=phrase):
            read_table(tmp_path / name)


def test_targets_are_refused_early(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"one of \.csv, \.csv\.gz, \.tsv, \.parquet"):
        check_target(tmp_path / "out.xlsx")
    with pytest.raises(ArgumentError, match="the ending must be one of"):
        check_target(tmp_path / ".parquet")
    with pytest.raises(ArgumentError, match="there is no folder"):
        check_target(tmp_path / "none" / "out.csv")


def test_parquet_without_its_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingDependencyError, match=r"sfumato\[tables\]"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a\n1\n")
    assert len(read_table(tmp_path / "t.csv")) == 1


def test_a_bit_that_flips_in_parquet_is_read_or_told(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame(
        {
            "w": pd.Categorical(list("abcab")),
            "s": list("vwxyz"),
            "d": pd.date_range("2024", periods=5),
        }
    ).to_parquet(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read_table(path)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
