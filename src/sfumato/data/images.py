"""Pictures of one size in memory, the range of their values, and what a user asks of them.

A value is never scaled by what one file holds. Bytes go from 0 to 255; of values of any other type
the user says the range (`data.range`), or takes the least and the greatest of all pictures.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
from PIL import Image, ImageColor, ImageOps

from sfumato.config import DataSettings
from sfumato.data.points import refuse_rules
from sfumato.data.scratch import gathered, room
from sfumato.data.table import ColumnType
from sfumato.errors import ArgumentError, DataError

BYTES = (0.0, 255.0)
"""Black and white of bytes."""


@dataclass(frozen=True, slots=True)
class PictureReading:
    """What a user asks of the reading of pictures; see `DataSettings`.

    Args:
        size: bring the shorter side to so many pixels and cut the middle square.
        labels: read the classes; a name: those of that column or array.
        background: a colour's name or #rrggbb, behind what is transparent.
        skip_bad: leave out what cannot be used.
        range: black and white; `auto`: the least and the greatest value of all pictures. Not
            given, they are bytes.
        frames: of a file of several pictures, `all` or the `first`.
        channels: which axis of an array has them, `first` or `last`, if its shape does not say.
        shape: height, width and channels that are expected, which say it too.
    """

    size: int | None = None
    labels: bool | str = False
    background: str = "white"
    skip_bad: bool = False
    range: tuple[float, float] | Literal["auto"] | None = None
    frames: Literal["all", "first"] = "all"
    channels: Literal["auto", "first", "last"] = "auto"
    shape: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, data: DataSettings) -> Self:
        """As the settings of a run say."""
        return cls(
            data.size,
            data.labels,
            data.background,
            data.skip_bad,
            data.range,
            data.frames,
            data.channels,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Pictures of one size.

    Args:
        pixels: values `(n, height, width, channels)`.
        labels: the class of each, `(n,)` int64, -1 where it is not known; None where there are no
            classes.
        classes: names of the labels.
        names: where each came from.
        left_out: what was not used, and why.
        notes: what a person should know of those that are used.
        range: the values of black and white.
        files: of each picture the file that it is in, where files hold several.
    """

    kind: ClassVar[Literal["images"]] = "images"

    pixels: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    names: Sequence[str]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    range: tuple[float, float] = BYTES
    files: Sequence[str] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of columns, which pictures have not."""
        return ()

    @property
    def values(self) -> np.ndarray:
        """The pixels: a picture is a row."""
        return self.pixels

    def __len__(self) -> int:
        """How many."""
        return len(self.pixels)

    def decimals(self) -> Iterator[tuple[str, np.ndarray]]:
        """Columns of decimals, which pictures have not."""
        return iter(())

    def column_types(self, given: Mapping[str, str], rules: Sequence[str]) -> dict[str, ColumnType]:  # noqa: ARG002
        """Nothing: pictures have no columns.

        Raises:
            ArgumentError: if the type of a column is given.
        """
        if given:
            raise ArgumentError("--column is for tables, and these are pictures; leave it out.")
        return {}

    def stated_rules(self, texts: Sequence[str], types: Mapping[str, ColumnType]) -> tuple[()]:  # noqa: ARG002
        """Pictures have no rules.

        Raises:
            ArgumentError: if some are stated.
        """
        return refuse_rules(texts)

    def side_by_side(self, order: np.ndarray) -> np.ndarray:
        """The order in which the first picture of each file comes, with all of a file together.

        The frames of a film are much alike: some of them, kept out, would say nothing of the
        others.
        """
        if not self.files:
            return order
        place: dict[str, int] = {}
        for row in order:
            place.setdefault(self.files[row], len(place))
        return np.array(sorted(order.tolist(), key=lambda row: (place[self.files[row]], row)))

    def take(self, rows: np.ndarray) -> Self:
        """Those at `rows`, `(k,)`."""
        pixels = room((len(rows), *self.pixels.shape[1:]), self.pixels.dtype)
        for first in range(0, len(rows), 1024):
            some = slice(first, first + 1024)
            pixels[some] = self.pixels[rows[some]]
        labels = None if self.labels is None else self.labels[rows]
        names = [self.names[k] for k in rows]
        files = [self.files[k] for k in rows] if self.files else ()
        return replace(self, pixels=pixels, labels=labels, names=names, files=files)


def colour(name: str) -> tuple[int, ...]:
    """Red, green and blue of a colour's name or #rrggbb.

    Raises:
        DataError: if it is none.
    """
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        raise DataError(
            f"data.background must be a colour (white, #ff8800); got {name!r}."
        ) from None


def as_pil(pixels: np.ndarray) -> Image.Image:
    """Bytes `(height, width, 1 or 3)` for Pillow."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def fitted(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture `(height, width, channels)` brought to a size, its middle if it has another shape.

    What a filter adds beyond the values that the picture has is taken off, as it is of bytes.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        whole = np.asarray(_fit(as_pil(pixels), width, height))
        return whole.reshape(height, width, pixels.shape[2])
    planes = []
    for plane in np.moveaxis(pixels, 2, 0):
        fit = np.asarray(_fit(Image.fromarray(plane.astype(np.float32)), width, height))
        planes.append(fit.clip(plane.min(), plane.max()))
    whole = np.stack(planes, axis=2)
    return (whole.round() if pixels.dtype.kind in "iu" else whole).astype(pixels.dtype)


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def squared(pictures: Images, size: int | None) -> Images:
    """The middle square of each, `size` pixels a side; the pictures as they are where not given."""
    if size is None or pictures.pixels.shape[1:3] == (size, size):
        return pictures
    squares = (fitted(each, size, size) for each in pictures.pixels)
    shape = (len(pictures), size, size, pictures.pixels.shape[3])
    return replace(pictures, pixels=gathered(squares, shape, pictures.pixels.dtype))


