"""One column of a table, between its own values and what a network can learn.

A column becomes a category, a numeric value, or both:

    category  k of a value that is one of a few; `missing` is one category more
    numeric   z = h(x), h piecewise linear from the column's quantiles to those of N(0, 1): heavy
              tails, bounds and piles come out near normal, log|h'| is exact
    both      a number that often takes the same value (0, say) or that of another column, or may be
              missing: a category says `a number`, `that value`, `as the other` or `missing`, and
              only with the first there is a z

h jumps where a value recurs, by as much as the value is frequent, and is level where no value can
be: the probability integral transform of the column's empirical law. So a value that recurs comes
out as often as it was there (exactly on a grid, elsewhere to a float64's rounding), and nothing
comes out of a gap.

A value where h jumps, and a value on a grid (integers, cents, days), has a cell of z, from a to b.
It is spread over its cell evenly by N(0, 1): dequantisation, Theis et al. (2016). The probability
of the cell is then taken to be, with p and n the model's density of z and that of N(0, 1),

    P = p(m)/n(m) (N(b) - N(a)),   m the middle of the cell by N

as p/n varies little where p and n are nearly equal, which h is made for.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from sfumato.data.io.forms import in_digits
from sfumato.data.table import Column, ColumnType

# A point mass is a number that this share of the rows has, at least so many rows, and so many times
# the mean count of a value; at most so many are taken. A heavy one is of this share of the
# rows: the column is another without it.
_MASS, _LEAST_MASS_ROWS, _ABOVE_MEAN, MOST_MASSES, _HEAVY = 0.005, 20, 8, 24, 0.05

_MOST_KNOTS = 32

# A value has a cell of its own if so many rows have it; all have one if these are so many in the
# mean and only such a share of the rows has a value that stands alone.
# Where such a share of a grid is taken, its free places are not ruled out: it is so many rows.
_RECURS, _ALONE, _MOST_CELLS_OF_VALUES = 5, 0.01, 5_000
_TAKEN, _RECURS_WHERE_TAKEN = 0.2, 20

# What stands apart is so many times as far off as the others are wide.
_APART = 3

# A gap is so many times as wide as the next so many rows on either side.
_WIDE, _BESIDE = 5, 20

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
        knots: where h has its corners, x - low; two that are equal are a jump.
        heights: h there; two that are equal are the ends of a gap.
        dtype: of the values in memory: "float64", "int64" or "datetime64[us]".
        frame_dtype: what the frame it came from calls its type.
        form: how a text file writes them.
        repeats: name of the column whose value it often has (see `data.codecs.repeats`), if any.
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
    repeats: str = ""

    @classmethod
    def fit(cls, column: Column, kind: ColumnType, *, point_masses: bool = True) -> "NumericCodec":
        """Grid, point masses and quantiles of a column of two values or more.

        Args:
            column: its values.
            kind: continuous, integer or date.
            point_masses: False: a frequent value is a jump of h alone, as in a column that a rule
                binds to others.
        """
        exact = column.present.astype(np.int64 if kind == "date" else column.values.dtype)
        low, high = exact.min(), exact.max()
        masses, rest = exact[:0], np.ones(len(exact), bool)
        if point_masses:
            masses, rest = frequent(exact)
        step = grid_step_of(exact, kind)
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
        """Number of its categories: a number, point masses, as the other, missing.

        Empty if always a number.
        """
        size = self._missing_code + self.has_missing
        return (size,) if size > 1 else ()

    @property
    def repeat_code(self) -> int:
        """The category of a row where it has the other column's value."""
        return 1 + len(self.point_masses)

    @property
    def _missing_code(self) -> int:
        return self.repeat_code + bool(self.repeats)

    is_numeric = True

    @property
    def unit(self) -> float:
        """What a value's probability is divided by where it stands for a density: the grid's step.

        1 where there is none, and of dates.
        """
        return 1.0 if self.kind == "date" else self.grid_step or 1.0

    @property
    def has_gaps(self) -> bool:
        """Whether there are numbers between the least and the largest that cannot be."""
        level = any(a == b for a, b in pairwise(self.heights))
        return level or self.reach != (0, self.high - self.low)

    @property
    def reach(self) -> tuple[float, float]:
        """From which x to which there are numbers beside the point masses, their tails too.

        What lies farther out, between them and a point mass that stands apart, is a gap.
        """
        first, last, end = self.knots[0], self.knots[-1], self.high - self.low
        span = last - first
        low = first - span if first > _APART * span else 0
        return low, last + span if end - last > _APART * span else end

    def encode(self, column: Column, spread: np.ndarray | None) -> "Encoded":
        """z, NaN where there is no number, and the category.

        Args:
            column: of the same type.
            spread: where in its cell each value is put, 0 ... 1, `(n,)`; the middle if None.
        """
        there = ~column.missing
        exact = column.values.astype(np.int64 if self.kind == "date" else column.values.dtype)
        category = np.where(there, 0, self._missing_code if self.has_missing else -1)
        for k, mass in enumerate(self.point_masses, start=1):
            category[there & (exact == mass)] = k
        x = self._counted(column)
        z, log_width, in_gap = self._placed(x, 0.5 if spread is None else spread)
        of_number = log_width - np.log(self.unit) * bool(self.grid_step)
        of_mass = -np.log(self.unit)
        return Encoded(
            np.where(category == 0, z.clip(-_FARTHEST, _FARTHEST), np.nan),
            category if self.sizes else None,
            np.where(category == 0, of_number, np.where(there, of_mass, 0.0)),
            ((category == 0) & in_gap) | (column.missing & (not self.has_missing)),
        )

    def cell(self, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """From where to where the cell of each value is in z; 0 where one is missing."""
        x, h = self._counted(column), self._corners()
        low, _ = h.up(x - self.grid_step / 2, "left")
        return low, h.up(x + self.grid_step / 2, "right")[0]

    def _counted(self, column: Column) -> np.ndarray:
        """Values as x, counted from the least; 0 where one is missing."""
        exact = column.values.astype(np.int64 if self.kind == "date" else column.values.dtype)
        return np.where(column.missing, 0, exact - self.low).astype(np.float64)

    def _placed(
        self, x: np.ndarray, share: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Z, the log of what p(z) is to be multiplied by, and whether h is level at x.

        In a cell z has this share of the cell's mass below it.
        """
        h = self._corners()
        low, _ = h.up(x - self.grid_step / 2, "left")
        high, _ = h.up(x + self.grid_step / 2, "right")
        slope = h.up(x, "right")[1]
        z, mass = within(low, high, share)
        point = high <= low
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            far = mass <= _LEAST_PROBABILITY
            width = np.where(far, np.log(high - low), np.log(mass) - _log_normal(z))
            width = np.where(point, np.log(slope), width)
        low_end, high_end = self.reach
        outside = (x >= 0) & (x <= self.high - self.low) & ((x < low_end) | (x > high_end))
        in_gap = (point & (slope == 0)) | outside
        z = np.where(outside, z.clip(self.heights[0], self.heights[-1]), z)
        return z, np.where(in_gap, 0.0, width), in_gap

    def decode(self, z: np.ndarray | None, category: np.ndarray | None, rows: int) -> Column:
        """The inverse, on the grid and in the range of the training data."""
        assert z is not None
        category = np.zeros(rows, np.int64) if category is None else category
        values = self.nearest(self.value_at(np.nan_to_num(z)))
        for k, mass in enumerate(self.point_masses, start=1):
            values[category == k] = np.array([mass]).astype(values.dtype)
        missing = category == self._missing_code if self.has_missing else np.zeros(rows, bool)
        return Column(self.name, values, missing, dtype=self.frame_dtype, form=self.form)

    def value_at(self, z: np.ndarray) -> np.ndarray:
        """The value at each z, before it goes to the grid; of dates in microseconds."""
        return np.asarray(self._down(z) + self.low)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """The nearest values that the column may have, with its digits; dates in microseconds."""
        x = values - self.low
        if self.grid_step:
            x = np.round(x / self.grid_step) * self.grid_step
        x = x.clip(0, self.high - self.low)
        if self.dtype != "float64":
            whole = in_digits(self.form, np.round(x).astype(np.int64) + self.low)
            return whole.clip(self.low, self.high).astype(self.dtype)
        clipped = in_digits(self.form, x + self.low).clip(self.low, self.high)
        # The decimal number itself: a sum may be its neighbour.
        return (
            clipped if (digits := digits_of(self.grid_step)) is None else np.round(clipped, digits)
        )

    def _corners(self) -> "_Corners":
        """The corners of h as arrays: there may be thousands."""
        knots, heights = np.array(self.knots), np.array(self.heights)
        rise, run = np.diff(heights), np.diff(knots)
        slopes = np.where(run > 0, rise / np.where(run > 0, run, 1), 0)
        # Beyond a jump h goes on as steep as it is in the mean.
        mean = (heights[-1] - heights[0]) / (knots[-1] - knots[0])
        slopes[[0, -1]] = np.where(slopes[[0, -1]] > 0, slopes[[0, -1]], mean)
        return _Corners(knots, heights, slopes)

    def _down(self, z: np.ndarray) -> np.ndarray:
        knots, half = np.array(self.knots), self.grid_step / 2
        ends = np.where(knots[[0, -1]] == knots[[1, -2]], 0, half)  # a jump has no cell about it
        x = np.interp(z, self.heights, knots)
        return np.asarray(x.clip(knots[0] + ends[0], knots[-1] - ends[1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Corners:
    """The corners of h, and its slope in each piece between them."""

    knots: np.ndarray
    heights: np.ndarray
    slopes: np.ndarray

    def up(self, x: np.ndarray, side: Literal["left", "right"]) -> tuple[np.ndarray, np.ndarray]:
        """H and h', at a jump from this side; beyond the knots h goes on."""
        piece = (np.searchsorted(self.knots, x, side) - 1).clip(0, len(self.knots) - 2)
        over = x >= self.knots[-1] if side == "right" else x > self.knots[-1]
        corner = np.where(over, len(self.knots) - 1, piece)
        slopes = self.slopes[piece]
        return self.heights[corner] + slopes * (x - self.knots[corner]), slopes


def within(low: Any, high: Any, share: Any) -> tuple[Any, Any]:
    """Where in a cell of z this share of its mass by N(0, 1) is below, and that mass.

    Args:
        low: where the cells begin, of any shape.
        high: where they end.
        share: 0 ... 1.
    """
    turned = low > 0  # the other tail keeps its digits
    below, above = np.where(turned, -high, low), np.where(turned, -low, high)
    mass, inside = ndtr(above) - ndtr(below), np.where(turned, 1 - share, share)
    z = ndtri(ndtr(below) + inside * mass)
    far = ~(np.isfinite(z) & (mass > _LEAST_PROBABILITY))
    z = np.where(far, below + inside * (above - below), z)
    return np.where(turned, -z, z), np.where(far, 0.0, mass)


def has_heavy_value(values: np.ndarray) -> bool:
    """Whether a value is a point mass of so many rows that the column is another without it."""
    return len(frequent(values, _HEAVY)[0]) > 0


def frequent(values: np.ndarray, share: float = _MASS) -> tuple[np.ndarray, np.ndarray]:
    """Values that this share of the rows have, and which rows have none of them."""
    values, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    many = counts >= max(_LEAST_MASS_ROWS, share * counts.sum(), _ABOVE_MEAN * counts.mean())
    apart = stand_apart(values.astype(np.float64)) & (counts >= _RECURS)
    many |= apart
    # At most so many: those that stand apart, which may mean missing, then the most frequent.
    many[np.lexsort((-counts, ~apart))[MOST_MASSES:]] = False
    # What is left must be numbers still.
    if len(values) - many.sum() < 2:
        many[:] = False
    return values[many], ~many[inverse]


def stand_apart(values: np.ndarray) -> np.ndarray:
    """Which of the rising distinct values are much farther from all others than these are wide.

    So may be a code that stands for something else: -999, or 9999-12-31.
    """
    first, last, apart = 0, len(values) - 1, np.zeros(len(values), bool)
    while last - first >= 2:
        below, above = values[first + 1] - values[first], values[last] - values[last - 1]
        if above > _APART * (values[last - 1] - values[first]):
            apart[last], last = True, last - 1
        elif below > _APART * (values[last] - values[first + 1]):
            apart[first], first = True, first + 1
        else:
            break
    return apart if last > first else np.zeros(len(values), bool)


def grid_step_of(values: np.ndarray, kind: ColumnType) -> float:
    """Width of the grid that these values lie on; 0 where there is none."""
    if kind == "continuous":
        return _decimal_step(values)
    return float(np.gcd.reduce((values - values.min()).astype(np.int64)))


def digits_of(step: float) -> int | None:
    """How many decimals the numbers on a grid have, if it is one of decimals."""
    if step >= 1 and step == round(step):
        return 0
    return next((d for d in range(_MOST_DIGITS + 1) if step == 10.0**-d), None)


def _decimal_step(values: np.ndarray) -> float:
    """Of decimal digits, or of integers that were brought to another scale.

    A sum of decimals may miss its digits by the rounding of the sum, as 0.1 + 0.2 does; where the
    digits are far above that, it counts as one of them.
    """
    finest = np.spacing(np.abs(values).max())
    for digits in range(_MOST_DIGITS + 1):
        step, off = 10.0**-digits, np.abs(np.round(values, digits) - values).max()
        if off == 0 or (off <= 4 * finest and step > 1000 * finest):
            return step if step > 4 * finest else 0.0
    apart = np.diff(np.unique(values))
    least = float(apart.min())
    cells = apart / least
    on_grid = np.abs(cells - np.round(cells)).max() < 1e-3 and cells.sum() < _MOST_CELLS
    return least if on_grid else 0.0


def _quantiles(x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of h: a jump at each value that recurs, level in gaps, quantiles between."""
    values, counts = np.unique(x, return_counts=True)
    below = np.cumsum(counts) - counts
    ranks = np.append(below, len(x)).clip(0.5, len(x) - 0.5)
    starts = ndtri(ranks / len(x))
    taken = bool(step) and len(values) * step >= _TAKEN * (values[-1] - values[0] + step)
    jumps = _recurring(counts, taken=taken)
    # Runs of values that do not recur, and each that does by itself.
    ends = jumps[1:] | jumps[:-1] | _gaps(values, below, counts)
    knots: list[float] = []
    heights: list[float] = []
    for run in np.split(np.arange(len(values)), np.flatnonzero(ends) + 1):
        first, last = run[0], run[-1]
        low, high = starts[first], starts[last + 1]
        half = 0.0 if jumps[first] else step / 2
        inner = _inner(values[run], counts[run], below[run], len(x), step, (low, high))
        if first == last and not step:
            half = 0.0
        knots += [values[first] - half, *inner[0], values[last] + half]
        heights += [low, *inner[1], high]
    return np.array(knots), np.array(heights)


def _recurring(counts: np.ndarray, *, taken: bool) -> np.ndarray:
    """Which of the distinct values have a cell of their own."""
    often = counts.mean() >= _RECURS and (counts == 1).sum() <= _ALONE * counts.sum()
    if often and not taken and len(counts) <= _MOST_CELLS_OF_VALUES:
        return np.ones(len(counts), bool)
    least = _RECURS_WHERE_TAKEN if taken else _RECURS
    if len(counts) > _MOST_CELLS_OF_VALUES:
        least = max(least, int(np.sort(counts)[-_MOST_CELLS_OF_VALUES]) + 1)
    return np.asarray(counts >= least)


def _gaps(values: np.ndarray, below: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Between which of the distinct values there is a wide gap, `(len(values) - 1,)`."""
    n, last = below[-1] + counts[-1], below + counts
    # The value that so many rows before the gap, and after it, have.
    before = values[np.searchsorted(last, last[:-1] - _BESIDE, "right").clip(0, len(values) - 1)]
    after = values[np.searchsorted(last, below[1:] + _BESIDE - 1, "right").clip(0, len(values) - 1)]
    beside = np.maximum(values[:-1] - before, after - values[1:])
    enough = (last[:-1] >= _BESIDE) & (n - below[1:] >= _BESIDE)
    return np.asarray(enough & (np.diff(values) > _WIDE * beside) & (beside > 0))


def _inner(
    values: np.ndarray,
    counts: np.ndarray,
    below: np.ndarray,
    n: int,
    step: float,
    ends: tuple[float, float],
) -> tuple[list[float], list[float]]:
    """Corners of h within a run of values, at quantiles that are even in z.

    There are so many that each piece has dozens of rows.
    """
    end, count = -float(ndtri(0.5 / n)), int(np.clip(np.sqrt(n) / 2, 3, _MOST_KNOTS))
    even = np.linspace(-end, end, count)[1:-1]
    even = even[(even > ends[0]) & (even < ends[1])]
    if len(values) < 2 or not len(even):
        return [], []
    # What is equal is spread evenly over its cell, or h would be steep where many are.
    place = np.arange(counts.sum()) - np.repeat(below - below[0], counts)
    x = np.repeat(values, counts) + step * ((place + 0.5) / np.repeat(counts, counts) - 0.5)
    rank = below[0] + np.arange(len(x)) + 0.5
    corners = np.interp(even, ndtri(rank / n), x)
    # Where values pile up several heights share a corner.
    least = np.maximum(8 * np.spacing(np.abs(corners) + step), 1e-200)
    low, high = values[0] - step / 2, values[-1] + step / 2
    kept: tuple[list[float], list[float]] = ([], [])
    for corner, height, apart in zip(corners, even, least, strict=True):
        if corner - (kept[0][-1] if kept[0] else low) > apart and high - corner > apart:
            kept[0].append(float(corner))
            kept[1].append(float(height))
    return kept


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
            step, of a date, or of a value that recurs on no grid, its probability.
        unseen: a category, a missing value or a number in a gap, which was not in the training
            data.
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
