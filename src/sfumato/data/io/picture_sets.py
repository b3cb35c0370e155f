"""Pictures of Hugging Face: objects of the library `datasets`, and Parquet files of its form.

A column of pictures holds the content of files, which is decoded as a file is; a column of arrays
is an array. Whether rows are formatted (torch, numpy) or streamed makes no difference.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.data.images import Images, PictureReading
from sfumato.data.io.decode import format_of
from sfumato.data.io.files import HEAD, by_ending
from sfumato.data.io.gather import Content, gather
from sfumato.data.io.labels import LABELS, numbered, training_key, training_shards
from sfumato.data.io.picture_arrays import as_images
from sfumato.errors import DataError

_PICTURES = ("image", "img", "picture", "pixel_values")
_ARRAYS = ("Array2D", "Array3D")


def is_data_set(source: Any) -> bool:
    """Whether this is an object of Hugging Face's `datasets`."""
    return type(source).__module__.partition(".")[0] == "datasets"


def pictures_of_data_set(source: Any, reading: PictureReading) -> Images | None:
    """The pictures of a data set, or of the training part of a dict of them; None if it has none.

    Raises:
        DataError: if it is empty, has several columns of pictures or classes, or as `gather`.
    """
    if isinstance(source, dict):
        key, others = training_key(source, "the data set")
        found = pictures_of_data_set(source[key], reading)
        left = (f"the splits {', '.join(others)}",) if others else ()
        return found and replace(found, left_out=(*found.left_out, *left))
    source = source.with_format(None)
    types = source.features or dict.fromkeys(_first(source))
    column = _column_of_pictures(types, source)
    if column is None:
        return None
    feature: Any = types[column]
    type_of = type(feature).__name__
    if type_of == "Image":
        import datasets

        source = source.cast_column(column, datasets.Image(decode=False))
    classed = [name for name, each in types.items() if _names_of(each) is not None]
    label = _column_of_labels(types, classed, reading)
    source = source.select_columns([column] if label is None else [column, label])
    first = _first(source)
    labels: list[Any] = []

    def contents() -> Iterator[tuple[str, Content | DataError]]:
        for k, row in enumerate(source):
            labels.append(row[label] if label is not None else None)
            yield f"picture {k + 1}", _content(row[column])

    names = _names_of(types.get(label))
    if type_of == "Image" or not _is_array(first[column]):
        return gathered_rows(contents(), labels, names, reading, labelled=label is not None)
    rows = list(source)
    dtype = feature.dtype if type_of in _ARRAYS else None
    try:
        values = np.array([row[column] for row in rows], dtype)
    except ValueError as error:
        raise DataError(f"the arrays of the column {column!r} differ in shape.") from error
    if values.dtype == object:
        raise DataError(f"a row of the column {column!r} is not one picture; give one a row.")
    found = as_images(values, None, reading, f"the column {column!r}")
    if label is None:
        return found
    numbers, classes = numbered([row[label] for row in rows], len(rows), names)
    return replace(found, labels=numbers, classes=classes)


def _names_of(feature: Any) -> list[str] | None:
    """The names of the classes of a column, which may be a list of them in each row."""
    names: list[str] | None = getattr(getattr(feature, "feature", feature), "names", None)
    return names


def _first(source: Any) -> dict[str, Any]:
    row: dict[str, Any] | None = next(iter(source.take(1)), None)
    if row is None:
        raise DataError("the data set is empty; at least 2 pictures or rows are needed.")
    return row


def gathered_rows(
    contents: Iterable[tuple[str, Content | DataError]],
    labels: list[Any],
    names: Sequence[str] | None,
    reading: PictureReading,
    *,
    labelled: bool,
) -> Images:
    """Pictures of rows `picture 1`, `picture 2`, ..., with their labels.

    Args:
        contents: names and contents.
        labels: of each row; complete once `contents` is at its end.
        names: of the classes, where integers stand for them.
        reading: how.
        labelled: whether there are labels.
    """

    def classes_of(files: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray | None, list[str]]:
        if not labelled:
            return (), None, []
        given = [labels[int(file.rpartition(" ")[2]) - 1] for file in files]
        numbers, classes = numbered(given, len(files), names)
        return classes, numbers, []

    return gather(contents, "the data set", reading, classes_of, in_python=True)


