"""One column of a table, between its own values and what a network likes.

A column becomes a level, a number, or both:

    levels    k of a value that is one of a few; a hole is a level more
    numbers   z = h(x), h rising and piecewise linear from the column's quantiles to those of
              N(0, 1): heavy tails, bounds and lumps come out near normal, log|h'| is exact
    both      a number that often takes the same value (0, say) or has holes: a level says
              `a number`, `that value` or `a hole`, and only with the first there is a z

Values on a grid (integers, cents, days) are spread evenly over their cell before h, and rounded
after its inverse: uniform dequantisation, Theis et al. (2016). The probability of a cell from a to
b is then taken to be, with p and n the model's density of z and that of N(0, 1),

    P = p(m)/n(m) (N(b) - N(a)),   m the middle of the cell by N

as p/n varies little where p and n are nearly equal, which h is made for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sfumato.data.table import Column, Kind

# A value of a number that this share of the rows has, so many rows, and so many times as many as
# its values have in the mean, is a level of its own.
_LUMP, _LEAST_LUMP, _ABOVE_MEAN, _MOST_LUMPS = 0.05, 20, 8, 8

_MOST_KNOTS = 32

# Farther than any column's own values are in z; beyond it a float32 would overflow.
_FARTHEST = 1e4

# A cell of less probability is narrow enough to be taken by its width.
_LEAST_MASS = 1e-280

# Numbers of more decimals than these have no grid.
_MOST_DIGITS = 6
_MOST_CELLS = 10_000


@dataclass(frozen=True, slots=True)
class CategoricalCodec:
    """A column whose values are a few, in their order.

    Args:
        name: of the column.
        kind: categorical, ordinal or boolean; constant where there is one value.
        values: words, whole numbers, numbers, truths, or dates as ISO text.
        holes: whether there may be holes; that is then the last level.
        dtype: of the values in memory: "object", "int64", "float64", "bool", "datetime64[us]".
        step: width of the grid that numbers lie on; 0 where they are none, or lie on none.
        frame_dtype: what the frame it came from calls its type.
        ordered: whether a frame's categories are in order.
        declared: all words that the frame's categories name, seen or not, if it names them.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...]
    holes: bool
    dtype: str
    step: float = 0.0
    frame_dtype: str = ""
    ordered: bool = False
    declared: tuple[str, ...] | None = None

    @classmethod
    def fit(cls, column: Column, kind: Kind) -> "CategoricalCodec":
        """The values that a column has."""
        present = column.present
        seen = set(present.tolist())
        order = sorted(seen) if column.levels is None else [k for k in column.levels if k in seen]
        values = np.array(order, column.values.dtype)
        return cls(
            column.name,
            kind,
            tuple(plain(value) for value in values),
            bool(column.missing.any()),
            str(column.values.dtype),
            _decimal_step(values) if values.dtype.kind in "fi" and len(values) > 1 else 0.0,
            column.dtype,
            column.ordered,
            column.levels,
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of its slots for levels: none where nothing varies."""
        size = len(self.values) + self.holes
        return (size,) if size > 1 else ()

    has_number = False

    def encode(self, column: Column, spread: np.ndarray | None) -> "Encoded":  # noqa: ARG002
        """Each value's level; -1 for one that was never seen."""
        known = {each: k for k, each in enumerate(np.array(self.values, self.dtype).tolist())}
        level = np.array([known.get(each, -1) for each in column.values.tolist()], np.int64)
        strange = (level < 0) & ~column.missing
        level[column.missing] = len(known) if self.holes else -1
        if not self.holes:
            strange |= column.missing
        return Encoded(
            None,
            level if self.sizes else None,
            np.where(column.missing | strange, 0.0, -np.log(self.step or 1.0)),
            strange,
        )

    def decode(self, z: np.ndarray | None, level: np.ndarray | None, rows: int) -> Column:  # noqa: ARG002
        """The inverse."""
        level = np.zeros(rows, np.int64) if level is None else level
        own = np.array(self.values, dtype=self.dtype)
        missing = level == len(own)  # of a column of holes alone too
        values = own[level.clip(max=len(own) - 1)] if len(own) else np.zeros(rows, self.dtype)
        return Column(self.name, values, missing, self.declared, self.ordered, self.frame_dtype)


@dataclass(frozen=True, slots=True)
class NumericCodec:
    """A column of numbers or dates.

    Args:
        name: of the column.
        kind: continuous, integer or date.
        lumps: values that many rows have, in rising order; of dates in microseconds.
        holes: whether there may be holes.
        step: width of the grid that all values lie on; 0 where there is none. Of dates in
            microseconds.
        low: the least value; x counts from here.
        high: the largest.
        knots: where h has its corners, rising, x - low.
        heights: h there, rising.
        dtype: of the values in memory: "float64", "int64" or "datetime64[us]".
        frame_dtype: what the frame it came from calls its type.
    """

    name: str
    kind: Kind
    lumps: tuple[float | int, ...]
    holes: bool
    step: float
    low: float | int
    high: float | int
    knots: tuple[float, ...]
    heights: tuple[float, ...]
    dtype: str
    frame_dtype: str = ""

    @classmethod
    def fit(cls, column: Column, kind: Kind) -> "NumericCodec":
        """Grid, lumps and quantiles of a column of two values or more."""
        exact = column.present.astype(np.int64 if kind == "date" else column.values.dtype)
        low, high = exact.min(), exact.max()
        lumps, rest = _lumps(exact)
        step = _step(exact, kind)
        knots, heights = _quantiles((exact[rest] - low).astype(np.float64), step)
        return cls(
            column.name,
            kind,
            tuple(plain(lump) for lump in lumps),
            bool(column.missing.any()),
            step,
            plain(low),
            plain(high),
            tuple(knots.tolist()),
            tuple(heights.tolist()),
            str(column.values.dtype),
            column.dtype,
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of its slots for levels: a number, each lump, a hole; none where it is always one."""
        size = 1 + len(self.lumps) + self.holes
        return (size,) if size > 1 else ()

    has_number = True

    def encode(self, column: Column, spread: np.ndarray | None) -> "Encoded":
        """z, NaN where there is no number, and the level.

        Args:
            column: of the same type.
            spread: where in its cell each value is put, 0 ... 1, `(n,)`; the middle if None.
        """
        there = ~column.missing
        exact = column.values.astype(np.int64 if self.kind == "date" else column.values.dtype)
        x = np.where(there, exact - self.low, 0).astype(np.float64)
        level = np.where(there, 0, 1 + len(self.lumps) if self.holes else -1)
        for k, lump in enumerate(self.lumps, start=1):
            level[there & (exact == lump)] = k
        if self.step and spread is None:
            z, log_width = self._middle(x)
        else:
            z, slope = self._up(x + self.step * (0.0 if spread is None else spread - 0.5))
            log_width = np.log(slope)
        unit = 1.0 if self.kind == "date" else self.step or 1.0
        by_number, by_level = log_width - np.log(unit) * bool(self.step), -np.log(unit)
        return Encoded(
            np.where(level == 0, z.clip(-_FARTHEST, _FARTHEST), np.nan),
            level if self.sizes else None,
            np.where(level == 0, by_number, np.where(there, by_level, 0.0)),
            column.missing if not self.holes else np.zeros(len(x), bool),
        )

    def _middle(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the cells about x the middle m in z, and log of what p(m) is to be multiplied by."""
        low, high = self._up(x - self.step / 2)[0], self._up(x + self.step / 2)[0]
        turned = low > 0  # the other tail keeps its digits
        below, above = np.where(turned, -high, low), np.where(turned, -low, high)
        mass = ndtr(above) - ndtr(below)
        middle = ndtri((ndtr(below) + ndtr(above)) / 2)
        far = ~(np.isfinite(middle) & (mass > _LEAST_MASS))
        middle = np.where(far, (below + above) / 2, middle)
        with np.errstate(divide="ignore"):
            width = np.where(far, np.log(above - below), np.log(mass) - _log_normal(middle))
        return np.where(turned, -middle, middle), width

    def decode(self, z: np.ndarray | None, level: np.ndarray | None, rows: int) -> Column:
        """The inverse, on the grid and between the ends of what was seen as a number."""
        assert z is not None
        level = np.zeros(rows, np.int64) if level is None else level
        half = self.step / 2
        x = self._down(np.nan_to_num(z)).clip(self.knots[0] + half, self.knots[-1] - half)
        values = self.nearest(x + self.low)
        for k, lump in enumerate(self.lumps, start=1):
            values[level == k] = np.array([lump]).astype(values.dtype)
        missing = level == 1 + len(self.lumps) if self.holes else np.zeros(rows, bool)
        return Column(self.name, values, missing, dtype=self.frame_dtype)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The nearest values that the column may have; dates in microseconds."""
        x = values - self.low
        if self.step:
            x = np.round(x / self.step) * self.step
        x = x.clip(0, self.high - self.low)
        if self.dtype != "float64":
            return (np.round(x).astype(np.int64) + self.low).astype(self.dtype)
        own = (x + self.low).clip(self.low, self.high)
        # The decimal number itself, no sum's neighbour of it.
        return own if (digits := _digits(self.step)) is None else np.round(own, digits)

    def _up(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H and h'; the outermost pieces go on beyond the knots."""
        knots, heights = np.array(self.knots), np.array(self.heights)
        slopes = np.diff(heights) / np.diff(knots)
        piece = (np.searchsorted(knots, x, side="right") - 1).clip(0, len(slopes) - 1)
        return heights[piece] + slopes[piece] * (x - knots[piece]), slopes[piece]

    def _down(self, z: np.ndarray) -> np.ndarray:
        knots, heights = np.array(self.knots), np.array(self.heights)
        slopes = np.diff(knots) / np.diff(heights)
        piece = (np.searchsorted(heights, z, side="right") - 1).clip(0, len(slopes) - 1)
        return np.asarray(knots[piece] + slopes[piece] * (z - heights[piece]))


def _lumps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values that many rows have, and which rows have none of them."""
    values, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    many = counts >= max(_LEAST_LUMP, _LUMP * counts.sum(), _ABOVE_MEAN * counts.mean())
    if many.sum() > _MOST_LUMPS:
        many &= counts >= np.sort(counts)[-_MOST_LUMPS]
    # What is left must be numbers still.
    if len(values) - many.sum() < 2:
        many[:] = False
    return values[many], ~many[inverse]


def _step(values: np.ndarray, kind: Kind) -> float:
    """Width of the grid that these values lie on; 0 where there is none."""
    if kind == "integer":
        return 1.0
    if kind == "date":
        return float(np.gcd.reduce(values - values.min()))
    return _decimal_step(values)


def _digits(step: float) -> int | None:
    """How many decimals the numbers on a grid have, if it is one of decimals."""
    return next((d for d in range(_MOST_DIGITS + 1) if step == 10.0**-d), None)


def _decimal_step(values: np.ndarray) -> float:
    """Of decimal digits, or of whole numbers that were brought to another scale."""
    for digits in range(_MOST_DIGITS + 1):
        if np.array_equal(np.round(values, digits), values):
            return 10.0**-digits
    apart = np.diff(np.unique(values))
    least = float(apart.min())
    cells = apart / least
    on_grid = np.abs(cells - np.round(cells)).max() < 1e-3 and cells.sum() < _MOST_CELLS
    return least if on_grid else 0.0


def _quantiles(x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of h: so many that each piece has dozens of rows, even in z, the ends among them."""
    n, x = len(x), np.sort(x)
    first, last = x[0], x[-1]
    if step:  # what is equal is spread evenly over its cell, or h would be steep where many are
        _, counts = np.unique(x, return_counts=True)
        of_each = np.repeat(counts, counts)
        place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
        x = x + step * ((place + 0.5) / of_each - 0.5)
    count = int(np.clip(np.sqrt(n) / 2, 3, _MOST_KNOTS))
    end = -float(ndtri(0.5 / n))
    heights = np.linspace(-end, end, count)
    knots = np.interp(heights, ndtri((np.arange(n) + 0.5) / n), x)
    knots[[0, -1]] = first - step / 2, last + step / 2
    # Where values pile up several heights share a corner.
    least = np.maximum(8 * np.spacing(np.abs(knots) + step), 1e-200)
    kept = [0]
    for k in range(1, count - 1):
        if knots[k] - knots[kept[-1]] > least[k] and knots[-1] - knots[k] > least[k]:
            kept.append(k)
    kept.append(count - 1)
    return knots[kept], heights[kept]


def _log_normal(z: np.ndarray) -> np.ndarray:
    """The log density of N(0, 1)."""
    return np.asarray(-0.5 * (z**2 + np.log(2 * np.pi)))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What a column's values become, `(n,)` each, or None where it has no such slot.

    Args:
        z: numbers; NaN where there is none.
        level: levels; -1 where it is not one that was seen.
        log_width: what brings densities of z and probabilities of levels to the column's own unit,
            nats: log h' where there is a number; of one on a grid its probability over the step, of
            a date its probability.
        strange: what was never seen in the column: a level, or a hole.
    """

    z: np.ndarray | None
    level: np.ndarray | None
    log_width: np.ndarray
    strange: np.ndarray


ColumnCodec = CategoricalCodec | NumericCodec


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own; a date as ISO text."""
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return value.item() if isinstance(value, np.generic) else value
