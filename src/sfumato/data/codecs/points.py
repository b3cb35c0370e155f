"""Between points in their own units and the numbers that a network takes.

    encode(x) = (x - mean) / scale      log|det J| = -sum log scale

A constant column carries no information: it is left out of the model and put back, bit for
bit, by `decode`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sfumato.data.points import Points
from sfumato.data.table import ColumnType
from sfumato.errors import DataError, RunError


@dataclass(frozen=True, slots=True)
class PointCodec:
    """Of points: an affine map of each column, made by `fit`.

    Args:
        columns: names, in the order of the data.
        mean: one for each column; of a constant column its value.
        scale: one for each column; 0 marks a constant one.
    """

    kind: ClassVar[Literal["points"]] = "points"
    classes: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[float, ...]] = ()
    bin_width: ClassVar[float | None] = None

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
        values = np.ascontiguousarray(points.values)  # sums round as their order in memory has it
        if len(values) < 2:
            raise DataError(f"at least 2 rows are needed to learn from; got {len(values)}.")
        low, high = values.min(0), values.max(0)
        varies = high > low
        if not varies.any():
            raise DataError("every column is constant; there is nothing to learn.", code="constant")
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
    def names(self) -> tuple[str, ...]:
        """Of all columns, those that do not vary too."""
        return self.columns

    @property
    def kinds(self) -> dict[str, ColumnType]:
        """What each column is: continuous."""
        return dict.fromkeys(self.columns, "continuous")

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

    @property
    def bound_unit(self) -> float:
        """What minus the variational bound of encoded rows is to be added to, in nats."""
        return self.log_abs_det_jacobian

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
