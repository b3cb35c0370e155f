"""The law of one column of a table given the others, row by row.

A category has the network's own answer, whatever else of the row is known:

    (1)  p(k | what is known)

A number may be one of its point masses, with the probability (1); else it is z by its codec, and in
one dimension the probability flow keeps order, so that it carries quantiles to quantiles:

    (2)  the q-quantile of z is where the flow from Phi^-1(q) ends

K starts in the middles of K equal shares give K equally likely values without any chance in them.
Where more of a row is missing than the target, that is drawn beside it, for each of the K anew.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from sfumato.data.codecs.columns import CategoricalCodec, NumericCodec
from sfumato.data.codecs.table import EncodedTable
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError
from sfumato.metrics.scoring_rules import crps_of_values
from sfumato.models.table import TableModel, filled_up
from sfumato.process.streams import CHUNK, PREDICTING, Chunk
from sfumato.samplers.driver import last_frame, trajectory
from sfumato.samplers.unipc import UniPC

QUANTILES = 32
"""K of eq. (2): quantiles within a fiftieth of a standard deviation of those of very many."""

STEPS = 12
"""Of the solver; a law much narrower than the target's own spread needs more."""

# Phi^-1 of 75 % and of 95 %.
_WIDENED_AT = ndtri([0.75, 0.95])


