"""Pictures from folders, archives and arrays, as bytes of one size.

What a picture may be is brought to what a network takes: turned as its EXIF says, 16 bits scaled
to 8, palettes and CMYK to red, green and blue, what is transparent laid over a background; grey if
all are grey. Nothing is dropped silently: what cannot be used is named, all of it in one error,
with what to do. Archives are read where they are. Nothing is ever unpickled.

Pictures are decoded once, a thread for each processor where that pays. What does not fit IN_MEMORY
then lies in a file without a name, which the system pages in as it is asked for and frees when the
program ends.
"""

import io
import lzma
import os
import tarfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sfumato.data.images import Images, as_images, as_pil, colour, fitted, squared, to_grey_or_rgb
from sfumato.data.scratch import Spool, gathered
from sfumato.errors import DataError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}

# A camera's picture at most; a file that claims more is not decoded.
LARGEST = 25_000_000

# No file of a picture that may be read is larger.
_LARGEST_FILE = 2**28

# Bytes of a file below which threads cost more than they bring, as most of its time is Python's,
# which one thread at a time has (JPEGs of some 250 pixels a side; bench/decoding.py).
_LITTLE = 2**14


def holds_images(path: Path) -> bool:
    """Whether this is a folder, an archive, or a file of an array of pictures."""
    try:
        if path.is_dir() or path.name.lower().endswith(_ARCHIVES):
            return True
        if path.suffix.lower() == ".npy":
            return bool(np.load(path, mmap_mode="r", allow_pickle=False).ndim > 2)
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return _of_npz(arrays).ndim > 2
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        pass
    return False


def read_images(
    path: Path,
    *,
    size: int | None = None,
    labels: bool = True,
    background: str = "white",
    skip_bad: bool = False,
) -> Images:
    """The pictures of a folder, a .zip or .tar archive, or a .npy or .npz file.

    The class of a picture is the first folder by which the pictures' paths differ. The order is
    that of the names.

    Args:
        path: where they are.
        size: bring the shorter side to so many pixels and cut the middle square.
        labels: read the classes.
        background: a colour's name or #rrggbb, behind what is transparent.
        skip_bad: leave out what cannot be used.

    Raises:
        DataError: naming what cannot be used, and what to do.
    """
    behind = colour(background)
    if path.suffix.lower() in (".npy", ".npz"):
        return squared(_from_file(path), size)
    bad: dict[str, str] = {}
    others: list[str] = []
    with Spool() as spool:
        try:
            decode = partial(_decoded, size=size, behind=behind)
            for name, pixels in _in_threads(decode, _pictures_of(path, others)):
                if isinstance(pixels, DataError):
                    bad[name] = str(pixels)
                else:
                    spool[name] = pixels
        except (OSError, EOFError, tarfile.TarError, BadZipFile) as error:
            where = getattr(error, "filename", None) or path
            raise DataError(
                f"cannot read {where}: {getattr(error, 'strerror', None) or error}."
            ) from error
        return _of_spool(path, spool, bad, len(others), labels=labels, skip_bad=skip_bad)


def _of_spool(
    path: Path,
    spool: "Spool",
    bad: dict[str, str],
    others: int,
    *,
    labels: bool,
    skip_bad: bool,
) -> Images:
    """The pictures of the size that most have.

    Raises:
        DataError: if some cannot be used and are not to be left out, or none can.
    """
    shapes = spool.shapes
    sizes = Counter(shape[:2] for shape in shapes.values())
    usual = max(sizes, key=lambda size: (sizes[size], size)) if sizes else None
    for name in [name for name, shape in shapes.items() if shape[:2] != usual]:
        height, width, _ = shapes.pop(name)
        bad[name] = f"{width} x {height} pixels"
    if bad and not skip_bad:
        raise DataError(_complaint(path, bad, usual, len(shapes)))
    if usual is None:
        what = f" (but {others} other files)" if others else ""
        raise DataError(
            f"{path} holds no picture that can be used{what}; give a folder or archive of "
            f"{', '.join(PICTURES)} files."
        )
    names = sorted(shapes)
    classes, numbers = _classes(names) if labels else ((), None)
    left_out = tuple(f"{_legible(name)}: {reason}" for name, reason in sorted(bad.items()))
    channels = max(shapes[name][2] for name in names)
    pixels = gathered(map(spool.__getitem__, names), (len(names), *usual, channels))
    return Images(pixels, numbers, classes, names, left_out)


