"""Alpha-precision and beta-recall: Alaa, van Breugel, Saveliev & van der Schaar (2022).

A row is typical by its distance from the centre of its set. With the real ball of radius r_a that
holds a share a of the real rows about their mean, and likewise the generated ball of b,

    (1)  P_a = P(a generated row lies in the real ball of a)                      alpha-precision
    (2)  R_b = P(a real row has a generated one within the distance to its nearest real one, and
               that one lies in the generated ball of b)                          beta-recall
    (3)  1 - sum over a of |P_a - a| / sum over a of a,  30 even values of a in [0, 1]

and (3) of R_b. Both are computed as synthcity 0.2.12 does it (`AlphaPrecision`, without its
one-class network): in (2) the radii are quantiles of the distances of those nearest generated rows.
Rows are points with numbers between 0 and 1 by the real range and an axis for each category.
P_a = a is best, and so is 1 of (3); two real sets reach about 1/2 in beta-recall, as the nearest of
all rows is in one set as often as in the other.
"""

import numpy as np

from sfumato.metrics.coded import Coded

_STEPS = 30
# Distances at once: 32 MiB of them.
_AT_ONCE = 2**22


def alpha_precision_beta_recall(real: Coded, drawn: Coded) -> tuple[float, float]:
    """Eq. (3) for both, as many rows of each; 1 is best.

    Args:
        real: the rows whose range and centre count.
        drawn: generated rows, coded alike.
    """
    (x, a), (y, b) = _embedded(real, real), _embedded(real, drawn)
    alphas = np.linspace(0, 1, _STEPS)
    radii = np.quantile(_from_centre(x, a, x, a), alphas)
    precision = (_from_centre(y, b, x, a)[:, None] <= radii).mean(0)

    within, _ = _nearest(x, a, x, a, itself=True)
    across, which = _nearest(x, a, y, b)
    closest = _from_centre(y, b, y, b)[which]
    inside = closest[:, None] <= np.quantile(closest, alphas)
    recall = ((across <= within)[:, None] & inside).mean(0)
    found = [1 - np.abs(alphas - curve).sum() / alphas.sum() for curve in (precision, recall)]
    return float(found[0]), float(found[1])


def _embedded(real: Coded, rows: Coded) -> tuple[np.ndarray, np.ndarray]:
    """Numbers by the real range, `(n, k)`, and categories, `(n, l)`: a missing number is one too.

    Categories stay numbers: two rows that differ in one are sqrt(2) apart, as on axes of their own.
    """
    there = ~np.isnan(real.numeric)
    low = np.min(real.numeric, axis=0, initial=np.inf, where=there)
    high = np.max(real.numeric, axis=0, initial=-np.inf, where=there)
    varies = high > low
    low = np.where(there.any(0), low, 0)
    width = np.where(varies, np.where(varies, high, 0) / 2 - low / 2, 0.5)
    missing = np.isnan(rows.numeric)
    numbers = np.where(missing, 0.5, (rows.numeric / 2 - low / 2) / width)
    holed = np.isnan(real.numeric).any(0) | missing.any(0)
    return numbers, np.hstack([rows.categories, missing & holed]).astype(np.int64)


def _from_centre(x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of rows (x, a) from the mean of the rows (y, b), on axes for each category."""
    squares = ((x - y.mean(0)) ** 2).sum(1)
    for own, other in zip(a.T, b.T, strict=True):
        least = min(own.min(), other.min())
        shares = np.bincount(other - least, minlength=own.max() - least + 1) / len(other)
        squares += 1 - 2 * shares[own - least] + (shares**2).sum()
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def _nearest(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, b: np.ndarray, *, itself: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """From each row (x, a) the distance to the nearest of (y, b), and which that is.

    Args:
        x: numbers.
        a: categories.
        y: numbers of the others.
        b: their categories.
        itself: whether they are the same rows, of which none is its own neighbour.
    """
    from scipy.spatial.distance import cdist

    found, which, size = [], [], max(1, _AT_ONCE // len(y))
    for start in range(0, len(x), size):
        some = slice(start, start + size)
        squares = cdist(x[some], y, "sqeuclidean") if x.shape[1] else np.zeros((1, 1))
        if a.shape[1]:
            differ = cdist(a[some].astype(float), b.astype(float), "hamming")
            squares = squares + 2 * np.round(differ * a.shape[1])
        if itself:
            rows = np.arange(len(squares))
            squares[rows, start + rows] = np.inf
        which.append(squares.argmin(1))
        found.append(np.sqrt(squares.min(1)))
    return np.concatenate(found), np.concatenate(which)
