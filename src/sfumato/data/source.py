"""What people give to learn from, and what it is: points, pictures or a table.

The same numbers are the same data whatever they come in: up to three columns of decimals without
missing values are points in space, any other columns are a table.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato import atomic
from sfumato.config import DataSettings
from sfumato.data.images import Images, PictureReading, digits, fingerprint, with_range
from sfumato.data.io.forms import typed
from sfumato.data.io.images import holds_images, read_images
from sfumato.data.io.memory import Container, accept
from sfumato.data.io.reading import Reading, mark_missing, quoted
from sfumato.data.io.rows import points_of, read_points, read_rows
from sfumato.data.io.zipped import unpacked, unpacking_folder, zipped_tables
from sfumato.data.points import Points
from sfumato.data.table import DataTable
from sfumato.data.toy import TOY_SETS
from sfumato.errors import DataError, unknown

Rows = Points | Images | DataTable

# The settings' name for rows that were given in memory.
IN_MEMORY = "array"

# A table that comes with the package: Horst, Hill & Gorman (2020), Palmer penguins, doi
# 10.5281/zenodo.3960218, CC0-1.0; the file `penguins.csv` of their package as it is.
TABLE_SETS: Mapping[str, Path] = {"penguins": Path(__file__).with_name("penguins.csv")}

# Pictures that come with scikit-learn.
PICTURE_SETS: Mapping[str, Callable[[], Images]] = {"digits": digits}

# What both hold: their columns or pixels, and a sentence.
DESCRIPTIONS: Mapping[str, tuple[str, str]] = {
    "penguins": (
        "8 of numbers and text",
        "A table: 344 penguins of three species, with missing values (Palmer penguins, CC0).",
    ),
    "digits": ("8 x 8 pixels", "Pictures: 1,797 handwritten digits in ten classes (scikit-learn)."),
}

# Columns of decimals that are points in space; more are a table (bench/results/numeric.md).
POINT_COLUMNS = 3


def read_source(data: DataSettings) -> tuple[Rows, str]:
    """What the file, folder or set that the settings name holds, and its fingerprint.

    Raises:
        ArgumentError: if the source is neither such a set nor looks like a file.
        DataError: if the file cannot be used.
    """
    path = TABLE_SETS.get(data.source, Path(data.source))
    if data.source in PICTURE_SETS:
        pictures = with_range(PICTURE_SETS[data.source](), data.range)
    elif not path.suffix and not os.path.exists(path):  # noqa: PTH110 - Path's raises at a long name
        raise unknown("data set", data.source, {*TOY_SETS, *DESCRIPTIONS})
    elif tables := zipped_tables(path):
        return _unzipped(path, tables, data), atomic.sha256(path)
    elif holds_images(path):
        pictures = read_images(path, PictureReading.of(data))
    else:
        return read_points_or_table(path, data), atomic.sha256(path)
    return _labelled(pictures, data), fingerprint(pictures)


def take_source(source: Any, data: DataSettings) -> tuple[Rows, Container, DataTable | None]:
    """What was handed over in Python, its container, and its columns without rows if it has some.

    Raises:
        DataError: if it cannot be learned from.
    """
    if isinstance(source, Points):
        return source, "", None
    rows, container = accept(source, PictureReading.of(data))
    if isinstance(rows, Images):
        return _labelled(rows, data), container, None
    reading = Reading.declared(data.columns, data.missing)
    rows = typed(mark_missing(rows, data.missing), reading, "the data")
    return points_or_table(rows, data, "the data"), container, rows.take(np.arange(0))


def _unzipped(path: Path, tables: list[str], data: DataSettings) -> Points | DataTable:
    if len(tables) > 1:
        raise DataError(
            f"{path} holds {len(tables)} tables ({', '.join(sorted(tables)[:3])}); unpack it and "
            "give one of them."
        )
    with unpacking_folder() as folder:
        file = unpacked(path, tables[0], Path(folder))
        try:
            return read_points_or_table(file, data)
        except DataError as error:
            here, unpacked_only = quoted(str(path)), quoted(str(file))
            message = str(error).replace(f"fit {unpacked_only}", f"fit {here}")
            # What a shell does to a file it cannot do to one that is gone.
            message = re.sub(rf" \([^()]* {re.escape(unpacked_only)} > \S+\)", "", message)
            raise type(error)(message.replace(str(file), f"{path}/{tables[0]}")) from error


def read_points_or_table(path: Path, data: DataSettings) -> Points | DataTable:
    """The rows of a file, as the rule below has it.

    Raises:
        DataError: as `data.io.rows.read_rows` and `points_of`.
    """
    if data.kind == "points" and not data.rules:
        return read_points(path)
    reading = Reading.declared(data.columns, data.missing)
    return points_or_table(read_rows(path, reading)[0], data, str(path))


def points_or_table(table: DataTable, data: DataSettings, where: str) -> Points | DataTable:
    """The one rule: up to three columns of decimals without missing values are points in space.

    Raises:
        DataError: if the settings say points, and a column is not numeric or lacks a value.
    """
    plain = all(c.values.dtype == np.float64 and not c.missing.any() for c in table)
    if data.kind == "points" and data.rules:
        raise DataError("rules are of a table; leave data.kind=points out, or the rules.")
    few = plain and len(table.columns) <= POINT_COLUMNS and not (data.columns or data.rules)
    if data.kind == "points" or (data.kind == "auto" and few):
        return points_of(table, where)
    return table


def _labelled(pictures: Images, data: DataSettings) -> Images:
    """The pictures with their labels if these are to be learned.

    Raises:
        DataError: if they are, and there are none.
    """
    if not data.labels:
        return replace(pictures, labels=None, classes=())
    if pictures.labels is None:
        raise DataError(
            f"{data.source} has no classes to learn: put the pictures of each into a folder of its "
            "name, a labels.csv (file name, class) beside them, or set data.labels=false."
        )
    return pictures
