"""Which numbers of a table are in one unit, and how far apart two of them are.

A payment follows a bill, a bill ends near a limit, a price is a little above another. Each number
has a coordinate z of its own (see `data.codecs.columns`), in which such a relation is a curve that
a network learns slowly. So the network is also given, of two numbers a and b that are compared,

    (1)  f = asinh((u(a) - u(b)) / s)

with u the normal score of a value among the values of all columns of the unit, and s the tenth
percentile of |u(a) - u(b)| over the rows. An asinh is a line near 0 and a logarithm farther out: it
tells small differences apart, and large ones too.

Two columns are compared where their values are close much more often than if either were shuffled.
Columns that are compared, one through another, are of one unit; so is one that repeats another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from scipy.special import ndtr

from sfumato.data.codecs.columns import NumericCodec
from sfumato.data.codecs.repeats import in_order

# Fewer rows show no such detail. Close are two values that differ by so much in u.
_LEAST_ROWS, _CLOSE = 3000, 0.05

# So many times as often as by chance, in so many of the rows that are looked at.
_ABOVE_CHANCE, _LEAST_CLOSE, _LOOKED_AT = 3, 40, 4000

# So many pairs at most, the closest, as each is one more input; corners and s are of so many rows.
_MOST_PAIRS, _MEASURED = 64, 30_000

# Corners of u, even in the normal score to this one; beyond it u is level.
_CORNERS, _END = 33, 3.2

# The least s: differences below it are not told apart.
_LEAST_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class Unit:
    """Columns of one unit.

    Args:
        names: of the columns.
        corners: quantiles of their values together, at even normal scores.
        pairs: of places among the names, those that are compared.
        scales: s of eq. (1) for each pair.
    """

    names: tuple[str, ...]
    corners: tuple[float, ...]
    pairs: tuple[tuple[int, int], ...]
    scales: tuple[float, ...]

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The normal score u of each value, of any shape."""
        return _scores(values, self.corners)

    @property
    def is_sound(self) -> bool:
        """Whether it describes a unit; one may come from a stranger's file."""
        places = range(len(self.names))
        return (
            len(set(self.names)) == len(self.names)
            and len(self.corners) == _CORNERS
            and bool(np.isfinite(self.corners).all())
            and all(a <= b for a, b in pairwise(self.corners))
            and len(self.pairs) == len(self.scales) == len(set(self.pairs)) > 0
            and all(len(p) == 2 and p[0] in places and p[1] in places for p in self.pairs)
            and all(_LEAST_SCALE <= scale <= 2 * _END for scale in self.scales)
        )


def found_in(values: np.ndarray, parts: Sequence[NumericCodec]) -> tuple[Unit, ...]:
    """The units of numeric columns.

    Args:
        values: of all rows, `(n, columns)`; NaN where there is none, or it is no number of its own.
        parts: their codecs.
    """
    if len(values) < _LEAST_ROWS:
        return ()
    some = values[np.random.default_rng(0).permutation(len(values))[:_MEASURED]]
    alike = [
        (a, b)
        for a, b in combinations(range(len(parts)), 2)
        if (parts[a].kind == "date") == (parts[b].kind == "date")
    ]
    above = {pair: _above_chance(some[:_LOOKED_AT, pair]) for pair in alike}
    close = [pair for pair in alike if above[pair] > _ABOVE_CHANCE]
    close = sorted(sorted(close, key=lambda pair: -above[pair])[:_MOST_PAIRS])
    place = {parts[k].name: k for k in {k for pair in close for k in pair}}
    pairs = ((part.name, part.repeats) for part in in_order(parts))
    same = [(place[a], place[b]) for a, b in pairs if {a, b} <= place.keys()]
    return tuple(_unit(places, close, some, parts) for places in _linked([*close, *same]))


def _above_chance(values: np.ndarray) -> float:
    """How many times as often as if either were shuffled two columns, `(n, 2)`, are close.

    0 where they are close in too few rows.
    """
    both = values[np.isfinite(values).all(1)]
    if len(both) < _LEAST_CLOSE:
        return 0.0
    a, b = _scores(both, _corners(both)).T
    close, rising = int((np.abs(a - b) < _CLOSE).sum()), np.sort(b)
    near = np.searchsorted(rising, a + _CLOSE) - np.searchsorted(rising, a - _CLOSE)
    return close / float(near.mean()) if close >= _LEAST_CLOSE else 0.0


def _linked(close: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The places of columns that are linked by pairs, each set in order."""
    sets: list[set[int]] = []
    for pair in close:
        joined = [each for each in sets if each & set(pair)]
        sets = [each for each in sets if not each & set(pair)]
        sets.append(set(pair).union(*joined))
    return sorted(sorted(each) for each in sets)


def _unit(
    places: list[int],
    close: Sequence[tuple[int, int]],
    values: np.ndarray,
    parts: Sequence[NumericCodec],
) -> Unit:
    """The unit of columns that are linked."""
    of_unit = values[:, places]
    corners = _corners(of_unit)
    pairs = tuple((places.index(a), places.index(b)) for a, b in close if a in places)
    u = _scores(of_unit, corners)
    tenths = (float(np.nanquantile(np.abs(u[:, a] - u[:, b]), 0.1)) for a, b in pairs)
    scales = tuple(max(each, _LEAST_SCALE) for each in tenths)
    return Unit(tuple(parts[k].name for k in places), tuple(corners.tolist()), pairs, scales)


def _corners(values: np.ndarray) -> np.ndarray:
    """Quantiles of all values together."""
    return np.asarray(np.nanquantile(values, ndtr(_even())))


def _scores(values: np.ndarray, corners: Sequence[float] | np.ndarray) -> np.ndarray:
    """The normal scores of values between corners; NaN stays."""
    return np.asarray(np.interp(values, corners, _even()))


def _even() -> np.ndarray:
    """The normal scores of the corners."""
    return np.linspace(-_END, _END, _CORNERS)
