"""How alike pairs of columns are in two tables: SDMetrics' Column Pair Trends.

    (1)  two numeric columns  1 - |r - r'|/2 of Pearson's correlations over the rows that have both
    (2)  all others           1 - the total variation of the two contingency tables, in which a
                              numeric column counts by ten bins of even width, a missing value as
                              one more category

The mean over pairs is Trend. As in SDMetrics the bins are those of each table's own range. Unlike
there a correlation with a column that does not vary is 0, where SDMetrics leaves the pair out, so
that a drawn column which is constant does not go unseen.
"""

import numpy as np

from sfumato.metrics.association import correlations
from sfumato.metrics.coded import Coded

_BINS = 10


def trends(x: Coded, y: Coded) -> np.ndarray:
    """Eqs. (1) and (2) of every pair of columns, 1 is best; in the order of `np.triu_indices`."""
    numeric = len(x.numeric_names)
    found = np.ones((len(x.names), len(x.names)))
    apart = np.abs(correlations(_scaled(x.numeric)) - correlations(_scaled(y.numeric)))
    found[:numeric, :numeric] = 1 - apart / 2
    of_x, of_y = _levels(x), _levels(y)
    for i in range(len(x.names)):
        for j in range(max(i + 1, numeric), len(x.names)):
            found[i, j] = 1 - _total_variation(of_x[:, i], of_x[:, j], of_y[:, i], of_y[:, j])
    return np.asarray(found[np.triu_indices(len(x.names), 1)])


def _scaled(values: np.ndarray) -> np.ndarray:
    """Columns of unit spread, by way of their largest value, whose square may overflow."""
    largest = np.nanmax(np.abs(values), axis=0, initial=0, where=~np.isnan(values))
    values = values / np.where(largest > 0, largest, 1)
    there = ~np.isnan(values)
    count = np.maximum(there.sum(0), 1)
    centred = values - np.where(there, values, 0).sum(0) / count
    spread = np.sqrt(np.where(there, centred**2, 0).sum(0) / count)
    return np.asarray(centred / np.where(spread > 1e-12, spread, np.inf))


def _levels(table: Coded) -> np.ndarray:
    """Every column by bins or categories, numbered from 0, `(n, names)`."""
    binned = [_bins(column) for column in table.numeric.T]
    return np.column_stack([*binned, table.categories + 1])


def _bins(values: np.ndarray) -> np.ndarray:
    """SDMetrics' bins: the largest value has one of its own, together with what is missing."""
    known = values[~np.isnan(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = low * np.linspace(1, 0, _BINS + 1) + high * np.linspace(0, 1, _BINS + 1)
    return np.asarray(np.digitize(values, edges))


def _total_variation(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Half the summed differences of the shares of the pairs (a, b) and (c, d)."""
    wide = int(max(b.max(), d.max())) + 1
    pairs, others = a * wide + b, c * wide + d
    size = (int(max(a.max(), c.max())) + 1) * wide
    if size > 8 * len(pairs):
        known, codes = np.unique(np.concatenate([pairs, others]), return_inverse=True)
        pairs, others, size = codes[: len(pairs)], codes[len(pairs) :], len(known)
    shares = [np.bincount(each, minlength=size) / len(each) for each in (pairs, others)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
