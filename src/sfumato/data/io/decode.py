"""The pictures in the content of one file: frames, or pages, as values of a file's own type.

Pillow reads what bytes hold: grey or colour, palettes and CMYK brought to red, green and blue, what
is transparent laid over a background, turned as EXIF says. What bytes do not hold is left as it
is: 16 bits of grey by Pillow, more bands and other types of a TIFF by `data.io.tiff`.
"""

import io
import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sfumato.data.images import PictureReading, colour, fitted
from sfumato.data.io.files import HEAD, LARGEST_FILE
from sfumato.data.io.netpbm import netpbm
from sfumato.data.io.scans import scan_format, scanned, unpacked
from sfumato.data.io.tiff import tiff_frames
from sfumato.data.io.tiff_directories import (
    BANDS,
    BITS,
    COLOUR,
    DEPTH,
    DESCRIPTION,
    SIGNS,
    SUBFILE,
    Tags,
    directories,
    is_picture,
)
from sfumato.errors import DataError

# A camera's picture at most; a file that claims more is not decoded.
LARGEST = 25_000_000

# Values in all frames of a file that are held at once.
_LARGEST_STACK = 2**28

_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

# The first bytes of the files that are pictures, whatever they are called.
_SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda head: head.startswith(b"\xff\xd8\xff"),
    "PNG": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "GIF": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    "WEBP": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "BMP": lambda head: head.startswith(b"BM") and head[6:10] == b"\0\0\0\0",
    "TIFF": lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    "JPEG 2000": lambda head: head.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")),
    "AVIF": lambda head: head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"),
    "HEIC": lambda head: head[4:8] == b"ftyp" and head[8:12] in _HEIC,
    "PPM": lambda head: re.match(rb"P[1-6]\s+(#|[0-9])", head) is not None,
}

