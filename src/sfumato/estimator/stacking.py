"""What simpler learners expect of a target, for a network to go on from.

A line is right at once where a target is linear, trees where it jumps, kernels and perceptrons
where it is smooth; one network for all of that needs many rows. Their mean, weighted by how well
each predicts rows that it has not seen (Breiman 1996):

    (1)  m(x) = w_0 + sum_k w_k m_k(x),   w_k >= 0 of least squares on

    (2)  m_k(x_i) by the learner that has not seen the part of the rows in which row i is

The parts are fifths, of few rows tenths. Of many rows, a learner without a part in the mixture of
the first of them is not asked for the others. The rows that they learned from have the values (2)
too, so that what is left, y - m(x), is nearly as large there as it will be on new rows. It is
larger by as much as a share s of the rows, 4/5 or 9/10, teaches less than all n of them. Errors e
fall as a power of n (Cortes et al. 1994); so learners of half of the share are asked too, and

    (3)  e(n) / e(s n) = (e(s n) / e(s n / 2))^(log(1 / s) / log(2))
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR

from sfumato.data.table import Column, ColumnType, DataTable

# Parts of the rows; of so few rows twice as many.
_FOLDS, _ROWS_OF_TWICE = 5, 1_000
# Categories of a column that trees keep apart, and that a line does.
_MOST_CATEGORIES, _MOST_OF_A_LINE = 250, 20
# Rows that one of the extra trees grows on, at most.
_ROWS_OF_A_TREE = 10_000
_BOOSTED_TREES, _EXTRA_TREES = 800, 100
# Of at most so many rows there is time for kernel machines, perceptrons and finer boosting, which
# is no better of fewer than so many.
_FEW_ROWS, _FINE_ROWS = 10_000, 2_000
# A fold of so many rows tells which learners have a part in the mixture: a weight of so much.
_ROWS_TO_CHOOSE, _LEAST_WEIGHT = 400, 0.02
# So many rows, or a quarter of all, tell how errors fall with the number of rows.
_ROWS_OF_A_CURVE = 300
# scikit-learn's seeds are below this; ours may be larger.
_SEEDS = 2**32
_BOOSTED: dict[str, Any] = {"max_features": 0.5, "min_samples_leaf": 5, "early_stopping": False}
_PERCEPTRON: dict[str, Any] = {
    "hidden_layer_sizes": (128, 128, 128), "alpha": 0.1, "learning_rate_init": 0.003,
    "early_stopping": True, "n_iter_no_change": 20,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """Columns as one matrix of numbers: categories by their codes, what is missing or new as NaN.

    Args:
        categories: of each column that is not of numbers, the most frequent values, by its name.
        complete: names of columns without a missing value.
    """

    categories: Mapping[str, Mapping[Any, int]]
    complete: frozenset[str]

    @classmethod
    def fit(cls, features: DataTable, types: Mapping[str, ColumnType]) -> "Coding":
        """The categories that there are."""
        found: dict[str, dict[Any, int]] = {}
        for column in features:
            if types[column.name] in ("categorical", "boolean") or column.values.dtype == object:
                values, counts = np.unique(column.present.astype(str), return_counts=True)
                kept = values[np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]]
                found[column.name] = {value: k for k, value in enumerate(kept.tolist())}
        complete = frozenset(each.name for each in features if not each.missing.any())
        return cls(found, complete)

    def matrix(self, features: DataTable) -> np.ndarray:
        """The columns as numbers, `(n, columns)`."""
        return np.stack([self._numbers(column) for column in features], 1)

    def known(self, features: DataTable) -> np.ndarray:
        """Which rows lack no value but where training rows did, `(n,)`."""
        lacking = [each.missing for each in features if each.name in self.complete]
        return ~np.any(lacking, axis=0) if lacking else np.ones(len(features), bool)

    def _numbers(self, column: Column) -> np.ndarray:
        codes = self.categories.get(column.name)
        if codes is not None:
            text = column.values.astype(str).tolist()
            values = np.array([codes.get(each, np.nan) for each in text], np.float64)
        elif column.values.dtype.kind == "M":
            values = column.values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
        else:
            values = column.values.astype(np.float64)
        return np.where(column.missing, np.nan, values)


@dataclass(frozen=True, slots=True, eq=False)
class StackedMean:
    """Eq. (1) of a line, trees, kernel machines and perceptrons.

    Ridge regression, boosted and extremely randomised trees; of up to 10,000 rows support vectors
    with a wide and with a narrow kernel, and perceptrons, too.

    Args:
        coding: of the features.
        learners: fitted to all rows.
        weights: of their predictions.
        shrinkage: eq. (3), how large errors on new rows are beside those of eq. (2); at most 1.
    """

    coding: Coding
    learners: tuple[BaseEstimator, ...]
    weights: LinearRegression
    shrinkage: float

    @classmethod
    def fit(
        cls, features: DataTable, types: Mapping[str, ColumnType], y: np.ndarray, *, seed: int
    ) -> tuple[Self, np.ndarray]:
        """The learners, and of the rows themselves eq. (2), weighted: `(n,)`.

        Args:
            features: of thirty rows or more.
            types: of each.
            y: finite, `(n,)`.
            seed: of folds and trees.
        """
        coding = Coding.fit(features, types)
        x = coding.matrix(features)
        count = _FOLDS if len(y) > _ROWS_OF_TWICE else 2 * _FOLDS
        folds = KFold(count, shuffle=True, random_state=seed % _SEEDS)
        learners, unseen = _regressors(coding, features, seed), np.empty((len(y), 0))
        judged, of_half, rng = np.empty(0, np.int64), [], np.random.default_rng(seed)
        for rows, others in folds.split(x):
            found = [_fitted(each, x[rows], y[rows]).predict(x[others]) for each in learners]
            if not unseen.size:
                useful = _useful(np.stack(found, 1), y[others])
                learners, found = ([each[k] for k in useful] for each in (learners, found))
                unseen = np.empty((len(y), len(useful)))
            unseen[others] = np.stack(found, 1)
            if len(judged) < min(_ROWS_OF_A_CURVE, len(y) // 4):
                half = rng.permutation(rows)[: len(rows) // 2]
                parts = [_fitted(each, x[half], y[half]).predict(x[others]) for each in learners]
                of_half.append(np.stack(parts, 1))
                judged = np.append(judged, others)
        errors = [_error(p, y[judged]) for p in (unseen[judged], np.concatenate(of_half))]
        shrinkage = _extrapolated(*errors, share=(count - 1) / count)
        # The rest of the learners has no part in the mixture.
        shares = LinearRegression(positive=True).fit(unseen, y).coef_
        used = np.flatnonzero(shares > 0) if (shares > 0).any() else np.arange(1)
        weights = LinearRegression(positive=True).fit(unseen[:, used], y)
        fitted = tuple(_fitted(learners[k], x, y) for k in used)
        # With weights, too, that have not seen the row.
        mixed = cross_val_predict(LinearRegression(positive=True), unseen[:, used], y, cv=folds)
        return cls(coding, fitted, weights, shrinkage), mixed

    def predict(self, features: DataTable) -> np.ndarray:
        """Eq. (1) of each row, `(n,)`."""
        x = self.coding.matrix(features)
        found = np.stack([each.predict(x) for each in self.learners], 1)
        return np.asarray(self.weights.predict(found))


@dataclass(frozen=True, slots=True, eq=False)
class StackedOdds:
    """Log odds of the classes by boosted trees; those of the rows themselves as in eq. (2).

    Args:
        coding: of the features.
        trees: fitted to all rows.
    """

    coding: Coding
    trees: HistGradientBoostingClassifier

    @classmethod
    def fit(
        cls, features: DataTable, types: Mapping[str, ColumnType], y: np.ndarray, *, seed: int
    ) -> tuple[Self, np.ndarray]:
        """The trees, and of the rows themselves the log odds by trees that have not seen them.

        These are `(n, classes - 1)`, as of `predict`.

        Args:
            features: of the rows.
            types: of each.
            y: codes of classes of as many rows as there are folds, or more, `(n,)`.
            seed: of folds and trees.
        """
        coding = Coding.fit(features, types)
        x = coding.matrix(features)
        trees = HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=_BOOSTED_TREES // 4,
            categorical_features=_categorical(coding, features),
            random_state=seed % _SEEDS,
            **_BOOSTED,
        )
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed % _SEEDS)
        unseen = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")
        return cls(coding, trees.fit(x, y)), _log(unseen)

    def predict(self, features: DataTable) -> np.ndarray:
        """Log odds of each class but the last against the last, `(n, classes - 1)`."""
        return _log(self.trees.predict_proba(self.coding.matrix(features)))


def _log(probabilities: np.ndarray) -> np.ndarray:
    """Log odds of each class but the last against the last."""
    found = np.log(probabilities.clip(1e-6))
    return np.asarray(found[:, :-1] - found[:, -1:])


def _categorical(coding: Coding, features: DataTable) -> np.ndarray:
    return np.array([each.name in coding.categories for each in features])


def _fitted(learner: BaseEstimator, x: np.ndarray, y: np.ndarray) -> BaseEstimator:
    with warnings.catch_warnings():
        # Perceptrons may be stopped early: the mixture weighs them as they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(learner).fit(x, y)


def _error(unseen: np.ndarray, y: np.ndarray) -> float:
    """Mean absolute error of the best mixture."""
    mixture = LinearRegression(positive=True).fit(unseen, y)
    return float(abs(mixture.predict(unseen) - y).mean())


def _extrapolated(error: float, of_half: float, *, share: float) -> float:
    """Eq. (3), from the errors of a share of the rows and of half of that."""
    if not 0 < error < of_half:
        return 1.0
    return float((error / of_half) ** (-math.log(share) / math.log(2)))


def _useful(unseen: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The places of the learners that have a part in the mixture; of few rows of all of them."""
    if len(y) < _ROWS_TO_CHOOSE:
        return np.arange(unseen.shape[1])
    weights = LinearRegression(positive=True).fit(unseen, y).coef_
    return np.flatnonzero(weights >= min(_LEAST_WEIGHT, weights.max()))


