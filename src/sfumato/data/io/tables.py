"""Tables from files of every kind that is read, and back to .csv, .csv.gz, .tsv and .parquet.

No value changes on the way, in either direction: what cannot be kept is an error that names its
place and the remedy. Nothing is ever unpickled.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.atomic import replacing
from sfumato.data.io.arff import arff_rows, declared_text
from sfumato.data.io.arrow import elapsed_array, from_arrow, pyarrow, to_arrow, zone_of
from sfumato.data.io.csv import Opened, read_csv, write_csv
from sfumato.data.io.elapsed import elapsed_of
from sfumato.data.io.excel import sheet_rows
from sfumato.data.io.forms import as_text, typed
from sfumato.data.io.layout import MOST_COLUMNS
from sfumato.data.io.reading import AS_IT_IS, Reading, mark_missing
from sfumato.data.io.survey import read_survey
from sfumato.data.stored import Store, fits, stored
from sfumato.data.table import Column, DataTable, refuse_repeated
from sfumato.errors import ArgumentError, DataError

ENDINGS = (".csv", ".csv.gz", ".tsv", ".parquet")
"""Of tables that are written."""

_TEXT = (".csv", ".csv.gz", ".tsv", ".txt", ".dat", ".data")
_ARROW = {".parquet": "Parquet", ".feather": "Feather", ".arrow": "Arrow"}
_SURVEY = (".dta", ".sav", ".zsav")
_JSON = (".jsonl", ".ndjson")

READ = (*_TEXT, *_ARROW, *_JSON, ".xlsx", ".arff", *_SURVEY)
"""Of tables that are read."""

Place = Callable[[int], str]
"""Where in its file a row stands, in words."""


def read_table(path: Path, reading: Reading = AS_IT_IS) -> DataTable:
    """Read the table in a file.

    Args:
        path: a text file (see `data.io.cells` for what its cells are), a workbook or .arff, whose
            cells are read as those are; .parquet, .feather, .arrow, .dta, .sav have types of
            their own. The extras `tables`, `excel`, `survey` are for some of them.
        reading: what the user says of its cells.

    Raises:
        DataError: saying what is wrong with it, where, and what to do.
        MissingDependencyError: if the extra is not installed.
    """
    return read_placed(path, reading)[0]


def read_placed(path: Path, reading: Reading = AS_IT_IS) -> tuple[DataTable, Place]:
    """As `read_table`, and where each row stands.

    Raises:
        DataError: as `read_table`.
        MissingDependencyError: as `read_table`.
    """
    try:
        ending = ending_of(path, READ)
        if ending not in _BY_LINES:
            table = read_survey(path) if ending in _SURVEY else _read_arrow(path, ending)
            # As written, before it is a number or a date.
            table = mark_missing(table, reading.missing)
            is_json = ending in _JSON
            name = "" if is_json else "string"
            table = typed(table, reading, str(path), strict=is_json, dtype=name)
            return table, lambda row: f"data row {row + 1}"
        if ending == ".arff":
            declared = declared_text(path)
            reading = replace(reading, text=[*reading.text, *declared], verbatim=declared)
        table, lines = read_csv(path, reading, _BY_LINES[ending])
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    return table, lambda row: f"line {lines[row]}"


def ending_of(path: Path, endings: Sequence[str]) -> str:
    """Which of some endings the name of a file has, a file that is there and not empty.

    Raises:
        DataError: if it is not, or has none of them.
        OSError: if the system refuses to say.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; give a file.")
    ending = _ending(path, endings)
    if ending is None:
        raise DataError(
            f"cannot read {path}: it has no pictures that are known (docs/picture-files.md), and "
            f"of rows the ending must be one of {', '.join(endings)}."
        )
    if not path.exists():
        raise DataError(f"there is no file {path}.", code="no-file", file=str(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", code="empty")
    return ending


def _ending(path: Path, endings: Sequence[str]) -> str | None:
    name = path.name.lower()
    return next((each for each in endings if name.endswith(each) and name != each), None)


_BY_LINES: Mapping[str, Opened | None] = {
    **dict.fromkeys(_TEXT),
    ".xlsx": sheet_rows,
    ".arff": arff_rows,
}


def _read_arrow(path: Path, ending: str) -> DataTable:
    arrow = pyarrow()
    called = _ARROW.get(ending, "JSON Lines")
    try:
        if ending == ".parquet" and (large := _large_parquet(path)) is not None:
            return large
        table = _arrow_table(path, ending)
        if not len(table):
            raise DataError(f"{path} has no rows.")
        return DataTable(
            tuple(
                from_arrow(name, column, str(path))
                for name, column in zip(table.column_names, table.columns, strict=True)
            )
        )
    except DataError:
        raise
    except (arrow.ArrowException, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's own, such as a permission; damage has no number
        raise DataError(f"{path} is not a whole {called} file; save it again.") from error


def _large_parquet(path: Path) -> DataTable | None:
    """The table, a column at a time to disk, if it does not fit into memory."""
    with pyarrow().parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _refuse_names(path, names)
        if fits(file.metadata.num_rows, len(names)):
            return None
        store = Store(len(names))
        return DataTable(
            tuple(
                stored(from_arrow(name, file.read(columns=[name])[name], str(path)), store)
                for name in names
            )
        )


def _arrow_table(path: Path, ending: str) -> Any:
    arrow = pyarrow()
    if ending == ".parquet":
        # Not read_table, which refuses a name that stands twice without saying which.
        with arrow.parquet.ParquetFile(path) as file:
            _refuse_names(path, file.schema_arrow.names)
            return file.read()
    if ending in _JSON:
        table = arrow.json.read_json(path)
        _refuse_names(path, table.column_names)
        return table
    with arrow.memory_map(str(path)) as mapped:
        whole = mapped.read(6) == b"ARROW1"  # of a file; a stream has no such beginning
        mapped.seek(0)
        with (arrow.ipc.open_file if whole else arrow.ipc.open_stream)(mapped) as file:
            _refuse_names(path, file.schema.names)
            return file.read_all()


def _refuse_names(path: Path, names: Sequence[str]) -> None:
    if not names:
        raise DataError(f"{path} has no columns.")
    if len(names) > MOST_COLUMNS:
        raise DataError(
            f"{path} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read: keep those "
            "that matter."
        )
    if "" in names:
        raise DataError(f"{path}: column {names.index('') + 1} has no name; give it one.")
    refuse_repeated(str(path), names)


def _write_parquet(path: Path, table: DataTable) -> None:
    arrow = pyarrow()
    arrays: list[Any] = [_typed(column) for column in table]
    arrow.parquet.write_table(arrow.table(arrays, names=list(table.names)), path)


def _typed(column: Column) -> Any:
    """Arrow's array, in the time zone that the column came in."""
    zone = zone_of(column.dtype) if column.values.dtype.kind == "M" else ""
    if elapsed_of(column.dtype):
        return elapsed_array(column)
    array = to_arrow(as_text(column))
    return array.cast(pyarrow().timestamp("us", zone)) if zone else array


def check_target(path: Path, endings: Sequence[str] = ENDINGS) -> None:
    """Refuse early what writing could not do late.

    Raises:
        ArgumentError: if the ending is none of `endings`, the folder missing, or the place not
            writable.
        MissingDependencyError: if the ending needs an extra that is not installed.
    """
    ending = _ending(path, endings)
    if ending is None:
        raise ArgumentError(f"cannot write {path}: the ending must be one of {', '.join(endings)}.")
    if ending == ".parquet":
        pyarrow()
    try:
        if path.is_dir():
            raise ArgumentError(f"{path} is a folder; give a file's name.")
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror or error}.") from error
    if not path.parent.is_dir():
        raise ArgumentError(f"there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ArgumentError(f"the folder {path.parent} cannot be written to.")


def write_table(path: Path, table: DataTable) -> None:
    """Write a table to a file, exactly: what is read back is what was given. Atomic.

    A text file has no types: it keeps every text, but a column of text that all looks like
    numbers is read back as text only if `read_table` is asked to, one without any value only as
    numbers. Categories that stand in no cell are kept by .parquet alone.

    Raises:
        ArgumentError: as `check_target`.
        DataError: if a name or text cannot be told from something else in a text file.
        OSError: if writing fails.
    """
    check_target(path)
    write = _write_parquet if path.suffix.lower() == ".parquet" else write_csv
    with replacing(path) as temporary:
        write(temporary, table)
