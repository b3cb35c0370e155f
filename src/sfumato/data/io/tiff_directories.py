"""What a TIFF says of its pages: the tags of each directory.

A library that goes by the first page may miss that others are of another type, are smaller copies
of it or, after a thumbnail, are what a camera's sensor saw; and of a file that is cut off, that
there are others.
"""

import struct

from sfumato.errors import DataError

Tags = dict[int, tuple[int, ...]]
"""Integers and bytes of a directory, by the number of the tag."""

SUBFILE, BITS, PHOTOMETRIC, DESCRIPTION, BANDS, CHILDREN = 254, 258, 262, 270, 277, 330
EXTRA, SIGNS, DEPTH = 338, 339, 32997

COLOUR = (PHOTOMETRIC, BITS, BANDS, SIGNS, EXTRA)
"""What tells how a page is to be read."""

NO_PICTURE = 1 | 4
"""Of the subfile type: a smaller copy of another page, or a mask."""

# Where the strips or tiles of a page begin, and how long they are.
_PARTS = ((273, 279), (324, 325))

_KNOWN = {SUBFILE, DESCRIPTION, CHILDREN, DEPTH, *COLOUR}
_KNOWN |= {tag for pair in _PARTS for tag in pair} | {347}  # what JPEGs of all parts share

_LETTERS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}

# Values in the tags of all pages. As tags may share values, a small file could claim any number.
_MOST_VALUES = 2**24

# Photometric: colour filter array, and DNG's linear raw.
_SENSOR = {(32803,), (34892,)}


def directories(content: bytes) -> list[Tags]:
    """The tags of each page of a TIFF or BigTIFF.

    Source: TIFF 6.0, section 2; Adobe's technical notes of 1995 for directories below a page.

    Raises:
        DataError: saying in a few words that it is cut off, is camera raw, or has no page but
            smaller copies and masks.
    """
    pages: list[Tags] = []
    every: dict[int, Tags] = {}
    left = _MOST_VALUES
    try:
        order = "<" if content.startswith(b"II") else ">"
        number, entry, pointer = (order + each for each in _sizes(content))
        waiting = [(*struct.unpack_from(pointer, content, 8 if pointer[1] == "Q" else 4), True)]
        while waiting:
            offset, is_page = waiting.pop()
            if offset == 0 or offset in every:
                continue
            found = _directory(content, offset, number, entry, pointer, left)
            every[offset], following, left = found
            if is_page:
                pages.append(every[offset])
            waiting += [(each, False) for each in every[offset].get(CHILDREN, ())]
            waiting.append((following, is_page))
    except struct.error:
        raise DataError("truncated or damaged") from None
    if content[8:10] == b"CR" or any(tags.get(PHOTOMETRIC) in _SENSOR for tags in every.values()):
        raise DataError("camera raw; develop it and save it as a TIFF or JPEG")
    if not pages or any(_end(tags) > len(content) for tags in pages):
        raise DataError("truncated or damaged")
    if not any(map(is_picture, pages)):
        raise DataError("smaller copies or masks of a picture that is not in the file")
    return pages


def is_picture(page: Tags) -> bool:
    """Whether a page is neither a smaller copy of another one nor a mask."""
    return not page.get(SUBFILE, (0,))[0] & NO_PICTURE


def _sizes(content: bytes) -> tuple[str, str, str]:
    """How a count of entries, the beginning of one, and an offset are stored."""
    return ("Q", "HHQ", "Q") if 43 in content[2:4] else ("H", "HHI", "I")


def _directory(
    content: bytes, offset: int, number: str, entry: str, pointer: str, left: int
) -> tuple[Tags, int, int]:
    """The known tags of a directory, where the next one is, and how many values may follow."""
    (count,) = struct.unpack_from(number, content, offset)
    first, head, width = offset + struct.calcsize(number), *map(struct.calcsize, (entry, pointer))
    tags = {}
    for place in range(first, first + count * (head + width), head + width):
        tag, kind, length = struct.unpack_from(entry, content, place)
        if tag in _KNOWN and kind in _LETTERS and length:
            left -= length
            if left < 0:
                raise DataError("truncated or damaged")
            values = f"{pointer[0]}{length}{_LETTERS[kind]}"
            where = place + head
            if struct.calcsize(values) > width:
                (where,) = struct.unpack_from(pointer, content, where)
            tags[tag] = struct.unpack_from(values, content, where)
    (following,) = struct.unpack_from(pointer, content, first + count * (head + width))
    return tags, following, left


def _end(tags: Tags) -> int:
    """Where the last strip or tile of a page ends."""
    parts = ((tags.get(begin, ()), tags.get(length, ())) for begin, length in _PARTS)
    return max((sum(pair) for each in parts for pair in zip(*each, strict=False)), default=0)
