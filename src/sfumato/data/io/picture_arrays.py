"""Pictures in arrays of numbers, whose axes have to be told apart.

An array of pictures has three axes, or four with channels: the last, or the first after that of the
pictures. Channels are 1 or 3, or else fewer than a picture is high and wide.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sfumato.data.images import Images, PictureReading, squared, value_range
from sfumato.data.io.gather import AS_IT_IS
from sfumato.data.io.labels import LABELS, numbered
from sfumato.errors import DataError

Arrays = Mapping[str, Callable[[], np.ndarray]]
"""Arrays by name, each to be loaded when it is needed."""

_PICTURES = ("pixels", "images", "image", "x", "data")


def as_images(
    values: Any, labels: Any = None, reading: PictureReading = AS_IT_IS, where: str = "the array"
) -> Images:
    """Pictures in an array.

    Args:
        values: `(n, height, width)`, or with channels last or first.
        labels: a class for each, see `labels.numbered`; looked at if the reading asks for it.
        reading: how.
        where: what to call the array.

    Raises:
        DataError: if they are none, and what to do.
    """
    values = values if isinstance(values, np.ndarray) else np.asarray(values)
    if values.dtype.kind not in "buif":
        raise DataError(
            f"{where}: pictures are numbers, and these are values of type {values.dtype}."
        )
    wanted = reading.range
    if values.dtype.kind == "b":
        values, wanted = values.astype(np.uint8), wanted or (0.0, 1.0)
    if 0 in values.shape:
        raise DataError(f"{where} has the shape {values.shape}: there is no picture in it.")
    ends = value_range(values, wanted, where)
    pixels, notes = _channels_last(values, reading, where)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    names = [f"picture {k + 1}" for k in range(len(pixels))]
    found = Images(pixels, None, (), names, (), notes, ends)
    if reading.labels and labels is not None:
        numbers, classes = numbered(labels, len(pixels))
        found = replace(found, labels=numbers, classes=classes)
    return squared(found, reading.size)


def _channels_last(
    values: np.ndarray, reading: PictureReading, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pictures `(n, height, width, channels)`, and what to say of their axes."""
    shape = values.shape
    if values.ndim == 3 and shape[2] in (1, 3, 4):
        height, width, channels = shape
        raise DataError(
            f"{where}: values of shape {shape} are one picture of {width} x {height} in {channels} "
            f"channel{'' if channels == 1 else 's'}, and at least 2 pictures are needed; if they "
            f"are {height} grey pictures of {channels} x {width}, give them as [..., None]."
        )
    if values.ndim == 3:
        return values[..., None], ()
    if values.ndim != 4:
        raise DataError(
            f"{where}: pictures are an array (n, height, width) or (n, height, width, channels); "
            f"got shape {shape}."
        )
    if reading.shape == shape[1:]:
        return values, ()
    first, last = (
        shape[axis] in (1, 3) or shape[axis] < min(shape[each] for each in others)
        for axis, others in ((1, (2, 3)), (3, (1, 2)))
    )
    if reading.channels == "auto" and first == last:
        raise DataError(
            f"{where}: which axis of shape {shape} are the channels is not plain; say "
            "data.channels=last for (n, height, width, channels), or data.channels=first for (n, "
            "channels, height, width); other orders are transposed first."
        )
    if reading.channels == "first" or (reading.channels == "auto" and first):
        return np.moveaxis(values, 1, 3), ("axes (n, channels, height, width)",)
    return values, ()


def pictures_among(names: Collection[str]) -> str | None:
    """Which of these arrays has the pictures; None if that is not plain."""
    return _named(names, _PICTURES) or (next(iter(names)) if len(names) == 1 else None)


def of_arrays(arrays: Arrays, reading: PictureReading, where: str) -> Images:
    """The pictures among arrays by name, and their labels; of several parts those of training.

    Args:
        arrays: by name.
        reading: how.
        where: they are from.

    Raises:
        DataError: if there are none, or it is not plain which they are.
    """
    name = pictures_among(arrays)
    if name is None:
        raise DataError(
            f"{where} holds the arrays {', '.join(arrays) or 'none'}; name the pictures `pixels`, "
            "and their classes `labels`."
        )
    of = reading.labels if isinstance(reading.labels, str) else _named(arrays, LABELS)
    if of is not None and of not in arrays:
        raise DataError(f"{where} has no array {of!r}; it has {', '.join(arrays)}.")
    labels = arrays[of]() if of is not None and reading.labels else None
    found = as_images(arrays[name](), labels, reading, where)
    others = [each for each in arrays if each not in (name, of)]
    left = (f"the arrays {', '.join(others)}",) if others else ()
    return replace(found, left_out=(*found.left_out, *left))


def _named(arrays: Collection[str], known: tuple[str, ...]) -> str | None:
    """The array with such a name, or that of the training part (`train_images`, `x_train`)."""
    lower = {name.lower().rpartition("/")[2]: name for name in arrays}
    every = [*known, *(form.format(k) for k in known for form in ("train_{}", "{}_train"))]
    return next((lower[name] for name in every if name in lower), None)
