"""A regressor and a classifier: one column of a table given the others, with its whole law."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sfumato.data.column_types import column_types_of
from sfumato.data.table import Column, DataTable
from sfumato.errors import ArgumentError, DataError
from sfumato.estimator.base import TableEstimator, seed_of
from sfumato.estimator.model import DiffusionModel
from sfumato.models.predictive import PredictedCategories, PredictedNumbers
from sfumato.runs.run import Run


class _Predictor(TableEstimator):
    """What both share: a model of the features and the target together."""

    def _joint(self, X: Any, y: np.ndarray) -> DataTable:  # noqa: N803
        """The features and the target as columns of one table."""
        features = self._read(X, reset=True)
        if len(features) != len(y):
            raise DataError(f"X has {len(features)} rows, and y has {len(y)}.")
        self.target_ = "target"
        while self.target_ in features.names:
            self.target_ += "_"
        target = Column(self.target_, y, np.zeros(len(y), bool))
        return DataTable((*features, target))

    def _learn(self, rows: DataTable, kind: str, seed: int, steps: int | None = None) -> None:
        declared = {**(self.columns or {}), self.target_: kind}
        types = column_types_of(rows, declared)
        # Integers that count the rows (days, say) name them in a table; a target may go by them.
        counting = {
            column.name: "integer"
            for column in rows
            if types[column.name] == "identifier" and column.values.dtype.kind == "i"
        }
        self.model_ = DiffusionModel(
            columns={**counting, **declared},
            steps=self.steps if steps is None else steps,
            width=self.width,
            settings={
                "data.kind": "table",
                "training.target": self.target_,
                **(self.settings or {}),
            },
            random_state=seed,
            verbose=self.verbose,
        ).fit_table(rows)

    def _predicted(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        features = self._read(X)
        unknown = Column(self.target_, np.zeros(len(features)), np.ones(len(features), bool))
        return self._law(DataTable((*features, unknown)))

    def _law(self, rows: DataTable) -> Any:
        """Of rows of features and target, what is predicted of the target."""
        return Run(self.model_.model_, None).predict(rows, self.target_, quiet=not self.verbose)


# Rows that the width of the laws is set by: a tenth, at most so many; of fewer than so many none.
_KEPT, _LEAST = 300, 100
# They are learned too, afterwards, if they are more than one in so many.
_FEW = 20


class DiffusionRegressor(RegressorMixin, _Predictor):  # type: ignore[misc]
    """Predicts a number with its whole law: mean, quantiles, intervals, draws.

    A network that has seen few rows many times is too sure of itself. So a tenth of the rows, at
    most 300, is kept out of a first fit, and the laws are widened about their medians by the factor
    that has the least CRPS there. If those are more than a twentieth of the rows, a third and an
    eighth of the steps are tried too, unless `steps` is given, and the best number learns all
    rows at last. Of fewer than 100 rows none is kept out.

    Args:
        columns: see `DiffusionModel`; of the features.
        steps: see `DiffusionModel`.
        width: see `DiffusionModel`.
        settings: see `DiffusionModel`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel` of features and target.
        target_: the target's name in it.
        widening_: the factor.
        n_features_in_: how many features there were.
        feature_names_in_: their names, where the data had some.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learn the target's law given the features.

        Args:
            X: a data frame with categories and missing values as they are, or an array.
            y: numbers, `(n,)`.

        Raises:
            ValueError: if they cannot be learned from.
        """
        y = _checked(self, y)
        if not np.isfinite(y := y.astype(np.float64)).all():
            raise DataError("y holds NaN or infinity; leave these rows out.")
        if len(y) > 1 and (y == y[0]).all():
            raise DataError(f"y is {y[0]:g} in every row; there is nothing to predict.")
        whole, seed, self.widening_ = self._joint(X, y), seed_of(self.random_state), 1.0
        order = np.random.default_rng(seed).permutation(len(y))
        kept, rest = np.split(order, [min(_KEPT, len(y) // 10) if len(y) >= _LEAST else 0])
        if not len(kept) or not np.ptp(y[rest]):
            self._learn(whole, "continuous", seed)
            return self
        learned, held, steps = whole.take(np.sort(rest)), whole.take(kept), self.steps
        self._learn(learned, "continuous", seed)
        best, self.widening_ = self._width(held)
        if len(kept) * _FEW <= len(y):
            return self
        if self.steps is None:
            most = steps = int(self.model_.model_.settings.training.steps)
            for fewer in (most // 3, most // 8):
                self._learn(learned, "continuous", seed, steps=fewer)
                score, widening = self._width(held)
                if score < best:
                    best, self.widening_, steps = score, widening, fewer
        self._learn(whole, "continuous", seed, steps=steps)
        return self

    def _width(self, rows: DataTable) -> tuple[float, float]:
        """The least mean CRPS of rows, and the factor of widening that has it."""
        law, truth = self._law(rows), rows[self.target_].values
        factors = np.geomspace(0.5, 8, 49)
        scores = [law.widened(each).crps(truth).mean() for each in factors]
        return float(np.min(scores)), float(factors[np.argmin(scores)])

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The mean of each row's law, `(n,)`."""
        return self.law(X).mean()

    def predict_quantiles(self, X: Any, levels: Sequence[float]) -> np.ndarray:  # noqa: N803
        """Quantiles of each row's law, `(n, levels)`.

        Raises:
            ValueError: if a level is not above 0 and below 1.
        """
        return self.law(X).quantiles(levels)

    def predict_interval(self, X: Any, share: float = 0.9) -> np.ndarray:  # noqa: N803
        """From where to where the middle share of each row's law lies, `(n, 2)`.

        Raises:
            ValueError: if the share is not above 0 and below 1.
        """
        return self.law(X).interval(share)

    def sample(self, X: Any, n: int = 1) -> np.ndarray:  # noqa: N803
        """`n` equally likely values of each row's law in rising order, `(n rows, n)`.

        Raises:
            ValueError: if `n` is below 1.
        """
        if n < 1:
            raise ArgumentError(f"`n` must be at least 1; got {n}.")
        return self.law(X).quantiles((np.arange(n) + 0.5) / n)

    def law(self, X: Any) -> PredictedNumbers:  # noqa: N803
        """The whole law of each row; see `models.predictive.PredictedNumbers`."""
        found: PredictedNumbers = self._predicted(X).widened(self.widening_)
        return found


class DiffusionClassifier(ClassifierMixin, _Predictor):  # type: ignore[misc]
    """Predicts a category with its probabilities.

    Args:
        columns: see `DiffusionModel`; of the features.
        steps: see `DiffusionModel`.
        width: see `DiffusionModel`.
        settings: see `DiffusionModel`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel` of features and target.
        target_: the target's name in it.
        classes_: the categories.
        n_features_in_: how many features there were.
        feature_names_in_: their names, where the data had some.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learn the target's law given the features.

        Args:
            X: a data frame with categories and missing values as they are, or an array.
            y: categories, `(n,)`.

        Raises:
            ValueError: if they cannot be learned from.
        """
        y = _checked(self, y)
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise DataError("y holds NaN or infinity; leave these rows out.")
        if y.dtype == object and any(each is None or each != each for each in y):
            raise DataError("y holds missing values; leave these rows out.")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("y has one class only; there is nothing to predict.")
        # Codes in the classes' own order, whatever type they are.
        whole = self._joint(X, codes.astype(np.int64))
        self._learn(whole, "categorical", seed_of(self.random_state))
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, `(n,)`."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """The probability of each class in the order of `classes_`, `(n, classes)`."""
        found: PredictedCategories = self._predicted(X)
        return found.probabilities


def _checked(estimator: BaseEstimator, y: Any) -> np.ndarray:
    """The target, one of each row."""
    if y is None:
        name = type(estimator).__name__
        raise DataError(f"{name} requires y to be passed, but the target y is None.")
    found: np.ndarray = column_or_1d(y, warn=True)
    return found
