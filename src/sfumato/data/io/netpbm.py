"""PGM and PPM as they are stored: a file states its own white, to which no value is scaled."""

import math
import re

import numpy as np

from sfumato.errors import DataError

_BETWEEN = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([2356])" + 3 * (_BETWEEN + rb"(\d{1,9})") + rb"(?:#[^\r\n]*)?\s")


def netpbm(content: bytes, largest: int) -> np.ndarray | None:
    """The values `(height, width, channels)` of a file whose white is not 255, uint16.

    Source: pgm(5) and ppm(5) of Netpbm.

    Args:
        content: of the file.
        largest: pixels that are read.

    Returns:
        None of other files: of bytes and bits, which Pillow reads.

    Raises:
        DataError: saying in a few words why it cannot be read.
    """
    header = _HEADER.match(content)
    if header is None or (white := int(header[4])) == 255:
        return None
    width, height = int(header[2]), int(header[3])
    if width * height > largest:
        raise DataError("beyond 25 megapixels")
    if not 0 < white < 2**16:
        raise DataError("truncated or damaged")
    shape = height, width, 3 if header[1] in b"36" else 1
    count = math.prod(shape)
    raster = content[header.end() :]
    try:
        if header[1] in b"23":
            text = re.sub(rb"#[^\r\n]*", b"", raster).split(None, count)
            values = np.array(text[:count], dtype=np.uint16)
        else:
            values = np.frombuffer(raster, ">u2" if white > 255 else "u1", count)
        return values.reshape(shape).astype(np.uint16)
    except (ValueError, OverflowError):
        raise DataError("truncated or damaged") from None
