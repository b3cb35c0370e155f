"""Between pictures as bytes and the numbers that a network takes.

encode(v) = 2 (v - low) / (high - low) - 1

low and high are black and white: of bytes 0 and 255. Each integer is a bin of width 2/(high - low);
decimals have no bins.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.images import BYTES, Images
from sfumato.errors import DataError, RunError

# More bins are narrower than what float32 tells apart.
_MOST_BINS = 2**16

_TYPES = {np.dtype(kind).name for kind in "BbHhIiLlefd"}


@dataclass(frozen=True, slots=True)
class ImageCodec:
    """Of pictures: values `(n, height, width, channels)` to -1 ... 1, with their channels first.

    Args:
        height: pixels.
        width: pixels.
        channels: how many.
        classes: names of what a picture may be labelled; none where labels are not learned.
        shares: of the classes among the training pictures.
        range: the values of black and white.
        dtype: of the values.
    """

    kind: ClassVar[Literal["images"]] = "images"
    columns: ClassVar[tuple[str, ...]] = ()
    height: int
    width: int
    channels: int
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    range: tuple[float, float] = BYTES
    dtype: str = "uint8"

    @classmethod
    def fit(cls, pictures: Images) -> Self:
        """The map of these pictures.

        Raises:
            DataError: if there are fewer than two, or all are one colour.
        """
        pixels = pictures.pixels
        if len(pixels) < 2:
            raise DataError(f"at least 2 pictures are needed to learn from; got {len(pixels)}.")
        if pixels.min() == pixels.max():
            raise DataError("every pixel has the same value; there is nothing to learn.")
        shares: tuple[float, ...] = ()
        if pictures.labels is not None:
            known = pictures.labels[pictures.labels >= 0]
            if not len(known):
                raise DataError("no picture has a class to learn; leave data.labels out.")
            counts = np.bincount(known, minlength=len(pictures.classes))
            shares = tuple((counts / counts.sum()).tolist())
        classes = () if pictures.labels is None else pictures.classes
        height, width, channels = pixels.shape[1:]
        of_values = pictures.range, pixels.dtype.name
        return cls(height, width, channels, classes, shares, *of_values)

    @property
    def _is_integer(self) -> bool:
        return np.dtype(self.dtype).kind in "iu"

    @property
    def bin_width(self) -> float | None:
        """Between two neighbouring integers, encoded; None for decimals, and for too many."""
        low, high = self.range
        return 2 / (high - low) if self._is_integer and high - low <= _MOST_BINS else None

    @property
    def bound_unit(self) -> float:
        """Nats to add to the bound; a probability, as that of integers in bins is, has no unit."""
        return 0.0 if self.bin_width else self.log_abs_det_jacobian

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of what the model sees of a picture."""
        return (self.channels, self.height, self.width)

    @property
    def dimension(self) -> int:
        """Numbers in a picture."""
        return math.prod(self.event)

    @property
    def log_abs_det_jacobian(self) -> float:
        """log|det d encode / d v| in nats."""
        low, high = self.range
        return self.dimension * math.log(2 / (high - low))

    def encode(self, pixels: np.ndarray) -> Tensor:
        """Values `(n, height, width, channels)` to float32 `(n, channels, height, width)`.

        Raises:
            DataError: if they are not of that type and shape.
        """
        if not np.can_cast(pixels.dtype, self.dtype) or pixels.shape[1:] != (
            self.height,
            self.width,
            self.channels,
        ):
            kind = "bytes" if self.dtype == "uint8" else f"values of {self.dtype}"
            raise DataError(
                f"pictures of {self.height} x {self.width} pixels in {self.channels} channels are "
                f"expected, as {kind}; got {pixels.dtype} of shape {pixels.shape}."
            )
        low, high = self.range
        exact = np.float32 if np.dtype(self.dtype).itemsize <= 2 else np.float64
        values = torch.from_numpy(pixels.astype(exact)).permute(0, 3, 1, 2)
        return values.sub_(low).div_((high - low) / 2).sub_(1).float().contiguous()

    def decode(self, x: Tensor) -> np.ndarray:
        """The nearest values, `(n, height, width, channels)`; black or white for what is beyond."""
        low, high = self.range
        value = (x.detach().cpu().double() + 1) * ((high - low) / 2) + low
        value = value.round() if self._is_integer else value
        held = value.clamp(low, high).permute(0, 2, 3, 1).contiguous().numpy()
        return held.astype(self.dtype)

    def on_byte_scale(self, pixels: np.ndarray) -> np.ndarray:
        """The values with black at 0 and white at 255; bytes of that range as they are."""
        if self.dtype == "uint8" and self.range == BYTES:
            return pixels
        low, high = self.range
        return ((pixels.astype(np.float64) - low) * (255 / (high - low))).astype(np.float32)

    def visible(self, pixels: np.ndarray) -> np.ndarray:
        """Bytes `(..., 1 or 3)` for the eye: of other numbers of channels the first, or three."""
        channels = pixels.shape[-1]
        shown = pixels if channels in (1, 3) else pixels[..., : 1 if channels < 3 else 3]
        return self.on_byte_scale(shown).round().clip(0, 255).astype(np.uint8)

    def places(self, known: np.ndarray) -> Tensor:
        """Which of a picture's encoded numbers are known, from which of its pixels are."""
        return torch.tensor(known).permute(0, 3, 1, 2)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, exact through JSON."""
        return {"pictures": asdict(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; the values may come from a stranger's file.

        Raises:
            RunError: if they do not describe a codec.
        """
        try:
            header = plain["pictures"]
            height, width, channels = (int(header[k]) for k in ("height", "width", "channels"))
            classes = tuple(str(name) for name in header["classes"])
            shares = tuple(float(share) for share in header["shares"])
            low, high = (float(each) for each in header.get("range", BYTES))
            dtype = str(header.get("dtype", "uint8"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError("the model's description of its pictures is damaged.") from error
        sound = len(set(classes)) == len(classes) == len(shares)
        if (
            not sound
            or not all(1 <= each <= 2**16 for each in (height, width, channels))
            or not all(0 <= share <= 1 for share in shares)
            or not -math.inf < low < high < math.inf
            or dtype not in _TYPES
        ):
            raise RunError("the model's description of its pictures is damaged.")
        return cls(height, width, channels, classes, shares, (low, high), dtype)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """Pictures that stay as they are until they are looked at: of bytes a quarter of the memory.

    Args:
        codec: theirs.
        pixels: `(n, height, width, channels)`.
    """

    codec: ImageCodec
    pixels: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.pixels)

    def __getitem__(self, index: Tensor) -> Tensor:
        """The pictures at `index` `(k,)`, encoded."""
        return self.codec.encode(self.pixels[index.numpy()])
