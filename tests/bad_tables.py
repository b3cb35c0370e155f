"""Files that are no table, or a faulty one, as people and programs make them: a corpus.

Each is given with what must be said of it: the place, what stands there, and the remedy. All of
them raise `DataError`, which leaves the command line with the code 3.
"""

import gzip
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class BadTable:
    """A file and what to say of it.

    Args:
        name: with its ending.
        content: its bytes, or what makes them.
        phrases: parts of the message.
    """

    name: str
    content: bytes | Callable[[], bytes]
    phrases: tuple[str, ...]

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.write_bytes(self.content if isinstance(self.content, bytes) else self.content())
        return path


def _numbers(*odd: str, rows: int = 40) -> bytes:
    """A column of numbers, and one or more cells of another kind in line 12 and below."""
    cells = [f"{k}.5" for k in range(rows)]
    cells[10 : 10 + len(odd)] = [f'"{cell}"' for cell in odd]
    return "".join(
        f"{line}\n" for line in ["n,v", *(f"{k},{c}" for k, c in enumerate(cells))]
    ).encode()


def _dates(odd: str) -> bytes:
    cells = [f"2024-03-{k + 1:02}" for k in range(28)]
    cells[10] = odd
    return "".join(f"{line}\n" for line in ["day", *cells]).encode()


def _parquet(**columns: pa.Array) -> Callable[[], bytes]:
    return lambda: _stored(pa.table(columns))