def _complaint(path: Path, bad: dict[str, str], usual: tuple[int, ...] | None, good: int) -> str:
    """All that cannot be used, gathered by its reason."""
    of_size = {name for name, reason in bad.items() if reason.endswith(" pixels")}
    reasons: dict[str, list[str]] = {}
    for name, reason in sorted(bad.items()):
        key = f"not {usual[1]} x {usual[0]} as most are" if usual and name in of_size else reason
        known = _legible(name)
        reasons.setdefault(key, []).append(f"{known} ({reason})" if name in of_size else known)
    faults = "; ".join(
        f"{reason}: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" * (len(names) > 3))
        for reason, names in reasons.items()
    )
    fixes = ["--set data.size=32 brings all to one size"] if of_size else []
    if len(bad) > len(of_size) or not of_size:
        fixes.append("mend or remove them")
    fixes.append("--set data.skip_bad=true leaves them out")
    return f"{path}: {len(bad)} of {len(bad) + good} pictures cannot be used: {faults}. Do: " + (
        ", or ".join(fixes) + "."
    )


def _legible(name: str) -> str:
    """On one line, whatever a file is called: line breaks and bytes that are no text as `?`."""
    return "".join(each if each.isprintable() else "?" for each in name)


# ------------------------------------------------------------------------ where they are


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names, with `/` between folders, and what reads each file; hidden ones are not looked at.

    Raises:
        OSError, tarfile.TarError, BadZipFile: if the folder or archive cannot be gone through.
    """
    if path.is_dir():
        for file in _below(path, ()):
            yield file.relative_to(path).as_posix(), partial(_read_file, file)
    elif path.name.lower().endswith(".zip"):
        with ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and _seen(entry.filename):
                    yield entry.filename, partial(_read_entry, archive, entry)
    else:
        with tarfile.open(path, "r|*", tarinfo=_Member) as stream:
            for member in stream:
                content = stream.extractfile(member) if member.isfile() else None
                if content is not None and _seen(member.name):
                    yield member.name, partial(_read, member.size, content.read)


def _below(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Every file, and links that lead nowhere; links to folders are followed, but not back up."""
    above = (*above, folder.resolve())
    for each in sorted(folder.iterdir()):
        if not _seen(each.name):
            continue
        if each.is_dir():
            if each.resolve() not in above:
                yield from _below(each, above)
        elif each.is_file() or (each.is_symlink() and not each.exists()):
            yield each


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


def _read(size: int, read: Callable[..., bytes], *entry: Any) -> bytes:
    if size > _LARGEST_FILE:
        raise DataError("a file beyond 256 MiB")
    return read(*entry)


def _read_file(file: Path) -> bytes:
    try:
        return _read(file.stat().st_size, file.read_bytes)
    except OSError as error:
        raise DataError((error.strerror or str(error)).lower()) from error


def _read_entry(archive: ZipFile, entry: ZipInfo) -> bytes:
    if entry.flag_bits & 1:
        raise DataError("encrypted")
    try:
        return _read(entry.file_size, archive.read, entry)
    except (BadZipFile, EOFError, NotImplementedError, zlib.error, lzma.LZMAError) as error:
        raise DataError("truncated or damaged") from error


def _pictures_of(path: Path, others: list[str]) -> Iterator[tuple[str, bytes | DataError]]:
    """Names and contents of the files that are pictures by their name; names of the rest."""
    for name, read in _files(path):
        if not name.lower().endswith(PICTURES):
            others.append(name)
            continue
        try:
            yield name, read()
        except DataError as error:
            yield name, error