def with_range(pictures: Images, wanted: tuple[float, float] | Literal["auto"] | None) -> Images:
    """The pictures with the range of their values; as `value_range`."""
    return replace(pictures, range=value_range(pictures.pixels, wanted))


def value_range(
    values: np.ndarray,
    wanted: tuple[float, float] | Literal["auto"] | None,
    where: str = "the pictures",
) -> tuple[float, float]:
    """Black and white of pictures.

    Raises:
        DataError: if they are not bytes and no range is wanted, or a value lies outside of it.
    """
    if wanted is None and values.dtype == np.uint8:
        return BYTES
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise DataError(f"{where}: some values are not finite (NaN); fill them in.")
    if wanted is None:
        raise DataError(
            f"{where}: pictures are bytes (uint8, 0 to 255), and these are {values.dtype} of shape "
            f"{values.shape} from {low:.6g} to {high:.6g}: {range_remedy(low, high)}"
            + ("." if values.ndim > 3 else "; rows of numbers have two dimensions.")
        )
    bottom, top = (low, high) if wanted == "auto" else wanted
    if not top > bottom:
        raise DataError(f"{where}: every pixel has the same value; there is nothing to learn.")
    if low < bottom or high > top:
        raise DataError(
            f"{where}: values go from {low:.10g} to {high:.10g}, outside of data.range="
            f"[{bottom:.10g},{top:.10g}]; give a range that holds all of them, or auto."
        )
    if values.dtype.kind in "iu" and (bottom % 1 or top % 1):
        raise DataError(
            f"{where}: the values are integers, and data.range=[{bottom:.10g},{top:.10g}] is not "
            "of such."
        )
    return bottom, top


# Ranges that values usually are of: decimals, and 4, 8, 10, 12, 14 and 16 bits.
_USUAL = ((0, 1), (-1, 1), *((0, 2**bits - 1) for bits in (4, 8, 10, 12, 14, 16)))


def range_remedy(low: float, high: float) -> str:
    """What to do about values that are no bytes: the narrowest usual range that holds them."""
    usual = ((bottom, top) for bottom, top in _USUAL if bottom <= low and high <= top)
    bottom, top = next(usual, (low, high))
    return (
        f"data.range=[{bottom:.17g},{top:.17g}] says which are black and white (data.range=auto "
        "takes the least and the greatest of all)"
    )


def digits() -> Images:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels, 0 to 16 brought to a byte."""
    pixels, labels = _read_digits()
    names = [f"digit {k + 1}" for k in range(len(pixels))]
    return Images(pixels.copy(), labels.copy(), tuple("0123456789"), names)


@cache
def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels; kept, as scikit-learn reads them from text, number by number."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * (255 / 16)).round().astype(np.uint8)[..., None]
    return pixels, found.target.astype(np.int64)


def fingerprint(pictures: Images) -> str:
    """SHA-256 of what is learned from: the pixels and the classes, not the files they were in."""
    facts: tuple[Any, ...] = (pictures.pixels.shape, pictures.classes)
    if pictures.pixels.dtype != np.uint8 or pictures.range != BYTES:
        facts = (*facts, pictures.pixels.dtype.str, pictures.range)
    digest = hashlib.sha256(repr(facts).encode())
    digest.update(np.ascontiguousarray(pictures.pixels).data)
    if pictures.labels is not None:
        digest.update(np.ascontiguousarray(pictures.labels).data)
    return digest.hexdigest()