@dataclass(frozen=True, slots=True, eq=False)
class PredictedNumbers:
    """Laws of a column of numbers or dates, one for each row: weighted values in rising order.

    Args:
        part: the column's codec.
        values: `(n, m)` float64; of dates in microseconds.
        weights: of each, `(n, m)`, 1 in a row's sum.
        is_mass: which are point masses; the others stand for all values about them, `(n, m)`.
    """

    part: NumericCodec
    values: np.ndarray
    weights: np.ndarray
    is_mass: np.ndarray

    @classmethod
    def rising(
        cls, part: NumericCodec, values: np.ndarray, weights: np.ndarray, is_mass: np.ndarray
    ) -> "PredictedNumbers":
        """Laws of values in any order."""
        order = values.argsort(1, kind="stable")
        every = (np.take_along_axis(each, order, 1) for each in (values, weights, is_mass))
        return cls(part, *every)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.values)

    def mean(self) -> np.ndarray:
        """The expected value of each row, `(n,)`, float64 or dates; it need lie on no grid."""
        return self._as_dates((self.values * self.weights).sum(1))

    def quantiles(self, levels: Sequence[float] | np.ndarray) -> np.ndarray:
        """Values that the column is below with these probabilities, `(n, levels)`.

        Between two of the values they are interpolated, and brought to the column's grid.

        Raises:
            ArgumentError: if a level is not above 0 and below 1.
        """
        asked = np.asarray(levels, np.float64)
        if asked.ndim != 1 or not ((asked > 0) & (asked < 1)).all():
            raise ArgumentError(
                f"quantiles are a list of numbers above 0 and below 1; got {levels}."
            )
        rows = zip(self._places(), self.values.repeat(2, 1), strict=True)
        found = np.array([np.interp(asked, *row) for row in rows]).reshape(-1, len(asked))
        return self.part.nearest(found)

    def _places(self) -> np.ndarray:
        """The probability of less than each value and of no more than it, `(n, 2 m)`."""
        above = self.weights.cumsum(1)
        middle = above - self.weights / 2
        # A point mass covers its whole share.
        ends = [np.where(self.is_mass, end, middle) for end in (above - self.weights, above)]
        return np.stack(ends, 2).reshape(len(above), -1)

    def cdf(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of less than each row's point and of no more than it, `(n,)` each.

        They differ at a point mass, and beyond the outermost values, where the law says only how
        probable all that lies there is. Between two of the values they are interpolated.

        Args:
            points: one for each row, `(n,)` float64; of dates in microseconds.
        """
        places, values = np.pad(self._places(), ((0, 0), (1, 1))), self.values.repeat(2, 1)
        places[:, -1] = 1
        first, after = (values < points[:, None]).sum(1), (values <= points[:, None]).sum(1)
        every = np.arange(len(values))
        below, upto = (
            places[every, first + (first < after)],
            places[every, after + (first == after)],
        )
        # Strictly between two values both are on the line from one to the other.
        inside = (first == after) & (first > 0) & (first < values.shape[1])
        row, next_one = every[inside], first[inside]
        low, high = values[row, next_one - 1], values[row, next_one]
        share = (points[inside] - low) / (high - low)
        below[inside] = upto[inside] = (1 - share) * below[inside] + share * upto[inside]
        return below, upto

    def interval(self, share: float) -> np.ndarray:
        """From where to where the middle of each row's law lies that holds this share, `(n, 2)`.

        Raises:
            ArgumentError: if the share is not above 0 and below 1.
        """
        if not 0 < share < 1:
            raise ArgumentError(f"the share of an interval is above 0 and below 1; got {share}.")
        return self.quantiles([(1 - share) / 2, (1 + share) / 2])

    def crps(self, truth: np.ndarray) -> np.ndarray:
        """E|x - truth| - E|x - x'|/2 of each row, `(n,)`: Gneiting & Raftery (2007), eq. 21."""
        return crps_of_values(self.values, self.weights, truth)

    def widened(self, factors: Sequence[float] | np.ndarray) -> "PredictedNumbers":
        """The laws as wide about their medians as these times what they are; masses stay.

        Args:
            factors: of the quartiles, and of the 5 % and 95 % quantiles. Between them a factor's
                logarithm is on a line in |Phi^-1(q)|; within and beyond them factors stay. If the
                second is less than about half of the first, values cross, and are put in order.
        """
        middle = self.quantiles([0.5]).astype(np.float64)
        places = self.weights.cumsum(1) - self.weights / 2
        z = abs(ndtri(places.clip(1e-9, 1 - 1e-9)))
        factor = np.exp(np.interp(z, _WIDENED_AT, np.log(factors)))
        moved = middle + factor * (self.values - middle)
        values = np.where(self.is_mass, self.values, moved.clip(self.part.low, self.part.high))
        return PredictedNumbers.rising(self.part, values, self.weights, self.is_mass)

    def finer(self, count: int) -> "PredictedNumbers":
        """The laws by so many values, between and beyond those that they have; masses stay.

        As functions of Phi^-1(q), in which a normal law is a line, quantiles are interpolated by
        monotone cubics (Fritsch & Carlson 1980), and go on straight beyond the outermost.

        Args:
            count: of equally likely values.
        """
        rows, free = len(self), ~self.is_mass
        known = int(free[:1].sum())
        if not rows or known < 2:
            return self
        values = self.values[free].reshape(rows, known)
        z, asked = (ndtri((np.arange(k) + 0.5) / k) for k in (known, count))
        found = PchipInterpolator(z, values, axis=1)(asked.clip(z[0], z[-1]))
        first, last = values[:, 1] - values[:, 0], values[:, -1] - values[:, -2]
        step = z[1] - z[0]  # as wide as the last
        found += first[:, None] / step * (asked - z[0]).clip(max=0)
        found += last[:, None] / step * (asked - z[-1]).clip(min=0)
        found = found.clip(self.part.low, self.part.high)
        share = self.weights[free].reshape(rows, known).sum(1, keepdims=True) / count
        masses = ~free
        each_mass = [
            each[masses].reshape(rows, -1) for each in (self.values, self.weights, self.is_mass)
        ]
        new = found, share.repeat(count, 1), np.zeros((rows, count), bool)
        both = (np.c_[a, b] for a, b in zip(new, each_mass, strict=True))
        return PredictedNumbers.rising(self.part, *both)

    def shifted(self, by: np.ndarray, part: NumericCodec) -> "PredictedNumbers":
        """The laws of a column that is this one and a known number of each row.

        Args:
            by: what is added, `(n,)`.
            part: that column's codec, within whose range the values stay.
        """
        values = (self.values + by[:, None]).clip(part.low, part.high)
        return PredictedNumbers(part, values, self.weights, self.is_mass)

    def _as_dates(self, values: np.ndarray) -> np.ndarray:
        if self.part.kind == "date":
            return np.round(values).astype(np.int64).astype(self.part.dtype)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class PredictedCategories:
    """Laws of a column of categories, one for each row.

    Args:
        part: the column's codec.
        probabilities: of `categories`, `(n, categories)`.
    """

    part: CategoricalCodec
    probabilities: np.ndarray

    def __len__(self) -> int:
        """How many rows."""
        return len(self.probabilities)

    @property
    def categories(self) -> np.ndarray:
        """The column's own values, in the order of the probabilities."""
        return np.array(self.part.categories, self.part.dtype)

    def most_probable(self) -> np.ndarray:
        """The category of each row, `(n,)`."""
        return np.asarray(self.categories[self.probabilities.argmax(1)])


Predicted = PredictedNumbers | PredictedCategories
"""Of each row, what the target may be."""


def joined(chunks: Sequence[Predicted]) -> Predicted:
    """The laws of all rows in one, of one chunk or more."""
    names = [each.name for each in fields(chunks[0]) if each.name != "part"]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in chunks]) for name in names
    }
    return replace(chunks[0], **arrays)


