"""Pictures as bytes of one size, and those that are in memory already.

What a picture may be is brought to what a network takes: 16 bits scaled to 8, palettes and CMYK to
red, green and blue, what is transparent laid over a background; grey if all are grey.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from PIL import Image, ImageColor, ImageOps

from sfumato.data.scratch import gathered, room
from sfumato.data.table import ColumnType
from sfumato.errors import ArgumentError, DataError


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Pictures of one size.

    Args:
        pixels: bytes `(n, height, width, channels)`, one channel or three.
        labels: the class of each, `(n,)` int64; None where there are no classes.
        classes: names of the labels.
        names: where each came from.
        left_out: those that could not be used, `name: reason`.
    """

    kind: ClassVar[Literal["images"]] = "images"

    pixels: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    names: Sequence[str]
    left_out: tuple[str, ...] = ()

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

    def column_types(self, given: Mapping[str, str]) -> dict[str, ColumnType]:
        """Nothing: pictures have no columns.

        Raises:
            ArgumentError: if the type of a column is given.
        """
        if given:
            raise ArgumentError("--column is for tables, and these are pictures; leave it out.")
        return {}

    def take(self, rows: np.ndarray) -> Self:
        """Those at `rows`, `(k,)`."""
        pixels = room((len(rows), *self.pixels.shape[1:]))
        for first in range(0, len(rows), 1024):
            some = slice(first, first + 1024)
            pixels[some] = self.pixels[rows[some]]
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, pixels=pixels, labels=labels, names=[self.names[k] for k in rows])


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


def to_grey_or_rgb(image: Image.Image, behind: tuple[int, ...]) -> Image.Image:
    """In grey (L) or in red, green and blue, nothing transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        deep = image.mode.startswith("I;16") or values.max(initial=0) > 255
        return Image.fromarray(
            (values / (257 if deep else 1)).round().clip(0, 255).astype(np.uint8)
        )
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La") and "transparency" not in image.info
    if transparent:
        whole = image.convert("RGBA")
        under = Image.new("RGBA", whole.size, (*behind, 255))
        flat = Image.alpha_composite(under, whole).convert("RGB")
        return flat.convert("L") if grey and len(set(behind)) == 1 else flat
    return image.convert("L" if grey else "RGB")


def as_pil(pixels: np.ndarray) -> Image.Image:
    """Bytes `(height, width, 1 or 3)` for Pillow."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The middle square, `size` pixels a side."""
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def squared(pictures: Images, size: int | None) -> Images:
    """The middle square of each, `size` pixels a side; the pictures as they are where not given."""
    if size is None or pictures.pixels.shape[1:3] == (size, size):
        return pictures
    squares = (np.asarray(fitted(as_pil(each), size)) for each in pictures.pixels)
    shape = (len(pictures), size, size, pictures.pixels.shape[3])
    return replace(pictures, pixels=gathered(squares, shape))


def as_images(
    source: Any,
    labels: np.ndarray | None = None,
    *,
    size: int | None = None,
    background: str = "white",
) -> Images:
    """Pictures that are in memory.

    Args:
        source: bytes `(n, height, width[, channels])`, or a data set of Hugging Face's `datasets`
            with a column `image` or `img` and perhaps a `label`.
        labels: integers, `(n,)`, if known.
        size: bring the shorter side to so many pixels and cut the middle square.
        background: a colour's name or #rrggbb, behind what is transparent.

    Raises:
        DataError: if they are neither, and what to do.
    """
    if hasattr(source, "column_names"):
        return _from_data_set(source, size, background)
    pixels = source
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise DataError(
            f"pictures are bytes (uint8, 0 to 255); got {kind} of shape {np.shape(pixels)}. Scale "
            "them and say .round().astype('uint8'); rows of numbers have two dimensions."
        )
    if pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4):
        height, width, channels = pixels.shape
        raise DataError(
            f"bytes of shape {pixels.shape} are one picture of {width} x {height} in {channels} "
            f"channel{'' if channels == 1 else 's'}, and at least 2 pictures are needed; if they "
            f"are {height} grey pictures of {channels} x {width}, give them as [..., None]."
        )
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or 0 in pixels.shape:
        raise DataError(
            "pictures are an array (n, height, width) or (n, height, width, 1 or 3); got shape "
            f"{source.shape}."
        )
    names = [f"picture {k + 1}" for k in range(len(pixels))]
    if labels is None:
        return squared(Images(pixels, None, (), names), size)
    if labels.shape != (len(pixels),) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(f"labels are one integer from 0 for each picture; got {labels.shape}.")
    classes = tuple(str(k) for k in range(int(labels.max()) + 1))
    return squared(Images(pixels, labels.astype(np.int64), classes, names), size)


def from_pil(pictures: Sequence[Any], size: int | None = None, background: str = "white") -> Images:
    """Pictures of Pillow.

    Args:
        pictures: of one size, or of any if `size` is given.
        size: bring the shorter side to so many pixels and cut the middle square.
        background: a colour's name or #rrggbb, behind what is transparent.

    Raises:
        DataError: if there are none, or they are of several sizes and `size` is not given.
    """
    behind = colour(background)
    flat = [to_grey_or_rgb(ImageOps.exif_transpose(each), behind) for each in pictures]
    pixels = [np.asarray(each if size is None else fitted(each, size)) for each in flat]
    sizes = sorted({each.shape[:2] for each in pixels})
    if len(sizes) > 1:
        shown = " and ".join(f"{width} x {height}" for height, width in sizes[:2])
        raise DataError(
            f"the pictures are of {len(sizes)} sizes ({shown}); settings={{'data.size': 32}} "
            "brings all to one."
        )
    if not pixels:
        raise DataError("there is no picture; at least 2 are needed.")
    channels = 3 if any(each.ndim == 3 for each in pixels) else 1
    whole = gathered(pixels, (len(pixels), *pixels[0].shape[:2], channels))
    return Images(whole, None, (), [f"picture {k + 1}" for k in range(len(pixels))])


def _from_data_set(source: Any, size: int | None, background: str) -> Images:
    column = next((name for name in ("image", "img") if name in source.column_names), None)
    if column is None:
        raise DataError(
            "the data set has no column `image` or `img`; it has "
            f"{', '.join(source.column_names)}. Rename it with rename_column."
        )
    found = from_pil(source[column], size, background)
    if "label" not in source.column_names:
        return found
    labels = np.asarray(source["label"], np.int64)
    known = getattr(source.features.get("label"), "names", None)
    classes = tuple(known or (str(k) for k in range(int(labels.max()) + 1)))
    return replace(found, labels=labels, classes=classes)


def digits() -> Images:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels, 0 to 16 brought to a byte."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * (255 / 16)).round().astype(np.uint8)[..., None]
    names = [f"digit {k + 1}" for k in range(len(pixels))]
    return Images(pixels, found.target.astype(np.int64), tuple("0123456789"), names)


def fingerprint(pictures: Images) -> str:
    """SHA-256 of what is learned from: the pixels and the classes, not the files they were in."""
    digest = hashlib.sha256(repr((pictures.pixels.shape, pictures.classes)).encode())
    digest.update(np.ascontiguousarray(pictures.pixels).data)
    if pictures.labels is not None:
        digest.update(np.ascontiguousarray(pictures.labels).data)
    return digest.hexdigest()