def _regressors(coding: Coding, features: DataTable, seed: int) -> list[BaseEstimator]:
    categorical = _categorical(coding, features)
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    standard = make_column_transformer(
        (numbers, np.flatnonzero(~categorical)),
        (
            OneHotEncoder(
                max_categories=_MOST_OF_A_LINE, handle_unknown="infrequent_if_exist",
                sparse_output=False,
            ),
            np.flatnonzero(categorical),
        ),
    )  # fmt: skip
    line = make_pipeline(standard, RidgeCV(np.logspace(-2, 4, 13)))
    extra = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        ExtraTreesRegressor(
            _EXTRA_TREES, bootstrap=True, max_samples=min(1.0, _ROWS_OF_A_TREE / len(features)),
            random_state=seed % _SEEDS,
        ),
    )  # fmt: skip
    few, d = len(features) <= _FEW_ROWS, len(features.names)
    finer = 1 + (few and len(features) >= _FINE_ROWS)
    # Two that differ in the features of their splits: their mean is better than either.
    boosted = VotingRegressor([
        (f"{k}", HistGradientBoostingRegressor(
            max_iter=finer * _BOOSTED_TREES, learning_rate=0.1 / finer,
            categorical_features=categorical, random_state=k,
            **{"max_leaf_nodes": 31 * finer, **_BOOSTED},
        ))
        for k in _seeds(seed, 2)
    ])  # fmt: skip
    if not few:
        return [line, boosted, extra]
    perceptrons = VotingRegressor(
        [(f"{k}", MLPRegressor(random_state=k, **_PERCEPTRON)) for k in _seeds(seed, 2)]
    )
    wide, narrow = (SVR(C=c, gamma=c / d, cache_size=1000) for c in (0.3, 2.0))
    of_standard = [
        TransformedTargetRegressor(make_pipeline(standard, each), transformer=StandardScaler())
        for each in (wide, narrow, perceptrons)
    ]
    return [line, boosted, extra, *of_standard]


def _seeds(seed: int, count: int) -> list[int]:
    return [(seed + k) % _SEEDS for k in range(count)]
