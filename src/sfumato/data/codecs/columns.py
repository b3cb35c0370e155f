"""One column of a table, between its own values and what a network can learn.

A column becomes a category, a numeric value, or both:

    category  k of a value that is one of a few; `missing` is one category more
    numeric   z = h(x), h rising and piecewise linear from the column's quantiles to those of
              N(0, 1): heavy tails, bounds and piles come out near normal, log|h'| is exact
    both      a number that often takes the same value (0, say) or may be missing: a category says
              `a number`, `that value` or `missing`, and only with the first there is a z

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

from sfumato.data.table import Column, ColumnType

# A point mass is a number that this share of the rows has, at least so many rows, and so many times
# the mean count of a value; at most so many are taken.
_MASS, _LEAST_MASS_ROWS, _ABOVE_MEAN, _MOST_MASSES = 0.05, 20, 8, 8

_MOST_KNOTS = 32

# Farther than any column's own values are in z; beyond it a float32 would overflow.
_FARTHEST = 1e4

# A cell of less probability is narrow enough to be taken by its width.
_LEAST_PROBABILITY = 1e-280

# Numbers of more decimals than these have no grid.
_MOST_DIGITS = 6
_MOST_CELLS = 10_000


@dataclass(frozen=True, slots=True)
class CategoricalCodec:
    """A column whose values are a few, in their order.

    Args:
        name: of the column.
        kind: categorical, ordinal or boolean; constant where there is one value.
        categories: text, integers, numbers, booleans, or dates as ISO text.
        has_missing: whether values may be missing; that is then the last category.
        dtype: of the values in memory: "object", "int64", "float64", "bool", "datetime64[us]".
        grid_step: width of the grid that numbers lie on; 0 where they are none, or lie on none.
        frame_dtype: what the frame it came from calls its type.
        ordered: whether a frame's categories are in order.
        declared: all categories that the frame names, in the data or not, if it names them.
        form: how a text file writes them.
    """

    name: str
    kind: ColumnType
    categories: tuple[Any, ...]
    has_missing: bool
    dtype: str
    grid_step: float = 0.0
    frame_dtype: str = ""
    ordered: bool = False
    declared: tuple[str, ...] | None = None
    form: str = ""

    @classmethod
    def fit(cls, column: Column, kind: ColumnType) -> "CategoricalCodec":
        """The values that a column has."""
        present = column.present
        seen = set(present.tolist())
        declared = column.categories
        order = sorted(seen) if declared is None else [k for k in declared if k in seen]
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
            declared,
            column.form,
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of its categories, `missing` among them; empty where nothing varies."""
        size = len(self.categories) + self.has_missing
        return (size,) if size > 1 else ()

    is_numeric = False

    def encode(self, column: Column, spread: np.ndarray | None) -> "Encoded":  # noqa: ARG002
        """The category of each value; -1 for one that was not in the training data."""
        known = {each: k for k, each in enumerate(np.array(self.categories, self.dtype).tolist())}
        category = np.array([known.get(each, -1) for each in column.values.tolist()], np.int64)
        unseen = (category < 0) & ~column.missing
        category[column.missing] = len(known) if self.has_missing else -1
        if not self.has_missing:
            unseen |= column.missing
        return Encoded(
            None,
            category if self.sizes else None,
            np.where(column.missing | unseen, 0.0, -np.log(self.grid_step or 1.0)),
            unseen,
        )

    def decode(self, z: np.ndarray | None, category: np.ndarray | None, rows: int) -> Column:  # noqa: ARG002
        """The inverse."""
        category = np.zeros(rows, np.int64) if category is None else category
        known = np.array(self.categories, dtype=self.dtype)
        missing = category == len(known)  # also where every value is missing
        index = category.clip(max=len(known) - 1)
        values = known[index] if len(known) else np.zeros(rows, self.dtype)
        frame = self.declared, self.ordered, self.frame_dtype
        return Column(self.name, values, missing, *frame, form=self.form)


