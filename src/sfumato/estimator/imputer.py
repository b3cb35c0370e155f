"""An imputer: takes the place of scikit-learn's IterativeImputer."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sfumato.data.codecs.columns import CategoricalCodec
from sfumato.data.table import Column, DataTable
from sfumato.errors import DataError
from sfumato.estimator.base import RandomState, of_frames, seed_of
from sfumato.estimator.model import DiffusionModel


class DiffusionImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills missing values by a diffusion model of the table; takes IterativeImputer's place.

    Args:
        columns: see `DiffusionModel`.
        steps: see `DiffusionModel`.
        sample_posterior: fill with one draw, which keeps the spread, and not with best guesses.
        keep_empty_features: what becomes of a column without any value in `fit`: it is left out of
            the output, or kept and filled with 0.
        random_state: decides fit and draws. None: others each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel`.
        empty_features_: which columns had no value in `fit`, `(columns,)`.
        n_features_in_: how many columns there were.
        feature_names_in_: their names, where the data had some.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        steps: int | None = None,
        sample_posterior: bool = False,
        keep_empty_features: bool = False,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.steps = steps
        self.sample_posterior = sample_posterior
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = of_frames(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Learn the rows of a table, missing values and all.

        Args:
            X: a data frame, or an array `(n, columns)`.
            y: not looked at.

        Raises:
            ValueError: if X cannot be learned from, or a column without any value is to be kept
                whose type has no 0.
        """
        self.seed_: int = seed_of(self.random_state)
        self.model_: DiffusionModel = DiffusionModel(
            columns=self.columns, steps=self.steps, random_state=self.seed_, verbose=self.verbose
        ).fit(X)
        self.n_features_in_: int = self.model_.n_features_in_
        if hasattr(self.model_, "feature_names_in_"):
            self.feature_names_in_: np.ndarray = self.model_.feature_names_in_
        codec = self.model_.model_.codec
        empty = [part for part in getattr(codec, "parts", ()) if _never_had_a_value(part)]
        self.empty_features_: np.ndarray = np.isin(codec.names, [part.name for part in empty])
        if self.keep_empty_features:
            for part in empty:
                _refuse_without_zero(part.name, np.dtype(part.dtype))
        elif empty:
            warnings.warn(
                "columns without any value are left out of the output: "
                f"{', '.join(repr(part.name) for part in empty)}; keep_empty_features=True fills "
                "them with 0",
                UserWarning,
                stacklevel=2,
            )
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the columns that `transform` gives.

        Args:
            input_features: the names of the columns of X, if it had none in `fit`.
        """
        names: np.ndarray = super().get_feature_names_out(input_features)
        return names if self.keep_empty_features else names[~self.empty_features_]

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The rows with their missing values filled, of the kind that was given.

        Raises:
            ValueError: if the rows do not fit.
        """
        check_is_fitted(self)
        model, draws = self.model_, 1 if self.sample_posterior else None
        (table,) = model._filled(model._table(X), draws, self.seed_)
        if not self.keep_empty_features:
            return model._like(X, table, ~self.empty_features_)
        columns = zip(table, self.empty_features_, strict=True)
        zeroed = DataTable(tuple(_zeroed(each) if empty else each for each, empty in columns))
        return model._like(X, zeroed)


def _never_had_a_value(part: Any) -> bool:
    return isinstance(part, CategoricalCodec) and not part.categories


def _zeroed(column: Column) -> Column:
    """0 for missing values, as IterativeImputer fills a column that had no value in `fit`."""
    if not column.missing.any():
        return column
    _refuse_without_zero(column.name, column.values.dtype)
    values = np.where(column.missing, np.zeros(1, column.values.dtype), column.values)
    dtype = "" if column.dtype.lower().startswith("null") else column.dtype  # which holds nothing
    return replace(column, values=values, missing=np.zeros(len(values), bool), dtype=dtype)


def _refuse_without_zero(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind in "OM":
        raise DataError(
            f"the column {name!r} has no value, and a column of {_WITHOUT_ZERO[dtype.kind]} cannot "
            "be filled with 0; drop it, or leave keep_empty_features at False."
        )


_WITHOUT_ZERO = {"O": "text", "M": "dates"}