def _stored(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _twice_in_parquet() -> bytes:
    pair = pa.array([1.0, 2.0])
    return _stored(pa.Table.from_arrays([pair, pair], names=["a", "a"]))


def _workbook() -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return file.getvalue()


def _wide() -> bytes:
    names = ",".join(f"c{k}" for k in range(1_000_000))
    return f"{names}\n{'1,' * 999_999}1\n".encode()


BAD = [
    # Nothing there.
    BadTable("empty.csv", b"", ("is empty",)),
    BadTable("blank-lines.csv", b"\n\r\n  \n", ("is empty",)),
    BadTable("only-a-mark.csv", b"\xef\xbb\xbf", ("is empty",)),
    BadTable("only-a-header.csv", b"a,b\n", ("has a header but no rows",)),
    # The header.
    BadTable(
        "name-twice.csv", b"a,b,a\n1,2,3\n", ("line 1", "'a' stands more than once", "rename")
    ),
    BadTable("names-twice.csv", b"a,b,c,b,a\n1,2,3,4,5\n", ("'a' stands more", "(so do 'b')")),
    BadTable("name-twice-but-for-spaces.csv", b"a, a\n1,2\n", ("'a' stands more than once",)),
    BadTable(
        "name-blank.csv",
        b"a,,c\n1,2,3\n",
        ("line 1", "column 2 has no name", "'2' in line 2", "give it one"),
    ),
    BadTable("names-all-blank.csv", b",,\n1,2,3\n", ("line 1", "column 1 has no name")),
    BadTable(
        "names-blank-above-cells.csv",
        b"a,,c,\n1,,3,\n4,x,6,\n7,8,9,y\n",
        ("line 1: columns 2, 4 have no name", "'x' in line 3, 'y' in line 4", "give each one"),
    ),
    BadTable(
        "comma-at-the-end-of-rows.csv",
        b"a,b\n1,2,\n3,4,\n",
        ("line 2", "3 cells where 2 are expected", "take away the separator that ends each"),
    ),
    BadTable(
        "tab-at-the-end-of-rows.tsv",
        b"a\tb\n1\t2\t\n3\t4\t\n",
        ("line 2", "3 cells where 2 are expected", "take away the separator that ends each"),
    ),
    BadTable(
        "comma-at-the-end-of-a-row.csv", b"a,b\n1,2,\n3,4\n", ("line 2", "separator that ends it")
    ),
    BadTable("name-absurd.csv", b"a," + b"b" * 5000 + b"\n1,2\n", ("line 1", "1,000 characters")),
    BadTable("names-and-numbers.csv", b"a,7\n1,2\n", ("line 1", "both names and numbers ('7')")),
    BadTable("counts-beside-words.csv", b"Anna,0,1,2\nBen,0,1,4\n", ("line 1", "line with names")),
    BadTable(
        "years-of-people.csv", b"Anna,1990,1991,1992\nBen,1991,1993,1999\n", ("line 1", "both")
    ),
    BadTable("all-in-quotes.csv", b'"Anna","1"\n"Ben","2"\n', ("line 1", "both names and numbers")),
    BadTable(
        "names-bare-of-one-less.csv",
        b"a,b\nx,1,2\n",
        ("line 2", "3 cells where 2 are", "name the rows, or quotes around"),
    ),
    BadTable("names-bare-twice.csv", b"a,b\nx,1.5,2\nx,3,4\n", ("line 2", "2 of 2 rows differ")),
    BadTable("text-cut-in-all.csv", b"a,b\nDoe, Jo,2\nRoe, Al,4\n", ("line 2", "quotes around")),
    BadTable(
        "no-header-but-words.csv",
        b"1,red\n2,blue\n",
        ("line 1", "both names and numbers", "(sed '1i x0,x1' "),
    ),
    BadTable(
        "no-header-but-words.data", b"1|red\n2|blue\n", ("both names and", "(sed '1i x0|x1' ")
    ),
    BadTable(
        "no-header-but-words.tsv", b"1\tred\n2\tblue\n", ("both names and", r"(sed '1i x0\tx1' ")
    ),
    BadTable("million-columns.csv", _wide, ("1,000,000 columns", "at most 10,000")),
    # The layout.
    BadTable("row-short.csv", b"a,b\n1,2\n3\n", ("line 3", "1 cells where 2 are", "mend the row")),
    BadTable(
        "title.csv",
        b'"Source","Bank",\n\n"Land","1960","1961","1962",\n' + b'"Aruba","1.5","2","3",\n' * 9,
        ("line 3", "10 of 10 rows differ", "header seems to be line 3", "(tail -n +3 "),
    ),
    BadTable("names-too-many.csv", b"a,b,c\n1,2\n3,4\n", ("2 of 2 rows differ", "mend the header")),
    BadTable(
        "rows-of-several-lengths.csv",
        b"a,b,c\n" + b"1,2,3\n4,5\n1,Rome, IT,3\n" * 4,
        ("line 3", "8 of 12 rows differ: line 4 has 4, line 6 has 2", "line 9 has 2, ...", "mend"),
    ),
    BadTable(
        "commas-bare.csv",
        b"a,b,c\n1,Rome,3\n" + b"1,Rome, IT,3\n2,Oslo,4\n" * 3,
        ("line 3", "3 of 7 rows differ: line 5 has 4, line 7 has 4)", "put quotes around cells"),
    ),
    BadTable(
        "source-below.csv",
        b"a,b,c\n1,2,3\n4,5,6\nSource: a, b\nretrieved\n",
        ("line 4", "2 of 4 rows differ: line 5 has 1", "below the table (head -n 3 ", "> new.csv"),
    ),
    BadTable(
        "note-below-of-two-lines.csv",
        b'a,b\n1,2\n3,4\n"a\nnote"\n',
        ("line 5", "below the table (head -n 3 "),
    ),
    BadTable(
        "bank.csv",
        b"Konto;DE00\nZeit;Januar\n\nTag;Betrag;Ort\n" + b"01.01.2024;1,5;Bonn\n" * 9,
        ("line 4", "10 of 11 rows differ", "header seems to be line 4", "(tail -n +4 "),
    ),
    BadTable("row-long.csv", b"a,b\n1,2\n\n3,4,5\n", ("line 4", "3 cells where 2 are", "quotes")),
    BadTable("decimal-comma-bare.csv", b"a,b\n1,2\n3,4,5\n", ("line 3", "3 cells where 2 are")),
    BadTable(
        "comment-below.csv",
        b"a,b\n1,2\n# the end\n",
        ("line 3", "take the comment away (sed 3d "),
    ),
    BadTable(
        "comment-with-commas-below.csv",
        b"a,b\n1,2\n# the end, of it, all\n",
        ("line 3: 3 cells where 2 are", "take the comment away (sed 3d "),
    ),
    BadTable(
        "short-above-and-below.csv",
        b"a,b,c\n1,2\n3,4,5\nSource\n",
        ("2 of 3 rows differ: line 4 has 1", "mend such rows, and put quotes around"),
    ),
    BadTable(
        "row-short-above-worse.csv",
        b"a,b\n1,2\n3\n" + b"5,6\n" * 5 + b'"x"y,2\n',
        ("line 3: 1 cells where 2 are",),
    ),
    BadTable(
        "comments-below.csv",
        b"# a,b\n1,2\n# one\n3,4\n# two\n",
        ("2 of 4 rows differ", "take the comments away (sed '3d;5d' "),
    ),
    BadTable(
        "comments-below-that-are-many.csv",
        b"a,b\n1,2\n" + b"# one\n" * 6,
        ("6 of 7 rows differ", "take the comments away."),
    ),
    BadTable(
        "comments-above-words.csv",
        b"#tags\n#love\n#cat\nplain\n",
        ("several lines with #", "as many cells as its rows (1)"),
    ),
    BadTable(
        "title-of-one-cell.csv",
        b"My title\na,b\n1,2\n3,4\n",
        ("line 2: 2 cells where 1 are", "header seems to be line 2", "(tail -n +2 "),
    ),
    BadTable(
        "title-above-words.tsv",
        b"My title\nname\tcity\nAda\tBonn\n",
        ("line 2: 2 cells where 1 are", "header seems to be line 2"),
    ),
    BadTable(
        "title-with-a-comma.csv",
        b"Title, of May\na,b,c\nu,1,2\nv,3,4\n",
        ("line 2: 3 cells where 2 are", "header seems to be line 2"),
    ),
    BadTable(
        "title-in-quotes.csv",
        b'"Title","May"\n"a","b","c"\n"1","2","3"\n"4","5","6"\n',
        ("line 2: 3 cells where 2 are", "header seems to be line 2"),
    ),
    BadTable(
        "comment-after-spaces.csv",
        b"  # made\na,b\n1,2\n",
        ("line 2: 2 cells where 1 are", "header seems to be line 2"),
    ),
    BadTable(
        "words-of-more.arff",
        b"@relation r\n@attribute a {x,y}\n@attribute b {u,v}\n@data\nx,u,t\ny,v,s\n",
        ("line 5: 3 cells where 2 are", "mend the header"),
    ),
    BadTable(
        "comments-like-rows.csv",
        b"#tag,n\n#love,5\n#cat,3\nplain,4\n",
        ("several lines with #", "as many cells as its rows (2)", "take away those"),
    ),
    BadTable(
        "ruled.txt",
        b" id | name \n----+------\n  1 | a    \n",
        ("line 2 is ruled", "psql --csv", "(sed 2d "),
    ),
    BadTable("ruled-above.txt", b"+----+---+\n| id | n |\n+----+---+\n", ("line 1 is ruled",)),
    BadTable("ruled.csv", b"id,name\n--,----\n1,a\n", ("line 2 is ruled", "(sed 2d ")),
    BadTable(
        "quotes-escaped.csv",
        b'a,b\n"1 \\" x",2\n',
        ("line 2: a quote stands as", "twice (sed 's/"),
    ),
    BadTable("quote-open.csv", b'a,b\n"1,2\n3,4\n', ("line 3", "opened after line 1", "mend")),
    BadTable(
        "quote-open-for-long.csv",
        b'a,b\n1,2\n"x,y\n' + b"1,2\n" * 60_000,
        ("opened after line 2", "longer than 131,072 characters"),
    ),
    BadTable("quote-in-the-middle.csv", b'a,b\n"1" 2,3\n', ("line 2", "mend the quotes")),
    BadTable(
        "cell-vast.csv", b"a,b\nx," + b"y" * 200_000 + b"\n", ("line 2", "131,072 characters")
    ),
    BadTable("line-vast.csv", lambda: b"a" * 20_000_000, ("line 1", "10,000,000 characters")),
    # Text that is no UTF-8, and files that are no text.
    BadTable(
        "latin-1.csv",
        "name,n\nZoë,1\n".encode("latin-1"),
        ("line 2", "0xeb", "not UTF-8", "save", "iconv -f CP1252 -t UTF-8"),
    ),
    BadTable(
        "utf-16-cut.csv", "a,b\n1,2\n".encode("utf-16")[:-1], ("not whole UTF-16", "save it as CSV")
    ),
    BadTable(
        "utf-16-bare.csv", "a,b\n1,2\n".encode("utf-16-be"), ("line 1", "zero bytes", "UTF-8")
    ),
    BadTable("zero-byte.csv", b"a,b\n1,2\n3,\x004\n", ("line 3", "zero bytes")),
    BadTable("cut-in-a-letter.csv", "a,b\n1,é".encode()[:-1], ("line 2", "0xc3", "not UTF-8")),
    BadTable("page.csv", b"\n<!DOCTYPE html><html>", ("a page of HTML", "save its table as CSV")),
    BadTable("records.csv", json.dumps([{"a": 1}]).encode(), ("is JSON", "save")),
    BadTable("record.csv", json.dumps({"a": 1}).encode(), ("is JSON", "save")),
    BadTable("workbook.csv", _workbook, ("an Excel workbook", "save its table as CSV in UTF-8")),
    BadTable(
        "workbook-old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("old Excel workbook", "save")
    ),
    BadTable("paper.csv", b"%PDF-1.7\n", ("is a PDF", "save")),
    BadTable("pickle.csv", pickle.dumps([1, 2]), ("pickle.csv",)),
    BadTable("gzip.csv", gzip.compress(b"a\n1\n"), ("compressed by gzip", ".csv.gz")),
    BadTable("plain.csv.gz", b"a,b\n1,2\n", ("not a whole gzip file", "save it again")),
    BadTable("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9)[:-9], ("not a whole gzip file",)),
    BadTable("marred.csv.gz", gzip.compress(b"a\n1\n")[:12] + b"\xff" * 9, ("not a whole gzip",)),
    BadTable("parquet.csv", _parquet(a=pa.array([1])), ("a Parquet file", ".parquet")),
    # Cells that are not what the others are.
    BadTable(
        "word-among-numbers.csv", _numbers("abc"), ("line 12, column 'v': 'abc' is not a number",)
    ),
    BadTable(
        "words-among-numbers.csv", _numbers("low", "<5"), ("line 12", "'low' is not a number")
    ),
    BadTable(
        "decimal-comma.csv", _numbers("12,5"), ("line 12, column 'v': 12,5 has a comma", "point")
    ),
    BadTable("decimal-commas.csv", _numbers(*["12,5"] * 30), ("line 12", "has a comma", "point")),
    BadTable("money.csv", _numbers("$5"), ("line 12", "$5 has a sign beside the number")),
    BadTable("percent.csv", _numbers("12%"), ("line 12", "12% has a sign", "the digits alone")),
    BadTable(
        "two-ways-of-a-day.csv",
        b"v,day\n" + b"1,01/02/2024\n2,03/04/2024\n" * 9,
        (
            "'day' holds '01/02/2024', which may be day/month/year or month/day/year",
            "say which",
            "--column day=date:day/month/year",
        ),
    ),
    BadTable(
        "two-ways-of-a-comma.csv",
        b'v\n"1,234"\n"2,345"\n',
        ("'v' holds '1,234', which may be", "--column v=continuous:1,234.5"),
    ),
    BadTable(
        "marker.csv",
        b"age,x\n" + b"".join(b"%d,%d\n-,0\n" % (k + 20, k) for k in range(30)),
        ("line 3, column 'age': '-' is not a number", "50.0%", "--missing -"),
    ),
    BadTable(
        "marker-of-dates.csv",
        b"day\n" + b"".join(b"2024-03-%d\n" % k for k in range(10, 30)) + b"open\n" * 40,
        ("line 22, column 'day': 'open' is not a date", "66.7%", "--missing open"),
    ),
    BadTable(
        "marker-of-amounts.csv",
        b"sum\n" + b"".join(b'"%d,%03d.50"\n' % (k, k) for k in range(1, 60)) + b"-\n" * 9,
        ("'sum' holds '-' in 13.2%", "all others are written as '1,001.50'", "(--missing -)"),
    ),
    BadTable(
        "marker-of-amounts-of-two-ways.csv",
        b"sum\n" + b"".join(b'"%d,%03d"\n' % (k, k) for k in range(1, 60)) + b"-\n" * 9,
        ("'sum' holds '-' in 13.2%", "(--missing - --column sum=continuous:1,234.5)"),
    ),
    BadTable(
        "marker-of-other-dates.csv",
        b"day\n" + b"".join(b"%d.3.2024\n" % k for k in range(10, 30)) + b"open\n" * 20,
        ("'day' holds 'open' in 50.0%", "'10.3.2024'", "--missing open"),
    ),
    BadTable("spreadsheet-error.csv", _numbers("#REF!"), ("line 12", "'#REF!' is not a number")),
    BadTable("underscore.csv", _numbers("1_000"), ("line 12", "'1_000' is not a number")),
    BadTable("hexadecimal.csv", _numbers("0x1F"), ("line 12", "'0x1F' is not a number")),
    BadTable("digits-of-another-script.csv", _numbers("١٢"), ("line 12", "is not a number")),
    BadTable("long-word.csv", _numbers("z" * 999), ("line 12", f"'{'z' * 37}...' is not a number")),
    BadTable(
        "control-byte.csv",
        _numbers("6.2\x1a"),
        ("line 12", r"'6.2\x1a' is not a number", r"(--missing $'6.2\x1a')"),
    ),
    BadTable("two-lines-in-a-cell.csv", _numbers("a\nb"), ("line 13, column 'v': 'a b' is not",)),
    BadTable("date-among-numbers.csv", _numbers("2024-03-01"), ("line 12", "is not a number")),
    BadTable(
        "infinite.csv",
        _numbers("inf"),
        ("line 12, column 'v': inf is infinite", "empty", "(--missing inf)"),
    ),
    BadTable(
        "infinities.csv",
        _numbers("Inf", "-Inf", "inf", "1e999"),
        (
            "line 12, column 'v': Inf is infinite (nor do '-Inf', 'inf', '1e999' fit)",
            "they stand in 10.0% of the column",
            "(--missing Inf --missing -Inf --missing inf --missing 1e999)",
        ),
    ),
    BadTable(
        "commas-in-numbers.csv",
        _numbers("1,5", "2,5"),
        ("line 12, column 'v': 1,5 has a comma in it; such cells stand in 5.0% of the column",),
    ),
    BadTable(
        "infinite-and-marked.csv",
        _numbers(*["-"] * 9, "Inf"),
        ("line 12, column 'v': '-' is not a number (nor 'Inf')", "--missing - --missing Inf)"),
    ),
    BadTable(
        "markers.csv",
        _numbers(*["n.a.", "-", "k.A."] * 3),
        ("line 12", "'n.a.' is not a number (nor '-', 'k.A.')", "22.5%", "n.a. --missing - --mis"),
    ),
    BadTable(
        "no-such-days.csv",
        b"day\n" + b"2024-03-01\n2024-03-02\n0000-00-00\n" * 9,
        ("line 4", "0000-00-00 is no date", "(--missing 0000-00-00)"),
    ),
    BadTable("minus-infinity.csv", _numbers("-Infinity"), ("line 12", "-Infinity is infinite")),
    BadTable("beyond.csv", _numbers("1e400"), ("line 12", "1e400 is beyond the range of a number")),
    BadTable("beyond-in-digits.csv", _numbers("9" * 5000), ("line 12", "beyond the range")),
    BadTable(
        "big-integer.csv",
        b"id\n1\n9007199254740993\n",
        (
            "line 3, column 'id'",
            "9007199254740993 is an integer",
            "beyond 2^53",
            "scale it",
        ),
    ),
    BadTable(
        "big-integer-among-decimals.csv",
        _numbers("9007199254740993"),
        ("line 12, column 'v': 9007199254740993 is an integer", "beyond 2^53"),
    ),
    BadTable(
        "big-integers.csv",
        b"id\n" + b"".join(b"%d\n" % (k % 15 + 2**53 + 1) for k in range(30)),
        ("is an integer beyond 2^53", "only names the rows (--column id=identifier)"),
    ),
    BadTable(
        "big-integer-that-a-float-is.csv",
        b"id\n1\n999999999999998592\n",
        ("line 3, column 'id': 999999999999998592 is an integer beyond 2^53", "id=categorical"),
    ),
    BadTable(
        "least-integer.csv",
        b"id\n1\n-9223372036854775808\n",
        ("line 3, column 'id': -9223372036854775808 is an integer", "beyond 2^53"),
    ),
    BadTable(
        "big-identifiers.csv",
        b"id\n" + b"12345678901234567890\n" * 3,
        ("line 2", "drop the column"),
    ),
    BadTable(
        "word-among-truths.csv",
        b"t\n" + b"true\nfalse\n" * 10 + b"maybe\n",
        ("line 22", "'maybe' is not true or false"),
    ),
    BadTable("no-such-day.csv", _dates("2023-02-29"), ("line 12", "2023-02-29 is no date", "mend")),
    BadTable("no-such-hour.csv", _dates("2023-02-28 25:00"), ("line 12", "25:00 is no date")),
    BadTable(
        "date-of-another-form.csv", _dates("11/03/2024"), ("line 12", "'11/03/2024' is not a date")
    ),
    BadTable("zone-offset.csv", _dates("2024-03-01 12:30+02:00"), ("line 12", "has a time zone")),
    BadTable(
        "nanoseconds.csv",
        _dates("2024-03-01T00:00:00.123456789"),
        ("line 12", "finer than a microsecond", "six digits"),
    ),
    # Parquet.
    BadTable(
        "damaged.parquet", b"PAR1" + b"\x00" * 40 + b"PAR1", ("not a whole Parquet file", "save")
    ),
    BadTable(
        "cut.parquet", lambda: _parquet(a=pa.array(range(99)))()[:-30], ("not a whole Parquet",)
    ),
    BadTable("text.parquet", b"a,b\n1,2\n", ("not a whole Parquet file",)),
    BadTable("name-twice.parquet", _twice_in_parquet, ("'a' stands more than once", "rename")),
    BadTable(
        "name-blank.parquet",
        lambda: _stored(pa.table([[1]], names=[""])),
        ("column 1 has no name",),
    ),
    BadTable("no-rows.parquet", _parquet(a=pa.array([], pa.int64())), ("has no rows",)),
    BadTable("no-columns.parquet", lambda: _stored(pa.table({})), ("has no columns",)),
    BadTable("bytes.parquet", _parquet(a=pa.array([b"x"])), ("'a' is of type binary", "drop it")),
    BadTable("nested.parquet", _parquet(a=pa.array([[1, 2]])), ("'a' is of type list", "drop it")),
    BadTable("record.parquet", _parquet(a=pa.array([{"b": 1}])), ("'a' is of type struct",)),
    BadTable(
        "duration.parquet",
        _parquet(a=pa.array([10**18 + 1], pa.duration("ns"))),
        ("data row 1, column 'a'", "is finer than 64 bits of seconds hold"),
    ),
    BadTable(
        "nanoseconds.parquet",
        _parquet(a=pa.array([0, 1], pa.timestamp("ns"))),
        ("data row 2", "finer than a microsecond"),
    ),
    BadTable(
        "far-future.parquet",
        _parquet(a=pa.array([2**58], pa.timestamp("us"))),
        ("data row 1", "years 1 to 9999"),
    ),
    BadTable(
        "infinite.parquet",
        _parquet(a=pa.array([1.0, float("inf")])),
        ("data row 2, column 'a'", "infinite"),
    ),
    BadTable(
        "big-integer.parquet",
        _parquet(a=pa.array([1, None, -(2**53) - 1])),
        ("data row 3, column 'a': -9007199254740993", "beyond 2^53"),
    ),
    BadTable(
        "big-unsigned.parquet",
        _parquet(a=pa.array([2**64 - 1], pa.uint64())),
        ("data row 1", "beyond 2^53"),
    ),
]
