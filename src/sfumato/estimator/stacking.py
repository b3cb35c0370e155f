"""What simpler learners expect of a target, for a network to go on from.

A line is right at once where a target is linear, trees where it jumps; a network needs many rows
for either. Their mean, weighted by how well each predicts rows that it has not seen (Breiman 1996):

    (1)  m(x) = w_0 + sum_k w_k m_k(x),   w_k >= 0 of least squares on

    (2)  m_k(x_i) by the learner that has not seen the fifth of the rows in which row i is

The rows that they learned from have the values (2) too, so that what is left, y - m(x), is as large
there as it will be on new rows.
"""

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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR

from sfumato.data.table import Column, ColumnType, DataTable

_FOLDS = 5
# Categories of a column that trees keep apart, and that a line does.
_MOST_CATEGORIES, _MOST_OF_A_LINE = 250, 20
# Rows that one of the extra trees grows on, at most.
_ROWS_OF_A_TREE = 10_000
# A kernel machine takes the square of the rows, so many at most.
_ROWS_OF_A_KERNEL = 10_000
_BOOSTED_TREES, _EXTRA_TREES = 800, 100
# scikit-learn's seeds are below this; ours may be larger.
_SEEDS = 2**32
_BOOSTED: dict[str, Any] = {
    "learning_rate": 0.1, "max_features": 0.5, "min_samples_leaf": 5, "early_stopping": False
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
    """Eq. (1) of ridge regression, boosted and extremely randomised trees, and support vectors.

    Of more than 10,000 rows without the last.

    Args:
        coding: of the features.
        learners: fitted to all rows.
        weights: of their predictions.
    """

    coding: Coding
    learners: tuple[BaseEstimator, ...]
    weights: LinearRegression

    @classmethod
    def fit(
        cls, features: DataTable, types: Mapping[str, ColumnType], y: np.ndarray, *, seed: int
    ) -> tuple[Self, np.ndarray]:
        """The learners, and of the rows themselves eq. (2), weighted: `(n,)`.

        Args:
            features: of at least ten rows.
            types: of each.
            y: finite, `(n,)`.
            seed: of folds and trees.
        """
        coding = Coding.fit(features, types)
        x = coding.matrix(features)
        folds = KFold(_FOLDS, shuffle=True, random_state=seed % _SEEDS)
        learners = _regressors(coding, features, seed)
        unseen = np.stack([cross_val_predict(each, x, y, cv=folds) for each in learners], 1)
        weights = LinearRegression(positive=True).fit(unseen, y)
        fitted = tuple(clone(each).fit(x, y) for each in learners)
        return cls(coding, fitted, weights), weights.predict(unseen)

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


def _regressors(coding: Coding, features: DataTable, seed: int) -> tuple[BaseEstimator, ...]:
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
    kernel = TransformedTargetRegressor(
        make_pipeline(standard, SVR(C=3, gamma=2 / len(features.names), cache_size=1000)),
        transformer=StandardScaler(),
    )
    # Two that differ in the features of their splits: their mean is better than either.
    boosted = VotingRegressor([
        (f"{k}", HistGradientBoostingRegressor(
            max_iter=_BOOSTED_TREES, categorical_features=categorical, random_state=k, **_BOOSTED
        ))
        for k in (seed % _SEEDS, (seed + 1) % _SEEDS)
    ])  # fmt: skip
    extra = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        ExtraTreesRegressor(
            _EXTRA_TREES, bootstrap=True, max_samples=min(1.0, _ROWS_OF_A_TREE / len(features)),
            random_state=seed % _SEEDS,
        ),
    )  # fmt: skip
    return (line, boosted, extra, *([kernel] if len(features) <= _ROWS_OF_A_KERNEL else []))