def _in_threads(
    decode: Callable[[bytes], np.ndarray], files: Iterable[tuple[str, bytes | DataError]]
) -> Iterator[tuple[str, np.ndarray | DataError]]:
    """What becomes of each file, in their order; decoders let other threads run beside them."""

    def decoded(content: bytes | DataError) -> np.ndarray | DataError:
        try:
            return content if isinstance(content, DataError) else decode(content)
        except DataError as error:
            return error

    workers = os.cpu_count() or 1
    waiting: deque[tuple[str, Callable[[], np.ndarray | DataError]]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        for name, content in files:
            if isinstance(content, DataError) or len(content) < _LITTLE:
                waiting.append((name, partial(decoded, content)))
            else:
                waiting.append((name, threads.submit(decoded, content).result))
            if len(waiting) > 2 * workers:  # no more than that lie about, which may be large
                first, result = waiting.popleft()
                yield first, result()
        for name, result in waiting:
            yield name, result()


def _seen(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") or part.lower() in _JUNK for part in parts if part != "./")


def _classes(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """The first folder by which the paths differ, and its number for each name."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    depth = 0
    while all(len(parts) > depth for parts in folders):
        found = sorted({parts[depth] for parts in folders})
        if len(found) > 1:
            number = {name: k for k, name in enumerate(found)}
            return tuple(found), np.array([number[parts[depth]] for parts in folders])
        depth += 1
    return (), None


# ------------------------------------------------------------------------ one picture


def _decoded(content: bytes, size: int | None, behind: tuple[int, ...]) -> np.ndarray:
    """A file's picture as bytes `(height, width, 1 or 3)`.

    Raises:
        DataError: saying in a few words what is wrong with it.
    """
    if not content:
        raise DataError("empty")
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > LARGEST:
                raise DataError("beyond 25 megapixels")
            if size is not None:
                image.draft(None, (2 * size, 2 * size))  # a JPEG need not be decoded in full
            upright = ImageOps.exif_transpose(image)
            upright.load()
            plain = to_grey_or_rgb(upright, behind)
    except UnidentifiedImageError:
        raise DataError("not a picture") from None
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError("beyond 25 megapixels") from None
    except Exception:  # what decoders raise at damaged files is of any kind
        raise DataError("truncated or damaged") from None
    pixels = np.asarray(plain if size is None else fitted(plain, size))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def read_image(
    path: Path, height: int, width: int, channels: int, background: str = "white"
) -> np.ndarray:
    """One picture as bytes `(height, width, channels)`, brought to that shape.

    Args:
        path: its file.
        height: in pixels.
        width: in pixels.
        channels: 1 (grey) or 3.
        background: a colour's name or #rrggbb, behind what is transparent.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        pixels = _decoded(path.read_bytes(), None, colour(background))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    except DataError as error:
        raise DataError(f"{path} cannot be used: {error}.") from error
    image = as_pil(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(height, width, channels)


# ------------------------------------------------------------------------ arrays and sets


def _of_npz(arrays: Any) -> np.ndarray:
    names = [name for name in ("pixels", "images", "x", "data") if name in arrays.files]
    if not names and len(arrays.files) != 1:
        raise DataError(
            f"holds the arrays {', '.join(arrays.files) or 'none'}; name the pictures `pixels`."
        )
    return np.asarray(arrays[(names or arrays.files)[0]])


def _from_file(path: Path) -> Images:
    try:
        if path.suffix.lower() == ".npy":
            return as_images(np.load(path, mmap_mode="r", allow_pickle=False))
        with np.load(path, allow_pickle=False) as arrays:
            labels = next((arrays[name] for name in ("labels", "y") if name in arrays.files), None)
            return as_images(_of_npz(arrays), labels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is not a whole file of arrays; write it again.") from error
