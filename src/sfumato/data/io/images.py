"""Pictures from folders, archives and files of arrays.

A picture is known by its first bytes, whatever it is called. Archives are read where they are.
Nothing is ever unpickled.
"""

import re
import tarfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile

import numpy as np

from sfumato.data.images import Images, PictureReading, as_pil, fitted
from sfumato.data.io.array_files import holds_pictures, read_arrays
from sfumato.data.io.decode import decoded, format_of
from sfumato.data.io.files import (
    ARCHIVES,
    HEAD,
    TARS,
    Entry,
    by_ending,
    entries,
    is_hidden,
    read_error,
)
from sfumato.data.io.gather import AS_IT_IS, PICTURES, gather
from sfumato.data.io.labels import (
    BESIDE,
    TABLES,
    by_folder,
    by_key,
    by_table,
    folder_shares,
    split_key,
    training_shards,
    values_beside,
)
from sfumato.data.io.picture_sets import (
    holds_parquet_pictures,
    parquet_shards,
    read_parquet_pictures,
)
from sfumato.errors import DataError, PictureWarning


def holds_images(path: Path) -> bool:
    """Whether this is a folder, an archive, or a file of pictures: of arrays, pages, slices."""
    try:
        if path.is_dir() or path.name.lower().endswith(ARCHIVES):
            return True
    except OSError:  # a name that is too long
        return False
    return holds_pictures(path) or holds_parquet_pictures(path) or is_picture(path)