def predict_chunks(
    model: TableModel,
    rows: DataTable,
    target: str,
    *,
    seed: int = 0,
    values: int = QUANTILES,
    steps: int = STEPS,
) -> Iterator[Predicted]:
    """The laws of the target in each row, chunk by chunk; what stands there is not looked at.

    Args:
        model: of a table.
        rows: of the model's columns; what is missing in them is not known.
        target: a column that the model learned.
        seed: of what is drawn where more is missing than the target.
        values: how many equally likely ones stand for the law of a number, up to a chunk.
        steps: of the solver that takes them there.

    Raises:
        ArgumentError: if there is no such column, it never varied, or a number is out of range.
        DataError: if the rows do not fit the model.
    """
    if not 1 <= values <= CHUNK or steps < 1:
        raise ArgumentError(
            f"`values` are from 1 to {CHUNK}, and `steps` at least 1; got {values} and {steps}."
        )
    place, state = model.codec.places(target)
    if len(model.codec.columns) == 1:
        raise ArgumentError(
            f"the column {target!r} is the only one that the model learned; there is nothing to "
            "predict it from."
        )
    seen, part = (
        known_without(model, rows, target),
        model.codec.parts[model.codec.columns.index(target)],
    )
    if isinstance(part, CategoricalCodec):
        return _categories(model, seen, part, state)
    return _numbers(model, seen, part, state, place, seed, values, steps)


def known_without(model: TableModel, rows: DataTable, target: str) -> EncodedTable:
    """Rows as the network sees them, the target hidden.

    Raises:
        DataError: if the rows do not fit the model, or what is known breaks a stated rule.
    """
    own = model.own(rows)
    known = [~each.missing & (each.name != target) for each in own]
    return model.as_known(own, np.stack(known, axis=1))


def _probabilities(model: TableModel, rows: EncodedTable, state: int, kept: int) -> np.ndarray:
    """Eq. (1) of the first categories of a column, those that are no missing value: `(n, kept)`."""
    first = sum(model.codec.sizes[:state])
    categories = model.hidden(rows.categories)
    numbers, _ = model.codec.free(rows, categories)
    logits = model.denoiser.logits(numbers, categories)[:, first : first + kept]
    may = None if model.allowed is None else model.allowed(categories, state)
    if may is not None:
        logits = logits.masked_fill(~may[:, :kept], -math.inf)
    found: np.ndarray = logits.softmax(1).numpy()
    return found


def _categories(
    model: TableModel, seen: EncodedTable, part: CategoricalCodec, state: int
) -> Iterator[PredictedCategories]:
    for first in range(0, max(1, len(seen)), CHUNK):
        index = torch.arange(first, min(first + CHUNK, len(seen)))
        found = _probabilities(
            model, filled_up(seen.take(index), CHUNK), state, len(part.categories)
        )
        yield PredictedCategories(part, found[: len(index)])


