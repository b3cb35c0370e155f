"""What predictions of a column are compared with: laws that need no diffusion.

    (1)  unconditional  the training rows' own law of the column, the same for every row
    (2)  linear         of numbers a ridge regression and the law of its errors on training rows
                        that it did not see (five folds); of categories a logistic regression

Both are linear in numbers by their deviations from the mean, in a one for each common category, and
in a one where a value is missing.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sfumato.metrics.coded import Coded

# More rows change a linear model little.
_ROWS, _FOLDS = 10_000, 5
# Categories with an axis of their own; the rarer ones are a zero in all of them.
_AXES = 16


@dataclass(frozen=True, slots=True, eq=False)
class ShiftedLaws:
    """One law, about another number in each row.

    Args:
        shift: `(n,)`.
        errors: from it, in rising order, `(m,)`.
        nearest: numbers to the nearest ones that the column may have.
    """

    shift: np.ndarray
    errors: np.ndarray
    nearest: Callable[[np.ndarray], np.ndarray]

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Numbers that the row is below with these probabilities, `(n, levels)`."""
        return self.nearest(self.shift[:, None] + np.quantile(self.errors, levels))

    def crps(self, truth: np.ndarray) -> np.ndarray:
        """E|x - y| - E|x - x'|/2 of each row, `(n,)`."""
        count, off = len(self.errors), truth - self.shift
        sums = np.append(0, self.errors.cumsum())
        below = np.searchsorted(self.errors, off, "right")
        error = (off * (2 * below - count) + sums[-1] - 2 * sums[below]) / count
        order = 2 * np.arange(count) + 1 - count
        return np.asarray(error - (order * self.errors).sum() / count**2)

    def cdf(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of less than each row's point and of no more than it, `(n,)` each."""
        off, count = points - self.shift, len(self.errors)
        below, upto = (np.searchsorted(self.errors, off, s) / count for s in ("left", "right"))
        return below, upto

    def normal_log_density(self, truth: np.ndarray, step: float) -> np.ndarray:
        """As if the errors were normal, nats `(n,)`: on a grid of the probability of a step."""
        from scipy.stats import norm

        mean, deviation = float(self.errors.mean()), float(self.errors.std()) or 1e-300
        z, half = (truth - self.shift - mean) / deviation, step / 2 / deviation
        if half < 1e-4:  # the density hardly varies over the step
            return np.asarray(norm.logpdf(z) - np.log(deviation) + np.log(step or 1.0))
        inside = norm.cdf(half - abs(z)) - norm.cdf(-half - abs(z))
        return np.asarray(np.log(inside.clip(1e-300)))


def unconditional_numbers(
    known: np.ndarray, rows: int, nearest: Callable[[np.ndarray], np.ndarray]
) -> ShiftedLaws:
    """Eq. (1) for so many rows."""
    return ShiftedLaws(np.zeros(rows), np.sort(known), nearest)


def unconditional_categories(known: np.ndarray, categories: int, rows: int) -> np.ndarray:
    """Eq. (1), `(rows, categories)`; by Laplace's rule, so that none is impossible."""
    counts = np.bincount(known, minlength=categories) + 1
    return np.tile(counts / counts.sum(), (rows, 1))


def linear_numbers(
    train: np.ndarray,
    known: np.ndarray,
    test: np.ndarray,
    nearest: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int = 0,
) -> ShiftedLaws:
    """Eq. (2) of numbers.

    Args:
        train: `features`, `(n, axes)`.
        known: the target there, `(n,)`.
        test: features of the rows to predict.
        nearest: numbers to the nearest ones that the column may have.
        seed: of the folds.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_predict

    x, y = train[:_ROWS], known[:_ROWS]
    folds = KFold(_FOLDS, shuffle=True, random_state=seed)
    errors = np.sort(y - cross_val_predict(Ridge(), x, y, cv=folds))
    return ShiftedLaws(Ridge().fit(x, y).predict(test), errors, nearest)


def linear_categories(
    train: np.ndarray, known: np.ndarray, test: np.ndarray, categories: int
) -> np.ndarray:
    """Eq. (2) of categories, `(rows, categories)`; 0 for one that no training row has.

    Args:
        train: `features`, `(n, axes)`.
        known: the category there, `(n,)`.
        test: features of the rows to predict.
        categories: how many there are.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, y = train[:_ROWS], known[:_ROWS]
    found = np.zeros((len(test), categories))
    if len(np.unique(y)) < 2:
        found[:, y[0]] = 1
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(max_iter=200).fit(x, y)
    found[:, fitted.classes_] = fitted.predict_proba(test)
    return found


def features(train: Coded, test: Coded, target: str) -> tuple[np.ndarray, np.ndarray]:
    """What a linear model sees of the other columns, `(n, axes)` of training rows and of others.

    Args:
        train: coded as the first of the two.
        test: likewise.
        target: the column that is left out.
    """
    blocks: list[tuple[np.ndarray, np.ndarray]] = []
    for k, name in enumerate(train.numeric_names):
        if name != target:
            blocks.append(_numeric(train.numeric[:, k], test.numeric[:, k]))
    for k, name in enumerate(train.categorical_names):
        if name != target:
            codes = train.categories[:, k], test.categories[:, k]
            axes = np.arange(-1, min(int(codes[0].max(initial=0)), _AXES - 1) + 1)
            blocks.append((codes[0][:, None] == axes, codes[1][:, None] == axes))
    if not blocks:
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    one, other = (np.hstack(parts).astype(float) for parts in zip(*blocks, strict=True))
    varies = one.std(0) > 0
    return (one[:, varies], other[:, varies]) if varies.any() else (one, other)


def _numeric(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviations from the mean in standard deviations, and a one where a value is missing."""
    there = train[~np.isnan(train)]
    largest = float(abs(there).max(initial=0)) or 1.0  # so that squares do not overflow
    mean, spread = (0.0, 1.0)
    if len(there):
        mean, spread = float((there / largest).mean()), float((there / largest).std()) or 1.0
    scaled = [(each / largest - mean) / spread for each in (train, test)]
    one, other = (np.stack([np.nan_to_num(x), np.isnan(x)], 1) for x in scaled)
    return one, other