def is_picture(path: Path) -> bool:
    """Whether this is the file of a picture, or of a stack of pictures, or has to be."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return path.name.lower().endswith(PICTURES) or format_of(file.read(HEAD)) is not None
    except OSError:  # whoever reads it says why it cannot be read
        return False


def read_images(path: Path, reading: PictureReading = AS_IT_IS) -> Images:
    """The pictures of a folder, an archive or a file of arrays.

    Those of a folder or archive are in the order of their names.

    Args:
        path: where they are.
        reading: how.

    Raises:
        DataError: naming what cannot be used, and what to do.
    """
    if not path.is_dir() and not path.name.lower().endswith(ARCHIVES):
        if is_picture(path):
            return gather([(path.name, _content(path))], str(path), reading)
        if holds_parquet_pictures(path):
            return read_parquet_pictures([path], reading)
        return read_arrays(path, reading)
    sources: dict[str, Iterable[Entry]] = {path.name: entries(path)}
    aside: list[str] = []
    tables: dict[str, bytes] = {}
    if path.is_dir():
        files = _files_in(path)
        names = [each.name for each in files]
        shards, left = parquet_shards(path, names)
        if shards:
            found = read_parquet_pictures(shards, reading)
            return replace(found, left_out=(*found.left_out, *left))
        archives, aside, tables = _archives_in(path, names)
        sources = {name: entries(path / name) for name in archives} or {path.name: files}
    others: list[str] = []
    found = gather(
        _pictures_in(path, sources, others, tables),
        str(path),
        reading,
        partial(_classes, tables=tables, reading=reading),
        others=others,
        samples=any(name.lower().endswith(TARS) for name in sources),
    )
    return replace(found, left_out=(*found.left_out, *aside))


def _files_in(folder: Path) -> list[Entry]:
    """Every file of a folder.

    Raises:
        DataError: if it cannot be gone through.
    """
    try:
        return list(entries(folder))
    except OSError as error:
        raise read_error(folder, error) from error


def _archives_in(
    folder: Path, files: Sequence[str]
) -> tuple[list[str], list[str], dict[str, bytes]]:
    """The archives that a folder without pictures has, as webdataset cuts a set; else none.

    And what to say of the other files there, and the tables of classes beside those archives.

    Raises:
        DataError: if they are of several parts, and none is for training.
    """
    archives = (name for name in files if name.lower().endswith(ARCHIVES))
    shards = {name for name in archives if not is_hidden(name)}
    rest = [name for name in files if name not in shards]
    if not shards or any(is_picture(folder / name) for name in rest if not is_hidden(name)):
        return [], [], {}
    train, left = training_shards(shards, str(folder))
    tables = {}
    for name in rest:
        above, last = PurePosixPath(name).parent, PurePosixPath(name).name
        beside = all(PurePosixPath(each).is_relative_to(above) for each in train)
        if beside and last.lower() in TABLES and isinstance(text := _content(folder / name), bytes):
            tables[last] = text
    return train, [*left, *([by_ending(rest)] if rest else [])], tables


def _content(path: Path) -> bytes | DataError:
    try:
        return path.read_bytes()
    except OSError as error:
        return DataError((error.strerror or str(error)).lower())


def _pictures_in(
    where: Path,
    sources: Mapping[str, Iterable[Entry]],
    others: list[str],
    tables: dict[str, bytes],
) -> Iterator[tuple[str, bytes | DataError]]:
    """As `_pictures_of`, of one source after the other.

    Raises:
        DataError: naming the source that cannot be gone through.
    """
    owner: dict[str, str] = {}
    for source, files in sources.items():
        try:
            yield from _pictures_of(files, others, tables, partial(_own_name, source, owner))
        except (OSError, EOFError, tarfile.TarError, BadZipFile) as error:
            raise read_error(where / source if where.is_dir() else where, error) from error


def _own_name(source: str, owner: dict[str, str], name: str) -> str:
    """A file's name; with that of its archive if an earlier one has such a sample.

    Shards may each count from 0.

    Args:
        source: the archive.
        owner: the first archive of each key.
        name: of the file.
    """
    if owner.setdefault(split_key(name)[0], source) == source:
        return name
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{re.sub('[/.]', '-', source)}-{last}"


def _pictures_of(
    files: Iterable[Entry],
    others: list[str],
    tables: dict[str, bytes],
    own_name: Callable[[str], str],
) -> Iterator[tuple[str, bytes | DataError]]:
    """Names and contents of the files that are pictures.

    Args:
        files: of a folder or archive.
        others: gets the names of the rest.
        tables: gets the contents of those that may say classes.
        own_name: gives the name under which a file is kept.
    """
    for entry in files:
        name = entry.name
        if is_hidden(name):
            others.append(name)
            continue
        called = name.lower().endswith(PICTURES)
        of_set = name.rpartition("/")[2].lower() in TABLES
        of_classes = of_set or split_key(name)[1] in BESIDE
        name = name if of_set else own_name(name)
        try:
            content = entry.content(
                lambda head, known=called or of_classes: known or format_of(head) is not None  # type: ignore[misc]
            )
        except DataError as error:
            yield name, error
            continue
        if content is None or of_classes:
            others.append(name)
            if content is not None:
                tables[name] = content
        else:
            yield name, content


def _classes(
    files: Sequence[str], tables: Mapping[str, bytes], reading: PictureReading
) -> tuple[tuple[str, ...], np.ndarray | None, list[str]]:
    """By a table that lies beside the pictures, a file beside each, or their folders."""
    if not reading.labels:
        shares = folder_shares(files)
        return (), None, [shares] if shares else []
    column = reading.labels if isinstance(reading.labels, str) else None
    of_set = {name: text for name, text in tables.items() if split_key(name)[1] not in BESIDE}
    beside = {name: text for name, text in tables.items() if name not in of_set}
    classes, numbers, said = by_key(beside, files, column) or by_table(
        of_set, files, column, values_beside(beside, files)
    )
    if numbers is None:
        classes, numbers = by_folder(files)
        if said and numbers is None:
            raise DataError(
                f"there are no classes to learn: {said}. Mend it, or set data.labels=false."
            )
        said = f"classes by folders: {said}" if said else ""
    return classes, numbers, [said] if said else []


def read_image(
    path: Path, height: int, width: int, channels: int, background: str = "white"
) -> np.ndarray:
    """One picture `(height, width, channels)`, brought to that shape; of several the first.

    A PictureWarning says if it is cut or resized, or if there are several.

    Args:
        path: its file.
        height: in pixels.
        width: in pixels.
        channels: bytes are brought to grey (1) or colour (3).
        background: a colour's name or #rrggbb, behind what is transparent.

    Raises:
        DataError: if it cannot be read, or is not bytes and has another number of channels.
    """
    try:
        frames = decoded(path.read_bytes(), PictureReading(background=background)).frames
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    except DataError as error:
        raise DataError(f"{path} cannot be used: {error}.") from error
    pixels = frames[0]
    if len(frames) > 1:
        _say(f"{path} holds {len(frames):,} pictures; the first is used")
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        image = as_pil(pixels).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(image).reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] != channels:
        raise DataError(
            f"{path} has {pixels.shape[2]} channels, and {channels} are needed; give another."
        )
    across, down = pixels.shape[1::-1]
    if (across, down) != (width, height):
        scale = min(across / width, down / height)
        middle = round(width * scale), round(height * scale)
        part = "it" if middle == (across, down) else f"its middle {middle[0]} x {middle[1]}"
        _say(f"{path} has {across} x {down} pixels; {part} is resized to {width} x {height}")
    return fitted(pixels, width, height)


def _say(text: str) -> None:
    warnings.warn(text, PictureWarning, stacklevel=3)


def read_mask(path: Path, height: int, width: int) -> tuple[np.ndarray, int]:
    """Which pixels of a mask are white `(height, width)`, and how many are transparent.

    It is cut and resized as `read_image` does, with the same warnings. A pixel is white if it is
    above the middle grey; what is transparent is not.

    Raises:
        DataError: if it cannot be read or is not of bytes.
    """
    over_black, over_white = (
        read_image(path, height, width, 1, behind) for behind in ("black", "white")
    )
    if over_black.dtype != np.uint8:
        raise DataError(f"{path} holds values of {over_black.dtype}; a mask is of bytes.")
    white = over_black[..., 0] >= 128
    return white, int(((over_white[..., 0] >= 128) & ~white).sum())
