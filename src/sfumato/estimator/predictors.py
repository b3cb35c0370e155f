"""A regressor and a classifier: one column of a table given the others, with its whole law."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sfumato import config
from sfumato.config import recipes
from sfumato.data.codecs.columns import NumericCodec, has_heavy_value
from sfumato.data.codecs.table import as_learned
from sfumato.data.column_types import column_types_of
from sfumato.data.table import Column, ColumnType, DataTable, is_no_value, select_columns
from sfumato.errors import ArgumentError, DataError
from sfumato.estimator.base import TableEstimator, seed_of
from sfumato.estimator.model import DiffusionModel
from sfumato.estimator.stacking import StackedMean, StackedOdds
from sfumato.models.predictive import PredictedCategories, PredictedNumbers
from sfumato.runs.run import Run

# Of fewer rows simpler learners and the width of the laws could not be judged.
_LEAST = 100


class _Predictor(TableEstimator):
    """What both share: a model of the features, what simpler learners predict, and the target."""

    model_: DiffusionModel
    target_: str
    widening_: np.ndarray

    def _begin(self, X: Any, y: np.ndarray) -> tuple[DataTable, dict[str, ColumnType]]:  # noqa: N803
        """The features, and what each of them is.

        Raises:
            DataError: if none of them varies, or there are not as many rows as targets.
        """
        features = self._read(X, reset=True)
        if len(features) != len(y):
            raise DataError(f"X has {len(features)} rows, and y has {len(y)}.")
        self.target_, self._expected = "target", "expected target"
        while {self.target_, self._expected} & {*features.names}:
            self.target_, self._expected = f"{self.target_}_", f"{self._expected}_"
        declared = dict(self.columns or {})
        types = column_types_of(features, declared)
        # Integers that count the rows (days, say) name them in a table; a target may go by them.
        for name, column in zip(features.names, features, strict=True):
            counts = types[name] == "identifier" and column.values.dtype.kind == "i"
            if counts and name not in declared:
                types[name] = "integer"
        unused = ("dropped", "identifier", "constant")
        self._used = [name for name in features.names if types[name] not in unused]
        if not self._used:
            raise DataError(
                "X has no column to predict from: each has one value only, names the rows, or is "
                "dropped."
            )
        return features, types

    def _learned_first(
        self,
        learner: type[StackedMean | StackedOdds] | None,
        features: DataTable,
        types: Mapping[str, ColumnType],
        y: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """What simpler learners expect of rows that they have not seen, `(n, columns)`."""
        self.first_: StackedMean | StackedOdds | None = None
        if learner is None or len(y) < _LEAST:
            return np.empty((len(y), 0))
        used = select_columns(features, self._used, "X")
        self.first_, expected = learner.fit(used, types, y, seed=seed)
        return expected.reshape(len(y), -1)

    def _expected_columns(self, values: np.ndarray, known: np.ndarray) -> list[Column]:
        names = [f"{self._expected} {k + 1}" for k in range(values.shape[1])]
        return [Column(name, each, ~known) for name, each in zip(names, values.T, strict=True)]

    def _learn(
        self, rows: DataTable, types: Mapping[str, ColumnType], seed: int, steps: int | None = None
    ) -> None:
        self.model_ = DiffusionModel(
            # A constant is no type to be asked for: the model sees by itself what never varies.
            columns={name: kind for name, kind in types.items() if kind != "constant"},
            steps=self.steps if steps is None else steps,
            width=self.width if self.width or self.first_ is None else _WIDTH,
            settings={
                "data.kind": "table",
                # A relation to what is only expected is none.
                "data.rules": ["none"],
                "training.target": self.target_,
                **(self.settings or {}),
            },
            random_state=seed,
            verbose=self.verbose,
        ).fit_table(rows)

    def _learn_well(
        self, whole: DataTable, types: Mapping[str, ColumnType], seed: int, needed: np.ndarray
    ) -> None:
        """Learn in as many steps as predict rows best that are kept out of the training.

        From few steps on, three times as many each time, while that is better: a network soon
        knows by heart what the target of each row is. Of few rows, several parts are kept out one
        after another, so that they do not decide by chance. In the end all rows are learned.

        Args:
            whole: the rows.
            types: of their columns.
            seed: of the fit and of the rows that are kept out.
            needed: rows that are not.
        """
        self.widening_ = np.ones(len(_INSIDE))
        order = np.random.default_rng(seed).permutation(len(whole))
        order = np.concatenate([order[~np.isin(order, needed)], needed])
        if len(whole) < _LEAST:
            self._learn(whole, types, seed)
            return
        count = min(_KEPT, len(whole) // _PARTS)
        turns = min(_PARTS, round(_KEPT / count), (len(whole) - len(needed)) // count)
        parts = [order[k * count : (k + 1) * count] for k in range(turns)]
        rests = [np.sort(np.setdiff1d(order, part)) for part in parts]
        values = [whole[self.target_].values[rest] for rest in rests]
        if not parts or any((each == each[0]).all() for each in values):
            self._learn(whole, types, seed)
            return
        best = math.inf
        for steps in self._numbers_of_steps(whole.take(rests[0])):
            judged = []
            for part, rest in zip(parts, rests, strict=True):
                self._learn(whole.take(rest), types, seed, steps)
                judged.append(self._judged(whole.take(part)))
            losses, ratios = (np.concatenate(each, -1) for each in zip(*judged, strict=True))
            scores = losses.mean(1)
            if scores.min() >= best:
                break
            best, chosen = scores.min(), steps
            held = [np.quantile(*each) for each in zip(ratios, _INSIDE, strict=True)]
            self.widening_ = np.sqrt(_WIDENINGS[scores.argmin()] * np.array(held))
        self._learn(whole, types, seed, chosen)

    def _numbers_of_steps(self, rows: DataTable) -> list[int | None]:
        """Those to try; the one that is asked for, where one is."""
        asked = config.nested(self.settings or {}).get("training", {})
        if self.steps is not None or {"steps", "epochs"} & {*asked}:
            return [self.steps]
        most = recipes.table(len(rows), len(rows.names))["training"]["steps"]
        # Where others come first, little is left that takes long to learn.
        most = most if self.first_ is None else min(most, _MOST)
        tried = [steps for steps in (_FIRST * 3**k for k in range(8)) if 2 * steps < most]
        return [*tried, most]

    def _asked(self, X: Any) -> DataTable:  # noqa: N803
        """Rows as the model takes them, the target unknown.

        What is expected of a row is unknown too where it lacks a feature that no training row did.

        Raises:
            DataError: if a feature holds values of another type than in training.
        """
        check_is_fitted(self)
        features = self._read(X)
        unknown = Column(self.target_, np.zeros(len(features)), np.ones(len(features), bool))
        if self.first_ is None:
            return DataTable((*features, unknown))
        parts = {part.name: part for part in self.model_.model_.codec.parts}
        read = select_columns(features, self._used, "X")
        used = DataTable(tuple(as_learned(column, parts[column.name]) for column in read))
        expected = self.first_.predict(used).reshape(len(features), -1)
        columns = self._expected_columns(expected, self.first_.coding.known(used))
        return DataTable((*features, *columns, unknown))

    def _judged(self, rows: DataTable) -> tuple[np.ndarray, np.ndarray]:
        """How badly the target of rows is predicted, and how far off its interval's middle.

        Returns:
            The loss by factor of widening, `(factors, rows)`, and the factors of widening whose
            intervals of the shares `_INSIDE` would just hold the truth, `(shares, rows)`.
        """
        raise NotImplementedError

    def _run(self) -> Run:
        return Run(self.model_.model_, None)

    def _law(self, rows: DataTable) -> Any:
        """Of rows as the model takes them, what is predicted of the target."""
        quiet = not self.verbose
        return self._run().predict(rows, self.target_, values=_VALUES, steps=_STEPS, quiet=quiet)


# Rows that steps and the width of the laws are chosen by: about so many, a fifth or less at a time.
_KEPT, _PARTS = 500, 5
# Factors of widening to try; the first is the only one of what has no width. The shares of rows
# that intervals of them are to hold.
_WIDENINGS, _INSIDE = (1.0, *np.geomspace(0.5, 8, 49).tolist()), (0.5, 0.9)
# Steps of training to begin with; at most, and the width, where simpler learners come first.
_FIRST, _MOST, _WIDTH = 33, 900, 64
# Of a law: a rest is nearly normal, and soon found. On the sets of the benchmark the CRPS of 12
# steps and 32 values is not lower. Between the values it is interpolated.
_STEPS, _VALUES, _FINER = 6, 16, 64
# Draws of a row of which too little is known to expect a value.
_DRAWS = 128


class DiffusionRegressor(RegressorMixin, _Predictor):  # type: ignore[misc]
    """Predicts a number with its whole law: mean, quantiles, intervals, draws.

    What simpler learners expect (`estimator.stacking`) comes first: a line, trees, support vectors,
    perceptrons.
    Where no value of the target recurs often, the network learns the law of what is left, else of
    the target, given the features and what is expected.

    A network that has seen few rows many times is too sure of itself. So about 500 rows are kept
    out at first, of few rows a fifth at a time, up to five times: in so many steps as have the
    least CRPS there, unless `steps` is given, all rows are learned. The laws are widened about
    their medians by factors between the one with the least CRPS and those whose 50 % and 90 %
    intervals hold 50 % and 90 % of these rows. They are smaller by as much as simpler learners of
    all rows are nearer to new rows than learners of a part of the rows are
    (`StackedMean.shrinkage`). Of fewer than 100 rows none is kept out, and no simpler learner comes
    first.

    Args:
        columns: see `DiffusionModel`; of the features.
        steps: see `DiffusionModel`.
        width: see `DiffusionModel`.
        settings: see `DiffusionModel`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel` of features, what is expected, and target.
        first_: what simpler learners expect; None where they do not come first.
        target_: the target's name in it.
        widening_: the factors of the quartiles, and of the 5 % and 95 % quantiles, `(2,)`.
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
        if not np.isfinite(y := _as_numbers(_checked(self, y))).all():
            raise DataError("y holds NaN or infinity; leave these rows out.")
        if len(y) > 1 and (y == y[0]).all():
            raise DataError(f"y is {y[0]:g} in every row; there is nothing to predict.")
        seed = seed_of(self.random_state)
        features, types = self._begin(X, y)
        expected = self._learned_first(StackedMean, features, types, y, seed)
        known = np.ones(len(y), bool)
        column = Column(self.target_, y, ~known)
        self._part = NumericCodec.fit(column, "continuous")
        # What is left of a value that recurs does not: a target of such values stays as it is.
        self._is_rest = self.first_ is not None and not has_heavy_value(y)
        if self._is_rest:
            column = replace(column, values=y - expected[:, 0])
        columns = self._expected_columns(expected, known)
        types |= dict.fromkeys((self.target_, *(each.name for each in columns)), "continuous")
        whole = DataTable((*features, *columns, column))
        self._learn_well(whole, types, seed, np.empty(0, np.int64))
        if self._is_rest and isinstance(self.first_, StackedMean):
            self.widening_ = self.widening_ * self.first_.shrinkage
        return self

    def _judged(self, rows: DataTable) -> tuple[np.ndarray, np.ndarray]:
        """The CRPS, and how far off the truth is beside the end of the interval."""
        law, truth = self._law(rows), rows[self.target_].values
        losses = np.stack([law.widened([each] * 2).crps(truth) for each in _WIDENINGS])
        middle, ratios = law.quantiles([0.5])[:, 0], []
        for low, high in (law.interval(share).T for share in _INSIDE):
            off, end = truth - middle, np.where(truth > middle, high, low) - middle
            # A point mass on the middle is held by any width.
            counts = (off != 0) & (end != 0)
            ratios.append(np.divide(off, end, out=np.ones(len(off)), where=counts))
        return losses, np.stack(ratios)

    def _law(self, rows: DataTable) -> PredictedNumbers:
        found: PredictedNumbers = super()._law(rows)
        return found.finer(_FINER)

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
        rows = self._asked(X)
        found = self._law(rows).widened(self.widening_)
        if not self._is_rest:
            return found
        expected = rows[f"{self._expected} 1"]
        law = found.shifted(np.where(expected.missing, 0.0, expected.values), self._part)
        if not expected.missing.any():
            return law
        count = law.values.shape[1]
        some = expected.missing[:, None]
        values = law.values.copy()
        values[expected.missing] = self._drawn(rows.take(np.flatnonzero(expected.missing)), count)
        weights, is_mass = np.where(some, 1 / count, law.weights), law.is_mass & ~some
        return replace(law, values=values, weights=weights, is_mass=is_mass)

    def _drawn(self, rows: DataTable, count: int) -> np.ndarray:
        """Of rows of which too little is known to expect a value: quantiles of draws of both."""
        names = f"{self._expected} 1", self.target_
        # Features that only name rows are none of the model's.
        own = select_columns(rows, self.model_.model_.codec.columns, "X")
        drawn = self._run().filled(own, _DRAWS)
        both = np.stack([sum(each[name].values for name in names) for each in drawn], 1)
        places = (np.arange(count) + 0.5) / count
        found = np.quantile(both, places, axis=1).T
        return np.asarray(found.clip(self._part.low, self._part.high))


# Classes that trees learn first, and rows that each needs for that.
_MOST_CLASSES, _LEAST_OF_A_CLASS = 10, 10


class DiffusionClassifier(ClassifierMixin, _Predictor):  # type: ignore[misc]
    """Predicts a category with its probabilities.

    What boosted trees expect (`estimator.stacking`) comes first, of up to 10 classes of 10 rows or
    more: the network learns the probabilities given the features and the trees' log odds. Of 100
    rows or more about 500 are kept out at first, of few rows a fifth at a time, up to five times:
    in so many steps as have the least log loss there, unless `steps` is given, all are learned.

    Args:
        columns: see `DiffusionModel`; of the features.
        steps: see `DiffusionModel`.
        width: see `DiffusionModel`.
        settings: see `DiffusionModel`.
        random_state: decides the fit. None: a fit of its own each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel` of features, what is expected, and target.
        first_: what simpler learners expect; None where they do not come first.
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
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        self.classes_: np.ndarray = classes
        if len(self.classes_) < 2:
            raise DataError("y has one class only; there is nothing to predict.")
        features, types = self._begin(X, y)
        seed = seed_of(self.random_state)
        frequent = np.bincount(codes).min() >= _LEAST_OF_A_CLASS
        few = len(self.classes_) <= _MOST_CLASSES
        learner = StackedOdds if few and frequent else None
        expected = self._learned_first(learner, features, types, codes, seed)
        known = np.ones(len(y), bool)
        columns = self._expected_columns(expected, known)
        # Codes in the classes' own order, whatever type they are.
        target = Column(self.target_, codes.astype(np.int64), ~known)
        types |= dict.fromkeys((each.name for each in columns), "continuous")
        types[self.target_] = "categorical"
        first_rows = np.unique(codes, return_index=True)[1]
        self._learn_well(DataTable((*features, *columns, target)), types, seed, first_rows)
        return self

    def _judged(self, rows: DataTable) -> tuple[np.ndarray, np.ndarray]:
        """The log loss; nothing is widened."""
        law: PredictedCategories = self._law(rows)
        chance = law.probabilities[np.arange(len(rows)), rows[self.target_].values]
        return np.asarray(-np.log(chance.clip(1e-6)))[None], np.ones((len(_INSIDE), len(rows)))

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, `(n,)`."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """The probability of each class in the order of `classes_`, `(n, classes)`."""
        found: PredictedCategories = self._law(self._asked(X))
        return found.probabilities


def _checked(estimator: BaseEstimator, y: Any) -> np.ndarray:
    """The target, one of each row.

    Raises:
        DataError: if there is none, or None, NaN or NA stands in an array of objects.
    """
    if y is None:
        name = type(estimator).__name__
        raise DataError(f"{name} requires y to be passed, but the target y is None.")
    found: np.ndarray = column_or_1d(y, warn=True)
    if found.dtype == object and any(each is None or is_no_value(each) for each in found):
        raise DataError("y holds missing values; leave these rows out.")
    return found


def _as_numbers(y: np.ndarray) -> np.ndarray:
    """The target as float64.

    Raises:
        DataError: if it holds dates or text.
    """
    if y.dtype.kind in "mM":
        raise DataError(
            "y holds dates or times; give numbers, or predict a column of dates by DiffusionModel."
        )
    try:
        return y.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"y holds {str(y[0])!r} and the like, which are no numbers; DiffusionClassifier "
            "predicts categories."
        ) from None
