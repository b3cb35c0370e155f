"""An imputer: takes the place of scikit-learn's IterativeImputer."""

from collections.abc import Mapping
from typing import Any, Self

from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sfumato.estimator.model import DiffusionModel, RandomState, seed_of


class DiffusionImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills holes by a diffusion model of the table; takes IterativeImputer's place.

    Args:
        columns: see `DiffusionModel`.
        steps: see `DiffusionModel`.
        sample_posterior: fill with one draw, which keeps the spread, and not with best guesses.
        random_state: decides fit and draws. None: others each time.
        verbose: show progress.

    Attributes:
        model_: the fitted `DiffusionModel`.
        n_features_in_: how many columns there were.
        feature_names_in_: their names, where the data had some.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        steps: int | None = None,
        sample_posterior: bool = False,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.steps = steps
        self.sample_posterior = sample_posterior
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803
        """Learn the rows of a table, holes and all.

        Args:
            X: a data frame, or an array `(n, columns)`.
            y: not looked at.

        Raises:
            ValueError: if X cannot be learned from.
        """
        self.seed_ = seed_of(self.random_state)
        self.model_ = DiffusionModel(
            columns=self.columns, steps=self.steps, random_state=self.seed_, verbose=self.verbose
        ).fit(X)
        self.n_features_in_ = self.model_.n_features_in_
        if hasattr(self.model_, "feature_names_in_"):
            self.feature_names_in_ = self.model_.feature_names_in_
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The rows with their holes filled, of the kind that was given.

        Raises:
            ValueError: if the rows do not fit.
        """
        check_is_fitted(self)
        if not self.sample_posterior:
            return self.model_.impute(X, random_state=self.seed_)
        (filled,) = self.model_.impute(X, draws=1, random_state=self.seed_)
        return filled