@dataclass(frozen=True, slots=True)
class NumericCodec:
    """A column of numbers or dates.

    Args:
        name: of the column.
        kind: continuous, integer or date.
        point_masses: values that many rows have, in rising order; of dates in microseconds.
        has_missing: whether values may be missing.
        grid_step: width of the grid that all values lie on; 0 where there is none. Of dates in
            microseconds.
        low: the least value; x counts from here.
        high: the largest.
        knots: where h has its corners, rising, x - low.
        heights: h there, rising.
        dtype: of the values in memory: "float64", "int64" or "datetime64[us]".
        frame_dtype: what the frame it came from calls its type.
        form: how a text file writes them.
    """

    name: str
    kind: ColumnType
    point_masses: tuple[float | int, ...]
    has_missing: bool
    grid_step: float
    low: float | int
    high: float | int
    knots: tuple[float, ...]
    heights: tuple[float, ...]
    dtype: str
    frame_dtype: str = ""
    form: str = ""

    @classmethod
    def fit(cls, column: Column, kind: ColumnType) -> "NumericCodec":
        """Grid, point masses and quantiles of a column of two values or more."""
        exact = column.present.astype(np.int64 if kind == "date" else column.values.dtype)
        low, high = exact.min(), exact.max()
        masses, rest = _point_masses(exact)
        step = _grid_step(exact, kind)
        knots, heights = _quantiles((exact[rest] - low).astype(np.float64), step)
        return cls(
            column.name,
            kind,
            tuple(plain(mass) for mass in masses),
            bool(column.missing.any()),
            step,
            plain(low),
            plain(high),
            tuple(knots.tolist()),
            tuple(heights.tolist()),
            str(column.values.dtype),
            column.dtype,
            column.form,
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of its categories: a number, point masses, missing; empty if always a number."""
        size = 1 + len(self.point_masses) + self.has_missing
        return (size,) if size > 1 else ()

    is_numeric = True

    def encode(self, column: Column, spread: np.ndarray | None) -> "Encoded":
        """z, NaN where there is no number, and the category.

        Args:
            column: of the same type.
            spread: where in its cell each value is put, 0 ... 1, `(n,)`; the middle if None.
        """
        there = ~column.missing
        exact = column.values.astype(np.int64 if self.kind == "date" else column.values.dtype)
        x = np.where(there, exact - self.low, 0).astype(np.float64)
        category = np.where(there, 0, 1 + len(self.point_masses) if self.has_missing else -1)
        for k, mass in enumerate(self.point_masses, start=1):
            category[there & (exact == mass)] = k
        if self.grid_step and spread is None:
            z, log_width = self._middle(x)
        else:
            z, slope = self._up(x + self.grid_step * (0.0 if spread is None else spread - 0.5))
            log_width = np.log(slope)
        unit = 1.0 if self.kind == "date" else self.grid_step or 1.0
        of_number, of_mass = log_width - np.log(unit) * bool(self.grid_step), -np.log(unit)
        return Encoded(
            np.where(category == 0, z.clip(-_FARTHEST, _FARTHEST), np.nan),
            category if self.sizes else None,
            np.where(category == 0, of_number, np.where(there, of_mass, 0.0)),
            column.missing if not self.has_missing else np.zeros(len(x), bool),
        )

    def _middle(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the cells about x the middle m in z, and log of what p(m) is to be multiplied by."""
        low, high = self._up(x - self.grid_step / 2)[0], self._up(x + self.grid_step / 2)[0]
        turned = low > 0  # the other tail keeps its digits
        below, above = np.where(turned, -high, low), np.where(turned, -low, high)
        mass = ndtr(above) - ndtr(below)
        middle = ndtri((ndtr(below) + ndtr(above)) / 2)
        far = ~(np.isfinite(middle) & (mass > _LEAST_PROBABILITY))
        middle = np.where(far, (below + above) / 2, middle)
        with np.errstate(divide="ignore"):
            width = np.where(far, np.log(above - below), np.log(mass) - _log_normal(middle))
        return np.where(turned, -middle, middle), width

    def decode(self, z: np.ndarray | None, category: np.ndarray | None, rows: int) -> Column:
        """The inverse, on the grid and in the range of the training data."""
        assert z is not None
        category = np.zeros(rows, np.int64) if category is None else category
        half = self.grid_step / 2
        x = self._down(np.nan_to_num(z)).clip(self.knots[0] + half, self.knots[-1] - half)
        values = self.nearest(x + self.low)
        for k, mass in enumerate(self.point_masses, start=1):
            values[category == k] = np.array([mass]).astype(values.dtype)
        missing = (
            category == 1 + len(self.point_masses) if self.has_missing else np.zeros(rows, bool)
        )
        return Column(self.name, values, missing, dtype=self.frame_dtype, form=self.form)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The nearest values that the column may have; dates in microseconds."""
        x = values - self.low
        if self.grid_step:
            x = np.round(x / self.grid_step) * self.grid_step
        x = x.clip(0, self.high - self.low)
        if self.dtype != "float64":
            return (np.round(x).astype(np.int64) + self.low).astype(self.dtype)
        clipped = (x + self.low).clip(self.low, self.high)
        # The decimal number itself: a sum may be its neighbour.
        return clipped if (digits := _digits(self.grid_step)) is None else np.round(clipped, digits)

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


def _point_masses(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values that many rows have, and which rows have none of them."""
    values, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    many = counts >= max(_LEAST_MASS_ROWS, _MASS * counts.sum(), _ABOVE_MEAN * counts.mean())
    if many.sum() > _MOST_MASSES:
        many &= counts >= np.sort(counts)[-_MOST_MASSES]
    # What is left must be numbers still.
    if len(values) - many.sum() < 2:
        many[:] = False
    return values[many], ~many[inverse]


def _grid_step(values: np.ndarray, kind: ColumnType) -> float:
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
    """Of decimal digits, or of integers that were brought to another scale."""
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
        category: -1 where it was not in the training data.
        log_width: what brings densities of z and probabilities of categories to the column's own
            unit, nats: log h' where there is a number; of one on a grid its probability over the
            step, of a date its probability.
        unseen: a category, or a missing value, that was not in the training data.
    """

    z: np.ndarray | None
    category: np.ndarray | None
    log_width: np.ndarray
    unseen: np.ndarray


ColumnCodec = CategoricalCodec | NumericCodec


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own; a date as ISO text."""
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return value.item() if isinstance(value, np.generic) else value