def _numbers(
    model: TableModel,
    seen: EncodedTable,
    part: NumericCodec,
    state: int,
    place: int,
    seed: int,
    count: int,
    steps: int,
) -> Iterator[PredictedNumbers]:
    at_once = CHUNK // count
    masses = np.array(part.point_masses, np.float64)
    for chunk, first in enumerate(range(0, max(1, len(seen)), at_once)):
        index = torch.arange(first, min(first + at_once, len(seen)))
        # Always as many at once; rows of which nothing were known would have all of it drawn.
        again = index[-1:].expand(at_once - len(index) if len(index) else 0)
        whole = filled_up(seen.take(torch.cat([index, again])), at_once)
        rows, atoms = _told(model, whole, place)
        flowed = partial(_flowed, model, rows, part, state, place, seed, chunk, count, steps)
        chance = np.ones((at_once, 1))
        if part.sizes:
            chance = _probabilities(model, rows, state, part.repeat_code + bool(part.repeats))
        of_numbers = [flowed(0), *([flowed(part.repeat_code)] if part.repeats else [])]
        every = np.c_[of_numbers[0], np.tile(masses, (at_once, 1)), *of_numbers[1:]]
        shares = [chance[:, :1], *([chance[:, part.repeat_code :]] if part.repeats else [])]
        spread = [(share / count).repeat(count, 1) for share in shares]
        weights = np.c_[spread[0], chance[:, 1 : part.repeat_code], *spread[1:]]
        left = 1 - sum((chance for _, chance in atoms), np.zeros(at_once))
        every = np.c_[every, *(value for value, _ in atoms)]
        weights = np.c_[weights * left[:, None], *(chance for _, chance in atoms)]
        is_mass = np.broadcast_to(np.arange(every.shape[1]) >= count, every.shape)
        own = (each[: len(index)] for each in (every, weights, is_mass))
        yield PredictedNumbers.rising(part, *own)


def _told(
    model: TableModel, rows: EncodedTable, place: int
) -> tuple[EncodedTable, list[tuple[np.ndarray, np.ndarray]]]:
    """Rows where nothing that is known repeats the target; values of what may, and how probable.

    Args:
        model: of the table.
        rows: without the target.
        place: of the target among the numbers.
    """
    atoms, left = [], np.ones(len(rows))
    for each in model.codec.repeats:
        if each.other_number == place:
            chance = left * model.chance_of_repeat(model.denoiser, rows, each).numpy()
            values = model.codec.value_repeated(rows, each).values
            kind = np.int64 if values.dtype.kind == "M" else values.dtype
            atoms.append((values.astype(kind).astype(np.float64), chance))
            left = left - chance
            rows = model.codec.decided(rows, each, torch.zeros(len(rows), dtype=torch.bool))
    return rows, atoms


def _flowed(
    model: TableModel,
    rows: EncodedTable,
    part: NumericCodec,
    state: int,
    place: int,
    seed: int,
    chunk: int,
    count: int,
    steps: int,
    code: int,
) -> np.ndarray:
    """Eq. (2): K values of the column for each row, given its category; `(rows, K)`."""
    every = rows.take(torch.arange(len(rows)).repeat_interleave(count))
    if part.sizes:
        categories = every.categories.clone()
        categories[:, state] = code
        every = replace(every, categories=categories)
    own = Chunk(chunk * len(every), len(every), chunk, len(every))
    every = model.settled(every, seed, own)
    categories = model.categories(every, seed, own)
    source = own.noise(seed, PREDICTING)
    numbers, requested = model.codec.free(every, categories)
    # Where one number decides the others by a rule, that one is carried: order is kept, or turned.
    carried = requested & (requested.sum(1, keepdim=True) == 1)
    carried[:, place] |= requested[:, place]
    quantiles = torch.from_numpy(ndtri((np.arange(count) + 0.5) / count))
    start = torch.where(carried, quantiles.repeat(len(rows))[:, None], source(numbers))
    levels = model.process.grid(model.process.default_grid, steps)
    denoise = model.conditioned(numbers, requested, categories)
    x = last_frame(trajectory(denoise, start, levels, UniPC(), noise=source)).x_t
    x = torch.where(requested, x, numbers)
    x = torch.where(model.codec.present(categories), x, math.nan)
    found = model.codec.decode(x, categories, every.exact)[part.name].values
    kind = np.int64 if found.dtype.kind == "M" else found.dtype
    return found.astype(kind).astype(np.float64).reshape(len(rows), count)