def _is_array(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _column_of_pictures(types: Mapping[str, Any], source: Any) -> str | None:
    """The column of pictures: by its type, by its name, or by what stands in it first."""
    typed = [name for name, each in types.items() if type(each).__name__ == "Image"]
    arrays = [name for name, each in types.items() if type(each).__name__ in _ARRAYS]
    for found in (typed, arrays, [name for name in types if name in _PICTURES]):
        if found:
            return _one_of(found)
    dtypes = {name: str(getattr(each, "dtype", "")) for name, each in types.items()}
    of_bytes = [name for name, dtype in dtypes.items() if dtype.endswith("binary")]
    if source.features and not of_bytes:
        return None
    first = _first(source.select_columns(of_bytes) if source.features else source)
    return _one_of([name for name, each in first.items() if _is_picture(each)])


def _one_of(columns: Sequence[str]) -> str | None:
    """The one column of pictures, or that with a name of such; None if there is none.

    Raises:
        DataError: if there are several.
    """
    known = [name for name in _PICTURES if name in columns]
    if len(columns) > 1 and not known:
        raise DataError(
            f"the data set has {len(columns)} columns of pictures ({', '.join(columns)}); name one "
            "of them `image` (rename_column), or remove the others."
        )
    return next(iter([*known, *columns]), None)


def _is_picture(cell: Any) -> bool:
    """Whether this is a picture of Pillow, or the content of a picture's file."""
    if isinstance(cell, bytes):
        return format_of(cell[:HEAD]) is not None
    return hasattr(cell, "convert")


def _column_of_labels(
    columns: Collection[str], classes: Sequence[str], reading: PictureReading
) -> str | None:
    """The column of classes, if they are asked for and there is one."""
    if not reading.labels:
        return None
    if isinstance(reading.labels, str):
        if reading.labels not in columns:
            raise DataError(
                f"the data set has no column {reading.labels!r}; it has {', '.join(columns)}."
            )
        return reading.labels
    known = [name for name in LABELS if name in columns]
    if len(classes) > 1 and not known:
        raise DataError(
            f"the data set has {len(classes)} columns of classes; choose one: "
            + " or ".join(f"data.labels={name!r}" for name in classes)
            + "."
        )
    return next(iter([*known, *classes]), None)


def _content(cell: Any) -> Content | DataError:
    """The content of a cell: of a picture of Pillow itself, else of the file that it names."""
    if cell is None:
        return DataError("missing")
    if hasattr(cell, "convert"):
        return cell  # type: ignore[no-any-return]
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str):
        cell = {"path": cell}
    if isinstance(cell, Mapping) and cell.get("bytes") is not None:
        return bytes(cell["bytes"])
    if not isinstance(cell, Mapping) or not cell.get("path"):
        return DataError("missing")
    import fsspec

    try:
        with fsspec.open(cell["path"], "rb") as file:
            return bytes(file.read())
    except (OSError, ValueError) as error:
        return DataError(
            f"cannot read {cell['path']} ({getattr(error, 'strerror', None) or error})"
        )


def holds_parquet_pictures(path: Path) -> bool:
    """Whether a file is Parquet with a column of the contents of pictures."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    try:
        return bool(_columns_of_contents(path))
    except Exception:  # what it raises at damaged files is of any kind, or it is not there
        return False


def _columns_of_contents(path: Path) -> list[str]:
    """The columns of pictures as Hugging Face has them; else those of the contents of files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    structs = [each for each in schema if pa.types.is_struct(each.type)]
    found = [s.name for s in structs if {"bytes", "path"} == {f.name for f in s.type}]
    is_binary = pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view
    of_bytes = [each.name for each in schema if any(kind(each.type) for kind in is_binary)]
    if found or not of_bytes:
        return found
    first = next(_rows(path, columns=of_bytes, batch_size=1), {})
    return [name for name, each in first.items() if _is_picture(each)]


def parquet_shards(folder: Path, files: Sequence[str]) -> tuple[list[Path], tuple[str, ...]]:
    """Of a folder's files those of such Parquet, of their training part, and what else is there.

    A repository of Hugging Face has them as `data/train-00000-of-00002.parquet`.

    Raises:
        DataError: if they are of several parts, and none is for training.
    """
    shards = {name for name in files if holds_parquet_pictures(folder / name)}
    if not shards:
        return [], ()
    train, left = training_shards(shards, str(folder))
    rest = [name for name in files if name not in shards]
    return [folder / name for name in train], (*left, *([by_ending(rest)] if rest else []))


def read_parquet_pictures(paths: Sequence[Path], reading: PictureReading) -> Images:
    """The pictures of such files, one after the other, and their classes if they are asked for.

    Raises:
        DataError: as `gather`.
    """
    import pyarrow.parquet as pq

    labels: list[Any] = []
    schema = pq.read_schema(paths[0])
    column, classed = _one_of(_columns_of_contents(paths[0])), _class_names(schema)
    assert column is not None
    label = _column_of_labels(schema.names, list(classed), reading)

    def contents() -> Iterator[tuple[str, Content | DataError]]:
        for path in paths:
            for row in _rows(path):
                labels.append(row[label] if label is not None else None)
                yield f"picture {len(labels)}", _content(row[column])

    names = None if label is None else classed.get(label)
    return gathered_rows(contents(), labels, names, reading, labelled=label is not None)


def _class_names(schema: Any) -> dict[str, list[str]]:
    """The names of the classes of each column that has such, in Hugging Face's metadata."""
    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = described.get("info", {}).get("features", {})
        of = {name: each for name, each in features.items() if isinstance(each, dict)}
        of = {name: each.get("feature", each) for name, each in of.items()}
        return {name: each["names"] for name, each in of.items() if "names" in each}
    except (ValueError, AttributeError, TypeError):
        return {}


def _rows(path: Path, batch_size: int = 256, **which: Any) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size, **which):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is truncated or damaged; take another copy.") from error
