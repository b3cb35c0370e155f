"""How far the columns of two tables are from each other, one by one.

    (1)  numbers  Kolmogorov-Smirnov distance, sup over x of |F(x) - G(x)|
    (2)  levels   total variation, half the sum of |p - q| over levels

Both are the largest difference of two probabilities that they allow: (1) of all numbers up to some
x, (2) of any set of categories. Missing values take part: below all numbers in (1), as one more
category in (2). SDMetrics' Column Shapes are 1 less these of what is there, rounded to 14 decimals;
their mean is Shape.
"""

from collections.abc import Callable

import numpy as np

from sfumato.metrics.coded import Coded

_DECIMALS = 14


def kolmogorov_smirnov(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of two distribution functions; NaN is less than any number."""
    x, y = (np.sort(np.nan_to_num(values, nan=-np.inf)) for values in (x, y))
    at = np.concatenate([x, y])
    below = [np.searchsorted(values, at, side="right") / len(values) for values in (x, y)]
    return float(np.abs(below[0] - below[1]).max())


def total_variation(x: np.ndarray, y: np.ndarray) -> float:
    """Half the summed differences of the shares of categories `(n,)`; -1, missing, is one."""
    most = int(max(x.max(), y.max())) + 2
    shares = [np.bincount(codes + 1, minlength=most) / len(codes) for codes in (x, y)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def distances(x: Coded, y: Coded) -> np.ndarray:
    """How far each column of one table is from that of another, `(names,)`."""
    numbers = [kolmogorov_smirnov(*two) for two in zip(x.numeric.T, y.numeric.T, strict=True)]
    levels = [total_variation(*two) for two in zip(x.categories.T, y.categories.T, strict=True)]
    return np.array([*numbers, *levels])


def shapes(x: Coded, y: Coded) -> np.ndarray:
    """SDMetrics' Column Shapes `(names,)`, 1 is best; 0 where only one of them has no value."""
    numbers = [
        _shape(kolmogorov_smirnov, *(_rounded(part[~np.isnan(part)]) for part in two))
        for two in zip(x.numeric.T, y.numeric.T, strict=True)
    ]
    levels = [
        _shape(total_variation, *(part[part >= 0] for part in two))
        for two in zip(x.categories.T, y.categories.T, strict=True)
    ]
    return np.array([*numbers, *levels])


def _rounded(values: np.ndarray) -> np.ndarray:
    """To 14 decimals, which a double from 100 on does not have."""
    return np.where(np.abs(values) < 100, np.clip(values, -100, 100).round(_DECIMALS), values)


def _shape(
    distance: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray
) -> float:
    return 1 - distance(x, y) if len(x) and len(y) else float(len(x) == len(y))
