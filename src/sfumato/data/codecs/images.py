"""Between pictures as bytes and the numbers that a network takes.

encode(v) = v / 127.5 - 1      for v in 0 ... 255; each is a bin of width 2/255
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.images import Images
from sfumato.errors import DataError, RunError

BIN_WIDTH = 2 / 255
"""Between two neighbouring values of a pixel, encoded."""


@dataclass(frozen=True, slots=True)
class ImageCodec:
    """Of pictures: bytes `(n, height, width, channels)` to -1 ... 1 `(n, channels, height, width)`.

    Args:
        height: pixels.
        width: pixels.
        channels: 1 or 3.
        classes: names of what a picture may be labelled; none where labels are not learned.
        shares: of the classes among the training pictures.
    """

    kind: ClassVar[Literal["images"]] = "images"
    columns: ClassVar[tuple[str, ...]] = ()
    bin_width: ClassVar[float] = BIN_WIDTH
    bound_unit: ClassVar[float] = 0.0  # the bound is that of a probability, which has no unit

    height: int
    width: int
    channels: int
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()

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
            counts = np.bincount(pictures.labels, minlength=len(pictures.classes))
            shares = tuple((counts / counts.sum()).tolist())
        classes = () if pictures.labels is None else pictures.classes
        height, width, channels = pixels.shape[1:]
        return cls(height, width, channels, classes, shares)

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
        return self.dimension * math.log(BIN_WIDTH)

    def encode(self, pixels: np.ndarray) -> Tensor:
        """Bytes `(n, height, width, channels)` to float32 `(n, channels, height, width)`.

        Raises:
            DataError: if they are not bytes of that shape.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (
            self.height,
            self.width,
            self.channels,
        ):
            raise DataError(
                f"pictures of {self.height} x {self.width} pixels in {self.channels} channels are "
                f"expected, as bytes; got {pixels.dtype} of shape {pixels.shape}."
            )
        channels_first = torch.tensor(pixels).permute(0, 3, 1, 2)  # a copy: it may be read-only
        return channels_first.float().div_(127.5).sub_(1).contiguous()

    def decode(self, x: Tensor) -> np.ndarray:
        """The nearest bytes, `(n, height, width, channels)`; what is beyond black or white is."""
        value = (x.detach().cpu().double() + 1) * 127.5
        return value.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

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
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError("the model's description of its pictures is damaged.") from error
        sound = len(set(classes)) == len(classes) == len(shares)
        if (
            not sound
            or not all(1 <= each <= 2**16 for each in (height, width, channels))
            or not all(0 <= share <= 1 for share in shares)
        ):
            raise RunError("the model's description of its pictures is damaged.")
        return cls(height, width, channels, classes, shares)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """Pictures that stay bytes until they are looked at: a quarter of the memory.

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
