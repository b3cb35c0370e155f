"""Do drawn values lie where real values can be? Those that do not, beside fresh real rows.

What the training rows hold says where a value can be; drawn rows and fresh real rows, as many, are
both held against it:

    boundary_adherence  share of numeric values within the training rows' range  SDMetrics' name
    category_adherence  share of categories that training rows have              SDMetrics' name
    gaps                share of rows with a value inside a gap: an empty interval wider than a
                        twentieth of the range that holds nine tenths of the training values, with
                        five of them or more on either side
    unseen_values       share of rows with a value that no training row has, in numeric columns
                        where most training values recur
    unseen_pairs        share of rows with two categories that no training row has together, though
                        it has each

A fresh value falls between two neighbours of n others with a chance of 1/(n + 1), so that fresh
rows show how often each happens to a perfect model. Rows are independent, so that the counts of
rows are binomial and the limits of `judged_share` hold; the first two count values, which may go
together within a row, and the room between the two limits of one in a hundred has to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sfumato.metrics.coded import Coded
from sfumato.metrics.evaluation import Measure, judged_share

_WIDE, _BESIDE = 1 / 20, 5
# Pairs of columns that are looked at: 45 columns have as many.
_PAIRS = 1000
_SMALL = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The values of a numeric column that training rows have.

    Args:
        values: each once, rising.
        counts: how many rows have each.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, column: np.ndarray) -> "Known":
        """Of a column in which NaN is missing."""
        return cls(*np.unique(column[~np.isnan(column)], return_counts=True))

    @property
    def recurs(self) -> bool:
        """Whether most values are those of two rows or more."""
        return bool(2 * self.counts[self.counts > 1].sum() > self.counts.sum())

    @property
    def gaps(self) -> np.ndarray:
        """Which intervals between neighbours are gaps."""
        below, total = self.counts.cumsum(), self.counts.sum()
        low, high = (self.values[np.searchsorted(below, q * total)] for q in (0.05, 0.95))
        span = high - low if high > low else self.values[-1] - self.values[0]
        beside = (below >= _BESIDE) & (total - below >= _BESIDE)
        return np.asarray((np.diff(self.values) > span * _WIDE) & beside[:-1])

    def outside(self, column: np.ndarray) -> np.ndarray:
        """Which values lie below or above all of them."""
        return np.asarray((column < self.values[0]) | (column > self.values[-1]))

    def inside_gaps(self, column: np.ndarray) -> np.ndarray:
        """Which values lie strictly inside a gap."""
        at = np.searchsorted(self.values, column, "right") - 1
        between = (at >= 0) & (at < len(self.values) - 1)
        between[between] = self.gaps[at[between]]
        return between & (column > self.values[at])

    def unseen(self, column: np.ndarray) -> np.ndarray:
        """Which values are none of them."""
        return np.asarray(~np.isnan(column) & ~np.isin(column, self.values))


def support_names(train: Coded) -> tuple[str, ...]:
    """The measures that a table's columns allow."""
    known = [Known.of(column) for column in train.numeric.T]
    return (
        *(["boundary_adherence", "gaps"] if any(len(each.values) for each in known) else []),
        *(["unseen_values"] if any(each.recurs for each in known) else []),
        *(["category_adherence"] if train.categorical_names else []),
        *(["unseen_pairs"] if len(train.categorical_names) > 1 else []),
    )


def support_measures(sample: Coded, fresh: Coded, train: Coded) -> Iterator[Measure]:
    """Measure a sample's support, one figure at a time: those of `support_names`.

    Args:
        sample: generated rows.
        fresh: real rows that were not used in training.
        train: the rows that say where a value can be, coded alike.
    """
    named = zip(train.numeric_names, map(Known.of, train.numeric.T), strict=True)
    known = {name: each for name, each in named if len(each.values)}
    recurring = [name for name, each in known.items() if each.recurs]
    place = {name: k for k, name in enumerate(train.numeric_names)}
    both = (sample, fresh)
    if known:
        outside = [
            np.stack([of.outside(each.numeric[:, place[name]]) for name, of in known.items()], 1)
            for each in both
        ]
        there = [
            int((~np.isnan(each.numeric[:, [place[n] for n in known]])).sum()) for each in both
        ]
        counts = [(int(part.sum()), n) for part, n in zip(outside, there, strict=True)]
        yield _of_values("boundary_adherence", "boundary adherence", list(known), outside, counts)
        inside = [
            np.stack([of.inside_gaps(each.numeric[:, place[n]]) for n, of in known.items()], 1)
            for each in both
        ]
        yield _of_rows("gaps", "rows with a value inside a gap", list(known), inside)
    if recurring:
        unseen = [
            np.stack([known[n].unseen(each.numeric[:, place[n]]) for n in recurring], 1)
            for each in both
        ]
        yield _of_rows("unseen_values", "rows with a value of no real row", recurring, unseen)
    if train.categorical_names:
        of_train = [np.unique(column) for column in train.categories.T]
        strange = [
            np.stack([~np.isin(c, k) for c, k in zip(each.categories.T, of_train, strict=True)], 1)
            for each in both
        ]
        counts = [(int(part.sum()), part.size) for part in strange]
        names = list(train.categorical_names)
        yield _of_values("category_adherence", "category adherence", names, strange, counts)
    if len(train.categorical_names) > 1:
        pairs = pairs_of(len(train.categorical_names))
        found = [
            np.stack([_no_pair(each.categories[:, p], train.categories[:, p]) for p in pairs], 1)
            for each in both
        ]
        names = [" and ".join(train.categorical_names[k] for k in pair) for pair in pairs]
        yield _of_rows("unseen_pairs", "rows with a pair of no real row", names, found)


def _of_values(
    name: str,
    title: str,
    names: list[str],
    amiss: list[np.ndarray],
    counts: list[tuple[int, int]],
) -> Measure:
    """The share of values that are not amiss."""
    return judged_share(
        name, title, counts[0], counts[1], _SMALL, len(amiss[0]), _worst(names, amiss),
        higher_is_better=True,
    )  # fmt: skip


def _of_rows(name: str, title: str, names: list[str], amiss: list[np.ndarray]) -> Measure:
    """The share of rows in which anything is amiss."""
    rows = [(int(part.any(1).sum()), len(part)) for part in amiss]
    return judged_share(
        name, title, rows[0], rows[1], _SMALL, len(amiss[0]), _worst(names, amiss)
    )  # fmt: skip


def _worst(names: list[str], amiss: list[np.ndarray]) -> str:
    """The column with most values amiss, beyond those of fresh rows."""
    drawn, fresh = (part.mean(0) for part in amiss)
    k = int((drawn - fresh).argmax())
    if not drawn[k]:
        return ""
    return f"{names[k]!r}: {drawn[k]:.2%} of the values, {fresh[k]:.2%} of fresh real ones"


def _no_pair(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which pairs do not occur, though both categories do."""
    there = np.isin(codes[:, 0], known[:, 0]) & np.isin(codes[:, 1], known[:, 1])
    return np.asarray(there & ~np.isin(pair_codes(codes), pair_codes(known)))


def pair_codes(codes: np.ndarray) -> np.ndarray:
    """One number for each pair of categories `(n, 2)`."""
    return np.asarray((codes[:, 0] + 1) << 32 | (codes[:, 1] + 1))


def pairs_of(columns: int) -> list[list[int]]:
    """Pairs of columns, at most 1,000, spread evenly over all of them."""
    every = [[i, j] for i in range(columns) for j in range(i + 1, columns)]
    return every[:: max(1, -(-len(every) // _PAIRS))]
