"""What the estimators of tables share: their parameters, and how rows are read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sfumato.config import LARGEST_SEED
from sfumato.data.io.arrays import from_array
from sfumato.data.io.frames import backend_of, from_frame
from sfumato.data.table import DataTable
from sfumato.errors import ArgumentError, DataError

# What `random_state` may be: None, a seed, or NumPy's.
RandomState = int | np.random.RandomState | None


def of_frames(tags: Any) -> Any:
    """scikit-learn's tags of an estimator that takes text, categories and missing values."""
    tags.input_tags.allow_nan = True
    tags.input_tags.string = True
    tags.input_tags.categorical = True
    return tags


class TableEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator that fits a model of a table; its parameters are `DiffusionModel`'s.

    Attributes:
        backend_: of frames "pandas", "polars" or "pyarrow"; None of arrays.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        steps: int | None = None,
        width: int | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.columns = columns
        self.steps = steps
        self.width = width
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        return of_frames(super().__sklearn_tags__())

    def _read(self, X: Any, *, reset: bool = False) -> DataTable:  # noqa: N803
        """The rows as a table of the columns that were fitted, checked as scikit-learn does."""
        backend = None if isinstance(X, np.ndarray) else backend_of(X)
        if backend is not None:
            table = from_frame(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset and len(table) < 2:
                raise DataError("found a table with 1 sample; at least 2 rows are needed.")
        else:
            if getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M"):
                raise DataError("dates come in data frames; an array of them is not read.")
            values = validate_data(
                self,
                X,
                reset=reset,
                dtype=None,
                ensure_all_finite="allow-nan",
                ensure_min_samples=2 if reset else 1,
            )
            table = from_array(values, "X")
        if reset:
            self.backend_, self._names = backend, table.names
        if (backend is None) == (self.backend_ is None):
            return table
        # A frame after an array, or the other way round: by place, as scikit-learn goes on.
        pairs = zip(table, self._names, strict=True)
        return DataTable(tuple(replace(each, name=name) for each, name in pairs))


def seed_of(random_state: RandomState) -> int:
    """The seed that a `random_state` is, or draws.

    Raises:
        ArgumentError: if it is negative.
    """
    if isinstance(random_state, int | np.integer):
        if not 0 <= random_state <= LARGEST_SEED:
            raise ArgumentError(f"`random_state` must not be negative; got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
