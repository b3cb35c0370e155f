"""Between the data's own units and numbers of unit scale, which a network can learn.

    columns     encode(x) = (x - mean) / scale      log|det J| = -sum log scale
    pictures    encode(v) = v / 127.5 - 1           for v in 0 ... 255; their numbers are bins

A constant column carries no information: it is left out of the model and put back, bit for
bit, by `decode`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.codecs.table import TableCodec
from sfumato.data.images import Images
from sfumato.data.points import Points
from sfumato.errors import DataError, RunError

BIN_WIDTH = 2 / 255
"""Between two neighbouring values of a pixel, encoded."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Of points: an affine map of each column, made by `fit`.

    Args:
        columns: names, in the order of the data.
        mean: one for each column; of a constant column its value.
        scale: one for each column; 0 marks a constant one.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, points: Points, *, standardise: bool = True) -> Self:
        """The map that brings every column to mean 0 and standard deviation 1.

        Args:
            points: the rows to learn from.
            standardise: if False, columns that vary are left as they are.

        Raises:
            DataError: if there are fewer than two rows, or no column varies.
        """
        values = points.values
        if len(values) < 2:
            raise DataError(f"at least 2 rows are needed to learn from; got {len(values)}.")
        low, high = values.min(0), values.max(0)
        varies = high > low
        if not varies.any():
            raise DataError("every column is constant; there is nothing to learn.")
        # Around the middle and by the half range, so that 1e300 and 1e9 + 1e-3 both keep their
        # digits.
        middle = low / 2 + high / 2
        half = np.where(varies, high / 2 - low / 2, 1.0)
        half[half == 0] = np.finfo(float).tiny
        unit = (values - middle) / half
        mean = np.where(varies, middle + half * unit.mean(0), low)
        scale = np.where(varies, np.maximum(half * unit.std(0), np.finfo(float).tiny), 0.0)
        if not standardise:
            mean, scale = np.where(varies, 0.0, mean), varies.astype(float)
        return cls(points.columns, tuple(mean.tolist()), tuple(scale.tolist()))

    @property
    def _varies(self) -> np.ndarray:
        return np.array(self.scale) > 0

    @property
    def dimension(self) -> int:
        """Number of columns that vary: the numbers that the model sees of a row."""
        return int(self._varies.sum())

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of what the model sees of a row."""
        return (self.dimension,)

    @property
    def log_abs_det_jacobian(self) -> float:
        """log|det d encode / d x| in nats, over the columns that vary."""
        return -math.fsum(math.log(scale) for scale in self.scale if scale > 0)

    def encode(self, values: np.ndarray) -> Tensor:
        """Rows `(n, columns)` to `(n, dimension)` float32; formed in float64 and cast last.

        What stands in a constant column is not looked at: the model knows one value of it.

        Raises:
            DataError: if the number of columns differs, or a value is beyond float32 even so.
        """
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise DataError(
                f"rows of {len(self.columns)} columns are expected "
                f"({', '.join(self.columns[:8])}); "
                f"got shape {values.shape}."
            )
        varies = self._varies
        mean, scale = np.array(self.mean)[varies], np.array(self.scale)[varies]
        # By halves, because the difference of two numbers may overflow. Halving is exact down
        # to the last bit of a denormal.
        with np.errstate(over="ignore"):
            unit = ((values[:, varies] / 2 - mean / 2) / (scale / 2)).astype(np.float32)
        if not np.isfinite(unit).all():
            row, place = np.argwhere(~np.isfinite(unit))[0]
            column = int(np.flatnonzero(varies)[place])
            raise DataError(
                f"row {row + 1}, column {self.columns[column]!r}: "
                f"{values[row, column]:g} does not fit the model's 32-bit numbers; "
                "standardise the columns, or leave the row out."
            )
        return torch.from_numpy(unit)

    def decode(self, x: Tensor) -> np.ndarray:
        """The inverse: `(n, dimension)` to `(n, columns)` float64, constant columns put back."""
        varies = self._varies
        mean, scale = np.array(self.mean), np.array(self.scale)[varies]
        values = np.tile(mean, (len(x), 1))
        half = mean[varies] / 2 + x.detach().cpu().double().numpy() * (scale / 2)
        values[:, varies] = 2 * half
        return values

    def places(self, known: np.ndarray) -> Tensor:
        """Which of a row's encoded numbers are known, from which of its columns are."""
        return torch.tensor(known[:, self._varies])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, exact through JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; the values may come from a stranger's file.

        Raises:
            RunError: if they do not describe a codec.
        """
        try:
            if not isinstance(plain["columns"], list | tuple):
                raise TypeError
            columns = tuple(str(name) for name in plain["columns"])
            mean = tuple(float(value) for value in plain["mean"])
            scale = tuple(float(value) for value in plain["scale"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RunError("the model's description of its columns is damaged.") from error
        sound = len(set(columns)) == len(columns) == len(mean) == len(scale) and any(scale)
        if not sound or not all(
            math.isfinite(m) and 0 <= s < math.inf for m, s in zip(mean, scale, strict=True)
        ):
            raise RunError("the model's description of its columns is damaged.")
        return cls(columns, mean, scale)


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

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of columns, which pictures have not."""
        return ()

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
            fields = plain["pictures"]
            height, width, channels = (int(fields[k]) for k in ("height", "width", "channels"))
            classes = tuple(str(name) for name in fields["classes"])
            shares = tuple(float(share) for share in fields["shares"])
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


AnyCodec = Codec | ImageCodec


def codec_from_dict(plain: Mapping[str, Any]) -> AnyCodec | TableCodec:
    """The codec that `to_dict` described.

    Raises:
        RunError: if it describes none.
    """
    if isinstance(plain, Mapping) and "pictures" in plain:
        return ImageCodec.from_dict(plain)
    if isinstance(plain, Mapping) and "table" in plain:
        return TableCodec.from_dict(plain)
    return Codec.from_dict(plain)