# Formats whose further frames are pictures too; a phone's MPO holds previews and gain maps there.
_OF_FRAMES = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a file holds.

    Args:
        frames: pictures `(height, width, channels)`.
        notes: what a person should know of them.
    """

    frames: list[np.ndarray]
    notes: tuple[str, ...] = ()


def format_of(head: bytes) -> str | None:
    """The format that the first bytes of a file are of; None if it is no picture."""
    known = (name for name, begins in _SIGNATURES.items() if begins(head))
    return next(known, None) or scan_format(head)


def decoded(content: bytes, reading: PictureReading) -> Decoded:
    """A file's pictures, brought to the size that is asked for.

    Raises:
        DataError: saying in a few words what is wrong with it.
    """
    if not content:
        raise DataError("empty")
    content = unpacked(content, LARGEST_FILE)
    kind = format_of(content[:HEAD])
    if kind is not None and kind == scan_format(content[:HEAD]):
        return _cut(Decoded(scanned(kind, content, _LARGEST_STACK)), reading)
    if kind == "HEIC" and not _opens_heic():
        raise DataError("HEIC, which pillow-heif reads: pip install 'sfumato[heic]'")
    try:
        if kind is not None and _is_deep(kind, content):
            return _cut(Decoded([_deep(kind, content)]), reading)
        if kind == "PPM" and (values := netpbm(content, LARGEST)) is not None:
            return _cut(Decoded([values]), reading)
        if kind == "GIF" and not _ends(content):
            raise DataError("truncated or damaged")
        if kind == "TIFF":
            tags = directories(content)
            if (tiff := _of_bytes(content, tags)) is None:
                return _cut(Decoded(tiff_frames(content, _LARGEST_STACK)), reading)
            return frames_of(tiff, reading, [k for k, each in enumerate(tags) if is_picture(each)])
        with Image.open(io.BytesIO(content)) as image:
            return frames_of(image, reading)
    except UnidentifiedImageError:
        raise DataError("not a picture" if kind is None else "truncated or damaged") from None
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError("beyond 25 megapixels") from None
    except Exception:  # what decoders raise at damaged files is of any kind
        raise DataError("truncated or damaged") from None


def frames_of(
    image: Image.Image, reading: PictureReading, pages: Sequence[int] | None = None
) -> Decoded:
    """The frames of a picture of Pillow.

    Args:
        image: which may have several.
        reading: how.
        pages: those that are pictures, where it is known.

    Raises:
        DataError: if it is too large, or is transparent and not of bytes.
    """
    if image.width * image.height > LARGEST:
        raise DataError("beyond 25 megapixels")
    if reading.size is not None:  # a JPEG need not be decoded in full
        image.draft(None, (2 * reading.size, 2 * reading.size))
    pages = _pages(image) if pages is None else pages
    count = len(pages)
    if image.format not in _OF_FRAMES and getattr(image, "n_frames", 1) > 1:
        notes = ["with previews beside, which are not used"]
    else:
        notes = []
    if reading.frames == "first":
        notes += [f"cut to the first of {count} frames"] * (count > 1)
        pages = pages[:1]
    behind = colour(reading.background)
    found: list[np.ndarray] = []
    held = 0
    for page in pages:
        image.seek(page)
        if image.width * image.height > LARGEST:  # a page may be larger than the first one
            raise DataError("beyond 25 megapixels")
        if image.mode in ("CMYK", "LAB"):
            notes.append(f"{image.mode}, brought to red, green and blue")
        upright = ImageOps.exif_transpose(image)
        upright.load()
        pixels, transparent = plain(upright, behind)
        notes += [f"transparent, on {reading.background} (data.background)"] * transparent
        found.append(_sized(pixels, reading))
        held += math.prod(found[-1].shape[:2])
        if held > _LARGEST_STACK:
            raise DataError(f"{count:,} frames, more than are read at once")
    return _cut(Decoded(found, tuple(dict.fromkeys(notes))), reading)


def _pages(image: Image.Image) -> Sequence[int]:
    """Which frames are pictures: no previews of a phone, no smaller copies and masks of a TIFF."""
    count = getattr(image, "n_frames", 1)
    if image.format not in _OF_FRAMES or count == 1:
        return [image.tell()]
    if image.format != "TIFF":
        return range(count)
    found = []
    for page in range(count):
        image.seek(page)
        if is_picture({SUBFILE: (image.tag_v2.get(SUBFILE, 0),)}):  # type: ignore[attr-defined]
            found.append(page)
    return found


def _cut(found: Decoded, reading: PictureReading) -> Decoded:
    """Those frames that are asked for, in the size that is."""
    frames, notes = found.frames, found.notes
    if not frames:
        raise DataError("truncated or damaged")
    if reading.frames == "first" and len(frames) > 1:
        frames, notes = frames[:1], (*notes, f"cut to the first of {len(frames)} frames")
    return Decoded([_sized(each, reading) for each in frames], notes)


def _sized(frame: np.ndarray, reading: PictureReading) -> np.ndarray:
    """In the size that is asked for."""
    return frame if reading.size is None else fitted(frame, reading.size, reading.size)


def plain(image: Image.Image, behind: tuple[int, ...]) -> tuple[np.ndarray, bool]:
    """Values `(height, width, channels)`, and whether something was transparent.

    Args:
        image: of Pillow, in any mode.
        behind: red, green and blue behind what is transparent.

    Raises:
        DataError: if it is transparent and not of bytes.
    """
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if image.mode.startswith("I") or image.mode == "F":
        if transparent:
            raise DataError("transparent, in more than 8 bits; save it without")
        values = np.asarray(image)
        if image.format == "PPM":  # whose own white Pillow brings to 65535
            values = values.astype(np.uint16)
        return values.astype(values.dtype.newbyteorder("="))[:, :, None], False
    grey = image.mode in ("1", "L", "LA", "La") and "transparency" not in image.info
    if transparent:
        whole = image.convert("RGBA")
        transparent = bool((np.asarray(whole)[..., 3] < 255).any())
        under = Image.new("RGBA", whole.size, (*behind, 255))
        flat = Image.alpha_composite(under, whole).convert("RGB")
        image = flat.convert("L") if grey and len(set(behind)) == 1 else flat
    else:
        image = image.convert("L" if grey else "RGB")
    pixels = np.asarray(image)
    return (pixels if pixels.ndim == 3 else pixels[:, :, None]), transparent


def _of_bytes(content: bytes, pages: Sequence[Tags]) -> Image.Image | None:
    """A TIFF as Pillow opens it, if all that it holds is what Pillow reads.

    That is bytes, in as many bands as there are.
    """
    described = bytes(pages[0].get(DESCRIPTION, ()))  # of the axes of all pages, or of one of many
    named = b"ImageJ=" in described or b"<OME" in described
    if (named and len(pages) > 1) or b"images=" in described or b'"truncated": true' in described:
        return None
    if content.startswith(b"MM\0+"):  # which Pillow takes for a small TIFF
        return None
    plain = {BITS: range(9), SIGNS: (1,), DEPTH: (1,)}
    if any(set(tags.get(tag, (1,))) - set(held) for tags in pages for tag, held in plain.items()):
        return None
    try:
        image = Image.open(io.BytesIO(content))
        kinds = {tuple(map(tags.get, COLOUR)): page for page, tags in enumerate(pages)}
        for page in kinds.values():
            image.seek(page)
            if len(image.getbands()) != pages[page].get(BANDS, (1,))[0]:
                return None
    except (OSError, SyntaxError, EOFError):
        return None
    return image


def _ends(content: bytes) -> bool:
    """Whether a GIF comes to its trailer; where it is cut off, Pillow sees the last of its frames.

    Source: the specification GIF89a, section 15 and following.
    """

    def colours(flags: int) -> int:
        return 3 * 2 ** (flags % 8 + 1) if flags & 128 else 0

    try:
        place = 13 + colours(content[10])
        while content[place] != 0x3B:
            block = content[place]
            if block not in (0x21, 0x2C):  # padding, which Pillow passes over too
                place += 1
                continue
            place += 2 if block == 0x21 else 11 + colours(content[place + 9])
            while content[place]:
                place += 1 + content[place]
            place += 1
    except IndexError:
        return False
    return True


def _is_deep(kind: str, content: bytes) -> bool:
    """Whether Pillow would not read all bits of a file, or bring them to its own scale."""
    if kind == "PNG":
        return content[24] == 16 and content[25] != 0
    if kind == "JPEG 2000":
        begin = content.find(b"\xff\x4f\xff\x51")
        bits = content[begin + 42] % 128 + 1  # of which it makes 8 or 16
        several = content[begin + 40 : begin + 42] > b"\0\1"
        signed = content[begin + 42] > 127  # which it moves to where there are no negative ones
        return begin >= 0 and (signed or (bits > 8 and (several or bits < 16)))
    return kind == "JPEG" and _jpeg_frame(content)[:2] not in _PLAIN_JPEG


def _jpeg_frame(content: bytes) -> tuple[int, int, int]:
    """Of a JPEG's frame header the marker, which tells the process, the bits and the place.

    Source: ITU-T T.81, B.1 and B.2.
    """
    place = 2
    while (marker := content[place + 1]) not in _FRAMES or content[place] != 0xFF:
        if content[place] != 0xFF or marker in (0, 0xFF):  # between segments
            place += 1
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return marker, content[place + 4], place


_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


# Sequential and progressive, each also with arithmetic coding.
_PLAIN_JPEG = {(marker, 8) for marker in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)}


def _deep(kind: str, content: bytes) -> np.ndarray:
    """The values of such a file, by imagecodecs."""
    if _claimed(kind, content) > LARGEST:
        raise DataError("beyond 25 megapixels")
    if find_spec("imagecodecs") is None:
        raise DataError(f"{kind} of more than 8 bits or lossless: pip install 'sfumato[tiff]'")
    import imagecodecs

    values = np.asarray(getattr(imagecodecs, _DECODERS[kind])(content))
    values = values if values.ndim == 3 else values[:, :, None]
    if values.shape[2] in (2, 4):  # with transparency
        if (values[:, :, -1] < np.iinfo(values.dtype).max).any():
            raise DataError("transparent, in more than 8 bits; save it without")
        values = values[:, :, :-1]
    return values


def _claimed(kind: str, content: bytes) -> int:
    """How many pixels the header of such a file claims."""
    if kind == "PNG":
        return math.prod(struct.unpack_from(">II", content, 16))
    if kind == "JPEG":
        return math.prod(struct.unpack_from(">HH", content, _jpeg_frame(content)[2] + 5))
    siz = content.find(b"\xff\x4f\xff\x51")
    right, bottom, left, top = struct.unpack_from(">4I", content, siz + 8)
    return int((right - left) * (bottom - top))


_DECODERS = {"PNG": "png_decode", "JPEG 2000": "jpeg2k_decode", "JPEG": "jpeg_decode"}


def _opens_heic() -> bool:
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True
