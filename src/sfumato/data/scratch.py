"""Where many pixels and large tables lie: in memory, or in a file without a name.

Pixels are paged in by the system; arrays of a `ScratchFile` are read when they are asked for. The
file is freed when the program ends.
"""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.errors import DataError

# Bytes of pixels; what is more lies in a file.
IN_MEMORY = 2**30

_BYTES: np.dtype[Any] = np.dtype(np.uint8)


def scratch_folder() -> str:
    """The folder for large files that live as long as the program: TMPDIR, or the system's.

    Raises:
        DataError: if no file can be written in TMPDIR.
    """
    lasting = "/var/tmp"  # noqa: S108 - on disk, where /tmp often is memory
    if not (named := os.environ.get("TMPDIR")):
        return lasting if _takes_files(lasting) else tempfile.gettempdir()
    if not _takes_files(named):
        raise DataError(
            f"TMPDIR is {named}, which is no folder, or none to write in; name another folder by "
            "TMPDIR."
        )
    return named


def _takes_files(folder: str) -> bool:
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _no_room(what: str, instead: str = "take a smaller data.size") -> str:
    return (
        f"there is no room in {scratch_folder()} for {what}; name another folder by TMPDIR, or "
        f"{instead}."
    )


def room(shape: tuple[int, ...], dtype: np.dtype[Any] = _BYTES) -> np.ndarray:
    """Values of this shape to be written: in memory, or if they are too many in a file.

    Raises:
        DataError: if the disk has no room for them.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    folder = scratch_folder()
    if shutil.disk_usage(folder).free < size:  # to write a mapped file beyond the disk is a crash
        raise DataError(
            _no_room(f"{shape[0]:,} pictures of {shape[2]} x {shape[1]}, {size / 2**30:.1f} GiB")
        )
    with tempfile.TemporaryFile(prefix="sfumato", dir=folder) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


class ScratchFile:
    """Arrays in a file without a name, one after the other."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+b", 0, prefix="sfumato", dir=scratch_folder())  # noqa: SIM115 - closed when nobody reads from it any more
        weakref.finalize(self, self._file.close)
        self.size = 0

    def append(self, values: np.ndarray) -> int:
        """Write an array after those that are there; the byte where it begins.

        Raises:
            DataError: if the disk has no room for it.
        """
        start, content = self._file.seek(self.size), _bytes_of(np.ascontiguousarray(values))
        try:
            while self.size < start + len(content):
                self.size += self._file.write(content[self.size - start :])
        except OSError as error:
            raise DataError(
                _no_room(f"{self.size / 2**30:.1f} GiB of a table and more", "take fewer columns")
            ) from error
        return start

    def read(self, start: int, count: int, dtype: np.dtype[Any]) -> np.ndarray:
        """So many values, `(count,)`, from a byte on."""
        found = np.empty(count, dtype)
        content, done = _bytes_of(found), 0
        self._file.seek(start)
        while done < len(content):
            count_read = self._file.readinto(content[done:])
            assert count_read, "what was written is there"
            done += count_read
        return found


def _bytes_of(values: np.ndarray) -> memoryview:
    """The memory of an array; dates and times have no view of their own."""
    return values.reshape(-1).view(np.uint8).data


class Spool:
    """Pictures that have been decoded, by name, until it is known which of them can be used."""

    def __init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="sfumato", dir=scratch_folder())  # noqa: SIM115 - closed by __exit__
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, np.dtype[Any]] = {}
        self._places: dict[str, int] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __setitem__(self, name: str, pixels: np.ndarray) -> None:
        """Write a picture, `(height, width, channels)`, after those that are there.

        Raises:
            DataError: if the disk has no room for it.
        """
        self.shapes[name], self._places[name] = pixels.shape, self.file.seek(0, os.SEEK_END)
        self.dtypes[name] = pixels.dtype
        try:
            self.file.write(pixels.tobytes())
        except OSError as error:
            raise DataError(_no_room(f"{len(self.shapes):,} pictures and more")) from error

    def __getitem__(self, name: str) -> np.ndarray:
        """Read it."""
        shape, dtype = self.shapes[name], self.dtypes[name]
        self.file.seek(self._places[name])
        content = self.file.read(math.prod(shape) * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(shape)


def gathered(
    pictures: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any] = _BYTES
) -> np.ndarray:
    """Pictures in one array; grey ones among coloured ones become coloured."""
    pixels = room(shape, dtype)
    for k, each in enumerate(pictures):
        pixels[k] = each if each.ndim == 3 else each[:, :, None]
    return pixels
