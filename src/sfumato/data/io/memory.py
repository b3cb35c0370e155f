"""Rows that are handed over in Python, whatever they come in, and the same container for others.

arrays     NumPy arrays, torch tensors, lists of rows or of numbers
frames     pandas, polars, pyarrow
pictures   bytes `(n, height, width[, channels])`, lists of PIL pictures
data sets  of Hugging Face's `datasets`, with a column of pictures or without
"""

from typing import Any

import numpy as np

from sfumato.data.images import Images, PictureReading
from sfumato.data.io.arrays import from_array, to_array
from sfumato.data.io.frames import backend_of, from_frame, to_frame
from sfumato.data.io.gather import AS_IT_IS, from_pil
from sfumato.data.io.labels import training_key
from sfumato.data.io.picture_arrays import as_images
from sfumato.data.io.picture_sets import is_data_set, pictures_of_data_set
from sfumato.data.points import Points
from sfumato.data.table import Column, DataTable, refuse_repeated
from sfumato.errors import DataError

Container = str
"""What rows came in: "pandas", "polars", "pyarrow", "array", or "" for our own or a file's."""


def accept(source: Any, reading: PictureReading = AS_IT_IS) -> tuple[Images | DataTable, Container]:
    """Pictures or a table, and what they came in.

    Args:
        source: see above.
        reading: of pictures.

    Raises:
        DataError: if it is none of these, or as `from_array`, `from_frame`, `as_images`.
        MissingDependencyError: if it is a frame and the extra `tables` is not installed.
    """
    if isinstance(source, Images | DataTable):
        return source, ""
    if isinstance(source, Points):
        return as_table(source), ""
    if type(source).__module__.partition(".")[0] == "torch" and hasattr(source, "detach"):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray):
        return _in_array(_array(source, reading))
    if is_data_set(source):
        return _data_set(source, reading)
    if backend := backend_of(source):
        return from_frame(source), backend
    if isinstance(source, list | tuple):
        return _in_array(_list(source, reading))
    raise DataError(
        f"cannot learn from a {type(source).__name__}; give a toy set's name, a file, a folder, an "
        "array, a tensor, a list of rows or pictures, a data frame, or a Hugging Face data set."
    )


def as_table(points: Points) -> DataTable:
    """Points as a table of decimal columns without missing values."""
    present = np.zeros(len(points.values), dtype=bool)
    columns = zip(points.columns, points.values.T, strict=True)
    return DataTable(tuple(Column(name, each, present) for name, each in columns))


def _in_array(found: Images | DataTable) -> tuple[Images | DataTable, Container]:
    """Columns with names of their own go back as our table: an array would lose them."""
    return found, "" if isinstance(found, DataTable) and found.has_names else "array"


def _array(values: np.ndarray, reading: PictureReading) -> Images | DataTable:
    if values.dtype.names:
        refuse_repeated("the array", values.dtype.names)
        columns = [from_array(values[name]).columns[0] for name in values.dtype.names]
        pairs = zip(columns, values.dtype.names, strict=True)
        return DataTable(tuple(Column(name, c.values, c.missing) for c, name in pairs))
    return as_images(values, None, reading) if values.ndim > 2 else from_array(values)


def _list(rows: Any, reading: PictureReading) -> Images | DataTable:
    """Rows one by one: pictures, mappings of a column's name to its value, or sequences."""
    if not len(rows):
        raise DataError("the list is empty; give two rows or more.")
    first = rows[0]
    if type(first).__module__.startswith("PIL."):
        return from_pil(rows, reading)
    if isinstance(first, dict):
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = np.empty((len(rows), len(names)), dtype=object)
        for k, row in enumerate(rows):
            cells[k] = [row.get(name) for name in names]
        table = from_array(cells, "the list")
        pairs = zip(table, names, strict=True)
        return DataTable(tuple(Column(str(name), c.values, c.missing) for c, name in pairs))
    if hasattr(first, "detach"):
        rows = [each.detach().cpu().numpy() for each in rows]
    try:
        lengths = {np.shape(row) for row in rows}
    except ValueError as error:
        raise DataError(
            "a row of the list holds lists of several lengths; give one value for each column."
        ) from error
    if len(lengths) > 1:
        shown = " and ".join(str(shape) for shape in sorted(lengths)[:2])
        raise DataError(f"the rows of the list differ in shape ({shown}); make them equal.")
    values = np.array(rows)
    if values.dtype.kind in "US" and any(
        not isinstance(c, str) for row in rows for c in _cells(row)
    ):
        values = np.array(rows, dtype=object)  # NumPy makes text of the numbers beside text
    return _array(values, reading)


def _cells(row: Any) -> Any:
    return row if isinstance(row, list | tuple) else [row]


def _data_set(source: Any, reading: PictureReading) -> tuple[Images | DataTable, Container]:
    """Of Hugging Face's `datasets`: pictures, or a table through Arrow."""
    if (pictures := pictures_of_data_set(source, reading)) is not None:
        return pictures, ""
    if isinstance(source, dict):
        source = source[training_key(source, "the data set")[0]]
    if not hasattr(source, "__len__"):  # a stream
        return _list(list(source), reading), ""
    return from_frame(source.with_format("arrow")[:]), "pyarrow"


def give(table: DataTable, container: Container) -> Any:
    """Rows in such a container; a table of our own for a file's."""
    if container == "array":
        return to_array(table)
    return to_frame(table, container) if container else table


def give_like(source: Any, table: DataTable) -> Any:
    """Rows in the container of those they were made from, with its index and column labels."""
    container = accept(source)[1]
    made = give(table, container)
    if container == "pandas":
        made.index = source.index
        if len(made.columns) == len(source.columns):
            made.columns = source.columns
    return made
