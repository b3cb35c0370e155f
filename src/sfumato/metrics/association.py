"""How strongly the columns of a table go together, two by two.

    (1)  numbers with numbers  Spearman's rank correlation
    (2)  two of categories     Cramer's V without its bias: Bergsma (2013), eqs. (6) to (8)
    (3)  one of each           the correlation ratio of ranks without its bias, epsilon:
                               epsilon² = 1 - (n - 1)/(n - k) SS_within/SS_total: Kelley (1935)

Without the corrections, (2) and (3) of independent columns would grow with the categories.
Each is taken over the rows in which both columns are there; ranks are those among all that are
there in the column.
"""

import numpy as np

from sfumato.metrics.coded import Coded

# More categories than these, the commonest, are taken as one.
_LEVELS = 32


def associations(table: Coded) -> np.ndarray:
    """All pairs, `(names, names)`: from -1 to 1 for numbers, from 0 to 1 for others; 1 with itself.

    A column that does not vary goes with none: 0.
    """
    from scipy.stats import rankdata

    ranked = rankdata(table.numeric, axis=0, nan_policy="omit")
    codes = np.minimum(table.categories, _LEVELS - 1)
    numbers, levels = ranked.shape[1], codes.shape[1]
    found = np.eye(numbers + levels)
    found[:numbers, :numbers] = correlations(ranked)
    for k in range(levels):
        own = numbers + k
        found[own, :numbers] = found[:numbers, own] = _ratios(ranked, codes[:, k])
        for other in range(k):
            both = _cramer(codes[:, k], codes[:, other])
            found[own, numbers + other] = found[numbers + other, own] = both
    np.fill_diagonal(found, 1)
    return found


def correlations(x: np.ndarray) -> np.ndarray:
    """Pearson's of columns `(n, d)`, over the rows that both have; of ranks it is eq. (1).

    All sums are products of matrices. Spreads below 1e-9 count as none.
    """
    there = (~np.isnan(x)).astype(float)
    x = np.nan_to_num(x - _quotient(np.nansum(x, axis=0), there.sum(0)))
    rows = np.maximum(there.T @ there, 1)
    mean, square = x.T @ there / rows, (x**2).T @ there / rows
    spread = np.maximum(square - mean**2, 0)
    return _quotient(x.T @ x / rows - mean * mean.T, np.sqrt(spread * spread.T))


def _ratios(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Eq. (3) of each column of ranks `(n, d)` with one column of categories, `(d,)`."""
    x, codes = x[codes >= 0], codes[codes >= 0]
    group = np.eye(_LEVELS)[codes]
    there = (~np.isnan(x)).astype(float)
    rows = there.sum(0)
    x = np.nan_to_num(x - _quotient(np.nansum(x, axis=0), rows))
    size = group.T @ there
    total, between = (x**2).sum(0), _quotient((group.T @ x) ** 2, size).sum(0)
    free = rows - (size > 0).sum(0)
    unexplained = _quotient(total - between, total) * _quotient(rows - 1, free)
    return np.where((total > 0) & (free > 0), np.sqrt(np.clip(1 - unexplained, 0, 1)), 0.0)


def _cramer(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. (2) of two columns of categories."""
    both = (a >= 0) & (b >= 0)
    n = int(both.sum())
    counts = np.bincount(a[both] * _LEVELS + b[both], minlength=_LEVELS**2).reshape(_LEVELS, -1)
    counts = counts[counts.any(1)][:, counts.any(0)]
    r, c = counts.shape
    if min(r, c) < 2:
        return 0.0
    phi2 = float((counts**2 / np.outer(counts.sum(1), counts.sum(0))).sum()) - 1
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    fewest = min(each - (each - 1) ** 2 / (n - 1) for each in (r, c))
    return min(1.0, (phi2 / (fewest - 1)) ** 0.5) if fewest > 1 else 0.0


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a/b, 0 where b is nothing but rounding."""
    zeros = np.zeros(np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.divide(a, b, out=zeros, where=b > 1e-9))
