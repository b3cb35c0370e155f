"""How a density of plain numbers becomes one of a table: p(row) = P(state) p(numbers | state).

The state is all of a row that is no plain number: its categories, which numbers are holes, and
which have a value that many rows have, such as 0. Its probability is its share of the rows; a
density of the numbers is fitted for each state of 20 rows or more, and one for all other rows with
the same numbers. Numbers on a grid are spread evenly over their cell first, so that the density,
averaged over the cell, is the cell's probability over its width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.table_sets import TableSet

_LEAST, _LUMP, _DRAWS = 20, 0.05, 8


class Density(Protocol):
    """Of numbers `(n, d)` of unit scale, as scikit-learn has it."""

    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Nats, `(n,)`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Factored:
    """A density for each state.

    Args:
        learned: what it was fitted to.
        steps: width of each column's grid, `(d,)`.
        lumps: of each column the values that many rows have.
        scale: of each column, `(d,)`.
        shares: how many rows each state had.
        of_state: of the states of many rows.
        of_numbers: for all others, by which columns are numbers.
        draw: `(density, n, seed)` to n of its rows.
    """

    learned: TableSet
    steps: np.ndarray
    lumps: tuple[np.ndarray, ...]
    scale: np.ndarray
    shares: dict[tuple[float, ...], int]
    of_state: dict[tuple[float, ...], Density]
    of_numbers: dict[tuple[float, ...], Density]
    draw: Callable[[Any, int, int], np.ndarray]

    def _density(self, state: tuple[float, ...]) -> Density | None:
        return self.of_state.get(state) or self.of_numbers.get(_plain(state))

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw a state for each row, then its numbers, brought to the grid."""
        rng = np.random.default_rng(seed)
        known = list(self.shares)
        count = rng.multinomial(n, np.array(list(self.shares.values())) / len(self.learned.rows))
        rows = np.empty((n, len(self.steps)))
        first = 0
        for state, many in zip(known, count, strict=True):
            part = rows[first : first + many]
            first += many
            part[:] = state
            numbers = np.array(_plain(state), dtype=bool)
            if many and numbers.any():
                drawn = self.draw(self._density(state), many, int(rng.integers(2**31)))
                part[:, numbers] = drawn * self.scale[numbers]
        step = np.where(self.steps > 0, self.steps, 1)
        low = np.nanmin(self.learned.rows, axis=0)
        rows = np.where(self.steps > 0, low + np.round((rows - low) / step) * step, rows)
        rows[np.isneginf(rows)] = np.nan
        return np.asarray(rng.permutation(rows))

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Nats of each row."""
        rng = np.random.default_rng(0)
        found = np.empty(len(rows))
        states = _states(rows, self.learned.is_category, self.lumps)
        total = len(self.learned.rows) + 1
        for state in set(states):
            which = np.array([each == state for each in states])
            numbers = np.array(_plain(state), dtype=bool)
            nats = math.log(self.shares.get(state, 1) / total)
            density = self._density(state)
            if numbers.any() and density is not None:
                x = rows[which][:, numbers]
                at = [
                    density.score_samples((x + u * self.steps[numbers]) / self.scale[numbers])
                    for u in _spread(rng, x.shape)
                ]
                nats = nats + np.logaddexp.reduce(at, axis=0) - math.log(_DRAWS)
                nats = nats - np.log(self.scale[numbers]).sum()
            found[which] = nats
        return found


def _spread(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Where in their cells rows are looked at, -1/2 ... 1/2, evenly, `(_DRAWS, n, d)`."""
    places = (np.arange(_DRAWS) + rng.random(_DRAWS)) / _DRAWS - 0.5
    return np.asarray(rng.permuted(np.broadcast_to(places, (*shape, _DRAWS)), axis=-1)).transpose(
        2, 0, 1
    )


def _states(
    rows: np.ndarray, is_category: np.ndarray, lumps: tuple[np.ndarray, ...]
) -> list[tuple[float, ...]]:
    """Of each row: categories and lumps as they are, holes as -inf, inf for a plain number."""
    found = np.where(is_category, rows, np.inf)
    for k, values in enumerate(lumps):
        found[:, k] = np.where(np.isin(rows[:, k], values), rows[:, k], found[:, k])
    return [tuple(each) for each in np.where(np.isnan(rows), -np.inf, found).tolist()]


def _plain(state: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(each == math.inf) for each in state)


def factored(
    learn: TableSet,
    seed: int,
    fit: Callable[[np.ndarray, int], Density],
    draw: Callable[[Any, int, int], np.ndarray],
) -> Factored:
    """Fit a density to the numbers of each state.

    Args:
        learn: rows to learn from.
        seed: of where in their cells numbers on a grid are put, and of the fits.
        fit: `(numbers, seed)` to a density.
        draw: `(density, n, seed)` to n of its rows.
    """
    rng = np.random.default_rng(seed)
    steps = learn.steps
    lumps = tuple(
        _lumps(values) if not (step or category) else np.empty(0)
        for values, step, category in zip(learn.rows.T, steps, learn.is_category, strict=True)
    )
    states = _states(learn.rows, learn.is_category, lumps)
    scale = np.where(learn.is_category, 1, np.nanstd(learn.rows, axis=0))
    x = (learn.rows + steps * (rng.random(learn.rows.shape) - 0.5)) / scale
    shares = {state: states.count(state) for state in sorted(set(states))}
    of_state: dict[tuple[float, ...], Density] = {}
    of_numbers: dict[tuple[float, ...], Density] = {}
    plain = [_plain(state) for state in states]
    for state, many in shares.items():
        numbers = np.array(_plain(state), dtype=bool)
        if not numbers.any():
            continue
        if many >= _LEAST:
            which = np.array([each == state for each in states])
            of_state[state] = fit(x[which][:, numbers], seed)
        elif _plain(state) not in of_numbers:
            which = np.array([each == _plain(state) for each in plain])
            of_numbers[_plain(state)] = fit(x[which][:, numbers], seed)
    return Factored(learn, steps, lumps, scale, shares, of_state, of_numbers, draw)


def _lumps(values: np.ndarray) -> np.ndarray:
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return np.asarray(found[counts >= max(_LEAST, _LUMP * len(values))])
