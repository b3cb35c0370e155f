"""A table inside a .zip archive."""

import shutil
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from sfumato.data.io.decode import format_of
from sfumato.data.io.files import HEAD, is_hidden
from sfumato.data.io.gather import PICTURES
from sfumato.data.io.tables import READ
from sfumato.data.scratch import scratch_folder
from sfumato.errors import DataError

# A larger table is not unpacked: an archive may claim any size.
_LARGEST = 2**34


def zipped_tables(path: Path) -> list[str]:
    """Names of the tables in a .zip that holds tables and no pictures; none for any other file."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return []
    try:
        with ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and not is_hidden(n)]
            tables = [name for name in names if name.lower().endswith(READ)]
            others = (name for name in names if name not in tables)
            if tables and any(_is_picture(archive, name) for name in others):
                return []
    except (OSError, BadZipFile):
        return []
    return tables


def _is_picture(archive: ZipFile, name: str) -> bool:
    if name.lower().endswith(PICTURES):
        return True
    try:
        with archive.open(name) as file:
            return format_of(file.read(HEAD)) is not None
    except (RuntimeError, NotImplementedError, zlib.error):  # encrypted or damaged
        return False


def unpacked(path: Path, name: str, into: Path) -> Path:
    """One file of an archive, written into a folder under its own last name.

    Raises:
        DataError: if it is encrypted, damaged or too large.
    """
    target = into / PurePosixPath(name).name
    try:
        with ZipFile(path) as archive:
            if archive.getinfo(name).file_size > _LARGEST:
                raise DataError(f"{path}: {name} is beyond 16 GiB; unpack it yourself.")
            with archive.open(name) as packed, target.open("wb") as whole:
                shutil.copyfileobj(packed, whole)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path}: {name} cannot be unpacked ({reason}).") from error
    return target


def unpacking_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder to unpack into, which goes when it is left."""
    return tempfile.TemporaryDirectory(prefix="sfumato", dir=scratch_folder())
