"""TIFF beyond bytes: 16 bits and more, signed, decimals, any number of bands, named axes.

A series of tifffile is an array with a letter for each axis: S and C are channels, Y and X the
picture, and the pictures of all others follow each other.
"""

import io
import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from sfumato.data.io.tiff_directories import NO_PICTURE
from sfumato.errors import DataError

if TYPE_CHECKING:
    from tifffile import TiffPageSeries


def tiff_frames(content: bytes, largest: int) -> list[np.ndarray]:
    """The pages of a TIFF `(height, width, channels)`, without smaller copies of them and masks.

    Args:
        content: of the file.
        largest: values that are read at once.

    Raises:
        DataError: saying in a few words why it cannot be read.
    """
    if find_spec("tifffile") is None:
        raise DataError("a TIFF of other than bytes: pip install 'sfumato[tiff]'")
    import tifffile

    try:
        with _logged() as damage, tifffile.TiffFile(io.BytesIO(content)) as file:
            series = [each for each in file.series if not each.keyframe.subfiletype & NO_PICTURE]
            if sum(math.prod(each.shape) for each in series) > largest:
                raise DataError(f"more than {largest:,} values")
            frames = [frame for each in series for frame in _frames(each)]
    except DataError:
        raise
    except ValueError as error:  # what it lacks to decompress it is in its message
        lacks = "imagecodecs" in str(error)
        raise DataError(
            "compressed, which imagecodecs reads: pip install 'sfumato[tiff]'"
            if lacks
            else "truncated or damaged"
        ) from None
    if damage:
        raise DataError("truncated or damaged")
    return frames


@contextmanager
def _logged() -> Iterator[list[logging.LogRecord]]:
    """What tifffile logs as errors in this thread: pages that it does not find, and goes on."""
    found: list[logging.LogRecord] = []

    class Errors(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == threading.get_ident():
                found.append(record)

    logger, handler = logging.getLogger("tifffile"), Errors(logging.ERROR)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _frames(series: "TiffPageSeries") -> list[np.ndarray]:
    values, axes, page = series.asarray(), series.axes, series.keyframe
    if values.dtype.kind not in "uif":
        raise DataError(f"values of {values.dtype}")
    if page.photometric == 3:  # which Pillow reads, if all pages are of bytes
        raise DataError("a palette, in a file that is not of bytes alone")
    if page.photometric == 0:  # white is zero
        if values.dtype.kind != "u":
            raise DataError(f"values of {values.dtype} of which zero is white; say what is black")
        values = np.array(2**page.bitspersample - 1, values.dtype) - values
    if not {"Y", "X"} <= set(axes):
        raise DataError(f"axes {axes}, and not those of pictures")
    channels = [k for k, axis in enumerate(axes) if axis in "SC"]
    others = [k for k, axis in enumerate(axes) if axis not in "SCYX"]
    ordered = values.transpose([*others, axes.index("Y"), axes.index("X"), *channels])
    height, width = (values.shape[axes.index(axis)] for axis in "YX")
    count = math.prod(values.shape[k] for k in channels)
    native = ordered.astype(values.dtype.newbyteorder("="))
    return list(native.reshape(-1, height, width, count))
