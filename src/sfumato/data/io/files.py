"""Where files are: in a folder, a .zip or a .tar, which is read where it is.

Every file is given, so that whoever reads them can account for each. Nothing is unpacked to disk.
"""

import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from sfumato.errors import DataError

TARS = (".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
ARCHIVES = (".zip", *TARS)
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}

# No file of a picture that may be read is larger.
LARGEST_FILE = 2**28

# Bytes by which a file's kind is known.
HEAD = 352


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder or archive; of a .tar, to be read before the next is asked for.

    Args:
        name: with `/` between folders.
        size: bytes.
        open: gives its content, as a context manager.
    """

    name: str
    size: int
    open: Callable[[], Any]

    def content(self, wanted: Callable[[bytes], bool]) -> bytes | None:
        """All of it; None if its first bytes are not wanted.

        Raises:
            DataError: saying in a few words why it cannot be read.
        """
        try:
            with self.open() as stream:
                head = stream.read(HEAD)
                if not wanted(head):
                    return None
                if self.size > LARGEST_FILE:
                    raise DataError("a file beyond 256 MiB")
                return bytes(head + stream.read())
        except tarfile.TarError:
            raise
        except OSError as error:
            raise DataError((error.strerror or str(error)).lower()) from error
        except (BadZipFile, EOFError, NotImplementedError, zlib.error, lzma.LZMAError) as error:
            raise DataError("truncated or damaged") from error


def entries(path: Path) -> Iterator[Entry]:
    """Every file of a folder, a .zip or a .tar, hidden ones too.

    Raises:
        OSError, tarfile.TarError, BadZipFile: if the folder or archive cannot be gone through.
    """
    if path.is_dir():
        for file in _below(path, ()):
            size = 0 if file.is_symlink() and not file.exists() else file.stat().st_size
            yield Entry(file.relative_to(path).as_posix(), size, partial(file.open, "rb"))
    elif path.name.lower().endswith(".zip"):
        with ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield Entry(entry.filename, entry.file_size, partial(_open, archive, entry))
    else:
        with tarfile.open(path, "r|*", tarinfo=_Member) as stream:
            for member in stream:
                content = stream.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield Entry(member.name, member.size, partial(nullcontext, content))


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Every file, and links that lead nowhere; links to folders are followed, but not back up."""
    above = (*above, folder.resolve())
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            if each.resolve() not in above:
                yield from _below(each, above)
        elif each.is_file() or (each.is_symlink() and not each.exists()):
            yield each


def _open(archive: ZipFile, entry: ZipInfo) -> IO[bytes]:
    if entry.flag_bits & 1:
        raise DataError("encrypted")
    return archive.open(entry)


class _Member(tarfile.TarInfo):
    """An entry of a .tar; one that cannot be made out is an error, not the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        """As tarfile has it, which takes whatever is no entry for the end, a block of zeros."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not any(buf):
                raise
            raise tarfile.ReadError("it is cut off or damaged; take another copy") from error


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, in a hidden folder, or what a system leaves behind."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts if part != "./")


def by_ending(names: Iterable[str]) -> str:
    """How many files there are of each ending, the most frequent first: `12 .txt, 3 .json`."""
    counts: dict[str, int] = {}
    for name in names:
        ending = PurePosixPath(name).suffix.lower()
        kind = "hidden" if is_hidden(name) else legible(ending) or "without an ending"
        counts[kind] = counts.get(kind, 0) + 1
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in ordered)


def legible(name: str) -> str:
    """On one line, whatever a file is called: line breaks and bytes that are no text as `?`."""
    return "".join(each if each.isprintable() else "?" for each in name)


def read_error(path: Path, error: Exception) -> DataError:
    """What to say of a folder or archive that cannot be gone through."""
    where: Any = getattr(error, "filename", None) or path
    return DataError(f"cannot read {where}: {getattr(error, 'strerror', None) or error}.")
